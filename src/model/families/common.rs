//! Names that mean the same in every family: buffers that older versions saved.

use crate::model::family::{Part, part};
use crate::terms::Role::Other;

/// Tried after a family's own parts.
pub(crate) static COMMON: &[Part] = &[
    part("rotary_emb.inv_freq|cos_cached|sin_cached", Other),
    part("rotary_emb|rope.inv_freq|freqs_cis", Other),
    part("embeddings.position_ids|token_type_ids", Other),
    part("attn|attention.masked_bias", Other),
    part("num_batches_tracked|running_mean|running_var", Other),
    part("score|classifier|qa_outputs|value_head|v_head|dropout_head", Other),
    part("score|classifier|qa_outputs|value_head|v_head.dense|out_proj|summary", Other),
];
