//! Retention: which readings keep their bulk and their dearer samples.
//!
//! Thinning is by step and nested: of the older readings of an attempt every 2nd is kept, then every 4th, and
//! so on, always those whose place counted from the attempt's first reading divides. So what was kept once
//! for its place is kept until the stride doubles, and a chart over the run stays even. What a finding rests
//! on is never thinned: the readings of its opening, its resolution and its last good step, and the one
//! before its opening.
//!
//! Spectra have no retention of their own to be set: a newer one of the same matrix takes an older one's place.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::book::{Entry, Manifest};
use super::changes::{Change, Changes};
use super::compact::Files;
use super::report::Compacted;
use super::settings::{Keep, Retention};
use super::{Error, Store, journal, keys};
use crate::terms::{Attempt, Finding, ReadingKey, RunId, Step, Tier};

/// Commits between two looks at what may go.
const COMMITS_BETWEEN: u64 = 64;
const DAY_SECONDS: f64 = 86_400.0;

type Attempts = BTreeMap<(RunId, Attempt), Vec<(ReadingKey, Entry)>>;

impl Store {
    /// Pause between two looks where few commits come.
    pub fn tend_interval(&self) -> Duration {
        self.inner.settings.tend_interval
    }

    /// True when so much was committed since the last look that something may go.
    pub fn is_tending_due(&self) -> bool {
        self.book().head().saturating_sub(self.inner.tended.load(Ordering::Relaxed)) >= COMMITS_BETWEEN
    }

    /// Takes away what the retention that is set does not keep, and rewrites journal files that are mostly
    /// dead. A commit waits for one such file at most. Whatever fails is tried again at the next call.
    pub fn tend(&self) -> Result<Compacted, Error> {
        self.inner.tended.store(self.book().head(), Ordering::Relaxed);
        let told = self.thin()?;
        self.compact_journal(Files::MostlyDead)?;
        Ok(told)
    }

    /// Takes away what the retention that is set does not keep. Room on disk comes with `compact`.
    pub(super) fn thin(&self) -> Result<Compacted, Error> {
        let retention = &self.inner.settings.retention;
        let mut attempts: Attempts = BTreeMap::new();
        for (key, entry) in self.book().readings() {
            attempts.entry((key.run.clone(), key.attempt)).or_default().push((key.clone(), *entry));
        }
        let findings = self.findings(None)?;
        let newest_spectra = self.with_newest_spectra();
        let mut told = Compacted::default();
        let mut changes = Changes::default();
        let mut kept: Vec<(Entry, bool)> = Vec::new();
        for ((run, attempt), entries) in &attempts {
            let pinned = pinned(entries, findings.iter().filter(|f| f.run == *run && f.attempt == *attempt));
            let thinned = thinned(entries, &pinned, retention);
            for ((key, before), (mut entry, is_pinned)) in entries.iter().zip(thinned) {
                entry.kept.spectra &= newest_spectra.contains(key);
                self.take_away(before, &entry, &mut changes, &mut told);
                kept.push((entry, is_pinned));
            }
        }
        self.thin_by_size(retention, kept, &mut changes, &mut told);
        if !changes.0.is_empty() {
            self.put_thinning(&changes)?;
        }
        Ok(told)
    }

    fn take_away(&self, before: &Entry, after: &Entry, changes: &mut Changes, told: &mut Compacted) {
        if before.kept == after.kept {
            return;
        }
        told.sketches_thinned += u64::from(before.kept.sketches && !after.kept.sketches);
        told.quantiles_thinned += u64::from(before.kept.quantiles && !after.kept.quantiles);
        told.spectra_thinned += u64::from(before.kept.spectra && !after.kept.spectra);
        let tiers: Vec<usize> =
            (0..3).filter(|&tier| before.kept.tiers[tier] && !after.kept.tiers[tier]).collect();
        told.samples_thinned += u64::from(!tiers.is_empty());
        for (&metric, &tier) in &self.inner.tiers {
            let at = match tier {
                Tier::One => 0,
                Tier::Two => 1,
                Tier::Three => 2,
            };
            if let Some(number) = self.book().metric(metric).filter(|_| tiers.contains(&at)) {
                changes.0.push(Change::Remove(keys::column(number, after.place)));
            }
        }
        changes.put(keys::manifest(after.number), Manifest::Reading(*after).to_bytes());
    }

