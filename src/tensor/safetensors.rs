//! safetensors: eight bytes with the header's length, a JSON header, then all data in one piece.
//!
//! The header is read by our own visitor and not by the `safetensors` crate, because that refuses a
//! file as a whole: one unknown dtype, one missing byte, and nothing could be weighed. Dtypes and their
//! widths are the crate's.

mod json;

use std::collections::HashMap;
use std::sync::Arc;

use json::Entry;
use safetensors::Dtype as FileDtype;

use super::found::elements;
use super::limits::{HEADER_BYTES_MAX, RANK_MAX, TENSORS_MAX};
use super::place::Place;
use super::view::{Piece, row_major};
use super::{Format, Found, Input};
use crate::terms::{Dtype, Problem, ProblemKind};

const SAVE_AGAIN: &str = "save the checkpoint again; if it is still being written, wait for the trainer";

/// The format.
pub struct Safetensors;

impl Format for Safetensors {
    fn name(&self) -> &'static str {
        "safetensors"
    }

    fn summary(&self) -> &'static str {
        "one file or several shards, torch's distributed ones too; all byte-sized dtypes, sub-byte and complex ones are \
         listed as skipped"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["safetensors"]
    }

    fn sniff(&self, head: &[u8], _file: &Input) -> bool {
        // The reference refuses a header that does not begin with a brace, too.
        head.len() > LENGTH_BYTES && head[LENGTH_BYTES] == b'{' && header_length(head) <= HEADER_BYTES_MAX
    }

    fn collect(&self, file: &Arc<Input>, found: &mut Found) {
        match Header::read(file) {
            Ok(header) => {
                for (name, elements, problem) in header.bad {
                    found.refuse(&name, elements, problem);
                }
                for (name, elements, reason) in header.skipped {
                    found.skip(&name, elements, reason);
                }
                for tensor in header.tensors {
                    if let Some(begin) = header.shards.get(&tensor.name) {
                        add_shard(file, tensor, begin, found);
                        continue;
                    }
                    let place = Place::Plain { input: Arc::clone(file), offset: tensor.begin };
                    found.add(file, &tensor.name, tensor.dtype, tensor.shape, place);
                }
                header.problems.into_iter().for_each(|problem| found.problem(problem));
            }
            Err(problem) => found.problem(problem),
        }
    }

    fn check_lengths(&self, file: &Arc<Input>) -> Option<Problem> {
        match Header::read(file) {
            Ok(header) => {
                let first_bad = header.bad.into_iter().map(|(name, _, mut problem)| {
                    problem.tensor = Some(super::found::tame(&name));
                    problem
                });
                header.problems.into_iter().chain(first_bad).next()
            }
            Err(problem) => Some(problem),
        }
    }
}

/// torch's distributed checkpoints can lie in safetensors files, each with its ranks' shards.
fn add_shard(file: &Arc<Input>, tensor: Tensor, begin: &[u64], found: &mut Found) {
    if begin.len() != tensor.shape.len() {
        let detail =
            format!("its shard begins at {begin:?}, which does not fit its shape {:?}", tensor.shape);
        let count = elements(&tensor.shape).unwrap_or(0);
        return found.refuse(&tensor.name, count, file.problem(ProblemKind::Malformed, detail, SAVE_AGAIN));
    }
    let piece = Piece {
        input: Arc::clone(file),
        offset: tensor.begin,
        begin: begin.to_vec(),
        strides: row_major(&tensor.shape),
        size: tensor.shape,
    };
    found.add_chunk(&tensor.name, tensor.dtype, None, piece);
}

const LENGTH_BYTES: usize = 8;

fn header_length(head: &[u8]) -> u64 {
    head.first_chunk().map_or(u64::MAX, |bytes| u64::from_le_bytes(*bytes))
}

/// A header that was checked: every tensor in `tensors` lies inside the file and overlaps no other.
struct Header {
    tensors: Vec<Tensor>,
    skipped: Vec<(String, u64, String)>,
    bad: Vec<(String, u64, Problem)>,
    problems: Vec<Problem>,
    /// First index of each tensor that is a shard of a larger one.
    shards: HashMap<String, Vec<u64>>,
}

struct Tensor {
    name: String,
    dtype: Dtype,
    shape: Vec<u64>,
    /// Byte in the file.
    begin: u64,
}

impl Header {
    fn read(file: &Input) -> Result<Self, Problem> {
        let head = file.read_vec(0, LENGTH_BYTES as u64)?;
        if head.len() < LENGTH_BYTES {
            let detail = format!("file ends at byte {}, inside the header's length", file.bytes());
            return Err(file.problem(ProblemKind::Truncated, detail, SAVE_AGAIN));
        }
        let length = header_length(&head);
        if length > HEADER_BYTES_MAX {
            let detail = format!("header length {length} passes the limit of {HEADER_BYTES_MAX} bytes");
            return Err(file.problem(
                ProblemKind::Hostile,
                detail,
                "this is not a safetensors file, or it was damaged",
            ));
        }
        let data_begin = LENGTH_BYTES as u64 + length;
        if data_begin > file.bytes() {
            let detail = format!(
                "file ends at byte {}, inside the header that reaches to byte {data_begin}",
                file.bytes()
            );
            return Err(file.problem(ProblemKind::Truncated, detail, SAVE_AGAIN));
        }
        let json = file.read_vec(LENGTH_BYTES as u64, length)?;
        let entries = json::parse(&json).map_err(|error| {
            let mut problem = file.problem(ProblemKind::Malformed, format!("header: {error}"), SAVE_AGAIN);
            problem.offset = Some(LENGTH_BYTES as u64 + json::position(&json, &error));
            problem
        })?;
        if entries.too_many {
            let detail = format!("header names more than {TENSORS_MAX} tensors");
            return Err(file.problem(ProblemKind::Hostile, detail, "check what wrote this file"));
        }
        let shards = json::shards(&entries.metadata);
        Ok(Self::check(file, data_begin, entries.tensors, shards))
    }

