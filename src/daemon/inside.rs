//! The step of a checkpoint that neither its name nor a state file tells: some files hold it inside,
//! nanoGPT's `ckpt.pt` among them.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::checkpoint::Candidate;
use crate::tensor;
use crate::terms::{Step, StepSource};

/// Steps beyond this are no steps: series in Prometheus and JSON are doubles, which count no further.
const STEP_MAX: u64 = 1 << 53;

/// The candidate with the step that stands inside its files, where nothing around them tells one. The
/// order is: name, state file, inside, and a running number where there is none at all.
pub(super) fn with_step_inside<'a>(
    candidate: &'a Candidate,
    settings: &tensor::Settings,
) -> Cow<'a, Candidate> {
    if candidate.step_source != StepSource::Sequence {
        return Cow::Borrowed(candidate);
    }
    // Only headers are read. A fault in reading them is told when the checkpoint is weighed.
    let settings = tensor::Settings { optimizer_states: false, spare_page_cache: false, ..settings.clone() };
    let open = AssertUnwindSafe(|| tensor::open(&candidate.root, &candidate.weights, &settings).step);
    match catch_unwind(open).ok().flatten().filter(|&step| step <= STEP_MAX) {
        Some(step) => {
            Cow::Owned(Candidate { step: Step(step), step_source: StepSource::Inside, ..candidate.clone() })
        }
        None => Cow::Borrowed(candidate),
    }
}
