//! BLOOM and Falcon: `h.N.self_attention.query_key_value`, with ALiBi or rotary positions.

use crate::model::Tag::{InputNorm, QkvGroups};
use crate::model::family::{Family, Part, TiedPair, part, tagged, tied};
use crate::terms::Role::*;

const PARTS: &[Part] = &[
    part("word_embeddings", TokenEmbedding),
    part("word_embeddings_layernorm", Norm),
    tagged("h.#.input_layernorm|ln_attn", Norm, InputNorm),
    tagged("h.#.self_attention.query_key_value", AttnQkv, QkvGroups),
    part("h.#.self_attention.dense", AttnOut),
    part("h.#.post_attention_layernorm|ln_mlp", Norm),
    part("h.#.mlp.dense_h_to_4h", MlpUp),
    part("h.#.mlp.dense_4h_to_h", MlpDown),
    part("ln_f", Norm),
    part("lm_head", LmHead),
];
const TIED: &[TiedPair] = &[tied("lm_head", "word_embeddings")];

pub(super) static BLOOM: Family =
    Family { tied: TIED, name: "bloom", model_types: &["bloom"], parts: PARTS, ..Family::EMPTY };

/// Falcon's three layouts (one key head, one a query head, groups) are one: groups of different sizes.
pub(super) static FALCON: Family = Family {
    tied: TIED,
    name: "falcon",
    model_types: &["falcon", "RefinedWeb", "RefinedWebModel"],
    parts: PARTS,
    ..Family::EMPTY
};
