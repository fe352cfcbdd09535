//! What receivers have taken: the other half of an outbox.
//!
//! Nothing is put aside to be sent. What a receiver must get follows from the findings (or readings) that
//! are stored and from what it has taken, so that a crash between a commit and a delivery loses nothing:
//! at worst the delivery is made twice, under the same id.

use std::collections::BTreeMap;

use super::changes::Changes;
use super::{Error, Store, keys};

impl Store {
    /// Everything that the receiver of that name has taken: key and mark, as they were recorded.
    pub fn taken(&self, target: &str) -> Result<BTreeMap<String, String>, Error> {
        let prefix = keys::outbox(target);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.read_through(|| {
            let mut taken = BTreeMap::new();
            self.inner.database.scan(&prefix, |key, value| {
                taken.insert(text(&key[prefix.len()..]), text(value));
                Ok(())
            })?;
            Ok(taken)
        })
    }

    /// Records what the receiver has taken; on disk when it returns. A mark under the same key is replaced.
    pub fn record_taken(&self, target: &str, marks: &[(&str, &str)]) -> Result<(), Error> {
        let mut changes = Changes::default();
        for (key, mark) in marks {
            changes.put([keys::outbox(target).as_slice(), key.as_bytes()].concat(), mark.as_bytes().to_vec());
        }
        self.put(&changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Settings;
    use crate::terms::Catalog;

    #[test]
    fn marks_of_one_target_survive_and_do_not_show_in_another() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Store::open(dir.path(), &Catalog::new([]), &Settings::default()).unwrap();
        let store = open();
        store.record_taken("oncall", &[("f1", "opened"), ("f2", "opened")]).unwrap();
        store.record_taken("oncall2", &[("f1", "resolved")]).unwrap();
        store.record_taken("oncall", &[("f1", "resolved")]).unwrap();
        drop(store);
        let taken = open().taken("oncall").unwrap();
        let marks: Vec<_> = taken.iter().map(|(key, mark)| (key.as_str(), mark.as_str())).collect();
        assert_eq!(marks, [("f1", "resolved"), ("f2", "opened")]);
        assert!(open().taken("on").unwrap().is_empty());
    }
}
