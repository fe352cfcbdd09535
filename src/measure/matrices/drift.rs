//! How far the shape of a matrix's spectrum has moved since it was last looked at.
//!
//! A full spectrum is had in turns, so the one before may be several checkpoints old, and its files gone: a reading
//! remembers the singular values over their sum, and a later one is held against that. Where both checkpoints lie
//! there and everything is asked for, the earlier matrix is decomposed as well.

use std::collections::HashSet;

use faer::Par;

use super::panel::{Halt, Matrix, Scratch};
use super::spectrum;
use crate::measure::kernels::spectrum::{shares, total_variation};
use crate::measure::sheet::Sheet;
use crate::terms::{Memory, MetricName, ReadingKey, Reason, Spectra, Step, TensorReading};

pub(super) const DRIFT: MetricName = "singular_distribution_drift";
pub(super) const STEPS: MetricName = "singular_distribution_drift_steps";

/// The matrix as it was in an earlier checkpoint, in the same shape.
#[derive(Clone, Copy)]
pub(super) struct Earlier<'a> {
    pub(super) matrix: Matrix<'a>,
    /// Steps since then; 0 where that is not known.
    pub(super) steps: u64,
}

/// Remembers a spectrum; whoever knows an earlier one compares them.
pub(super) fn put_spectrum(singular: &[f64], sheet: &mut Sheet) {
    match shares(singular) {
        Some(shares) => {
            sheet.spectrum = shares;
            lack(&Reason::NoPrevious, sheet);
        }
        None => lack(&Reason::Overflow, sheet),
    }
}

fn lack(reason: &Reason, sheet: &mut Sheet) {
    sheet.lack_all(&[DRIFT, STEPS], reason);
}

/// Holds the spectrum that was just had against that of the earlier matrix, which is decomposed for it.
pub(super) fn put_against(earlier: &Earlier<'_>, scratch: &mut Scratch, par: Par, sheet: &mut Sheet) {
    let before = spectrum::singular_values(&earlier.matrix, scratch, par);
    match before.map(|singular| shares(&singular)) {
        Ok(Some(before)) => {
            let steps = if earlier.steps == 0 {
                Err(Reason::NotApplicable("it is not known how many steps lie between"))
            } else {
                Ok(earlier.steps as f64)
            };
            let drift = total_variation(&sheet.spectrum, &before);
            sheet.absent.retain(|name, _| *name != DRIFT && *name != STEPS);
            sheet.put_or(DRIFT, drift.ok_or(Reason::NoPrevious));
            sheet.put_or(STEPS, steps);
        }
        // It may be rotated away at any time, which is no fault of the later one.
        Err(Halt::Source(_)) => {}
        Ok(None) | Err(Halt::Reason(_)) => {
            lack(&Reason::NotApplicable("the matrix before had no spectrum: zero, or not finite"), sheet);
        }
    }
}

/// For each tensor whose spectrum was had, the newest one of before. `earlier` are the readings before, newest
/// first; none where there are none.
pub fn spectra_before<'a>(
    tensors: &[TensorReading],
    earlier: impl IntoIterator<Item = &'a ReadingKey>,
    memory: &dyn Memory,
) -> Option<Spectra> {
    let with_spectrum = tensors.iter().filter(|tensor| !tensor.spectrum.is_empty());
    let mut wanted: HashSet<&str> = with_spectrum.map(|tensor| &*tensor.facts.name).collect();
    let mut found = None;
    for key in earlier {
        let found = found.get_or_insert_with(Spectra::new);
        if wanted.is_empty() {
            break;
        }
        // One reading's at a time: they are let go as soon as what is wanted was taken out.
        let spectra = memory.spectra(key).unwrap_or_default();
        found.extend(spectra.into_iter().filter(|(name, _)| wanted.remove(&**name)));
    }
    found
}

/// Writes the family's values into a tensor of a reading that is about to be judged.
pub(in crate::measure) fn remember(tensor: &mut TensorReading, step: Step, before: Option<&Spectra>) {
    // Why it has none was said where it would have been had.
    if tensor.spectrum.is_empty() {
        return;
    }
    let mut sheet = Sheet::default();
    let before = before.map(|spectra| spectra.get(&tensor.facts.name));
    match before {
        None => lack(&Reason::NoPrevious, &mut sheet),
        Some(None) => {
            lack(&Reason::NotApplicable("no spectrum of it from an earlier checkpoint is kept"), &mut sheet);
        }
        Some(Some(before)) if before.shape != tensor.facts.shape => {
            lack(&Reason::NotApplicable("its shape changed since its last spectrum"), &mut sheet);
        }
        Some(Some(before)) => {
            let drift = total_variation(&tensor.spectrum, &before.shares);
            sheet.put_or(DRIFT, drift.ok_or(Reason::NoPrevious));
            sheet.put(STEPS, step.0.saturating_sub(before.step.0) as f64);
        }
    }
    tensor.absent.retain(|name, _| *name != DRIFT && *name != STEPS);
    tensor.samples.extend(sheet.samples);
    tensor.absent.extend(sheet.absent);
}
