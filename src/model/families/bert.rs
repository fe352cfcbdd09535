//! BERT and those that kept its names: `encoder.layer.N.attention.self`. Norms follow their blocks.

use crate::model::Tag::Aside;
use crate::model::family::{Family, Part, TiedPair, part, tagged, tied};
use crate::terms::Role::*;

pub(super) const PARTS: &[Part] = &[
    part("embeddings.word_embeddings|token_type_embeddings", TokenEmbedding),
    part("embeddings.position_embeddings", PositionEmbedding),
    part("embeddings.x_position_embeddings|y_position_embeddings", PositionEmbedding),
    part("embeddings.h_position_embeddings|w_position_embeddings", PositionEmbedding),
    part("embeddings.LayerNorm", Norm),
    part("embeddings_project", Other),
    part("encoder.layer.#.attention.self.query", AttnQ),
    part("encoder.layer.#.attention.self.key", AttnK),
    part("encoder.layer.#.attention.self.value", AttnV),
    tagged("encoder.layer.#.crossattention.self.query", AttnQ, Aside),
    tagged("encoder.layer.#.crossattention.self.key", AttnK, Aside),
    tagged("encoder.layer.#.crossattention.self.value", AttnV, Aside),
    tagged("encoder.layer.#.crossattention.output.dense", AttnOut, Aside),
    part("encoder.layer.#.attention.self.distance_embedding", PositionEmbedding),
    part("encoder.layer.#.attention.output.dense", AttnOut),
    part("encoder.layer.#.attention|crossattention.output.LayerNorm", Norm),
    part("encoder.layer.#.intermediate.dense", MlpUp),
    part("encoder.layer.#.output.dense", MlpDown),
    part("encoder.layer.#.output.LayerNorm", Norm),
    part("pooler.dense", Other),
    part("cls.seq_relationship", Other),
    part("cls.predictions.transform.dense", Other),
    part("cls.predictions.transform.LayerNorm", Norm),
    part("cls.predictions.decoder", LmHead),
    part("cls.predictions", LmHead),
    part("lm_head.dense", Other),
    part("lm_head.layer_norm", Norm),
    part("lm_head.decoder", LmHead),
    part("lm_head", LmHead),
    part("generator_predictions.dense", Other),
    part("generator_predictions.LayerNorm", Norm),
    part("generator_lm_head", LmHead),
    part("discriminator_predictions.dense|dense_prediction", Other),
];
const TIED: &[TiedPair] = &[
    tied("cls.predictions.decoder", "embeddings.word_embeddings"),
    tied("lm_head.decoder", "embeddings.word_embeddings"),
];

pub(super) static BERT: Family = Family {
    tied: TIED,
    name: "bert",
    model_types: &[
        "bert",
        "roberta",
        "xlm-roberta",
        "camembert",
        "data2vec-text",
        "ernie",
        "layoutlm",
        "megatron-bert",
    ],
    parts: PARTS,
    ..Family::EMPTY
};
