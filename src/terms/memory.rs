//! What is remembered of checkpoints that may be gone.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ReadingKey, Sketch, Step};

/// Sketches by tensor name.
pub type Sketches = BTreeMap<Arc<str>, Sketch>;

/// A matrix's spectrum as a reading remembers it.
#[derive(Clone, Debug, PartialEq)]
pub struct Spectrum {
    /// Step of the reading.
    pub step: Step,
    /// Shape of the matrix.
    pub shape: Vec<u64>,
    /// Its singular values over their sum, largest first.
    pub shares: Vec<f32>,
}

/// Spectra by tensor name.
pub type Spectra = BTreeMap<Arc<str>, Spectrum>;

/// Looks up the sketches and spectra of earlier readings. The store implements it; judge and measure use it, so
/// that neither needs to know where the memory lies.
pub trait Memory: Send + Sync {
    /// All sketches of one reading; none where it was never read, or its sketches were thinned out.
    fn sketches(&self, key: &ReadingKey) -> Option<Arc<Sketches>>;

    /// The spectra that one reading had in its budget; none where it had none, or newer ones took their place.
    fn spectra(&self, _key: &ReadingKey) -> Option<Spectra> {
        None
    }
}

/// A memory that remembers nothing: for `inspect`, `check` and tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMemory;

impl Memory for NoMemory {
    fn sketches(&self, _key: &ReadingKey) -> Option<Arc<Sketches>> {
        None
    }
}
