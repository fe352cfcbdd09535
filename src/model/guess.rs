//! Names that no family knows: patterns and shapes, marked as guessed.

use super::names::{Leaf, Name, number, role_of};
use super::understand::category;
use crate::terms::{Meaning, Role, TensorInfo};

/// Words that stand for a role when they are a whole word of the last components. Order matters: the
/// more particular first.
const WORDS: &[(Role, &[&str])] = &[
    (Role::Router, &["router", "gate_weight", "switch"]),
    (
        Role::AttnQkv,
        &["qkv", "qkv_proj", "c_attn", "query_key_value", "wqkv", "in_proj", "to_qkv", "kv_proj", "to_kv"],
    ),
    (Role::AttnQ, &["q", "q_proj", "query", "wq", "to_q", "q_lin", "q_proj_weight", "linear_q"]),
    (Role::AttnK, &["k", "k_proj", "key", "wk", "to_k", "k_lin", "k_proj_weight", "linear_k"]),
    (Role::AttnV, &["v", "v_proj", "value", "wv", "to_v", "v_lin", "v_proj_weight", "linear_v"]),
    (Role::MlpGateUp, &["gate_up_proj", "wi", "w12"]),
    (Role::MlpGate, &["gate_proj", "w1", "gate"]),
    (
        Role::MlpUp,
        &["up_proj", "w3", "fc1", "c_fc", "fc_in", "lin1", "linear1", "dense_h_to_4h", "up", "intermediate"],
    ),
    (Role::MlpDown, &["down_proj", "w2", "fc2", "fc_out", "lin2", "linear2", "dense_4h_to_h", "down"]),
    (Role::AttnOut, &["o_proj", "out_proj", "wo", "to_out", "out_lin", "c_proj", "o", "proj"]),
    (Role::LmHead, &["lm_head", "embed_out", "output_layer", "output_projection", "unembed", "generator"]),
    (
        Role::PositionEmbedding,
        &[
            "wpe",
            "pos_emb",
            "pos_embed",
            "position_embeddings",
            "position_embedding",
            "embed_positions",
            "positional_embedding",
            "pos_embedding",
        ],
    ),
    (
        Role::TokenEmbedding,
        &[
            "wte",
            "embed_tokens",
            "tok_emb",
            "tok_embeddings",
            "word_embeddings",
            "embedding",
            "embeddings",
            "embed",
            "token_embedding",
            "emb",
        ],
    ),
];

/// Words that make a feed-forward matrix one expert's.
const EXPERT_WORDS: &[&str] = &["experts", "expert"];

/// The meaning that name and shape suggest.
pub(super) fn guess(info: &TensorInfo, name: &Name<'_>) -> Meaning {
    let part = role_by_name(info, name);
    let role = role_of(part, name.leaf, info.shape.len());
    Meaning { role, category: category(part), layer: layer(name), guessed: true, inputs_first: false }
}

/// The first number that follows a word: `blocks.3`, `layer_7`.
fn layer(name: &Name<'_>) -> Option<u32> {
    name.module.iter().enumerate().find_map(|(at, part)| match number(part) {
        Some(layer) if at > 0 => Some(layer),
        _ => ["layer_", "block_", "layers_"].iter().find_map(|word| number(part.strip_prefix(word)?)),
    })
}

fn role_by_name(info: &TensorInfo, name: &Name<'_>) -> Role {
    let dimensions = info.shape.len();
    let lower: Vec<String> = name.module.iter().map(|part| part.to_ascii_lowercase()).collect();
    let last = lower.iter().rev().find(|part| number(part).is_none()).map_or("", String::as_str);
    let norm = ["norm", "ln", "rms"].iter().any(|word| has_word(last, word)) || last.contains("norm");
    if norm && dimensions <= 2 {
        return Role::Norm;
    }
    // A parameter of one dimension is neither matrix nor table.
    if dimensions < 2 && name.leaf != Leaf::Bias && !matches!(name.leaf, Leaf::LoraA | Leaf::LoraB) {
        return Role::Other;
    }
    let known = WORDS.iter().find(|(_, words)| words.contains(&last)).map(|(role, _)| *role);
    match known {
        Some(role) if lower.iter().any(|part| EXPERT_WORDS.contains(&part.as_str())) => expert(role),
        // `proj` and `c_proj` close both blocks; what stands before tells which.
        Some(Role::AttnOut) if lower.iter().any(|part| part.contains("mlp") || part.contains("ffn")) => {
            Role::MlpDown
        }
        Some(role) => role,
        None if last.contains("conv") || dimensions >= 3 => Role::Conv,
        None => Role::Other,
    }
}

/// True when a name is the word, or has it between separators or digits: `ln_1`, `ln1`.
fn has_word(name: &str, word: &str) -> bool {
    name.split(|c: char| c == '_' || c.is_ascii_digit()).any(|part| part == word)
}

fn expert(role: Role) -> Role {
    match role {
        Role::MlpUp | Role::MlpGateUp => Role::ExpertUp,
        Role::MlpGate => Role::ExpertGate,
        Role::MlpDown | Role::AttnOut => Role::ExpertDown,
        other => other,
    }
}
