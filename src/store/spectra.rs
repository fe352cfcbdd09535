//! Spectra that readings remember: only the newest of each matrix is ever asked for again, so only that is kept.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::book::Entry;
use super::{Error, Store};
use crate::terms::{ReadingKey, RunId, Spectra};

impl Store {
    /// The spectra that one reading had in its budget, by tensor; none where it had none, or newer ones of all its
    /// matrices took their place. An error where they were there and are lost.
    pub fn spectra_of(&self, key: &ReadingKey) -> Result<Option<Spectra>, Error> {
        let Some(entry) = self.book().entry(key).filter(|entry| entry.kept.spectra) else { return Ok(None) };
        self.read_through(|| self.spectra_at(key, entry)).map(Some)
    }

    fn spectra_at(&self, key: &ReadingKey, entry: Entry) -> Result<Spectra, Error> {
        self.with_wanted(key, entry, None, |wanted| self.inner.shelf.spectra(wanted))
    }

    /// Readings that hold the newest spectrum of a matrix of their run, by attempt and step. One whose spectra do
    /// not read is among them: whether they are needed cannot be told, and `repair` is who writes them off.
    pub(super) fn with_newest_spectra(&self) -> BTreeSet<ReadingKey> {
        let entries: Vec<_> = {
            let book = self.book();
            let kept = book.readings().filter(|(_, entry)| entry.kept.spectra);
            kept.map(|(key, entry)| (key.clone(), *entry)).collect()
        };
        let mut newest = BTreeSet::new();
        let mut seen: (Option<RunId>, HashSet<Arc<str>>) = (None, HashSet::new());
        for (key, entry) in entries.into_iter().rev() {
            if seen.0.as_ref() != Some(&key.run) {
                seen = (Some(key.run.clone()), HashSet::new());
            }
            let before = seen.1.len();
            let holds = match self.spectra_at(&key, entry) {
                Ok(spectra) => {
                    seen.1.extend(spectra.into_keys());
                    seen.1.len() > before
                }
                Err(_) => true,
            };
            if holds {
                newest.insert(key);
            }
        }
        newest
    }
}