    fn check(
        file: &Input,
        data_begin: u64,
        mut entries: Vec<Entry>,
        shards: HashMap<String, Vec<u64>>,
    ) -> Self {
        let mut header =
            Self { tensors: Vec::new(), skipped: Vec::new(), bad: Vec::new(), problems: Vec::new(), shards };
        entries.sort_by_key(|entry| (entry.begin, entry.end));
        let mut reached = data_begin;
        let mut cut = 0;
        for entry in entries {
            let count = elements(&entry.shape).unwrap_or(0);
            match check_entry(file, data_begin, reached, &entry) {
                Ok(_) if data_begin + entry.end > file.bytes() => {
                    cut += 1;
                    reached = data_begin + entry.end;
                    header.bad.push((entry.name.clone(), count, cut_short(file, data_begin, &entry)));
                }
                Ok(gap) => {
                    if gap {
                        header.problems.push(hole(file, reached, data_begin + entry.begin));
                    }
                    reached = data_begin + entry.end;
                    header.keep(entry, count, data_begin);
                }
                Err(problem) => {
                    // A bad entry still covers its bytes, lest they be told as a hole as well.
                    let end = data_begin.saturating_add(entry.end);
                    if entry.begin <= entry.end && end <= file.bytes() {
                        reached = reached.max(end);
                    }
                    header.bad.push((entry.name, count, problem));
                }
            }
        }
        if cut == 0 && reached < file.bytes() {
            let detail = format!("file ends at byte {}, header says {reached}", file.bytes());
            let mut problem = file.problem(ProblemKind::Truncated, detail, SAVE_AGAIN);
            problem.offset = Some(reached);
            header.problems.push(problem);
        }
        header
    }

    fn keep(&mut self, entry: Entry, count: u64, data_begin: u64) {
        match Dtype::from_name(&entry.dtype) {
            Some(dtype) => {
                let begin = data_begin + entry.begin;
                self.tensors.push(Tensor { name: entry.name, dtype, shape: entry.shape, begin });
            }
            None => {
                let reason = format!("dtype {} cannot be weighed", super::found::tame(&entry.dtype));
                self.skipped.push((entry.name, count, reason));
            }
        }
    }
}

/// Checks an entry by itself and against the end of the one before it. True: there is a hole between.
fn check_entry(file: &Input, data_begin: u64, reached: u64, entry: &Entry) -> Result<bool, Problem> {
    let malformed = |detail: String| {
        let mut problem = file.problem(ProblemKind::Malformed, detail, SAVE_AGAIN);
        problem.offset = Some(data_begin.saturating_add(entry.begin));
        problem
    };
    let hostile = |detail: String| Problem { kind: ProblemKind::Hostile, ..malformed(detail) };
    if entry.twice {
        return Err(malformed("the name is there twice in the header; the first one was taken".into()));
    }
    if entry.rank_passed {
        return Err(hostile(format!("more than {RANK_MAX} dimensions")));
    }
    let Some(count) = elements(&entry.shape) else {
        return Err(hostile(format!("shape {:?} overflows", entry.shape)));
    };
    if entry.begin > entry.end || data_begin.checked_add(entry.end).is_none() {
        return Err(hostile(format!("data range {}..{} is not a range", entry.begin, entry.end)));
    }
    if let Some(bits) = bits(&entry.dtype) {
        // count is at most 2^46 and bits at most 64: no overflow.
        let bytes = (count * bits).div_ceil(8);
        if bytes != entry.end - entry.begin {
            let told = entry.end - entry.begin;
            return Err(malformed(format!("shape and dtype need {bytes} bytes, header gives {told}")));
        }
    }
    let begin = data_begin + entry.begin;
    if begin < reached {
        return Err(hostile(format!(
            "data begins at byte {begin}, inside another tensor that reaches to byte {reached}"
        )));
    }
    Ok(begin > reached)
}

fn cut_short(file: &Input, data_begin: u64, entry: &Entry) -> Problem {
    let detail = format!("data ends at byte {}, header says {}", file.bytes(), data_begin + entry.end);
    let mut problem = file.problem(ProblemKind::Truncated, detail, SAVE_AGAIN);
    problem.offset = Some(data_begin + entry.begin);
    problem
}

fn hole(file: &Input, begin: u64, end: u64) -> Problem {
    let detail = format!("bytes {begin} to {end} belong to no tensor");
    let mut problem = file.problem(ProblemKind::Malformed, detail, SAVE_AGAIN);
    problem.offset = Some(begin);
    problem
}

/// Bits of one element, where the dtype is one that the format has.
fn bits(dtype: &str) -> Option<u64> {
    let quoted = serde_json::Value::String(dtype.to_owned());
    serde_json::from_value::<FileDtype>(quoted).ok().map(|dtype| dtype.bitsize() as u64)
}
