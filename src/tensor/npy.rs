//! numpy's arrays: a short text header, then the elements in one piece, by rows or by columns.
//!
//! `npyz` reads the header too, but also wants to read the elements, one by one; the header is three
//! words in Python's notation.

use std::sync::Arc;

use super::found::{elements, tame};
use super::limits::{ARRAY_HEADER_BYTES_MAX, RANK_MAX};
use super::place::Place;
use super::view::{Piece, View};
use super::{Format, Found, Input};
use crate::terms::{Dtype, Problem, ProblemKind};

/// The format.
pub struct Npy;

const MAGIC: &[u8] = b"\x93NUMPY";
const SAVE_AGAIN: &str = "save the array again; if it is still being written, wait for the writer";

impl Format for Npy {
    fn name(&self) -> &'static str {
        "npy"
    }

    fn summary(&self) -> &'static str {
        "one array a file, by rows or columns, named as the file; big-endian, object and structured arrays are \
         listed as skipped"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["npy"]
    }

    fn sniff(&self, head: &[u8], _file: &Input) -> bool {
        head.starts_with(MAGIC)
    }

    fn collect(&self, file: &Arc<Input>, found: &mut Found) {
        let name = file.path().file_stem().map_or(String::new(), |stem| stem.to_string_lossy().into_owned());
        match header(file) {
            Ok(header) => {
                let count = elements(&header.shape).unwrap_or(0);
                match header.check(file.bytes()) {
                    Ok(Checked::Skip(reason)) => found.skip(&name, count, reason),
                    Ok(Checked::Array { dtype, .. }) => {
                        let plain = || Place::Plain { input: Arc::clone(file), offset: header.data };
                        let place = header.by_columns(file, header.data, dtype).unwrap_or_else(plain);
                        found.add(file, &name, dtype, header.shape, place);
                    }
                    Err((kind, detail)) => found.refuse(&name, count, file.problem(kind, detail, SAVE_AGAIN)),
                }
            }
            Err(problem) => found.problem(problem),
        }
    }

    fn check_lengths(&self, file: &Arc<Input>) -> Option<Problem> {
        match header(file) {
            Ok(header) => {
                let fault = header.check(file.bytes()).err();
                fault.map(|(kind, detail)| file.problem(kind, detail, SAVE_AGAIN))
            }
            Err(problem) => Some(problem),
        }
    }
}

fn header(file: &Input) -> Result<Header, Problem> {
    let head = file.read_vec(0, ARRAY_HEADER_BYTES_MAX)?;
    Header::parse(&head).map_err(|(kind, detail)| file.problem(kind, detail, SAVE_AGAIN))
}

/// What is wrong with a header.
pub type Fault = (ProblemKind, String);

/// The text header.
pub struct Header {
    descr: Option<String>,
    by_columns: bool,
    /// Dimensions.
    pub shape: Vec<u64>,
    /// Byte at which the elements begin.
    pub data: u64,
}

/// A header whose array lies inside its file.
pub enum Checked {
    /// To be weighed.
    Array {
        /// Element type.
        dtype: Dtype,
        /// Bytes of all elements.
        bytes: u64,
    },
    /// Not to be weighed, and why.
    Skip(String),
}

