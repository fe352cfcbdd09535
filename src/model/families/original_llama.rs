//! Llama as its authors and torchtitan name it: `layers.N.attention.wq`, `feed_forward.w1`.

use crate::model::Tag::InputNorm;
use crate::model::family::{Family, part, tagged, tied};
use crate::terms::Role::*;

pub(super) static LLAMA_ORIGINAL: Family = Family {
    tied: &[tied("output", "tok_embeddings")],
    name: "llama_original",
    model_types: &["llama_original", "torchtitan"],
    parts: &[
        part("tok_embeddings", TokenEmbedding),
        tagged("layers.#.attention_norm", Norm, InputNorm),
        part("layers.#.attention.wq", AttnQ),
        part("layers.#.attention.wk", AttnK),
        part("layers.#.attention.wv", AttnV),
        part("layers.#.attention.wo", AttnOut),
        part("layers.#.attention.q_norm|k_norm", Norm),
        part("layers.#.ffn_norm", Norm),
        part("layers.#.feed_forward.w1", MlpGate),
        part("layers.#.feed_forward.w2", MlpDown),
        part("layers.#.feed_forward.w3", MlpUp),
        part("layers.#.feed_forward|moe.gate|router", Router),
        part("layers.#.moe.router.gate", Router),
        part("layers.#.moe.experts.w1", ExpertGate),
        part("layers.#.moe.experts.w2", ExpertDown),
        part("layers.#.moe.experts.w3", ExpertUp),
        part("layers.#.moe.shared_experts|shared_expert.w1", MlpGate),
        part("layers.#.moe.shared_experts|shared_expert.w2", MlpDown),
        part("layers.#.moe.shared_experts|shared_expert.w3", MlpUp),
        part("layers.#.moe.expert_bias|tokens_per_expert", Other),
        part("norm", Norm),
        part("output", LmHead),
        part("freqs_cis|rope.freqs", Other),
    ],
    ..Family::EMPTY
};
