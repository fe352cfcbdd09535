//! All detectors, one line each.

use super::entry::Detector;
use super::invariants::*;

/// Every detector, in the order of their proof; `explain`, `docs/detectors.md` and the configuration keys
/// come from here.
pub static DETECTORS: &[&dyn Detector] =
    &[&not_a_number::RULE, &infinite_value::RULE, &overdue_checkpoint::RULE];