impl Header {
    /// Reads the header at the front of `bytes`, which may end before the elements do.
    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        let ended =
            || (ProblemKind::Truncated, format!("file ends at byte {}, inside the header", bytes.len()));
        let malformed = |detail: &str| (ProblemKind::Malformed, format!("header: {detail}"));
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| malformed("no mark of a numpy array"))?;
        let (length_bytes, length) = match rest {
            [1, _, a, b, ..] => (2, u64::from(u16::from_le_bytes([*a, *b]))),
            [2 | 3, _, a, b, c, d, ..] => (4, u64::from(u32::from_le_bytes([*a, *b, *c, *d]))),
            [1..=3, ..] | [] => return Err(ended()),
            _ => return Err(malformed("a version that is not known")),
        };
        let begin = MAGIC.len() as u64 + 2 + length_bytes;
        let data = begin + length;
        if data > ARRAY_HEADER_BYTES_MAX {
            return Err((ProblemKind::Hostile, format!("header of {length} bytes passes the limit")));
        }
        let text = bytes.get(begin as usize..data as usize).ok_or_else(ended)?;
        let text = std::str::from_utf8(text).map_err(|_| malformed("it is not text"))?;
        let mut header =
            Words { left: text }.header().ok_or_else(|| malformed("not the three words of an array"))?;
        header.data = data;
        Ok(header)
    }

    /// Checks that the elements lie before byte `end`.
    pub fn check(&self, end: u64) -> Result<Checked, Fault> {
        let Some(count) = elements(&self.shape).filter(|_| self.shape.len() <= RANK_MAX) else {
            return Err((ProblemKind::Hostile, format!("shape {:?} overflows", self.shape)));
        };
        let Some(descr) = &self.descr else {
            return Ok(Checked::Skip("structured arrays are not read".into()));
        };
        let Some(dtype) = dtype(descr) else {
            let reason = match descr.as_str() {
                "|O" => "objects are never loaded: they would run code".to_owned(),
                _ => format!("dtype {} cannot be weighed", tame(descr)),
            };
            return Ok(Checked::Skip(reason));
        };
        let bytes = count * dtype.bytes() as u64;
        match self.data + bytes {
            told if told > end => {
                Err((ProblemKind::Truncated, format!("data ends at byte {end}, header says {told}")))
            }
            _ => Ok(Checked::Array { dtype, bytes }),
        }
    }

    /// The place of an array by columns; none where rows and columns make no difference.
    pub fn by_columns(&self, file: &Arc<Input>, data: u64, dtype: Dtype) -> Option<Place> {
        if !self.is_by_columns() {
            return None;
        }
        let mut stride = 1;
        let mut strides = Vec::with_capacity(self.shape.len());
        for &size in &self.shape {
            strides.push(stride);
            stride *= size;
        }
        let begin = vec![0; self.shape.len()];
        let piece = Piece { input: Arc::clone(file), offset: data, begin, size: self.shape.clone(), strides };
        Some(Place::View(View {
            element_bytes: dtype.bytes() as u64,
            shape: self.shape.clone(),
            pieces: vec![piece],
        }))
    }

    /// True where the order in the file is not the one in which arrays are delivered.
    pub fn is_by_columns(&self) -> bool {
        self.by_columns
            && self.shape.iter().filter(|&&size| size != 1).count() > 1
            && !self.shape.contains(&0)
    }
}

fn dtype(descr: &str) -> Option<Dtype> {
    Some(match descr {
        "|b1" => Dtype::BOOL,
        "|u1" => Dtype::U8,
        "|i1" => Dtype::I8,
        "<u2" => Dtype::U16,
        "<i2" => Dtype::I16,
        "<f2" => Dtype::F16,
        "<u4" => Dtype::U32,
        "<i4" => Dtype::I32,
        "<f4" => Dtype::F32,
        "<u8" => Dtype::U64,
        "<i8" => Dtype::I64,
        "<f8" => Dtype::F64,
        _ => return None,
    })
}

/// The header's text, word by word. It is a Python dictionary; only what numpy itself writes is
/// understood.
struct Words<'a> {
    left: &'a str,
}

impl<'a> Words<'a> {
    fn header(&mut self) -> Option<Header> {
        let (mut descr, mut by_columns, mut shape) = (None, None, None);
        self.expect("{")?;
        while !self.accept("}") {
            let key = self.quoted()?;
            self.expect(":")?;
            match key {
                "descr" if self.next()? == '[' => descr = Some(self.bracketed().map(|()| None)?),
                "descr" => descr = Some(Some(self.quoted()?.to_owned())),
                "fortran_order" => by_columns = Some(self.boolean()?),
                "shape" => shape = Some(self.sizes()?),
                _ => return None,
            }
            self.accept(",");
        }
        self.left.trim().is_empty().then_some(())?;
        Some(Header { descr: descr?, by_columns: by_columns?, shape: shape?, data: 0 })
    }

    fn next(&self) -> Option<char> {
        self.left.trim_start().chars().next()
    }

    fn accept(&mut self, word: &str) -> bool {
        let rest = self.left.trim_start().strip_prefix(word);
        self.left = rest.unwrap_or(self.left);
        rest.is_some()
    }

    fn expect(&mut self, word: &str) -> Option<()> {
        self.accept(word).then_some(())
    }

    fn quoted(&mut self) -> Option<&'a str> {
        self.expect("'")?;
        let (word, rest) = self.left.split_once('\'')?;
        self.left = rest;
        Some(word)
    }

    fn boolean(&mut self) -> Option<bool> {
        if self.accept("True") { Some(true) } else { self.expect("False").map(|()| false) }
    }

    fn sizes(&mut self) -> Option<Vec<u64>> {
        let mut sizes = Vec::new();
        self.expect("(")?;
        while !self.accept(")") {
            let digits = self.left.trim_start();
            let end = digits.find(|character: char| !character.is_ascii_digit())?;
            sizes.push(digits[..end].parse().ok()?);
            self.left = &digits[end..];
            self.accept("L");
            self.accept(",");
            if sizes.len() > RANK_MAX {
                return None;
            }
        }
        Some(sizes)
    }

    /// Past the fields of a structured array.
    fn bracketed(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        for (at, character) in self.left.char_indices() {
            match character {
                '[' => depth += 1,
                ']' if depth == 1 => {
                    self.left = &self.left[at + 1..];
                    return Some(());
                }
                ']' => depth = depth.checked_sub(1)?,
                _ => {}
            }
        }
        None
    }
}