    /// The oldest bulk goes, every second reading of it first, until the rest fits.
    fn thin_by_size(
        &self,
        retention: &Retention,
        mut kept: Vec<(Entry, bool)>,
        changes: &mut Changes,
        told: &mut Compacted,
    ) {
        let Some(bytes_max) = retention.bulk_bytes_max else { return };
        let bulk = |entry: &Entry| {
            let place = self
                .inner
                .journal
                .place(entry.number)
                .filter(|_| entry.kept.sketches || entry.kept.quantiles);
            place.map_or(0, |place| {
                let parts = place.found.header.parts;
                u64::from(entry.kept.sketches) * parts[journal::SKETCHES].0
                    + u64::from(entry.kept.quantiles) * parts[journal::QUANTILES].0
            })
        };
        let mut bytes: u64 = kept.iter().map(|(entry, _)| bulk(entry)).sum();
        kept.retain(|(entry, is_pinned)| !is_pinned && bulk(entry) > 0);
        kept.sort_by_key(|(entry, _)| entry.number);
        while bytes > bytes_max && !kept.is_empty() {
            let mut index = 0;
            kept.retain(|(entry, _)| {
                index += 1;
                let goes = index % 2 == 1 && bytes > bytes_max;
                if goes {
                    bytes -= bulk(entry);
                    let mut after = *entry;
                    (after.kept.sketches, after.kept.quantiles) = (false, false);
                    self.take_away(entry, &after, changes, told);
                }
                !goes
            });
        }
    }
}

/// Steps that findings rest on.
fn pinned<'a>(
    entries: &[(ReadingKey, Entry)],
    findings: impl Iterator<Item = &'a Finding>,
) -> BTreeSet<Step> {
    let mut pinned = BTreeSet::new();
    for finding in findings {
        pinned.insert(finding.step);
        pinned.extend(finding.resolved_step);
        pinned.extend(finding.last_good_step);
        pinned.extend(entries.iter().map(|(key, _)| key.step).rfind(|step| *step < finding.step));
    }
    pinned
}

/// The readings of one attempt with what each may keep, and whether a finding rests on it.
fn thinned(
    entries: &[(ReadingKey, Entry)],
    pinned: &BTreeSet<Step>,
    retention: &Retention,
) -> Vec<(Entry, bool)> {
    let newest = entries.iter().map(|(_, entry)| entry.timestamp_seconds).fold(f64::NEG_INFINITY, f64::max);
    let kinds = [
        retention.sketches,
        retention.quantiles,
        retention.tier_one,
        retention.tier_two,
        retention.tier_three,
    ];
    let kept: Vec<Vec<bool>> = kinds.iter().map(|keep| kept_by(keep, entries.len())).collect();
    let one = |(index, (key, entry)): (usize, &(ReadingKey, Entry))| {
        let is_pinned = pinned.contains(&key.step);
        let days = (newest - entry.timestamp_seconds) / DAY_SECONDS;
        let keeps = |kind: usize| {
            is_pinned
                || kept[kind][index]
                    && kinds[kind].days.is_none_or(|days_max| days.is_nan() || days <= days_max)
        };
        let mut entry = *entry;
        entry.kept.sketches &= keeps(0);
        entry.kept.quantiles &= keeps(1);
        (0..3).for_each(|tier| entry.kept.tiers[tier] &= keeps(2 + tier));
        (entry, is_pinned)
    };
    entries.iter().enumerate().map(one).collect()
}

/// Of `count` readings in the order of steps, those that one kind keeps.
fn kept_by(keep: &Keep, count: usize) -> Vec<bool> {
    let newest = usize::try_from(keep.newest).unwrap_or(usize::MAX).min(count);
    let old = count - newest;
    let mut stride = 1usize;
    while old.div_ceil(stride) as u64 > keep.older {
        if stride >= old {
            stride = usize::MAX;
            break;
        }
        stride *= 2;
    }
    let of_old = |index: usize| keep.older > 0 && index.is_multiple_of(stride);
    (0..count).map(|index| index >= old || of_old(index)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(newest: u64, older: u64, count: usize) -> Vec<usize> {
        let kept = kept_by(&Keep { newest, older, days: None }, count);
        kept.iter().enumerate().filter(|(_, kept)| **kept).map(|(index, _)| index).collect()
    }

    #[test]
    fn old_readings_are_thinned_evenly() {
        assert_eq!(places(2, 3, 10), [0, 4, 8, 9]);
        assert_eq!(places(3, 0, 5), [2, 3, 4]);
        assert_eq!(places(u64::MAX, u64::MAX, 4), [0, 1, 2, 3]);
        assert_eq!(places(1, 1, 9), [0, 8]);
        assert_eq!(places(5, 2, 3), [0, 1, 2]);
    }

    #[test]
    fn what_is_kept_for_its_place_stays_until_the_stride_doubles() {
        for count in 20..200 {
            let (before, after) = (places(4, 8, count), places(4, 8, count + 1));
            let old =
                |kept: &[usize]| kept.iter().copied().filter(|index| index + 4 < count).collect::<Vec<_>>();
            assert!(old(&after).len() <= 9);
            assert!(old(&after).iter().all(|index| before.contains(index)), "{count}");
        }
    }
}
