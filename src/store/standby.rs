//! Reading without the database: straight from the journal, while sled is out of order.
//!
//! sled keeps an error of its writer and answers every later read with it. A full disk must not make the
//! store blind, so an index of the journal is made then: which commit put the value that stands under each
//! key, some 100 bytes an entry. A value is read from its commit; slower than the database, but it is there.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use super::Error;
use super::changes::{Change, Changes};
use super::database::Value;
use super::journal::{self, Journal, Kind, Place};

/// Commits that are kept decoded: what one reading needs lies in one commit, and the names in a few others.
const DECODED_MAX: usize = 8;

type Puts = HashMap<Vec<u8>, Vec<u8>>;

/// Takes a key and its value, or why the value cannot be had.
type Show<'a> = dyn FnMut(&[u8], Result<Value, Error>) -> Result<(), Error> + 'a;

/// An index of the journal.
#[derive(Debug, Default)]
pub struct Standby {
    /// The commit that a key's value stands in.
    index: BTreeMap<Vec<u8>, u64>,
    places: HashMap<u64, Place>,
    decoded: Mutex<VecDeque<(u64, Arc<Puts>)>>,
    /// Commits that the journal has lost: what only they hold cannot be had now.
    holes: u64,
}

impl Standby {
    /// Reads the whole journal but its bulk.
    pub fn of(journal: &Journal) -> Self {
        let mut standby = Self::default();
        let places = journal.places();
        let head = journal.head();
        standby.holes = journal.missing(head).iter().map(|(first, last)| last - first + 1).sum();
        for place in places.into_iter().filter(|place| place.found.header.kind == Kind::Commit) {
            let number = place.found.header.number;
            let Ok(changes) = changes(&place) else {
                standby.holes += 1;
                continue;
            };
            for change in changes.0 {
                match change {
                    Change::Put(key, _) => {
                        standby.index.insert(key, number);
                    }
                    Change::Remove(key) => {
                        standby.index.remove(&key);
                    }
                    Change::RemoveAll(prefix) => {
                        standby.index.retain(|key, _| !key.starts_with(&prefix));
                    }
                }
            }
            standby.places.insert(number, place);
        }
        standby
    }

    /// The value under a key.
    pub fn get(&self, key: &[u8]) -> Result<Option<Value>, Error> {
        match self.index.get(key) {
            Some(&number) => self.value(key, number).map(Some),
            None if self.holes > 0 => Err(Error::lost(
                "the database is out of order",
                format!("this may be in one of {} commits that only the database has", self.holes),
            )),
            None => Ok(None),
        }
    }

    /// Shows every entry whose key starts with `prefix`, in order.
    pub fn scan(&self, prefix: &[u8], show: &mut Show<'_>) -> Result<(), Error> {
        let from = self.index.range(prefix.to_vec()..);
        for (key, &number) in from.take_while(|(key, _)| key.starts_with(prefix)) {
            show(key, self.value(key, number))?;
        }
        Ok(())
    }

    /// The last key that starts with `prefix`.
    pub fn last_key(&self, prefix: &[u8]) -> Result<Option<sled::IVec>, Error> {
        let from = self.index.range(prefix.to_vec()..);
        let last = from.take_while(|(key, _)| key.starts_with(prefix)).last();
        Ok(last.map(|(key, _)| key.as_slice().into()))
    }

    fn value(&self, key: &[u8], number: u64) -> Result<Value, Error> {
        let puts = self.puts(number)?;
        let value = puts.get(key).map(|value| Value::new(number, value));
        value.ok_or_else(|| Error::lost(format!("commit {number}"), "its bytes changed on disk"))
    }

    fn puts(&self, number: u64) -> Result<Arc<Puts>, Error> {
        let mut decoded = self.decoded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, puts)) = decoded.iter().find(|(of, _)| *of == number) {
            return Ok(puts.clone());
        }
        let place = self.places.get(&number);
        let place =
            place.ok_or_else(|| Error::lost(format!("commit {number}"), "it is not in the journal"))?;
        let puts = changes(place)?.0.into_iter().filter_map(|change| match change {
            Change::Put(key, value) => Some((key, value)),
            Change::Remove(_) | Change::RemoveAll(_) => None,
        });
        let puts: Arc<Puts> = Arc::new(puts.collect());
        if decoded.len() >= DECODED_MAX {
            decoded.pop_front();
        }
        decoded.push_back((number, puts.clone()));
        Ok(puts)
    }
}

fn changes(place: &Place) -> Result<Changes, Error> {
    let number = place.found.header.number;
    let bytes = place.part(journal::CHANGES)?;
    Changes::from_bytes(&bytes).map_err(|error| Error::lost(format!("commit {number}"), error))
}
