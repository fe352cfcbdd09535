//! Opening: brings journal and database together, whatever became of either, and says what was lost.
//!
//! The journal is the truth and the database is made from it. Where the database is behind, the missing
//! commits are done again; where it does not open or has holes, what still reads is saved and the journal is
//! laid over it, the newer commit winning key by key. What the journal itself lost is looked up in the
//! database: samples have a second copy there, sketches have not.

use std::fs;
use std::path::Path;

use super::book::{self, Book};
use super::changes::Changes;
use super::database::Database;
use super::journal::{self, Journal, Kind, Noticed, Place};
use super::standby::Standby;
use super::{Damage, Error, Settings};

/// Lines of damage that are told one by one; the rest is counted.
const LINES_MAX: usize = 200;

/// Name of the database's directory.
pub const DATABASE: &str = "db";
/// Name of the journal's directory.
pub const JOURNAL: &str = "journal";
/// A database that could not be used any more is kept under this name until `repair`.
pub const SET_ASIDE: &str = "db.damaged";

/// What opening came to.
#[derive(Debug)]
pub struct Opened {
    /// The database, as new as the journal.
    pub database: Database,
    /// The journal.
    pub journal: Journal,
    /// The index.
    pub book: Book,
    /// What was damaged.
    pub damage: Vec<Damage>,
    /// Why the database is not open, and reads are answered from the journal, if so.
    pub failing: Option<Error>,
}

/// Opens what lies in `dir`.
pub fn open(dir: &Path, settings: &Settings) -> Result<Opened, Error> {
    let mut damage = Vec::new();
    let (journal, noticed) = Journal::open(&dir.join(JOURNAL))?;
    let (database, book, failing) = match open_database(dir, &journal, settings, false, &mut damage) {
        Ok((database, book)) => (database, book, None),
        Err(full @ Error::DatabaseFull { .. }) => {
            let standby = Standby::of(&journal);
            let database = Database::closed(&dir.join(DATABASE), settings.cache_bytes, standby);
            let book = load(&database)?;
            (database, book, Some(full))
        }
        Err(other) => return Err(other),
    };
    tell_noticed(&noticed, &mut damage);
    tell_missing(&journal, &book, &mut damage);
    Ok(Opened { database, journal, book, damage, failing })
}

/// Opens the database, as new as the journal; made anew where it does not open, has holes or is asked to be.
pub fn open_database(
    dir: &Path,
    journal: &Journal,
    settings: &Settings,
    anew: bool,
    damage: &mut Vec<Damage>,
) -> Result<(Database, Book), Error> {
    let path = dir.join(DATABASE);
    let database = match Database::open(&path, settings.cache_bytes) {
        Ok(database) => database,
        Err(Error::Database { detail, .. }) => {
            damage.push(mended(format!(
                "the database did not open ({detail}): it was made again from the journal"
            )));
            set_aside(&path)?;
            Database::open(&path, settings.cache_bytes)?
        }
        Err(other) => return Err(other),
    };
    let book = if anew {
        renew(&database, &journal.places(), settings, damage)?;
        load(&database)?
    } else {
        bring_up(&database, journal, settings, damage)?
    };
    Ok((database, book))
}

/// Makes the database as new as the journal, and reads its index.
fn bring_up(
    database: &Database,
    journal: &Journal,
    settings: &Settings,
    damage: &mut Vec<Damage>,
) -> Result<Book, Error> {
    let places = journal.places();
    match load(database) {
        Ok(book) => {
            let behind = |place: &&Place| is_commit(place) && !book.knows(place.found.header.number);
            let missing: Vec<_> = places.iter().filter(behind).cloned().collect();
            let Some(first) = missing.first() else { return Ok(book) };
            if first.found.header.number < book.head() {
                damage.push(mended("the database had holes: it was made again from the journal".to_owned()));
                renew(database, &places, settings, damage)?;
            } else {
                // One commit behind is what a kill between journal and database leaves.
                if missing.len() > 1 {
                    let line = format!(
                        "{} commits were missing in the database: they came back from the journal",
                        missing.len()
                    );
                    damage.push(mended(line));
                }
                lay_over(database, &missing, damage)?;
            }
        }
        Err(full @ Error::DatabaseFull { .. }) => return Err(full),
        Err(error) => {
            damage.push(mended(format!("{error}: the database was made again from the journal")));
            renew(database, &places, settings, damage)?;
        }
    }
    load(database)
}

fn is_commit(place: &Place) -> bool {
    place.found.header.kind == Kind::Commit
}

fn load(database: &Database) -> Result<Book, Error> {
    let mut book = Book::default();
    for kind in book::KINDS {
        database.scan(&[kind], |key, value| book.take(key, value))?;
    }
    Ok(book)
}

