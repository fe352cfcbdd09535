//! Trainer logs. Each checkpoint carries the log from the run's beginning; what is stored is only what the
//! checkpoint before did not have. A log that does not continue the tape begins a new one.

use std::collections::HashMap;
use std::sync::Arc;

use super::Error;
use super::changes::Changes;
use super::codec::{self, LogRange};
use super::database::Database;
use super::keys;
use crate::terms::LogPoint;

/// Tapes that are kept in memory between commits: at most 5.6 MB each, and runs that are trained at the
/// same time are few.
const KEPT_MAX: usize = 4;
/// Places where a log's first line may stand on the tape that are tried; logs lose lines at the front only.
const STARTS_MAX: usize = 8;

/// The newest tape of each run.
#[derive(Debug, Default)]
pub struct Tapes {
    kept: HashMap<u32, Tape>,
}

#[derive(Clone, Debug)]
struct Tape {
    number: u32,
    lines: Arc<Vec<LogPoint>>,
}

impl Tapes {
    /// Finds or makes the stretch that is this log.
    pub fn place(
        &mut self,
        run: u32,
        log: &[LogPoint],
        database: &Database,
        changes: &mut Changes,
    ) -> Result<LogRange, Error> {
        let tape = match self.kept.remove(&run) {
            Some(tape) => Some(tape),
            None => newest(run, database)?,
        };
        let Some(first) = log.first() else {
            tape.and_then(|tape| self.kept.insert(run, tape));
            return Ok(LogRange::default());
        };
        let (tape, from) = match tape.and_then(|tape| start(&tape, first, log).map(|from| (tape, from))) {
            Some(found) => found,
            None => (Tape { number: next(run, database)?, lines: Arc::default() }, 0),
        };
        let range = LogRange { tape: tape.number, from: from as u64, to: (from + log.len()) as u64 };
        let known = tape.lines.len() - from;
        let mut tape = tape;
        if log.len() > known {
            let new = &log[known..];
            changes.put(keys::tape(run, tape.number, tape.lines.len() as u64), codec::write_log(new));
            Arc::make_mut(&mut tape.lines).extend_from_slice(new);
        }
        if self.kept.len() >= KEPT_MAX {
            self.kept.clear();
        }
        self.kept.insert(run, tape);
        Ok(range)
    }

    /// Forgets what is not on disk: after a commit that failed.
    pub fn clear(&mut self) {
        self.kept.clear();
    }
}

/// Line of the tape from which on the two agree as far as both reach.
fn start(tape: &Tape, first: &LogPoint, log: &[LogPoint]) -> Option<usize> {
    let same = |line: &LogPoint| codec::same_points(std::slice::from_ref(line), std::slice::from_ref(first));
    let starts = tape.lines.iter().enumerate().filter(|(_, line)| same(line)).map(|(at, _)| at);
    starts.take(STARTS_MAX).find(|&at| {
        let both = log.len().min(tape.lines.len() - at);
        codec::same_points(&tape.lines[at..at + both], &log[..both])
    })
}

fn next(run: u32, database: &Database) -> Result<u32, Error> {
    let last = database.last_key(&keys::of_run(keys::TAPE, run))?;
    Ok(last.and_then(|key| keys::u32_at(&key, 5)).map_or(0, |number| number + 1))
}

fn newest(run: u32, database: &Database) -> Result<Option<Tape>, Error> {
    let Some(key) = database.last_key(&keys::of_run(keys::TAPE, run))? else { return Ok(None) };
    let Some(number) = keys::u32_at(&key, 5) else { return Ok(None) };
    // A tape with a damaged piece is left as it is; the log begins a new one.
    // So is one with a hole.
    let whole = lines(run, number, database).ok().and_then(Lines::whole);
    Ok(whole.map(|lines| Tape { number, lines: Arc::new(lines) }))
}

/// Lines of a tape, in stretches without a hole: the number of the first line, and the lines.
#[derive(Debug, Default)]
pub struct Lines(Vec<(u64, Vec<LogPoint>)>);

impl Lines {
    /// The lines of a range; where some of them are lost, those after the last hole.
    pub fn cut(&self, range: LogRange) -> Vec<LogPoint> {
        let Some((first, lines)) = self.0.iter().rfind(|(first, _)| *first < range.to) else {
            return Vec::new();
        };
        let at = |line: u64| (line.saturating_sub(*first) as usize).min(lines.len());
        lines[at(range.from)..at(range.to.max(range.from))].to_vec()
    }

    /// True where the tape was read as far as the range needs, without a hole in it.
    pub fn reaches(&self, range: LogRange) -> bool {
        self.0.iter().any(|(first, lines)| *first <= range.from && range.to <= *first + lines.len() as u64)
    }

    fn whole(mut self) -> Option<Vec<LogPoint>> {
        let (first, lines) = self.0.pop()?;
        (self.0.is_empty() && first == 0).then_some(lines)
    }
}

/// The lines of a tape. Where the commit that brought a piece is lost for good, there is a hole. That loss was
/// told; a log that begins late is better than a run that cannot be read.
pub fn lines(run: u32, tape: u32, database: &Database) -> Result<Lines, Error> {
    let mut tape_lines = Lines::default();
    database.scan(&keys::tape_prefix(run, tape), |key, value| {
        let bad = |detail: &str| Error::damaged(format!("trainer log {tape} of run number {run}"), detail);
        let from = keys::u64_at(key, 9).ok_or_else(|| bad("a piece has no number"))?;
        let piece = codec::read_log(value).map_err(|error| bad(&error.to_string()))?;
        match tape_lines.0.last_mut() {
            Some((first, lines)) if *first + lines.len() as u64 == from => lines.extend(piece),
            _ => tape_lines.0.push((from, piece)),
        }
        Ok(())
    })?;
    Ok(tape_lines)
}
