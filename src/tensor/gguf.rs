//! GGUF, the format of llama.cpp: keys, tensor descriptions, then data; plain or in quantised blocks,
//! which are unfolded to 32-bit floats while they are read.
//!
//! The crates for it read the whole file or map it; the header is a page of code.

mod blocks;
mod cursor;

use std::sync::Arc;

use blocks::Kind;
use cursor::{Cursor, Trouble};

use super::found::elements;
use super::limits::{GGUF_KEYS_MAX, RANK_MAX, TENSORS_MAX};
use super::place::Place;
use super::{Format, Found, Input};
use crate::terms::{Dtype, Problem, ProblemKind};

pub use blocks::Blocks;

/// The format.
pub struct Gguf;

const MAGIC: &[u8] = b"GGUF";
const SAVE_AGAIN: &str = "convert the model again; if it is still being written, wait for the writer";
const ALIGNMENT: u64 = 32;

impl Format for Gguf {
    fn name(&self) -> &'static str {
        "GGUF"
    }

    fn summary(&self) -> &'static str {
        "versions 2 and 3; F64, F32, F16, BF16, integers, and the blocks Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K \
         Q6_K IQ4_NL IQ4_XS unfolded to F32; other blocks are listed as skipped"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["gguf"]
    }

    fn sniff(&self, head: &[u8], _file: &Input) -> bool {
        head.starts_with(MAGIC)
    }

    fn collect(&self, file: &Arc<Input>, found: &mut Found) {
        match Header::read(file) {
            Ok(header) => header.tensors.into_iter().for_each(|tensor| add(file, header.data, tensor, found)),
            Err(problem) => found.problem(problem),
        }
    }

    fn check_lengths(&self, file: &Arc<Input>) -> Option<Problem> {
        match Header::read(file) {
            Ok(header) => header.tensors.iter().find_map(|tensor| {
                let mut problem = locate(file, header.data, tensor).err()?;
                problem.tensor = Some(super::found::tame(&tensor.name));
                Some(problem)
            }),
            Err(problem) => Some(problem),
        }
    }
}

struct Header {
    tensors: Vec<Tensor>,
    /// Byte at which the data begins.
    data: u64,
}

struct Tensor {
    name: String,
    /// Outermost first, unlike in the file.
    shape: Vec<u64>,
    kind: u32,
    /// Bytes from the beginning of the data.
    offset: u64,
    overlaps: bool,
}

impl Header {
    fn read(file: &Arc<Input>) -> Result<Self, Problem> {
        let mut cursor = Cursor::new(file);
        Self::parse(&mut cursor).map_err(|trouble| {
            let (kind, detail) = match trouble {
                Trouble::Ended => {
                    (ProblemKind::Truncated, format!("file ends at byte {}, inside the header", file.bytes()))
                }
                Trouble::Malformed(detail) => (ProblemKind::Malformed, format!("header: {detail}")),
                Trouble::Limit(detail) => (ProblemKind::Hostile, format!("header: {detail}")),
                Trouble::Disk(detail) => (ProblemKind::Unreadable, detail),
            };
            let mut problem = file.problem(kind, detail, SAVE_AGAIN);
            problem.offset = Some(cursor.position());
            problem
        })
    }

    fn parse(cursor: &mut Cursor) -> Result<Self, Trouble> {
        cursor.skip(MAGIC.len() as u64)?;
        match cursor.u32()? {
            2 | 3 => {}
            version if version.swap_bytes() == 2 || version.swap_bytes() == 3 => {
                return Err(Trouble::Malformed("was written with the big end first".into()));
            }
            version => return Err(Trouble::Malformed(format!("version {version} is not read"))),
        }
        let (tensors, keys) = (cursor.u64()?, cursor.u64()?);
        if tensors > TENSORS_MAX as u64 || keys > GGUF_KEYS_MAX {
            return Err(Trouble::Limit(format!("names {tensors} tensors and {keys} keys")));
        }
        let mut alignment = ALIGNMENT;
        for _ in 0..keys {
            let key = cursor.text()?;
            let kind = cursor.u32()?;
            if key == "general.alignment" && kind == cursor::U32 {
                alignment = u64::from(cursor.u32()?);
                continue;
            }
            cursor.skip_value(kind)?;
        }
        if !alignment.is_power_of_two() || alignment > 1 << 20 {
            return Err(Trouble::Malformed(format!("alignment {alignment} is none")));
        }
        let mut header = Self { tensors: Vec::new(), data: 0 };
        for _ in 0..tensors {
            header.tensors.push(tensor(cursor)?);
        }
        header.data = cursor.position().next_multiple_of(alignment);
        mark_overlaps(&mut header.tensors);
        Ok(header)
    }
}

