//! Encoders after BERT with names of their own.

use crate::model::Tag::{Aside, InputNorm, QkvBlocks, QkvGroups};
use crate::model::family::{Family, part, tagged, tied};
use crate::terms::Role::*;

/// BERT's names; the generator's output is tied under one of its own.
pub(super) static ELECTRA: Family = Family {
    name: "electra",
    model_types: &["electra"],
    parts: super::bert::PARTS,
    tied: &[tied("generator_lm_head", "embeddings.word_embeddings")],
    ..Family::EMPTY
};

pub(super) static DISTILBERT: Family = Family {
    tied: &[tied("vocab_projector", "embeddings.word_embeddings")],
    name: "distilbert",
    model_types: &["distilbert"],
    parts: &[
        part("embeddings.word_embeddings", TokenEmbedding),
        part("embeddings.position_embeddings", PositionEmbedding),
        part("embeddings.LayerNorm", Norm),
        part("layer.#.attention.q_lin", AttnQ),
        part("layer.#.attention.k_lin", AttnK),
        part("layer.#.attention.v_lin", AttnV),
        part("layer.#.attention.out_lin", AttnOut),
        part("layer.#.sa_layer_norm|output_layer_norm", Norm),
        part("layer.#.ffn.lin1", MlpUp),
        part("layer.#.ffn.lin2", MlpDown),
        part("vocab_transform", Other),
        part("vocab_layer_norm", Norm),
        part("vocab_projector", LmHead),
        part("pre_classifier", Other),
    ],
    ..Family::EMPTY
};

/// DeBERTa 1 to 3: relative positions have a table and, in version 1, projections of their own.
pub(super) static DEBERTA: Family = Family {
    tied: &[tied("cls.predictions.decoder", "embeddings.word_embeddings")],
    name: "deberta",
    model_types: &["deberta", "deberta-v2"],
    parts: &[
        part("embeddings.word_embeddings|token_type_embeddings", TokenEmbedding),
        part("embeddings.position_embeddings", PositionEmbedding),
        part("embeddings.LayerNorm", Norm),
        part("embeddings.embed_proj", Other),
        part("encoder.rel_embeddings", PositionEmbedding),
        part("encoder.LayerNorm", Norm),
        part("encoder.conv.conv", Conv),
        part("encoder.conv.LayerNorm", Norm),
        tagged("encoder.layer.#.attention.self.in_proj", AttnQkv, QkvGroups),
        part("encoder.layer.#.attention.self.q_bias", AttnQ),
        part("encoder.layer.#.attention.self.v_bias", AttnV),
        tagged("encoder.layer.#.attention.self.pos_proj|pos_key_proj", AttnK, Aside),
        tagged("encoder.layer.#.attention.self.pos_q_proj|pos_query_proj", AttnQ, Aside),
        part("encoder.layer.#.attention.self.query_proj", AttnQ),
        part("encoder.layer.#.attention.self.key_proj", AttnK),
        part("encoder.layer.#.attention.self.value_proj", AttnV),
        part("encoder.layer.#.attention.self.head_logits_proj|head_weights_proj", Other),
        part("encoder.layer.#.attention.output.dense", AttnOut),
        part("encoder.layer.#.attention.output.LayerNorm", Norm),
        part("encoder.layer.#.intermediate.dense", MlpUp),
        part("encoder.layer.#.output.dense", MlpDown),
        part("encoder.layer.#.output.LayerNorm", Norm),
        part("pooler.dense", Other),
        part("cls.predictions.transform.dense", Other),
        part("cls.predictions.transform.LayerNorm", Norm),
        part("cls.predictions.decoder", LmHead),
        part("cls.predictions", LmHead),
        part("lm_predictions.lm_head.dense", Other),
        part("lm_predictions.lm_head.LayerNorm", Norm),
        part("lm_predictions.lm_head", LmHead),
    ],
    ..Family::EMPTY
};

/// ALBERT: one layer that is run many times.
pub(super) static ALBERT: Family = Family {
    tied: &[tied("predictions.decoder", "embeddings.word_embeddings")],
    name: "albert",
    model_types: &["albert"],
    parts: &[
        part("embeddings.word_embeddings|token_type_embeddings", TokenEmbedding),
        part("embeddings.position_embeddings", PositionEmbedding),
        part("embeddings.LayerNorm", Norm),
        part("encoder.embedding_hidden_mapping_in", Other),
        part("albert_layer_groups.#.albert_layers.#.attention.query", AttnQ),
        part("albert_layer_groups.#.albert_layers.#.attention.key", AttnK),
        part("albert_layer_groups.#.albert_layers.#.attention.value", AttnV),
        part("albert_layer_groups.#.albert_layers.#.attention.dense", AttnOut),
        part("albert_layer_groups.#.albert_layers.#.attention.LayerNorm", Norm),
        part("albert_layer_groups.#.albert_layers.#.full_layer_layer_norm", Norm),
        part("albert_layer_groups.#.albert_layers.#.ffn", MlpUp),
        part("albert_layer_groups.#.albert_layers.#.ffn_output", MlpDown),
        part("pooler", Other),
        part("sop_classifier.classifier", Other),
        part("predictions.LayerNorm", Norm),
        part("predictions.dense", Other),
        part("predictions.decoder", LmHead),
        part("predictions", LmHead),
    ],
    ..Family::EMPTY
};

pub(super) static MPNET: Family = Family {
    tied: &[tied("lm_head.decoder", "embeddings.word_embeddings")],
    name: "mpnet",
    model_types: &["mpnet"],
    parts: &[
        part("embeddings.word_embeddings", TokenEmbedding),
        part("embeddings.position_embeddings", PositionEmbedding),
        part("embeddings.LayerNorm", Norm),
        part("encoder.relative_attention_bias", PositionEmbedding),
        part("encoder.layer.#.attention.attn.q", AttnQ),
        part("encoder.layer.#.attention.attn.k", AttnK),
        part("encoder.layer.#.attention.attn.v", AttnV),
        part("encoder.layer.#.attention.attn.o", AttnOut),
        part("encoder.layer.#.attention.LayerNorm", Norm),
        part("encoder.layer.#.intermediate.dense", MlpUp),
        part("encoder.layer.#.output.dense", MlpDown),
        part("encoder.layer.#.output.LayerNorm", Norm),
        part("pooler.dense", Other),
        part("lm_head.dense", Other),
        part("lm_head.layer_norm", Norm),
        part("lm_head.decoder", LmHead),
        part("lm_head", LmHead),
    ],
    ..Family::EMPTY
};

pub(super) static MODERNBERT: Family = Family {
    tied: &[tied("decoder", "embeddings.tok_embeddings")],
    name: "modernbert",
    model_types: &["modernbert", "modernbert-decoder"],
    parts: &[
        part("embeddings.tok_embeddings", TokenEmbedding),
        part("embeddings.norm", Norm),
        tagged("layers.#.attn_norm", Norm, InputNorm),
        tagged("layers.#.attn.Wqkv", AttnQkv, QkvBlocks),
        part("layers.#.attn.q_proj", AttnQ),
        part("layers.#.attn.k_proj", AttnK),
        part("layers.#.attn.v_proj", AttnV),
        part("layers.#.attn.Wo", AttnOut),
        part("layers.#.mlp_norm", Norm),
        part("layers.#.mlp.Wi", MlpGateUp),
        part("layers.#.mlp.Wo", MlpDown),
        part("final_norm", Norm),
        part("head|lm_head.dense", Other),
        part("head|lm_head.norm", Norm),
        part("decoder", LmHead),
    ],
    ..Family::EMPTY
};
