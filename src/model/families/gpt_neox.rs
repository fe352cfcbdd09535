//! GPT-NeoX and Pythia: one fused projection with Q, K and V of each head side by side.

use crate::model::Tag::{InputNorm, QkvGroups};
use crate::model::family::{Family, part, tagged, tied};
use crate::terms::Role::*;

pub(super) static GPT_NEOX: Family = Family {
    tied: &[tied("embed_out", "embed_in")],
    name: "gpt_neox",
    model_types: &["gpt_neox", "gpt_neox_japanese"],
    parts: &[
        part("embed_in", TokenEmbedding),
        tagged("layers.#.input_layernorm", Norm, InputNorm),
        tagged("layers.#.attention.query_key_value", AttnQkv, QkvGroups),
        part("layers.#.attention.dense", AttnOut),
        part("layers.#.attention.dense_bias", AttnOut),
        part("layers.#.attention", Bias),
        part("layers.#.post_attention_layernorm", Norm),
        part("layers.#.mlp.dense_h_to_4h", MlpUp),
        part("layers.#.mlp.dense_4h_to_h", MlpDown),
        part("final_layer_norm", Norm),
        part("embed_out", LmHead),
    ],
    ..Family::EMPTY
};
