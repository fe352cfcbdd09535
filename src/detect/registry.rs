//! All detectors, one line each.

use super::entry::Detector;
use super::invariants::*;

/// Every detector, in the order of their proof; `explain`, `docs/detectors.md` and the configuration keys
/// come from here.
pub static DETECTORS: &[&dyn Detector] = &[
    &file_problems::UNREADABLE,
    &file_problems::TRUNCATED,
    &file_problems::MALFORMED,
    &file_problems::MISSING,
    &file_problems::BUG,
    &inventory::MISSING_TENSOR,
    &inventory::NEW_TENSOR,
    &inventory::SHAPE_CHANGED,
    &inventory::DTYPE_CHANGED,
    &not_a_number::RULE,
    &infinite_value::RULE,
    &content::ALL_ZERO_TENSOR,
    &content::TIED_WEIGHTS_DIFFER,
    &content::DUPLICATE_LAYER,
    &old_content::ROLLBACK,
    &old_content::STALE_SHARD,
    &standing_still::FROZEN_TENSOR,
    &standing_still::OPTIMIZER_NOT_STEPPING,
    &requantized::RULE,
    &bit_flip::RULE,
    &overdue_checkpoint::RULE,
];
