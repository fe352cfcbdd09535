//! Tiers 2 and 3: what needs a whole matrix at once (spectra, heads, positions, structure).

use super::{Plan, Previous, Progress, Weighed};
use crate::terms::{BlockSource, ModelMap};

/// Adds the metrics of tiers 2 and 3, up to `plan.tier`, to what tier 1 has found.
///
/// Runs inside the room's thread pool: `rayon` calls use `plan.threads` threads. `weighed.tensors` is in
/// file order but leaves out what could not be read, so look tensors up by name, not by index.
pub(super) fn tier_two_three(
    _source: &dyn BlockSource,
    _map: &ModelMap,
    _previous: Option<&Previous<'_>>,
    _plan: &Plan,
    _progress: &dyn Progress,
    _weighed: &mut Weighed,
) {
}
