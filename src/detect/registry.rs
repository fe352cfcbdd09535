//! All detectors, one line each.

use super::compatibility::*;
use super::entry::Detector;
use super::invariants::*;
use super::physics::*;
use super::structure::*;
use super::trainer::*;
use super::unlike_baseline;

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
    &adapter_stays_zero::RULE,
    &requantized::RULE,
    &bit_flip::RULE,
    &optimizer_state_broken::RULE,
    &overdue_checkpoint::RULE,
    &learning_rate_jump::RULE,
    &swapped_layers::RULE,
    &duplicate_expert::RULE,
    &foreign_checkpoint::RULE,
    &shuffled_positions::RULE,
    &reinitialized_tensor::RULE,
    &adapter_collapse::RULE,
    &dead_head::RULE,
    &dying_units::RULE,
    &dead_expert::RULE,
    &weight_decay_too_strong::RULE,
    &weight_decay_off::RULE,
    &embedding_collapse::RULE,
    &embedding_shrink::RULE,
    &norm_gain_blowup::RULE,
    &logit_growth::RULE,
    &rank_collapse::RULE,
    &non_gaussian_drift::RULE,
    &divergence::RULE,
    &impossible_update::RULE,
    &updates_rounded_away::RULE,
    &loss_worse_than_chance::RULE,
    &loss_not_finite::RULE,
    &abnormal_speed::RULE,
    &updates_vanished::RULE,
    &optimizer_state_lost::RULE,
    &optimizer_state_blowup::RULE,
    &unlike_baseline::RULE,
    &all_zero::RULE,
    &exploding_tensor::RULE,
    &loss_not_decreasing::RULE,
    &poor_weight_initialization::RULE,
    &similar_across_runs::RULE,
    &stalled_training_rule::RULE,
    &tensor_variance::RULE,
    &unchanged_tensor::RULE,
    &weight_update_ratio::RULE,
];
