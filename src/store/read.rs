//! Puts readings, series and histories together again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::Error;
use super::book::Entry;
use super::codec::{self, Absences, Column, Head, LogRange, Malformed, Reader, Roster};
use super::database::{Database, Lookup};
use super::journal::{self, Journal};
use super::keys::{self, Place};
use super::tape::{self, Lines};
use crate::terms::{
    Finding, LogPoint, Reading, ReadingKey, Reason, Samples, Sketch, Sketches, Spectra, Spectrum,
    SubjectReading, TensorFacts, TensorReading, TrainerState,
};

/// Rosters kept decoded. A run has one, or a few where its tensors change.
const ROSTERS_MAX: usize = 64;
/// Trainer logs kept decoded: at most 5.6 MB each.
const TAPES_MAX: usize = 2;

/// Which parts of a reading are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    /// Everything that was committed.
    All,
    /// All but sketches, quantiles and spectra.
    Small,
}

/// Reads from the database.
#[derive(Debug, Default)]
pub struct Shelf {
    rosters: Mutex<HashMap<(u32, u64), Arc<Roster>>>,
    /// Trainer logs by run and tape; they only grow, so what was read of one stays true.
    tapes: Mutex<HashMap<(u32, u32), Arc<Lines>>>,
}

fn missing(what: impl Into<String>) -> Error {
    Error::damaged(what, "is not in the database")
}

impl Shelf {
    /// The roster of that hash.
    pub fn roster(&self, database: &Database, run: u32, hash: u64) -> Result<Arc<Roster>, Error> {
        let mut rosters = self.rosters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(roster) = rosters.get(&(run, hash)) {
            return Ok(roster.clone());
        }
        let what = || format!("list of tensors {hash:016x} of run number {run}");
        let bytes = database.get(&keys::shared(keys::ROSTER, run, hash))?.ok_or_else(|| missing(what()))?;
        let roster = codec::read_roster(&bytes).map_err(|error| Error::damaged(what(), error))?;
        if rosters.len() >= ROSTERS_MAX {
            rosters.clear();
        }
        let roster = Arc::new(roster);
        rosters.insert((run, hash), roster.clone());
        Ok(roster)
    }

