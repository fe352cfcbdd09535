//! Mamba: state-space blocks. The wide projections in and out are its feed-forward part; what forms the
//! state has no counterpart in a transformer and stays `other`.

use crate::model::family::{Family, part, tied};
use crate::terms::Role::*;

pub(super) static MAMBA: Family = Family {
    tied: &[tied("lm_head", "embeddings")],
    name: "mamba",
    model_types: &["mamba", "mamba2", "falcon_mamba"],
    parts: &[
        part("backbone.embeddings|embedding", TokenEmbedding),
        part("layers.#.norm", Norm),
        part("layers.#.mixer.norm", Norm),
        part("layers.#.mixer.in_proj", MlpGateUp),
        part("layers.#.mixer.out_proj", MlpDown),
        part("layers.#.mixer.conv1d", Conv),
        part("layers.#.mixer.x_proj|dt_proj|A_log|D", Other),
        part("layers.#.mixer.dt_bias", Other),
        part("backbone.norm_f", Norm),
        part("lm_head", LmHead),
    ],
    ..Family::EMPTY
};
