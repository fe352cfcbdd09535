//! Vision transformers: ViT, DeiT, DINOv2.

use crate::model::Tag::InputNorm;
use crate::model::family::{Family, part, tagged};
use crate::terms::Role::*;

pub(super) static VIT: Family = Family {
    name: "vit",
    model_types: &["vit", "deit", "dinov2", "vit_mae", "vit_msn", "dinov2_with_registers"],
    parts: &[
        part("embeddings.position_embeddings", PositionEmbedding),
        part("embeddings.patch_embeddings.projection", Conv),
        part("embeddings.cls_token|mask_token|distillation_token|register_tokens", Other),
        tagged("encoder.layer.#.layernorm_before|norm1", Norm, InputNorm),
        part("encoder.layer.#.layernorm_after|norm2", Norm),
        part("encoder.layer.#.attention.attention.query", AttnQ),
        part("encoder.layer.#.attention.attention.key", AttnK),
        part("encoder.layer.#.attention.attention.value", AttnV),
        part("encoder.layer.#.attention.output.dense", AttnOut),
        part("encoder.layer.#.intermediate.dense", MlpUp),
        part("encoder.layer.#.output.dense", MlpDown),
        part("encoder.layer.#.mlp.fc1", MlpUp),
        part("encoder.layer.#.mlp.fc2", MlpDown),
        part("encoder.layer.#.mlp.weights_in", MlpGateUp),
        part("encoder.layer.#.mlp.weights_out", MlpDown),
        part("encoder.layer.#.layer_scale1|layer_scale2.lambda1", Other),
        part("layernorm", Norm),
        part("pooler.dense", Other),
        part("cls_classifier|distillation_classifier|classifier", Other),
    ],
    ..Family::EMPTY
};
