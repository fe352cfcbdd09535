//! What people said. Nothing of it is ever removed but with its run: a silence is ended by a new version of
//! it, an acknowledgement or announcement taken back likewise, so that it can be told later who said what.

use std::sync::{Arc, MutexGuard, PoisonError};

use super::changes::Changes;
use super::{Error, Store, codec, keys};
use crate::terms::{Acknowledgement, Announcement, Said, Silence};

impl Store {
    /// Everything that was said. The same `Arc` until something new is: who asks often can tell by that.
    pub fn said(&self) -> Result<Arc<Said>, Error> {
        if let Some(said) = &*self.said_now() {
            return Ok(Arc::clone(said));
        }
        let said = self.read_through(|| {
            let (mut silences, mut known, mut announced) = (Vec::new(), Vec::new(), Vec::new());
            let damaged = |key: &[u8], error| Error::damaged(key.escape_ascii().to_string(), error);
            self.inner.database.scan(&[keys::SILENCE], |key, value| {
                silences.push(codec::read_silence(value).map_err(|error| damaged(key, error))?);
                Ok(())
            })?;
            self.inner.database.scan(&[keys::ACKNOWLEDGED], |key, value| {
                known.push(codec::read_acknowledgement(value).map_err(|error| damaged(key, error))?);
                Ok(())
            })?;
            self.inner.database.scan(&[keys::ANNOUNCED], |key, value| {
                announced.push(codec::read_announcement(value).map_err(|error| damaged(key, error))?);
                Ok(())
            })?;
            Ok(Arc::new(Said::new(silences, known).with_announcements(announced)))
        })?;
        Ok(Arc::clone(self.said_now().get_or_insert(said)))
    }

    /// Keeps that somebody knows of a finding, or knows no more; on disk when it returns.
    pub fn acknowledge(&self, known: &Acknowledgement) -> Result<(), Error> {
        let number = self.book().run(&known.run).ok_or_else(|| Error::UnknownRun(known.run.clone()))?;
        let mut changes = Changes::default();
        changes.put(keys::acknowledged(number, &known.finding.0), codec::write_acknowledgement(known));
        self.say(&changes)
    }

    /// Keeps a silence, or the newest version of one; on disk when it returns.
    pub fn silence(&self, silence: &Silence) -> Result<(), Error> {
        let mut changes = Changes::default();
        changes.put(keys::silence(&silence.id), codec::write_silence(silence));
        self.say(&changes)
    }

    /// Keeps what is planned, or that it is taken back; on disk when it returns.
    pub fn keep_announcement(&self, announcement: &Announcement) -> Result<(), Error> {
        let mut changes = Changes::default();
        changes.put(keys::announced(&announcement.id), codec::write_announcement(announcement));
        self.say(&changes)
    }

    fn say(&self, changes: &Changes) -> Result<(), Error> {
        let put = self.put(changes);
        self.forget_said();
        put
    }

    /// Has the next question read it again.
    pub(super) fn forget_said(&self) {
        *self.said_now() = None;
    }

    fn said_now(&self) -> MutexGuard<'_, Option<Arc<Said>>> {
        self.inner.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
