//! What one commit does to the database: in the journal as bytes, in the database as done.

use super::codec::{Malformed, Reader, Writer};

const FORM: u8 = 1;

/// One act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Puts a value under a key.
    Put(Vec<u8>, Vec<u8>),
    /// Removes a key.
    Remove(Vec<u8>),
    /// Removes every key that begins so.
    RemoveAll(Vec<u8>),
}

/// Acts in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes(pub Vec<Change>);

impl Changes {
    /// Adds a value.
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.0.push(Change::Put(key, value));
    }

    /// All puts.
    pub fn puts(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().filter_map(|change| match change {
            Change::Put(key, value) => Some((key.as_slice(), value.as_slice())),
            _ => None,
        })
    }

    /// As bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.u8(FORM);
        writer.list(&self.0, |writer, change| match change {
            Change::Put(key, value) => {
                writer.u8(0);
                writer.bytes(key);
                writer.bytes(value);
            }
            Change::Remove(key) => {
                writer.u8(1);
                writer.bytes(key);
            }
            Change::RemoveAll(prefix) => {
                writer.u8(2);
                writer.bytes(prefix);
            }
        });
        writer.0
    }

    /// From bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(bytes);
        reader.form(FORM)?;
        let changes = reader.list(|reader| {
            Ok(match reader.u8()? {
                0 => Change::Put(reader.bytes()?.to_vec(), reader.bytes()?.to_vec()),
                1 => Change::Remove(reader.bytes()?.to_vec()),
                2 => Change::RemoveAll(reader.bytes()?.to_vec()),
                _ => return Err(Malformed("change of an unknown kind")),
            })
        })?;
        reader.end()?;
        Ok(Self(changes))
    }
}
