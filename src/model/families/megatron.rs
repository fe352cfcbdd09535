//! Megatron-core and NeMo: `decoder.layers.N.self_attention.linear_qkv`, grouped per key head.

use crate::model::Tag::{InputNorm, QkvGroups};
use crate::model::family::{Family, part, tagged, tied};
use crate::terms::Role::*;

pub(super) static MEGATRON: Family = Family {
    tied: &[tied("output_layer", "embedding.word_embeddings")],
    name: "megatron",
    model_types: &["megatron", "megatron_gpt"],
    parts: &[
        part("embedding.word_embeddings", TokenEmbedding),
        part("embedding.position_embeddings", PositionEmbedding),
        tagged("layers.#.input_layernorm", Norm, InputNorm),
        // Fused layers of Transformer Engine carry the norm before them.
        tagged("layers.#.self_attention|attention.linear_qkv.layer_norm_weight", Norm, InputNorm),
        part("layers.#.self_attention|attention.linear_qkv.layer_norm_bias", Norm),
        tagged("layers.#.self_attention|attention.linear_qkv|query_key_value", AttnQkv, QkvGroups),
        part("layers.#.self_attention|attention.linear_proj|dense", AttnOut),
        part("layers.#.self_attention.q_layernorm|k_layernorm", Norm),
        part("layers.#.post_attention_layernorm|post_attention_norm|pre_mlp_layernorm", Norm),
        part("layers.#.mlp.linear_fc1.layer_norm_weight", Norm),
        part("layers.#.mlp.linear_fc1.layer_norm_bias", Norm),
        part("layers.#.mlp.linear_fc1|dense_h_to_4h", MlpUp),
        part("layers.#.mlp.linear_fc2|dense_4h_to_h", MlpDown),
        part("layers.#.mlp.router", Router),
        part("layers.#.mlp.experts.local_experts.#.linear_fc1", ExpertUp),
        part("layers.#.mlp.experts.local_experts.#.linear_fc2", ExpertDown),
        part("layers.#.mlp.experts.linear_fc1|weight1", ExpertUp),
        part("layers.#.mlp.experts.linear_fc2|weight2", ExpertDown),
        part("layers.#.mlp.shared_experts.linear_fc1", MlpUp),
        part("layers.#.mlp.shared_experts.linear_fc2", MlpDown),
        part("final_layernorm|final_norm", Norm),
        part("output_layer", LmHead),
    ],
    ..Family::EMPTY
};
