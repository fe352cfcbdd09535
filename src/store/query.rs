//! Reading from the open store.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::book::Entry;
use super::codec::LogRange;
use super::database::{Lookup, Value};
use super::read::{self, Parts, Wanted};
use super::tape::Lines;
use super::{Error, RunSummary, Series, Store, codec, keys, tape};
use crate::terms::{
    Attempt, CheckpointFacts, Finding, FindingId, History, LogPoint, Memory, Reading, ReadingKey, RunId,
    Sketches, Spectra, Step, Subject, Tier,
};

/// Lines of trainer log that [`Store::checkpoint_facts`] gives with each reading.
pub const LOG_TAIL: u64 = 16;

/// Which readings of a run a chart wants.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Steps, both ends included.
    pub steps: RangeInclusive<Step>,
    /// Checkpoint times in seconds since 1970, both ends included.
    pub seconds: RangeInclusive<f64>,
}

impl Default for Span {
    fn default() -> Self {
        Self { steps: Step(0)..=Step(u64::MAX), seconds: f64::NEG_INFINITY..=f64::INFINITY }
    }
}

impl Span {
    fn holds(&self, entry: &Entry) -> bool {
        self.steps.contains(&entry.place.step) && self.seconds.contains(&entry.timestamp_seconds)
    }
}

impl Store {
    /// Every run that has a reading or a finding, by name.
    pub fn runs(&self) -> Vec<RunSummary> {
        self.book().summaries()
    }

    /// Every reading of the run, by attempt and step.
    pub fn keys(&self, run: &RunId) -> Vec<ReadingKey> {
        self.book().of_run(run).map(|(key, _)| key.clone()).collect()
    }

    /// True when a reading of that name is stored.
    pub fn contains(&self, key: &ReadingKey) -> bool {
        self.book().entry(key).is_some()
    }

    pub(super) fn read(&self, key: &ReadingKey, entry: Entry, parts: Parts) -> Result<Reading, Error> {
        self.with_wanted(key, entry, None, |wanted| self.inner.shelf.reading(wanted, parts))
    }

