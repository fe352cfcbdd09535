//! T5, mT5, UMT5, Flan: `block.N.layer.M`, with relative positions in a table of buckets.

use crate::model::Tag::{Aside, InputNorm};
use crate::model::family::{Family, part, stack, tagged, tied};
use crate::terms::Role::*;

pub(super) static T5: Family = Family {
    stacks: &[stack("encoder", "", ""), stack("decoder", "", "")],
    tied: &[
        tied("encoder.embed_tokens", "shared"),
        tied("decoder.embed_tokens", "shared"),
        tied("lm_head", "shared"),
    ],
    name: "t5",
    model_types: &["t5", "mt5", "umt5", "longt5", "pop2piano"],
    parts: &[
        part("shared|embed_tokens", TokenEmbedding),
        part("block.#.layer.#.SelfAttention.relative_attention_bias", PositionEmbedding),
        part("block.#.layer.#.SelfAttention.q", AttnQ),
        part("block.#.layer.#.SelfAttention.k", AttnK),
        part("block.#.layer.#.SelfAttention.v", AttnV),
        part("block.#.layer.#.SelfAttention.o", AttnOut),
        tagged("block.#.layer.#.EncDecAttention.q", AttnQ, Aside),
        tagged("block.#.layer.#.EncDecAttention.k", AttnK, Aside),
        tagged("block.#.layer.#.EncDecAttention.v", AttnV, Aside),
        tagged("block.#.layer.#.EncDecAttention.o", AttnOut, Aside),
        part("block.#.layer.#.DenseReluDense.wi", MlpUp),
        part("block.#.layer.#.DenseReluDense.wi_0", MlpGate),
        part("block.#.layer.#.DenseReluDense.wi_1", MlpUp),
        part("block.#.layer.#.DenseReluDense.wo", MlpDown),
        tagged("block.#.layer.0.layer_norm", Norm, InputNorm),
        part("block.#.layer.#.layer_norm", Norm),
        part("final_layer_norm", Norm),
        part("lm_head", LmHead),
    ],
    ..Family::EMPTY
};
