//! Tensors that several ranks wrote in chunks: checked to be complete before they are read.

use std::sync::Arc;

use super::found::elements;
use super::input::Input;
use super::limits::CHUNKS_MAX;
use super::place::Place;
use super::view::{Piece, View, row_major};
use crate::terms::{Dtype, ProblemKind};

/// The chunks of one tensor.
pub struct Chunked {
    /// Element type of the first chunk.
    pub dtype: Dtype,
    shape: Option<Vec<u64>>,
    pieces: Vec<Piece>,
    other_dtype: Option<Dtype>,
}

/// What is wrong with the chunks.
type Fault = (ProblemKind, String);

impl Chunked {
    /// No chunk yet.
    pub fn new(dtype: Dtype, shape: Option<&[u64]>) -> Self {
        Self { dtype, shape: shape.map(<[u64]>::to_vec), pieces: Vec::new(), other_dtype: None }
    }

    /// Adds a chunk that lies inside its file.
    pub fn add(&mut self, dtype: Dtype, piece: Piece) {
        if dtype != self.dtype {
            self.other_dtype = Some(dtype);
        }
        if self.pieces.len() <= CHUNKS_MAX {
            self.pieces.push(piece);
        }
    }

    /// The file of the first chunk.
    pub fn file(&self) -> Option<&Arc<Input>> {
        self.pieces.first().map(|piece| &piece.input)
    }

    /// Elements of the whole tensor, as far as they are known.
    pub fn elements(&self) -> u64 {
        elements(&self.whole_shape()).unwrap_or(0)
    }

    /// The whole tensor, if the chunks cover it and do not overlap.
    pub fn assemble(mut self) -> Result<(Vec<u64>, Place), Fault> {
        let shape = self.whole_shape();
        let malformed = |detail: String| Err((ProblemKind::Malformed, detail));
        if let Some(other) = self.other_dtype {
            return malformed(format!("one chunk is {}, another one {other}", self.dtype));
        }
        if self.pieces.len() > CHUNKS_MAX {
            return Err((ProblemKind::Hostile, format!("lies in more than {CHUNKS_MAX} chunks")));
        }
        let Some(count) = elements(&shape) else {
            return Err((ProblemKind::Hostile, format!("shape {shape:?} overflows")));
        };
        let inside = |piece: &Piece| {
            [&piece.begin, &piece.size, &piece.strides].iter().all(|axes| axes.len() == shape.len())
                && (0..shape.len()).all(|axis| {
                    piece.begin[axis].checked_add(piece.size[axis]).is_some_and(|end| end <= shape[axis])
                })
        };
        if !self.pieces.iter().all(inside) {
            return malformed(format!("a chunk lies outside of the shape {shape:?}"));
        }
        // A replicated tensor may have been written by every rank.
        self.pieces.sort_by(|a, b| (&a.begin, &a.size).cmp(&(&b.begin, &b.size)));
        self.pieces.dedup_by(|a, b| a.begin == b.begin && a.size == b.size);
        let covered: u64 = self.pieces.iter().map(|piece| piece.size.iter().product::<u64>()).sum();
        if any_overlap(&self.pieces) {
            return Err((ProblemKind::Hostile, "its chunks overlap".into()));
        }
        if covered != count {
            let kind = ProblemKind::Missing;
            return Err((kind, format!("its chunks cover {covered} of {count} elements")));
        }
        let element_bytes = self.dtype.bytes() as u64;
        Ok((shape.clone(), place(element_bytes, shape, self.pieces)))
    }

    /// The shape that was told, or the least one that holds all chunks.
    fn whole_shape(&self) -> Vec<u64> {
        if let Some(shape) = &self.shape {
            return shape.clone();
        }
        let rank = self.pieces.first().map_or(0, |piece| piece.begin.len());
        let end = |piece: &Piece, axis: usize| {
            let begin = piece.begin.get(axis).copied().unwrap_or(0);
            begin.saturating_add(piece.size.get(axis).copied().unwrap_or(0))
        };
        (0..rank).map(|axis| self.pieces.iter().map(|piece| end(piece, axis)).max().unwrap_or(0)).collect()
    }
}

fn place(element_bytes: u64, shape: Vec<u64>, mut pieces: Vec<Piece>) -> Place {
    match pieces.as_slice() {
        [piece] if piece.strides == row_major(&shape) => {
            Place::Plain { input: Arc::clone(&piece.input), offset: piece.offset }
        }
        _ => {
            pieces.retain(|piece| !piece.size.contains(&0));
            Place::View(View { element_bytes, shape, pieces })
        }
    }
}

/// Sweeps along the dimension that tells the chunks apart best, so that chunks of rows and chunks of
/// columns are both compared with few others.
fn any_overlap(pieces: &[Piece]) -> bool {
    let rank = pieces.first().map_or(0, |piece| piece.begin.len());
    if rank == 0 {
        return pieces.len() > 1;
    }
    let distinct = |axis: usize| {
        let mut begins: Vec<u64> = pieces.iter().map(|piece| piece.begin[axis]).collect();
        begins.sort_unstable();
        begins.dedup();
        begins.len()
    };
    let axis = (0..rank).max_by_key(|&axis| distinct(axis)).unwrap_or(0);
    let mut order: Vec<&Piece> = pieces.iter().filter(|piece| !piece.size.contains(&0)).collect();
    order.sort_by_key(|piece| piece.begin[axis]);
    order.iter().enumerate().any(|(index, piece)| {
        let later = order[index + 1..].iter();
        let mut near = later.take_while(|later| later.begin[axis] < piece.begin[axis] + piece.size[axis]);
        near.any(|later| {
            (0..rank).all(|axis| {
                later.begin[axis] < piece.begin[axis] + piece.size[axis]
                    && piece.begin[axis] < later.begin[axis] + later.size[axis]
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The metadata tells where a chunk begins, the chunk itself how large it is: they may not agree on the dimensions.
    #[test]
    fn a_chunk_of_fewer_dimensions_lies_outside() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("f"), [1; 4]).unwrap();
        let input = Input::open(directory.path(), "f".as_ref(), true, &Default::default()).unwrap();
        let piece = |begin: &[u64], size: &[u64]| Piece {
            input: Arc::clone(&input),
            offset: 0,
            begin: begin.to_vec(),
            size: size.to_vec(),
            strides: row_major(size),
        };
        for shape in [Some(&[2, 2][..]), None] {
            for (begin, size) in [(&[0, 0][..], &[4][..]), (&[0, 0], &[2, 2, 1]), (&[0, 0], &[])] {
                let mut chunked = Chunked::new(Dtype::U8, shape);
                chunked.add(Dtype::U8, piece(begin, size));
                let Err((kind, detail)) = chunked.assemble() else { panic!("{shape:?} {size:?}") };
                assert_eq!(kind, ProblemKind::Malformed);
                assert!(detail.contains("outside of the shape"), "{detail}");
            }
            let mut chunked = Chunked::new(Dtype::U8, shape);
            chunked.add(Dtype::U8, piece(&[0, 0], &[2, 2]));
            assert!(chunked.assemble().is_ok());
        }
    }
}
