//! The weights behind a reading, while their files still lie there as they were weighed.

use crate::report::Weights;
use crate::terms::Reading;
use crate::{checkpoint, model, tensor};

/// Opens them for pictures; none where the checkpoint was rotated away or rewritten.
pub fn weights(reading: &Reading) -> Option<Weights> {
    let candidate =
        checkpoint::candidate_at(&reading.checkpoint.path, &checkpoint::Settings::default()).ok()?;
    if candidate.files != reading.checkpoint.files {
        return None;
    }
    let opened = tensor::open(&candidate.root, &candidate.weights, &tensor::Settings::default());
    let (config, _) = checkpoint::model_config(&candidate);
    let map = model::understand(opened.source.tensors(), config.as_ref());
    Some(Weights { source: opened.source, map })
}
