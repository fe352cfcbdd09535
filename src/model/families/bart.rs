//! Encoder and decoder in fairseq's manner: BART, mBART, Pegasus, Marian, Whisper, M2M; and OPT, which
//! is the decoder alone.

use crate::model::Tag::{Aside, InputNorm};
use crate::model::family::{Family, Part, part, stack, tagged, tied};
use crate::terms::Role::*;

pub(super) static OPT: Family = Family {
    tied: &[tied("lm_head", "embed_tokens")],
    name: "opt",
    model_types: &["opt"],
    parts: &[
        part("decoder.embed_tokens|embed_tokens", TokenEmbedding),
        part("decoder.embed_positions", PositionEmbedding),
        part("decoder.project_in|project_out", Other),
        tagged("decoder.layers.#.self_attn_layer_norm", Norm, InputNorm),
        part("decoder.layers.#.self_attn.q_proj", AttnQ),
        part("decoder.layers.#.self_attn.k_proj", AttnK),
        part("decoder.layers.#.self_attn.v_proj", AttnV),
        part("decoder.layers.#.self_attn.out_proj", AttnOut),
        part("decoder.layers.#.fc1", MlpUp),
        part("decoder.layers.#.fc2", MlpDown),
        part("decoder.layers.#.final_layer_norm", Norm),
        part("decoder.final_layer_norm|layer_norm", Norm),
        part("lm_head", LmHead),
    ],
    ..Family::EMPTY
};

const PARTS: &[Part] = &[
    part("shared|embed_tokens", TokenEmbedding),
    part("embed_positions", PositionEmbedding),
    part("layernorm_embedding|layer_norm", Norm),
    part("layers.#.self_attn.q_proj", AttnQ),
    part("layers.#.self_attn.k_proj", AttnK),
    part("layers.#.self_attn.v_proj", AttnV),
    part("layers.#.self_attn.out_proj", AttnOut),
    part("layers.#.self_attn_layer_norm", Norm),
    tagged("layers.#.encoder_attn.q_proj", AttnQ, Aside),
    tagged("layers.#.encoder_attn.k_proj", AttnK, Aside),
    tagged("layers.#.encoder_attn.v_proj", AttnV, Aside),
    tagged("layers.#.encoder_attn.out_proj", AttnOut, Aside),
    part("layers.#.encoder_attn_layer_norm|final_layer_norm", Norm),
    part("layers.#.fc1", MlpUp),
    part("layers.#.fc2", MlpDown),
    part("encoder.conv1|conv2", Conv),
    part("final_logits_bias", Bias),
    part("lm_head|proj_out|output_projection", LmHead),
    part("classification_head|classifier.dense|out_proj", Other),
    part("projector", Other),
];

/// Decoders alone whose layers stand at the top of the model.
pub(super) static XGLM: Family = Family {
    tied: &[tied("lm_head", "embed_tokens"), tied("output_projection", "embed_tokens")],
    name: "xglm",
    model_types: &["xglm", "biogpt"],
    parts: &[
        part("embed_tokens", TokenEmbedding),
        part("embed_positions", PositionEmbedding),
        tagged("layers.#.self_attn_layer_norm", Norm, InputNorm),
        part("layers.#.self_attn.q_proj", AttnQ),
        part("layers.#.self_attn.k_proj", AttnK),
        part("layers.#.self_attn.v_proj", AttnV),
        part("layers.#.self_attn.out_proj", AttnOut),
        part("layers.#.fc1", MlpUp),
        part("layers.#.fc2", MlpDown),
        part("layers.#.final_layer_norm", Norm),
        part("layer_norm", Norm),
        part("lm_head|output_projection", LmHead),
    ],
    ..Family::EMPTY
};

pub(super) static BART: Family = Family {
    stacks: &[stack("encoder", "", "encoder_"), stack("decoder", "", "decoder_")],
    tied: &[
        tied("encoder.embed_tokens", "shared"),
        tied("decoder.embed_tokens", "shared"),
        tied("lm_head", "shared"),
        tied("proj_out", "decoder.embed_tokens"),
    ],
    name: "bart",
    model_types: &[
        "bart",
        "mbart",
        "pegasus",
        "marian",
        "whisper",
        "m2m_100",
        "blenderbot",
        "blenderbot-small",
        "plbart",
    ],
    parts: PARTS,
    ..Family::EMPTY
};