    /// Forgets what it keeps decoded.
    pub fn forget(&self) {
        self.rosters.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.tapes.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The head of a reading.
    pub fn head(&self, database: &Database, key: &ReadingKey, place: Place) -> Result<Head, Error> {
        let bytes = database.get(&keys::of_reading(keys::HEAD, place))?;
        let bytes = bytes.ok_or_else(|| missing(key.to_string()))?;
        codec::read_head(&bytes).map_err(|error| Error::damaged(key.to_string(), error))
    }

    /// A stretch of trainer log.
    pub fn log(&self, database: &Database, run: u32, range: LogRange) -> Result<Vec<LogPoint>, Error> {
        if range.from == range.to {
            return Ok(Vec::new());
        }
        let at = (run, range.tape);
        let kept = self.tapes.lock().unwrap_or_else(PoisonError::into_inner).get(&at).cloned();
        if let Some(lines) = kept.filter(|lines| lines.reaches(range)) {
            return Ok(lines.cut(range));
        }
        let lines = Arc::new(tape::lines(run, range.tape, database)?);
        let mut tapes = self.tapes.lock().unwrap_or_else(PoisonError::into_inner);
        if tapes.len() >= TAPES_MAX {
            tapes.clear();
        }
        tapes.insert(at, lines.clone());
        Ok(lines.cut(range))
    }

    /// One metric of a reading.
    fn column(&self, parts: &Wanted<'_>, name: &str, subjects: usize) -> Result<Column, Error> {
        let what = || format!("{}: metric {name}", parts.key);
        let metric = (parts.metric)(name).ok_or_else(|| missing(what()))?;
        let bytes =
            parts.database.get(&keys::column(metric, parts.entry.place))?.ok_or_else(|| missing(what()))?;
        codec::read_column(&bytes, subjects).map_err(|error| Error::damaged(what(), error))
    }

    /// A block of sketches, quantiles or spectra, from the journal.
    fn block<T>(
        &self,
        wanted: &Wanted<'_>,
        part: usize,
        read: impl FnOnce(&[u8]) -> Result<Vec<T>, Malformed>,
    ) -> Result<Vec<T>, Error> {
        let what = || {
            let name = match part {
                journal::SKETCHES => "sketches",
                journal::QUANTILES => "quantiles",
                _ => "spectra",
            };
            format!("{name} of {}", wanted.key)
        };
        let place = wanted.journal.place(wanted.entry.number);
        let place = place.ok_or_else(|| Error::lost(what(), "their commit is not in the journal"))?;
        // Whoever reads the line knows readings, not commits.
        let bytes = place.part(part).map_err(|error| match error {
            Error::Lost { what: place, detail } => Error::lost(what(), format!("{place}: {detail}")),
            other => other,
        })?;
        read(&bytes).map_err(|error| Error::lost(what(), error))
    }

    /// The sketches of a reading by tensor.
    pub fn sketches(&self, wanted: &Wanted<'_>) -> Result<Option<Sketches>, Error> {
        if !wanted.entry.kept.sketches {
            return Ok(None);
        }
        let roster = self.roster(wanted.database, wanted.entry.place.run, wanted.entry.roster)?;
        let block = self.block(wanted, journal::SKETCHES, codec::read_sketches)?;
        let named = roster.tensors.iter().zip(block);
        Ok(Some(named.filter_map(|(facts, sketch)| Some((facts.name.clone(), sketch?))).collect()))
    }

    /// The spectra of a reading by tensor, of those that had one.
    pub fn spectra(&self, wanted: &Wanted<'_>) -> Result<Spectra, Error> {
        let roster = self.roster(wanted.database, wanted.entry.place.run, wanted.entry.roster)?;
        let block = self.block(wanted, journal::SPECTRA, codec::read_lists)?;
        let named = roster.tensors.iter().zip(block).filter(|(_, shares)| !shares.is_empty());
        let spectrum = |(facts, shares): (&TensorFacts, _)| {
            (facts.name.clone(), Spectrum { step: wanted.key.step, shape: facts.shape.clone(), shares })
        };
        Ok(named.map(spectrum).collect())
    }

    /// Quantiles of one tensor of a reading.
    pub fn quantiles(&self, wanted: &Wanted<'_>, tensor: &str) -> Result<Option<Vec<f32>>, Error> {
        let roster = self.roster(wanted.database, wanted.entry.place.run, wanted.entry.roster)?;
        let at = roster.tensors.iter().position(|facts| &*facts.name == tensor);
        let Some(at) = at else { return Ok(None) };
        let mut block = self.block(wanted, journal::QUANTILES, codec::read_lists)?;
        let of_tensor = (at < block.len()).then(|| block.swap_remove(at));
        Ok(of_tensor.filter(|values| !values.is_empty()))
    }

    /// The reading, as it was committed.
    pub fn reading(&self, wanted: &Wanted<'_>, parts: Parts) -> Result<Reading, Error> {
        let (database, run) = (wanted.database, wanted.entry.place.run);
        let head = self.head(database, wanted.key, wanted.entry.place)?;
        let roster = self.roster(database, run, head.roster)?;
        let log = match wanted.tape {
            Some((number, lines)) if number == head.log.tape => lines.cut(head.log),
            _ => self.log(database, run, head.log)?,
        };
        let mut samples = vec![Samples::new(); roster.len()];
        for &metric in &head.metrics {
            if (wanted.taken_away)(metric) {
                continue;
            }
            for (place, value) in self.column(wanted, metric, roster.len())?.values {
                samples[place as usize].insert(metric, value);
            }
        }
        let absent = self.absences(wanted, head.absences, roster.len())?;
        let (mut sketches, mut quantiles, mut spectra) = (Vec::new(), Vec::new(), Vec::new());
        if parts == Parts::All && wanted.entry.kept.sketches {
            sketches = self.block(wanted, journal::SKETCHES, codec::read_sketches)?;
        }
        if parts == Parts::All && wanted.entry.kept.quantiles {
            quantiles = self.block(wanted, journal::QUANTILES, codec::read_lists)?;
        }
        if parts == Parts::All && wanted.entry.kept.spectra {
            spectra = self.block(wanted, journal::SPECTRA, codec::read_lists)?;
        }
        Ok(assemble(wanted.key, head, &roster, Loose { log, samples, absent, sketches, quantiles, spectra }))
    }

    fn absences(&self, wanted: &Wanted<'_>, hash: u64, places: usize) -> Result<Vec<Absent>, Error> {
        let what = || format!("{}: metrics without a value", wanted.key);
        let key = keys::shared(keys::ABSENCES, wanted.entry.place.run, hash);
        let bytes = wanted.database.get(&key)?.ok_or_else(|| missing(what()))?;
        let absences: Absences =
            codec::read_absences(&bytes).map_err(|error| Error::damaged(what(), error))?;
        let mut absent = vec![Absent::new(); places];
        for ((metric, reason), at) in &absences {
            let reason = Reason::try_from(reason).map_err(|error| Error::damaged(what(), error))?;
            for &place in at {
                let slot = absent.get_mut(place as usize);
                let slot = slot.ok_or_else(|| Error::damaged(what(), "place beyond the list of tensors"))?;
                slot.insert(*metric, reason.clone());
            }
        }
        Ok(absent)
    }
}

type Absent = std::collections::BTreeMap<crate::terms::MetricName, Reason>;

/// What is wanted, and what finding it needs.
pub struct Wanted<'a> {
    /// The database.
    pub database: &'a Database,
    /// The reading.
    pub key: &'a ReadingKey,
    /// Where it lies, and what is left of it.
    pub entry: Entry,
    /// Where its bulk lies.
    pub journal: &'a Journal,
    /// Numbers of metrics by name.
    pub metric: &'a dyn Fn(&str) -> Option<u32>,
    /// True for metrics whose samples retention took away.
    pub taken_away: &'a dyn Fn(&str) -> bool,
    /// A tape that is already read, where many readings of a run are wanted.
    pub tape: Option<(u32, &'a Lines)>,
}

/// Parts by place in the roster, on their way into a reading.
struct Loose {
    log: Vec<LogPoint>,
    samples: Vec<Samples>,
    absent: Vec<Absent>,
    sketches: Vec<Option<Sketch>>,
    quantiles: Vec<Vec<f32>>,
    spectra: Vec<Vec<f32>>,
}

fn assemble(key: &ReadingKey, head: Head, roster: &Roster, loose: Loose) -> Reading {
    let mut measured = loose.samples.into_iter().zip(loose.absent);
    let mut sketches = loose.sketches.into_iter();
    let mut quantiles = loose.quantiles.into_iter();
    let mut spectra = loose.spectra.into_iter();
    let hashes = head.content_hashes.iter().copied().chain(std::iter::repeat(0));
    let tensors = roster.tensors.iter().zip(hashes).zip(measured.by_ref());
    let tensors = tensors.map(|((facts, content_hash), (samples, absent))| TensorReading {
        facts: TensorFacts { content_hash, ..facts.clone() },
        samples,
        absent,
        sketch: sketches.next().flatten(),
        quantiles: quantiles.next().unwrap_or_default(),
        spectrum: spectra.next().unwrap_or_default(),
    });
    let tensors = tensors.collect();
    let subjects = roster.subjects.iter().zip(measured).enumerate();
    let subjects = subjects.map(|(place, (subject, (samples, absent)))| SubjectReading {
        subject: subject.clone(),
        samples,
        lists: head.lists_of(place),
        absent,
    });
    let subjects = subjects.collect();
    let (global_step, max_steps, epoch) = head.trainer;
    Reading {
        key: key.clone(),
        checkpoint: head.checkpoint,
        family: head.family,
        trainer: TrainerState { global_step, max_steps, epoch, log: loose.log },
        tensors,
        subjects,
        skipped: head.skipped,
        tied: head.tied,
        remarks: head.remarks,
        problems: head.problems,
        previous: head.previous,
    }
}

/// Reads a finding and its order of opening.
pub fn finding(key: &[u8], value: &[u8]) -> Result<(u64, Finding), Error> {
    let what = || format!("finding {}", String::from_utf8_lossy(key.get(5..).unwrap_or_default()));
    let mut reader = Reader(value);
    let order = reader.u64().map_err(|error| Error::damaged(what(), error))?;
    let finding = codec::read_finding(reader.0).map_err(|error| Error::damaged(what(), error))?;
    Ok((order, finding))
}
