//! The store as the other rooms see it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Damage, Error, RunSummary, Series, Settings, Stats, Verify};
use crate::terms::{
    Attempt, Catalog, CheckpointFacts, Finding, FindingId, History, LogPoint, Memory, Reading, ReadingKey,
    RunId, Sketches, Subject,
};

/// An open store. Cheap to clone; all clones are the same store. The last one to go closes it.
#[derive(Clone, Debug)]
pub struct Store {
    book: Arc<Mutex<Book>>,
}

#[derive(Debug, Default)]
struct Book {
    order: Vec<ReadingKey>,
    readings: BTreeMap<ReadingKey, Reading>,
    findings: Vec<Finding>,
    states: BTreeMap<(RunId, Attempt), Vec<u8>>,
}

impl Book {
    fn take(&mut self, run: &RunId, attempt: Attempt, findings: &[Finding], judge_state: &[u8]) {
        for finding in findings {
            match self.findings.iter_mut().find(|known| known.run == finding.run && known.id == finding.id) {
                Some(known) => *known = finding.clone(),
                None => self.findings.push(finding.clone()),
            }
        }
        self.states.insert((run.clone(), attempt), judge_state.to_vec());
    }
}

impl Store {
    /// Opens the store in `dir`, and makes it where there is none.
    pub fn open(_dir: &Path, _catalog: &Catalog, _settings: &Settings) -> Result<Store, Error> {
        Ok(Store { book: Arc::default() })
    }

