//! GPT-2 and those that kept its names: `h.N.ln_1`, `h.N.attn`, `h.N.mlp`.
//!
//! GPT-2's Conv1D stores (inputs, outputs); nanoGPT uses the same names with linear layers, which store
//! (outputs, inputs). The shape of `c_attn` tells them apart.

use crate::model::Tag::{Aside, InputNorm, QkvBlocks, QkvGroups};
use crate::model::family::{Family, Part, TiedPair, part, tagged, tied};
use crate::terms::Role::*;

const PARTS: &[Part] = &[
    part("wte", TokenEmbedding),
    part("wpe", PositionEmbedding),
    tagged("h.#.ln_1", Norm, InputNorm),
    tagged("h.#.attn.c_attn", AttnQkv, QkvBlocks),
    part("h.#.attn.c_proj", AttnOut),
    part("h.#.ln_2", Norm),
    part("h.#.mlp.c_fc", MlpUp),
    part("h.#.mlp.c_proj", MlpDown),
    tagged("h.#.crossattention.c_attn", AttnQkv, Aside),
    tagged("h.#.crossattention.q_attn", AttnQ, Aside),
    tagged("h.#.crossattention.c_proj", AttnOut, Aside),
    part("h.#.ln_cross_attn", Norm),
    part("h.#.attn", Bias),
    part("ln_f", Norm),
    part("lm_head", LmHead),
    part("multiple_choice_head.summary", Other),
];
const TIED: &[TiedPair] = &[tied("lm_head", "wte")];

pub(super) static GPT2: Family = Family {
    inputs_first: true,
    tied: TIED,
    name: "gpt2",
    model_types: &["gpt2", "gpt-sw3", "imagegpt", "decision_transformer"],
    parts: PARTS,
    ..Family::EMPTY
};

pub(super) static NANOGPT: Family =
    Family { tied: TIED, name: "nanogpt", model_types: &["nanogpt"], parts: PARTS, ..Family::EMPTY };

pub(super) static GPT_BIGCODE: Family = Family {
    tied: TIED,
    name: "gpt_bigcode",
    model_types: &["gpt_bigcode"],
    parts: &[
        part("wte", TokenEmbedding),
        part("wpe", PositionEmbedding),
        tagged("h.#.ln_1", Norm, InputNorm),
        tagged("h.#.attn.c_attn", AttnQkv, QkvGroups),
        part("h.#.attn.c_proj", AttnOut),
        part("h.#.ln_2", Norm),
        part("h.#.mlp.c_fc", MlpUp),
        part("h.#.mlp.c_proj", MlpDown),
        part("ln_f", Norm),
        part("lm_head", LmHead),
    ],
    ..Family::EMPTY
};

pub(super) static OPENAI_GPT: Family = Family {
    inputs_first: true,
    tied: &[tied("lm_head", "tokens_embed")],
    name: "openai-gpt",
    model_types: &["openai-gpt"],
    parts: &[
        part("tokens_embed", TokenEmbedding),
        part("positions_embed", PositionEmbedding),
        tagged("h.#.attn.c_attn", AttnQkv, QkvBlocks),
        part("h.#.attn.c_proj", AttnOut),
        part("h.#.ln_1|ln_2", Norm),
        part("h.#.mlp.c_fc", MlpUp),
        part("h.#.mlp.c_proj", MlpDown),
        part("lm_head", LmHead),
    ],
    ..Family::EMPTY
};

pub(super) static GPT_NEO: Family = Family {
    tied: TIED,
    name: "gpt_neo",
    model_types: &["gpt_neo"],
    parts: &[
        part("wte", TokenEmbedding),
        part("wpe", PositionEmbedding),
        tagged("h.#.ln_1", Norm, InputNorm),
        part("h.#.attn.attention.q_proj", AttnQ),
        part("h.#.attn.attention.k_proj", AttnK),
        part("h.#.attn.attention.v_proj", AttnV),
        part("h.#.attn.attention.out_proj", AttnOut),
        part("h.#.attn.attention", Bias),
        part("h.#.ln_2", Norm),
        part("h.#.mlp.c_fc", MlpUp),
        part("h.#.mlp.c_proj", MlpDown),
        part("ln_f", Norm),
        part("lm_head", LmHead),
    ],
    ..Family::EMPTY
};

/// GPT-J and CodeGen. CodeGen's fused projection is cut for the tensor-parallel ranks that it was
/// trained on, with the values before the keys: its heads are left alone.
pub(super) static GPTJ: Family = Family {
    tied: TIED,
    name: "gptj",
    model_types: &["gptj", "codegen"],
    parts: &[
        part("wte", TokenEmbedding),
        tagged("h.#.ln_1", Norm, InputNorm),
        part("h.#.attn.q_proj", AttnQ),
        part("h.#.attn.k_proj", AttnK),
        part("h.#.attn.v_proj", AttnV),
        tagged("h.#.attn.qkv_proj", AttnQkv, Aside),
        part("h.#.attn.out_proj", AttnOut),
        part("h.#.attn", Bias),
        part("h.#.attn.causal_mask|scale_attn", Other),
        part("h.#.mlp.fc_in", MlpUp),
        part("h.#.mlp.fc_out", MlpDown),
        part("ln_f", Norm),
        part("lm_head", LmHead),
    ],
    ..Family::EMPTY
};
