//! CLIP and SigLIP: a text and an image tower. The image tower's layers follow the text tower's.

use crate::model::Tag::{Aside, InputNorm};
use crate::model::family::{Family, part, stack, tagged};
use crate::terms::Role::*;

pub(super) static CLIP: Family = Family {
    stacks: &[stack("text_model", "text_config", ""), stack("vision_model", "vision_config", "")],
    name: "clip",
    model_types: &[
        "clip",
        "siglip",
        "clip_text_model",
        "clip_vision_model",
        "siglip_text_model",
        "siglip_vision_model",
    ],
    parts: &[
        part("embeddings.token_embedding", TokenEmbedding),
        part("embeddings.position_embedding", PositionEmbedding),
        part("embeddings.patch_embedding", Conv),
        part("embeddings.class_embedding", Other),
        tagged("encoder.layers.#.layer_norm1", Norm, InputNorm),
        part("encoder.layers.#.layer_norm2", Norm),
        part("encoder.layers.#.self_attn.q_proj", AttnQ),
        part("encoder.layers.#.self_attn.k_proj", AttnK),
        part("encoder.layers.#.self_attn.v_proj", AttnV),
        part("encoder.layers.#.self_attn.out_proj", AttnOut),
        part("encoder.layers.#.mlp.fc1", MlpUp),
        part("encoder.layers.#.mlp.fc2", MlpDown),
        part("final_layer_norm|pre_layrnorm|pre_layernorm|post_layernorm", Norm),
        part("text_projection|visual_projection|logit_scale", Other),
        part("logit_bias", Bias),
        // SigLIP pools with one attention block over a learned probe.
        part("head.probe", Other),
        tagged("head.attention.in_proj_weight", AttnQkv, Aside),
        tagged("head.attention.in_proj_bias", AttnQkv, Aside),
        tagged("head.attention.out_proj", AttnOut, Aside),
        part("head.layernorm", Norm),
        part("head.mlp.fc1", MlpUp),
        part("head.mlp.fc2", MlpDown),
        part("text_model.head", Other),
    ],
    ..Family::EMPTY
};
