//! Text with the program's lifetime. Metric names and reasons are `&'static str` in memory; what an older
//! or newer program stored under a name that this one does not have must come back all the same.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use super::Malformed;

/// Most different texts that are kept for good; an honest store holds some hundred.
const TEXTS_MAX: usize = 4096;
/// Longest such text, in bytes.
const TEXT_BYTES_MAX: usize = 1024;

static TEXTS: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);

/// The text with the program's lifetime. Each different text is kept once and never given back, which
/// the two limits bound to 4 MiB.
pub fn intern(text: &str) -> Result<&'static str, Malformed> {
    let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    let texts = texts.get_or_insert_with(HashSet::new);
    if let Some(&known) = texts.get(text) {
        return Ok(known);
    }
    if texts.len() >= TEXTS_MAX || text.len() > TEXT_BYTES_MAX {
        return Err(Malformed("too many or too long names"));
    }
    let kept: &'static str = Box::leak(text.to_owned().into_boxed_str());
    texts.insert(kept);
    Ok(kept)
}
