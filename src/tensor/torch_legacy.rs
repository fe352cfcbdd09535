//! torch's format before 1.6: five pickles one after the other, then the storages, each with its length.

use std::collections::HashMap;
use std::sync::Arc;

use super::archive::Entry;
use super::limits::PICKLE_BYTES_MAX;
use super::pickle::{self, Failure, Node, Pickle, PickleError};
use super::{Format, Found, Input, torch};
use crate::terms::{Problem, ProblemKind};

/// The format.
pub struct TorchLegacy;

/// The file begins with a pickle of the number 0x1950a86a20f9469cfc6c.
const MAGIC: &[u8] = &[0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, b'.'];
/// Bytes that are read first; most headers are shorter.
const FIRST_READ_BYTES: u64 = 256 << 10;
const SAVE_AGAIN: &str = "save the checkpoint again; if it is still being written, wait for the trainer";

impl Format for TorchLegacy {
    fn name(&self) -> &'static str {
        "torch legacy"
    }

    fn summary(&self) -> &'static str {
        "files of torch before 1.6 or of `_use_new_zipfile_serialization=False`; otherwise as torch zip"
    }

    fn endings(&self) -> &'static [&'static str] {
        &[]
    }

    fn sniff(&self, head: &[u8], _file: &Input) -> bool {
        head.first() == Some(&0x80) && head.get(2..).is_some_and(|rest| rest.starts_with(MAGIC))
    }

    fn collect(&self, file: &Arc<Input>, found: &mut Found) {
        match read(file) {
            Ok(legacy) => {
                torch::accuse(file, &legacy.pickle, legacy.begin, found);
                legacy.problems.into_iter().for_each(|problem| found.problem(problem));
                let storages = |key: &str| legacy.storages.get(key).copied();
                torch::add_tensors(file, &legacy.pickle, &storages, &|_| false, found);
            }
            Err(problem) => found.problem(problem),
        }
    }

    fn check_lengths(&self, file: &Arc<Input>) -> Option<Problem> {
        match read(file) {
            Ok(mut legacy) => legacy.problems.pop(),
            Err(problem) => Some(problem),
        }
    }
}

struct Legacy {
    pickle: Pickle,
    /// Byte at which the pickle with the tensors begins.
    begin: u64,
    storages: HashMap<String, Entry>,
    problems: Vec<Problem>,
}

fn read(file: &Arc<Input>) -> Result<Legacy, Problem> {
    let (mut pickles, begins) = pickles(file)?;
    let (end, Some(keys), Some(pickle)) = (begins[5], pickles.pop(), pickles.pop()) else {
        return Err(file.problem(ProblemKind::Malformed, "its pickles are not those of torch", SAVE_AGAIN));
    };
    let little =
        pickles.get(2).and_then(|system| system.get(system.root, "little_endian").map(|id| system.int(id)));
    if little == Some(Some(0)) {
        let detail = "was written on a machine that puts the big end first";
        return Err(file.problem(ProblemKind::Malformed, detail, "save it again on a little-endian machine"));
    }
    let mut legacy = Legacy { storages: HashMap::new(), problems: Vec::new(), begin: begins[3], pickle };
    let widths = widths(&legacy.pickle);
    let mut position = end;
    for &key in keys.sequence(keys.root).unwrap_or(&[]) {
        let Some((key, &width)) = keys.text(key).and_then(|key| widths.get_key_value(key)) else {
            let detail = "names a storage that no tensor uses: where the next one begins is not known";
            legacy.problems.push(file.problem(ProblemKind::Malformed, detail, SAVE_AGAIN));
            break;
        };
        match storage(file, position, width) {
            Ok(entry) => {
                position = entry.offset + entry.packed;
                legacy.storages.insert(key.clone(), entry);
            }
            Err(problem) => {
                legacy.problems.push(problem);
                break;
            }
        }
    }
    Ok(legacy)
}

/// A storage is its number of elements, in eight bytes, and then their bytes.
fn storage(file: &Input, position: u64, width: u64) -> Result<Entry, Problem> {
    let fault = |kind, detail: String| {
        let mut problem = file.problem(kind, detail, SAVE_AGAIN);
        problem.offset = Some(position);
        problem
    };
    let head = file.read_vec(position, 8)?;
    let Some(count) = head.first_chunk().map(|count| u64::from_le_bytes(*count)) else {
        return Err(fault(
            ProblemKind::Truncated,
            format!("file ends at byte {}, before a storage", file.bytes()),
        ));
    };
    let offset = position + 8;
    let end = count.checked_mul(width).and_then(|bytes| offset.checked_add(bytes));
    match end {
        None => {
            Err(fault(ProblemKind::Hostile, format!("a storage claims {count} elements of {width} bytes")))
        }
        Some(end) if end > file.bytes() => {
            let detail = format!("data of a storage ends at byte {}, its length says {end}", file.bytes());
            Err(fault(ProblemKind::Truncated, detail))
        }
        Some(end) => Ok(Entry { offset, packed: end - offset, bytes: end - offset, stored: true }),
    }
}

/// Bytes of one element of each storage that a tensor uses.
fn widths(pickle: &Pickle) -> HashMap<String, u64> {
    let mut widths = HashMap::new();
    for (id, node) in pickle.nodes().iter().enumerate() {
        if let (Node::Persistent(_), Some((kind, key, _))) =
            (node, torch::storage_of(pickle, id as pickle::Id))
        {
            let width = match kind {
                "UntypedStorage" => Some(1),
                "ComplexFloatStorage" => Some(8),
                "ComplexDoubleStorage" => Some(16),
                "QInt8Storage" | "QUInt8Storage" | "QUInt4x2Storage" | "QUInt2x4Storage" => Some(1),
                "QInt32Storage" => Some(4),
                _ => torch::dtype_of(kind).map(|dtype| dtype.bytes() as u64),
            };
            if let Some(width) = width {
                widths.insert(key.to_owned(), width);
            }
        }
    }
    widths
}

/// The five pickles (mark, version, system, tensors, storage keys) and where each one begins and the
/// last one ends.
fn pickles(file: &Input) -> Result<(Vec<Pickle>, [u64; 6]), Problem> {
    let mut window = FIRST_READ_BYTES;
    loop {
        let content = file.read_vec(0, window)?;
        match pickles_in(&content) {
            Err(Failure { error: PickleError::Ended, .. })
                if window < file.bytes() && window < PICKLE_BYTES_MAX =>
            {
                window = (window * 8).min(PICKLE_BYTES_MAX);
            }
            Err(mut failure) => {
                if failure.error == PickleError::Ended && window < file.bytes() {
                    failure.error = PickleError::Limit("it is too long");
                }
                return Err(torch::pickle_problem(file, 0, failure));
            }
            Ok(pickles) => return Ok(pickles),
        }
    }
}

fn pickles_in(content: &[u8]) -> Result<(Vec<Pickle>, [u64; 6]), Failure> {
    let (mut pickles, mut begins) = (Vec::new(), [0; 6]);
    for index in 0..5 {
        let begin = begins[index];
        let pickle = pickle::parse(&content[begin as usize..])
            .map_err(|failure| Failure { offset: begin + failure.offset, ..failure })?;
        begins[index + 1] = begin + pickle.bytes;
        pickles.push(pickle);
    }
    Ok((pickles, begins))
}