    /// Writes the address at which the holder can be asked beside the lock, for [`Error::Held`].
    pub fn announce(&self, _address: &str) -> Result<(), Error> {
        Ok(())
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a reading, the findings it changed and the judge's state in one piece; on disk when it returns.
    pub fn commit(&self, reading: &Reading, findings: &[Finding], judge_state: &[u8]) -> Result<(), Error> {
        let mut book = self.book();
        if book.readings.contains_key(&reading.key) {
            return Err(Error::Exists(reading.key.clone()));
        }
        book.order.push(reading.key.clone());
        book.readings.insert(reading.key.clone(), reading.clone());
        book.take(&reading.key.run, reading.key.attempt, findings, judge_state);
        Ok(())
    }

    /// Keeps findings that came without a reading, and the judge's state.
    pub fn record_findings(
        &self,
        run: &RunId,
        attempt: Attempt,
        findings: &[Finding],
        judge_state: &[u8],
    ) -> Result<(), Error> {
        self.book().take(run, attempt, findings, judge_state);
        Ok(())
    }

    /// Every run that has a reading or a finding, by name.
    pub fn runs(&self) -> Vec<RunSummary> {
        let book = self.book();
        let mut runs: BTreeMap<RunId, RunSummary> = BTreeMap::new();
        for key in &book.order {
            let summary = runs.entry(key.run.clone()).or_insert_with(|| RunSummary {
                run: key.run.clone(),
                readings: 0,
                broken: 0,
                attempts: 0,
                newest: None,
                findings: 0,
            });
            summary.readings += 1;
            summary.broken += u64::from(!book.readings[key].problems.is_empty());
            summary.attempts = summary.attempts.max(key.attempt.0 + 1);
            summary.newest = Some(key.clone());
        }
        for finding in &book.findings {
            if let Some(summary) = runs.get_mut(&finding.run) {
                summary.findings += 1;
            }
        }
        runs.into_values().collect()
    }

    /// Every reading of the run, by attempt and step.
    pub fn keys(&self, run: &RunId) -> Vec<ReadingKey> {
        self.book().readings.keys().filter(|key| &key.run == run).cloned().collect()
    }

    /// True when a reading of that name is stored.
    pub fn contains(&self, key: &ReadingKey) -> bool {
        self.book().readings.contains_key(key)
    }

    /// The reading as it was committed.
    pub fn reading(&self, key: &ReadingKey) -> Result<Option<Reading>, Error> {
        Ok(self.book().readings.get(key).cloned())
    }

    /// The reading of the run with the highest attempt and step.
    pub fn latest(&self, run: &RunId) -> Result<Option<Reading>, Error> {
        Ok(self.book().readings.values().rfind(|reading| &reading.key.run == run).cloned())
    }

    /// Of every reading of the run, by attempt and step: what it was made from, and its trainer log.
    pub fn checkpoint_facts(
        &self,
        run: &RunId,
    ) -> Result<Vec<(ReadingKey, CheckpointFacts, Vec<LogPoint>)>, Error> {
        let book = self.book();
        let of_run = book.readings.values().filter(|reading| &reading.key.run == run);
        Ok(of_run.map(|r| (r.key.clone(), r.checkpoint.clone(), r.trainer.log.clone())).collect())
    }

    /// The attempt's past as the judge had it: readings in the order in which they were committed.
    pub fn history(&self, run: &RunId, attempt: Attempt, points_max: usize) -> Result<History, Error> {
        let book = self.book();
        let mut history = History::new(points_max);
        for key in book.order.iter().filter(|key| &key.run == run && key.attempt == attempt) {
            history.push(&book.readings[key]);
        }
        Ok(history)
    }

    /// Findings of one run or of all, newest version of each, in the order in which they were opened.
    pub fn findings(&self, run: Option<&RunId>) -> Result<Vec<Finding>, Error> {
        let book = self.book();
        Ok(book.findings.iter().filter(|f| run.is_none_or(|run| run == &f.run)).cloned().collect())
    }

    /// One finding by its name.
    pub fn finding(&self, run: &RunId, id: &FindingId) -> Result<Option<Finding>, Error> {
        Ok(self.findings(Some(run))?.into_iter().find(|finding| &finding.id == id))
    }

    /// The judge's state of the attempt, as it was last committed.
    pub fn judge_state(&self, run: &RunId, attempt: Attempt) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.book().states.get(&(run.clone(), attempt)).cloned())
    }

    /// One metric of the run over all readings, for the subjects that `wanted` picks, in the order of subjects.
    pub fn series(
        &self,
        run: &RunId,
        metric: &str,
        wanted: &dyn Fn(&Subject) -> bool,
    ) -> Result<Vec<Series>, Error> {
        let book = self.book();
        let mut series: BTreeMap<Subject, Series> = BTreeMap::new();
        for reading in book.readings.values().filter(|reading| &reading.key.run == run) {
            let tensors = reading.tensors.iter();
            let tensors = tensors.map(|t| (Subject::Tensor(t.facts.name.clone()), &t.samples));
            let others = reading.subjects.iter().map(|s| (s.subject.clone(), &s.samples));
            for (subject, samples) in tensors.chain(others).filter(|(subject, _)| wanted(subject)) {
                let Some(&value) = samples.get(metric) else { continue };
                let entry = series.entry(subject.clone());
                let entry = entry.or_insert_with(|| Series { subject, points: Vec::new() });
                entry.points.push((reading.key.clone(), reading.checkpoint.timestamp_seconds, value));
            }
        }
        Ok(series.into_values().collect())
    }

    /// The sketches, for judge and measure.
    pub fn memory(&self) -> Arc<dyn Memory> {
        Arc::new(self.clone())
    }

    /// Reads everything that is stored and says what does not read back.
    pub fn verify(&self) -> Result<Verify, Error> {
        let book = self.book();
        Ok(Verify {
            readings: book.order.len() as u64,
            findings: book.findings.len() as u64,
            damage: Vec::new(),
        })
    }

    /// Sizes.
    pub fn stats(&self) -> Result<Stats, Error> {
        let book = self.book();
        Ok(Stats {
            readings: book.order.len() as u64,
            findings: book.findings.len() as u64,
            ..Stats::default()
        })
    }

    /// What was found damaged when the store was opened, and what came back.
    pub fn damage(&self) -> Vec<Damage> {
        Vec::new()
    }

    /// Why nothing new can be stored just now, if so.
    pub fn trouble(&self) -> Option<String> {
        None
    }
}

impl Memory for Store {
    fn sketches(&self, key: &ReadingKey) -> Option<Arc<Sketches>> {
        let book = self.book();
        let tensors = book.readings.get(key)?.tensors.iter();
        let sketches: Sketches =
            tensors.filter_map(|t| Some((t.facts.name.clone(), t.sketch.clone()?))).collect();
        (!sketches.is_empty()).then(|| Arc::new(sketches))
    }
}
