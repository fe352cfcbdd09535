//! What one commit does to the database, before it is done.

/// Values put under keys. Nothing is ever removed by a commit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// Key and value, in the order in which they were put.
    pub puts: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Changes {
    /// Adds a value.
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.puts.push((key, value));
    }
}
