//! What the user can set.

/// Settings of the store; `Default` is the product's.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Memory that the database may use as cache, in bytes. It lies beside a training job, so it is small.
    pub cache_bytes: u64,
    /// Bytes that stay free on the file system: below it nothing new is written.
    pub free_bytes_min: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { cache_bytes: 32 << 20, free_bytes_min: 256 << 20 }
    }
}