fn tensor(cursor: &mut Cursor) -> Result<Tensor, Trouble> {
    let name = cursor.text()?;
    let rank = cursor.u32()?;
    if rank as usize > RANK_MAX {
        return Err(Trouble::Limit(format!("a tensor of {rank} dimensions")));
    }
    let shape = (0..rank).map(|_| cursor.u64()).collect::<Result<Vec<_>, _>>()?;
    let shape = shape.into_iter().rev().collect();
    Ok(Tensor { name, shape, kind: cursor.u32()?, offset: cursor.u64()?, overlaps: false })
}

fn mark_overlaps(tensors: &mut [Tensor]) {
    let mut order: Vec<usize> = (0..tensors.len()).collect();
    order.sort_by_key(|&index| tensors[index].offset);
    let mut reached = 0;
    for index in order {
        let tensor = &mut tensors[index];
        let bytes = size(&tensor.shape, tensor.kind).map_or(0, |(_, bytes)| bytes);
        tensor.overlaps = tensor.offset < reached && bytes > 0;
        reached = reached.max(tensor.offset.saturating_add(bytes));
    }
}

/// What a tensor's kind is, and its bytes; none where the kind is not known or the size overflows.
fn size(shape: &[u64], kind: u32) -> Option<(Stored, u64)> {
    let count = elements(shape)?;
    if let Some(dtype) = dtype(kind) {
        return Some((Stored::Plain(dtype), count * dtype.bytes() as u64));
    }
    let block = Kind::of(kind)?;
    let whole = shape.last().is_some_and(|row| row.is_multiple_of(block.elements as u64));
    whole.then(|| (Stored::Blocks(block), count / block.elements as u64 * block.bytes as u64))
}

enum Stored {
    Plain(Dtype),
    Blocks(&'static Kind),
}

fn dtype(kind: u32) -> Option<Dtype> {
    Some(match kind {
        0 => Dtype::F32,
        1 => Dtype::F16,
        24 => Dtype::I8,
        25 => Dtype::I16,
        26 => Dtype::I32,
        27 => Dtype::I64,
        28 => Dtype::F64,
        30 => Dtype::BF16,
        _ => return None,
    })
}

fn locate(file: &Input, data: u64, tensor: &Tensor) -> Result<Option<(Stored, u64)>, Problem> {
    let fault = |kind, detail: String| {
        let mut problem = file.problem(kind, detail, SAVE_AGAIN);
        problem.offset = Some(data.saturating_add(tensor.offset));
        problem
    };
    if elements(&tensor.shape).is_none() {
        return Err(fault(ProblemKind::Hostile, format!("shape {:?} overflows", tensor.shape)));
    }
    let Some((stored, bytes)) = size(&tensor.shape, tensor.kind) else {
        return match Kind::of(tensor.kind) {
            Some(kind) => {
                let detail = format!("rows of {:?} are not whole blocks of {}", tensor.shape, kind.elements);
                Err(fault(ProblemKind::Malformed, detail))
            }
            None => Ok(None),
        };
    };
    let begin = data.checked_add(tensor.offset);
    let Some((begin, end)) = begin.and_then(|begin| Some((begin, begin.checked_add(bytes)?))) else {
        return Err(fault(
            ProblemKind::Hostile,
            format!("data begins at {}, which overflows", tensor.offset),
        ));
    };
    if end > file.bytes() {
        let detail = format!("data ends at byte {}, header says {end}", file.bytes());
        return Err(fault(ProblemKind::Truncated, detail));
    }
    if tensor.overlaps {
        return Err(fault(ProblemKind::Hostile, "its data lies inside another tensor's".into()));
    }
    Ok(Some((stored, begin)))
}

fn add(file: &Arc<Input>, data: u64, tensor: Tensor, found: &mut Found) {
    let count = elements(&tensor.shape).unwrap_or(0);
    match locate(file, data, &tensor) {
        Ok(Some((Stored::Plain(dtype), offset))) => {
            let place = Place::Plain { input: Arc::clone(file), offset };
            found.add(file, &tensor.name, dtype, tensor.shape, place);
        }
        Ok(Some((Stored::Blocks(kind), offset))) => {
            let place = Place::Blocks(Blocks { input: Arc::clone(file), offset, kind });
            found.add(file, &tensor.name, Dtype::F32, tensor.shape, place);
        }
        Ok(None) => found.skip(&tensor.name, count, format!("blocks of kind {} are not read", tensor.kind)),
        Err(problem) => found.refuse(&tensor.name, count, problem),
    }
}