    pub(super) fn with_wanted<T>(
        &self,
        key: &ReadingKey,
        entry: Entry,
        tape: Option<(u32, &Lines)>,
        look: impl FnOnce(&Wanted<'_>) -> T,
    ) -> T {
        let tier_of = |metric: &str| match self.inner.tiers.get(metric) {
            Some(Tier::One) | None => 0,
            Some(Tier::Two) => 1,
            Some(Tier::Three) => 2,
        };
        look(&Wanted {
            database: &self.inner.database,
            journal: &self.inner.journal,
            key,
            entry,
            metric: &|name| self.book().metric(name),
            taken_away: &|metric| !entry.kept.tiers[tier_of(metric)],
            tape,
        })
    }

    /// The reading as it was committed, but for what retention took away since.
    pub fn reading(&self, key: &ReadingKey) -> Result<Option<Reading>, Error> {
        let entry = self.book().entry(key);
        let Some(entry) = entry else { return Ok(None) };
        self.read_through(|| self.read(key, entry, Parts::All)).map(Some)
    }

    /// As [`Store::reading`], without sketches, quantiles and spectra: 20 times less to read.
    pub fn reading_without_bulk(&self, key: &ReadingKey) -> Result<Option<Reading>, Error> {
        let entry = self.book().entry(key);
        let Some(entry) = entry else { return Ok(None) };
        self.read_through(|| self.read(key, entry, Parts::Small)).map(Some)
    }

    /// As [`Store::reading`], without its bulk where that is lost: that was said, and the rest
    /// is whole.
    pub fn reading_as_left(&self, key: &ReadingKey) -> Result<Option<Reading>, Error> {
        match self.reading(key) {
            Err(Error::Lost { .. }) => self.reading_without_bulk(key),
            other => other,
        }
    }

    /// The reading of the run with the highest attempt and step, as far as it is left.
    pub fn latest(&self, run: &RunId) -> Result<Option<Reading>, Error> {
        let newest = self.book().of_run(run).next_back().map(|(key, _)| key.clone());
        newest.map_or(Ok(None), |key| self.reading_as_left(&key))
    }

    pub(super) fn entries(&self, run: &RunId) -> Vec<(ReadingKey, Entry)> {
        self.book().of_run(run).map(|(key, entry)| (key.clone(), *entry)).collect()
    }

    /// Of every reading of the run, by attempt and step: what it was made from, and the newest
    /// [`LOG_TAIL`] lines of its trainer log, which is what attempts are told apart by.
    pub fn checkpoint_facts(
        &self,
        run: &RunId,
    ) -> Result<Vec<(ReadingKey, CheckpointFacts, Vec<LogPoint>)>, Error> {
        let entries = self.entries(run);
        self.read_through(|| {
            let mut tapes: BTreeMap<u32, Lines> = BTreeMap::new();
            let mut facts = Vec::with_capacity(entries.len());
            for (key, entry) in &entries {
                let head = self.inner.shelf.head(&self.inner.database, key, entry.place)?;
                let lines = match tapes.entry(head.log.tape) {
                    btree_map::Entry::Occupied(lines) => lines.into_mut(),
                    btree_map::Entry::Vacant(slot) => {
                        slot.insert(tape::lines(entry.place.run, head.log.tape, &self.inner.database)?)
                    }
                };
                let tail =
                    LogRange { from: head.log.from.max(head.log.to.saturating_sub(LOG_TAIL)), ..head.log };
                facts.push((key.clone(), head.checkpoint, lines.cut(tail)));
            }
            Ok(facts)
        })
    }

    /// The attempt's past as the judge had it: readings in the order in which they were committed.
    pub fn history(&self, run: &RunId, attempt: Attempt, points_max: usize) -> Result<History, Error> {
        let mut entries = self.entries(run);
        entries.retain(|(key, _)| key.attempt == attempt);
        entries.sort_by_key(|(_, entry)| entry.number);
        let newest = entries.split_off(entries.len().saturating_sub(points_max));
        self.read_through(|| {
            let mut history = History::new(points_max);
            let mut lines: Option<(u32, Lines)> = None;
            for (key, entry) in &newest {
                // Logs grow along one tape: read it once, not once a reading.
                let tape = self.inner.shelf.head(&self.inner.database, key, entry.place)?.log.tape;
                if lines.as_ref().is_none_or(|(number, _)| *number != tape) {
                    lines = Some((tape, tape::lines(entry.place.run, tape, &self.inner.database)?));
                }
                let known = lines.as_ref().map(|(number, lines)| (*number, lines));
                let read = |wanted: &Wanted<'_>| self.inner.shelf.reading(wanted, Parts::Small);
                history.push(&self.with_wanted(key, *entry, known, read)?);
            }
            Ok(history)
        })
    }

    /// Findings of one run or of all, newest version of each, in the order in which they were opened.
    pub fn findings(&self, run: Option<&RunId>) -> Result<Vec<Finding>, Error> {
        let prefix = match run {
            None => vec![keys::FINDING],
            Some(run) => match self.book().run(run) {
                Some(number) => keys::of_run(keys::FINDING, number),
                None => return Ok(Vec::new()),
            },
        };
        let mut findings = self.read_through(|| {
            let mut findings = Vec::new();
            self.inner.database.scan(&prefix, |key, value| {
                findings.push(read::finding(key, value)?);
                Ok(())
            })?;
            Ok(findings)
        })?;
        findings.sort_by_key(|(order, _)| *order);
        Ok(findings.into_iter().map(|(_, finding)| finding).collect())
    }

    /// One finding by its name.
    pub fn finding(&self, run: &RunId, id: &FindingId) -> Result<Option<Finding>, Error> {
        let Some(number) = self.book().run(run) else { return Ok(None) };
        let key = keys::finding(number, &id.0);
        self.read_through(|| {
            let value = self.inner.database.get(&key)?;
            Ok(value.map(|value| read::finding(&key, &value)).transpose()?.map(|(_, finding)| finding))
        })
    }

    /// The judge's state of the attempt, as it was last committed.
    pub fn judge_state(&self, run: &RunId, attempt: Attempt) -> Result<Option<Vec<u8>>, Error> {
        let Some(number) = self.book().run(run) else { return Ok(None) };
        let key = keys::judge(number, attempt);
        self.read_through(|| Ok(self.inner.database.get(&key)?.map(|value| value.to_vec())))
    }

    /// One metric of the run over all readings, for the subjects that `wanted` picks, in the order of subjects.
    pub fn series(
        &self,
        run: &RunId,
        metric: &str,
        wanted: &dyn Fn(&Subject) -> bool,
    ) -> Result<Vec<Series>, Error> {
        self.series_within(run, metric, wanted, &Span::default())
    }

    /// As [`Store::series`], of the readings within a span of steps and times.
    pub fn series_within(
        &self,
        run: &RunId,
        metric: &str,
        wanted: &dyn Fn(&Subject) -> bool,
        span: &Span,
    ) -> Result<Vec<Series>, Error> {
        let (run_number, metric_number) = {
            let book = self.book();
            match (book.run(run), book.metric(metric)) {
                (Some(run), Some(metric)) => (run, metric),
                _ => return Ok(Vec::new()),
            }
        };
        let entries = self.entries(run);
        self.read_through(|| {
            let mut columns: Vec<(sled::IVec, Value)> = Vec::new();
            self.inner.database.scan(&keys::column_prefix(run_number, metric_number), |key, value| {
                columns.push((key.into(), value.clone()));
                Ok(())
            })?;
            self.collect(&entries, metric_number, &columns, wanted, span)
        })
    }

    /// Entries and columns are both in the order of attempt and step: one walk over both.
    fn collect(
        &self,
        entries: &[(ReadingKey, Entry)],
        metric: u32,
        columns: &[(sled::IVec, Value)],
        wanted: &dyn Fn(&Subject) -> bool,
        span: &Span,
    ) -> Result<Vec<Series>, Error> {
        let mut series: Vec<Series> = Vec::new();
        let mut by_subject: BTreeMap<Subject, usize> = BTreeMap::new();
        // Of the roster at hand: which series each place goes to.
        let mut slots: (u64, Vec<Option<usize>>) = (0, Vec::new());
        let mut columns = columns.iter().peekable();
        for (key, entry) in entries.iter().filter(|(_, entry)| span.holds(entry)) {
            let at = keys::column(metric, entry.place);
            while columns.next_if(|(key, _)| **key < *at).is_some() {}
            let Some((_, column)) = columns.next_if(|(key, _)| **key == *at) else { continue };
            if slots.1.is_empty() || slots.0 != entry.roster {
                let roster = self.inner.shelf.roster(&self.inner.database, entry.place.run, entry.roster)?;
                let slot = |place: usize| {
                    let subject = roster.subject(place as u32).filter(|subject| wanted(subject))?;
                    Some(*by_subject.entry(subject.clone()).or_insert_with(|| {
                        series.push(Series { subject, points: Vec::with_capacity(entries.len()) });
                        series.len() - 1
                    }))
                };
                slots = (entry.roster, (0..roster.len()).map(slot).collect());
            }
            let column = codec::read_column(column, slots.1.len());
            let column = column.map_err(|error| Error::damaged(key.to_string(), error))?;
            for (place, value) in column.values {
                if let Some(slot) = slots.1[place as usize] {
                    series[slot].points.push((key.clone(), entry.timestamp_seconds, value));
                }
            }
        }
        series.retain(|series| !series.points.is_empty());
        series.sort_by(|left, right| left.subject.cmp(&right.subject));
        Ok(series)
    }

    /// The sketches, for judge and measure.
    pub fn memory(&self) -> Arc<dyn Memory> {
        Arc::new(self.clone())
    }

    /// Sketches of one reading by tensor; none where it has none, or they were thinned out. An error where
    /// they were there and are lost.
    pub fn sketches_of(&self, key: &ReadingKey) -> Result<Option<Arc<Sketches>>, Error> {
        let Some(entry) = self.book().entry(key) else { return Ok(None) };
        let read = || self.with_wanted(key, entry, None, |wanted| self.inner.shelf.sketches(wanted));
        Ok(self.read_through(read)?.filter(|sketches| !sketches.is_empty()).map(Arc::new))
    }

    /// Quantiles of one tensor of one reading; none where it has none, or they were thinned out.
    pub fn quantiles_of(&self, key: &ReadingKey, tensor: &str) -> Result<Option<Vec<f32>>, Error> {
        let Some(entry) = self.book().entry(key).filter(|entry| entry.kept.quantiles) else {
            return Ok(None);
        };
        let read = || self.with_wanted(key, entry, None, |wanted| self.inner.shelf.quantiles(wanted, tensor));
        self.read_through(read)
    }

    /// Quantiles of one tensor over all readings of the run that have them: for histograms over time.
    pub fn quantiles(&self, run: &RunId, tensor: &str) -> Result<Vec<(ReadingKey, f64, Vec<f32>)>, Error> {
        let mut over_time = Vec::new();
        for (key, entry) in self.entries(run).into_iter().filter(|(_, entry)| entry.kept.quantiles) {
            let of_tensor = self.read_through(|| {
                self.with_wanted(&key, entry, None, |wanted| self.inner.shelf.quantiles(wanted, tensor))
            });
            match of_tensor {
                Ok(Some(quantiles)) => over_time.push((key, entry.timestamp_seconds, quantiles)),
                // Lost quantiles of one checkpoint are told by `verify`; a chart shows the others.
                Ok(None) | Err(Error::Lost { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(over_time)
    }
}

impl Memory for Store {
    fn sketches(&self, key: &ReadingKey) -> Option<Arc<Sketches>> {
        // Lost sketches were told at opening, or will be by `verify`; the judge goes on without them.
        self.sketches_of(key).ok().flatten()
    }

    fn spectra(&self, key: &ReadingKey) -> Option<Spectra> {
        self.spectra_of(key).ok().flatten()
    }
}
