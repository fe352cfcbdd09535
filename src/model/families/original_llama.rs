//! Llama as its authors and torchtitan name it: `layers.N.attention.wq`, `feed_forward.w1`. torchtitan 0.3 puts the
//! projections under `qkv_linear`, tells the axes of experts in their names, and calls the head `lm_head`.

use crate::model::Tag::{Aside, InputNorm};
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
        part("layers.#.attention.qkv_linear.wq", AttnQ),
        part("layers.#.attention.qkv_linear.wk", AttnK),
        part("layers.#.attention.qkv_linear.wv", AttnV),
        part("layers.#.attention.wo", AttnOut),
        part("layers.#.attention.q_norm|k_norm|kv_norm", Norm),
        tagged("layers.#.attention.wq_a|wq_b", AttnQ, Aside),
        tagged("layers.#.attention.wkv_a|wkv_b", AttnQkv, Aside),
        part("layers.#.attention.sinks", Other),
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
        part("layers.#.moe.routed_experts.inner_experts.w1_EFD", ExpertGate),
        part("layers.#.moe.routed_experts.inner_experts.w2_EDF", ExpertDown),
        part("layers.#.moe.routed_experts.inner_experts.w3_EFD", ExpertUp),
        part("layers.#.moe.routed_experts.inner_experts.mlp1_weight_EGD", ExpertUp),
        part("layers.#.moe.routed_experts.inner_experts.mlp2_weight_EDF", ExpertDown),
        part("layers.#.moe.routed_experts.inner_experts.mlp1_bias_EG|mlp2_bias_ED", Bias),
        part("layers.#.moe.expert_bias|expert_bias_E|tokens_per_expert|tokens_per_expert_E", Other),
        part("norm", Norm),
        part("output|lm_head", LmHead),
        part("freqs_cis|rope.freqs", Other),
    ],
    ..Family::EMPTY
};
