//! Decoders in the manner of Llama: `layers.N.self_attn`, `layers.N.mlp`. Their names overlap without
//! contradiction, so that one table serves them all; the configuration names the type.

use crate::model::Tag::{Aside, InputNorm, QkvBlocks, QkvGroups};
use crate::model::family::{Family, Part, TiedPair, part, tagged, tied};
use crate::terms::Role::*;

const PARTS: &[Part] = &[
    part("embed_tokens|tok_embeddings", TokenEmbedding),
    tagged("layers.#.input_layernorm", Norm, InputNorm),
    part("layers.#.self_attn.q_proj", AttnQ),
    part("layers.#.self_attn.k_proj", AttnK),
    part("layers.#.self_attn.v_proj", AttnV),
    tagged("layers.#.self_attn.qkv_proj", AttnQkv, QkvBlocks),
    tagged("layers.#.self_attn.query_key_value", AttnQkv, QkvGroups),
    part("layers.#.self_attn.o_proj|dense|out_proj", AttnOut),
    part("layers.#.self_attn.q_norm|k_norm|q_layernorm|k_layernorm", Norm),
    part("layers.#.self_attn.q_layernorm|k_layernorm.norms.#", Norm),
    part("layers.#.self_attn.sinks", Other),
    part("layers.#.post_attention_layernorm|pre_feedforward_layernorm|post_feedforward_layernorm", Norm),
    part("layers.#.post_self_attn_layernorm|post_mlp_layernorm", Norm),
    part("layers.#.mlp|feed_forward|shared_mlp.gate_up_proj|fc1_gate_up", MlpGateUp),
    part("layers.#.mlp|feed_forward.gate_proj", MlpGate),
    part("layers.#.mlp|feed_forward.up_proj|c_fc|fc1|dense_h_to_4h", MlpUp),
    part("layers.#.mlp|feed_forward.down_proj|c_proj|fc2|dense_4h_to_h", MlpDown),
    part("layers.#.shared_mlp.input_linear", MlpGateUp),
    part("layers.#.shared_mlp.output_linear", MlpDown),
    // Mixtures of experts: one module an expert, or all experts in one tensor (gate and up together).
    part("layers.#.mlp|block_sparse_moe.gate|router", Router),
    part("layers.#.block_sparse_moe.router.layer", Router),
    part("layers.#.mlp.gate.e_score_correction_bias", Router),
    part("layers.#.block_sparse_moe.experts.#.w1", ExpertGate),
    part("layers.#.block_sparse_moe.experts.#.w2", ExpertDown),
    part("layers.#.block_sparse_moe.experts.#.w3", ExpertUp),
    part("layers.#.mlp.experts.#.gate_proj", ExpertGate),
    part("layers.#.mlp.experts.#.up_proj", ExpertUp),
    part("layers.#.mlp.experts.#.down_proj", ExpertDown),
    part("layers.#.mlp|block_sparse_moe.experts.gate_up_proj|gate_up_proj_bias", ExpertUp),
    part("layers.#.mlp|block_sparse_moe.experts.down_proj|down_proj_bias", ExpertDown),
    part("layers.#.block_sparse_moe.input_linear", ExpertUp),
    part("layers.#.block_sparse_moe.output_linear", ExpertDown),
    part("layers.#.mlp.shared_expert|shared_experts.gate_proj", MlpGate),
    part("layers.#.mlp.shared_expert|shared_experts.up_proj", MlpUp),
    part("layers.#.mlp.shared_expert|shared_experts.down_proj", MlpDown),
    part("layers.#.mlp.shared_expert_gate", Router),
    // Latent attention: Q, K and V pass through narrow matrices.
    tagged("layers.#.self_attn.q_a_proj|q_b_proj", AttnQ, Aside),
    tagged("layers.#.self_attn.kv_a_proj_with_mqa|kv_b_proj", AttnQkv, Aside),
    part("layers.#.self_attn.q_a_layernorm|kv_a_layernorm", Norm),
    part("norm|final_layernorm", Norm),
    part("lm_head", LmHead),
];
const TIED: &[TiedPair] = &[tied("lm_head", "embed_tokens")];

const LLAMA_LIKE: &[&str] = &[
    "llama",
    "mistral",
    "ministral",
    "qwen2",
    "qwen3",
    "phi",
    "phi3",
    "olmo",
    "olmo2",
    "olmo3",
    "olmoe",
    "starcoder2",
    "cohere",
    "cohere2",
    "stablelm",
    "granite",
    "granitemoe",
    "granitemoeshared",
    "persimmon",
    "smollm3",
    "nemotron",
    "glm",
    "glm4",
    "mixtral",
    "qwen2_moe",
    "qwen3_moe",
    "gpt_oss",
    "exaone4",
    "arcee",
    "helium",
    "seed_oss",
    "ernie4_5",
];

pub(super) static LLAMA: Family =
    Family { tied: TIED, name: "llama", model_types: LLAMA_LIKE, parts: PARTS, ..Family::EMPTY };

/// Norms scale by one plus their weight: an input norm's gain is not its weight.
pub(super) static GEMMA: Family = Family {
    tied: TIED,
    gain_plus_one: true,
    name: "gemma",
    model_types: &["gemma", "gemma2", "gemma3_text", "gemma3"],
    parts: PARTS,
    ..Family::EMPTY
};

/// Latent attention, whose Q and K are not one matrix each: not cut into heads.
pub(super) static DEEPSEEK: Family = Family {
    tied: TIED,
    name: "deepseek",
    model_types: &["deepseek_v2", "deepseek_v3", "deepseek_v32", "minicpm3", "kimi_k2"],
    parts: PARTS,
    ..Family::EMPTY
};
