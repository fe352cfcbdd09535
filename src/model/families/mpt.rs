//! MPT: `blocks.N.attn.Wqkv`.

use crate::model::Tag::{InputNorm, QkvBlocks};
use crate::model::family::{Family, part, tagged, tied};
use crate::terms::Role::*;

pub(super) static MPT: Family = Family {
    tied: &[tied("lm_head", "wte")],
    name: "mpt",
    model_types: &["mpt"],
    parts: &[
        part("wte", TokenEmbedding),
        part("wpe", PositionEmbedding),
        tagged("blocks.#.norm_1", Norm, InputNorm),
        tagged("blocks.#.attn.Wqkv", AttnQkv, QkvBlocks),
        part("blocks.#.attn.q_ln|k_ln", Norm),
        part("blocks.#.attn.out_proj", AttnOut),
        part("blocks.#.norm_2", Norm),
        part("blocks.#.ffn.up_proj", MlpUp),
        part("blocks.#.ffn.down_proj", MlpDown),
        part("norm_f", Norm),
        part("lm_head", LmHead),
    ],
    ..Family::EMPTY
};