/// Does the commits of the journal in the database, in their order, where nothing newer stands.
fn lay_over(database: &Database, places: &[Place], damage: &mut Vec<Damage>) -> Result<(), Error> {
    for place in places.iter().filter(|place| is_commit(place)) {
        let number = place.found.header.number;
        let changes = place.part(journal::CHANGES).and_then(|bytes| {
            Changes::from_bytes(&bytes).map_err(|error| Error::damaged(format!("commit {number}"), error))
        });
        match changes {
            Ok(changes) => database.merge(number, &changes)?,
            Err(error) => damage.push(lost(None, error.to_string())),
        }
    }
    database.flush()
}

/// A new database: what still reads of the old one, and the journal over it.
fn renew(
    database: &Database,
    places: &[Place],
    settings: &Settings,
    damage: &mut Vec<Damage>,
) -> Result<(), Error> {
    let mut aside = database.dir().to_owned();
    aside.set_file_name(SET_ASIDE);
    database.reopen(set_aside)?;
    match Database::open(&aside, settings.cache_bytes) {
        Ok(old) => save(&old, database, damage)?,
        Err(error) => damage.push(mended(format!("nothing could be saved of the old database: {error}"))),
    }
    lay_over(database, places, damage)
}

/// Copies every entry that still reads.
fn save(old: &Database, new: &Database, damage: &mut Vec<Damage>) -> Result<(), Error> {
    let mut bad = 0u64;
    let scanned = old.scan_any(&[], |key, value| match value {
        Ok(value) => {
            let mut changes = Changes::default();
            changes.put(key.to_vec(), value.to_vec());
            new.merge(value.number, &changes)
        }
        Err(_) => {
            bad += 1;
            Ok(())
        }
    });
    if let Err(error) = scanned {
        damage.push(mended(format!("the old database could be read in part only: {error}")));
    }
    if bad > 0 {
        damage.push(mended(format!("{bad} entries of the old database did not read")));
    }
    new.flush()
}

/// Copies every entry; all must read.
pub fn copy(old: &Database, new: &Database) -> Result<(), Error> {
    /// Entries of one batch: some hundred kilobytes.
    const BATCH: usize = 256;
    let mut batch: (u64, Changes) = (0, Changes::default());
    old.scan(&[], |key, value| {
        if batch.0 != value.number || batch.1.0.len() >= BATCH {
            new.stage_all(batch.0, &std::mem::take(&mut batch.1))?;
            batch.0 = value.number;
        }
        batch.1.put(key.to_vec(), value.to_vec());
        Ok(())
    })?;
    new.stage_all(batch.0, &batch.1)?;
    new.flush()
}

/// Moves a database out of the way; an older one that was moved there goes.
fn set_aside(database: &Path) -> Result<(), Error> {
    let mut aside = database.to_owned();
    aside.set_file_name(SET_ASIDE);
    if aside.exists() {
        fs::remove_dir_all(&aside).map_err(|error| Error::io(&aside, "remove", &error))?;
    }
    fs::rename(database, &aside).map_err(|error| Error::io(database, "move aside", &error))
}

/// Says what opening the journal came upon.
pub fn tell_noticed(noticed: &Noticed, damage: &mut Vec<Damage>) {
    for (path, from, to) in &noticed.gaps {
        damage.push(lost(None, format!("{}: bytes {from} to {to} hold no commit any more", path.display())));
    }
    for number in &noticed.by_end {
        damage.push(mended(format!("the first header of commit {number} is damaged: its second was used")));
    }
    noticed.unreadable.iter().for_each(|detail| damage.push(lost(None, detail.clone())));
}

/// Says which commits the journal lost, and what the database still has of them.
pub fn tell_missing(journal: &Journal, book: &Book, damage: &mut Vec<Damage>) {
    let missing = journal.missing(book.head());
    let numbers: u64 = missing.iter().map(|(first, last)| last - first + 1).sum();
    let each = missing.iter().flat_map(|&(first, last)| first..=last);
    for number in each.take(LINES_MAX) {
        let key = book.reading_of(number).cloned();
        let bulk = key
            .as_ref()
            .and_then(|key| book.entry(key))
            .is_some_and(|entry| entry.kept.sketches || entry.kept.quantiles || entry.kept.spectra);
        damage.push(match key {
            Some(key) if bulk => lost(Some(key), format!("commit {number} is lost in the journal: the reading's samples are whole, its sketches, quantiles and spectra are gone")),
            Some(key) => lost(Some(key), format!("commit {number} is lost in the journal: the reading is whole, but has no second copy")),
            None if book.knows(number) => lost(None, format!("commit {number} is lost in the journal: what it held has no second copy")),
            None => lost(None, format!("commit {number} is lost: what it held is not known")),
        });
    }
    for number in book.nameless() {
        damage.push(lost(None, format!("commit {number} is a reading of a run whose name is lost")));
    }
    if numbers > LINES_MAX as u64 {
        damage.push(lost(None, format!("and {} more commits are lost", numbers - LINES_MAX as u64)));
    }
}

/// Damage that cost nothing.
pub fn mended(detail: String) -> Damage {
    Damage { key: None, detail, mended: true }
}

/// Damage that cost something.
pub fn lost(key: Option<crate::terms::ReadingKey>, detail: String) -> Damage {
    Damage { key, detail, mended: false }
}
