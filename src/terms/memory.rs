//! What is remembered of checkpoints that may be gone.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ReadingKey, Sketch};

/// Sketches by tensor name.
pub type Sketches = BTreeMap<Arc<str>, Sketch>;

/// Looks up the sketches of earlier readings. The store implements it; judge and measure use it, so
/// that neither needs to know where the memory lies.
pub trait Memory: Send + Sync {
    /// All sketches of one reading; none where it was never read, or its sketches were thinned out.
    fn sketches(&self, key: &ReadingKey) -> Option<Arc<Sketches>>;
}

/// A memory that remembers nothing: for `inspect`, `check` and tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMemory;

impl Memory for NoMemory {
    fn sketches(&self, _key: &ReadingKey) -> Option<Arc<Sketches>> {
        None
    }
}
