//! Tensors that do not lie in one piece: strided views of a storage, and chunks from several files.
//!
//! Both are the same thing: boxes of the tensor, each with the byte of its first element and its
//! strides. A block of the row-major order is cut into boxes, each of these is intersected with the
//! tensor's pieces, and what is left is read in the longest runs that source and target share.

use std::sync::Arc;

use super::input::Input;
use crate::terms::SourceError;

mod copy;

use copy::Copier;

/// A box of a tensor and where its elements lie.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The file.
    pub input: Arc<Input>,
    /// Byte in the file of the box's first element.
    pub offset: u64,
    /// First index of the box in each dimension of the tensor.
    pub begin: Vec<u64>,
    /// Size of the box in each dimension.
    pub size: Vec<u64>,
    /// Elements from one index to the next in each dimension, in the file.
    pub strides: Vec<u64>,
}

/// A tensor put together from pieces that cover it and do not overlap.
#[derive(Clone, Debug)]
pub struct View {
    /// Bytes of one element.
    pub element_bytes: u64,
    /// The tensor's dimensions.
    pub shape: Vec<u64>,
    /// The pieces.
    pub pieces: Vec<Piece>,
}

/// Strides of row-major order, in elements.
pub fn row_major(shape: &[u64]) -> Vec<u64> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis].max(1);
    }
    strides
}

impl View {
    /// Fills `buffer`, a whole number of elements, from element `first` on.
    pub fn read(&self, first: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        let count = buffer.len() as u64 / self.element_bytes;
        if count == 0 {
            return Ok(());
        }
        let strides = row_major(&self.shape);
        let mut boxes = Vec::new();
        cut_into_boxes(&self.shape, &strides, first, first + count, &mut Vec::new(), &mut boxes);
        let mut scratch = Vec::new();
        for piece in &self.pieces {
            let mut copier = Copier::new(piece, self.element_bytes, buffer, scratch);
            for region in &boxes {
                if let Some(overlap) = overlap(piece, region, &strides, first) {
                    copier.copy(overlap)?;
                }
            }
            scratch = copier.into_scratch();
        }
        Ok(())
    }
}

/// First index and size in each dimension.
type Region = (Vec<u64>, Vec<u64>);

/// Cuts the elements `first..end` of row-major order, counted from `fixed`, into boxes: at most two a
/// dimension and one.
fn cut_into_boxes(
    shape: &[u64],
    strides: &[u64],
    first: u64,
    end: u64,
    fixed: &mut Vec<u64>,
    boxes: &mut Vec<Region>,
) {
    let axis = fixed.len();
    let Some(&stride) = strides.get(axis) else {
        boxes.push((fixed.clone(), vec![1; axis]));
        return;
    };
    let (mut row, ahead) = (first / stride, first % stride);
    let (last, behind) = (end / stride, end % stride);
    let mut partial = |row: u64, from: u64, to: u64, boxes: &mut Vec<Region>| {
        fixed.push(row);
        cut_into_boxes(shape, strides, from, to, fixed, boxes);
        fixed.pop();
    };
    if row == last {
        return partial(row, ahead, behind, boxes);
    }
    if ahead > 0 {
        partial(row, ahead, stride, boxes);
        row += 1;
    }
    if behind > 0 {
        partial(last, 0, behind, boxes);
    }
    if row < last {
        let mut begin = fixed.clone();
        begin.push(row);
        begin.resize(shape.len(), 0);
        let mut size = vec![1; axis];
        size.push(last - row);
        size.extend_from_slice(&shape[axis + 1..]);
        boxes.push((begin, size));
    }
}

/// One dimension of a copy, in elements.
#[derive(Clone, Copy, Debug)]
struct Axis {
    size: u64,
    /// From one index to the next in the file.
    from: u64,
    /// From one index to the next in the buffer.
    to: u64,
}

impl Axis {
    /// True where the elements follow each other on both sides.
    fn is_dense(self) -> bool {
        self.from == 1 && self.to == 1
    }
}

/// What a piece has of a box, with as few dimensions as possible, outermost first.
struct Overlap {
    /// First element, counted from the piece's first.
    from: u64,
    /// First element in the buffer.
    to: u64,
    axes: Vec<Axis>,
}

fn overlap(piece: &Piece, (begin, size): &Region, strides: &[u64], first: u64) -> Option<Overlap> {
    let mut overlap = Overlap { from: 0, to: 0, axes: Vec::with_capacity(begin.len()) };
    for axis in 0..begin.len() {
        let low = begin[axis].max(piece.begin[axis]);
        let high = (begin[axis] + size[axis]).min(piece.begin[axis] + piece.size[axis]);
        if low >= high {
            return None;
        }
        overlap.from += (low - piece.begin[axis]) * piece.strides[axis];
        overlap.to += low * strides[axis];
        if high - low > 1 {
            let next = Axis { size: high - low, from: piece.strides[axis], to: strides[axis] };
            overlap.axes.push(next);
        }
    }
    overlap.to -= first;
    overlap.axes = merged(&overlap.axes);
    Some(overlap)
}

/// Joins dimensions that follow each other without a gap on both sides.
fn merged(axes: &[Axis]) -> Vec<Axis> {
    let mut merged: Vec<Axis> = Vec::with_capacity(axes.len());
    for &axis in axes {
        match merged.last_mut() {
            Some(outer) if outer.from == axis.from * axis.size && outer.to == axis.to * axis.size => {
                *outer = Axis { size: outer.size * axis.size, ..axis };
            }
            _ => merged.push(axis),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First index, size, strides, byte in the file.
    type Told<'a> = (&'a [u64], &'a [u64], &'a [u64], u64);

    /// A file of the bytes 0, 1, 2, … and the view's content by definition, element by element.
    fn check(shape: &[u64], pieces: &[Told<'_>], element_bytes: u64) {
        let directory = tempfile::tempdir().unwrap();
        let content: Vec<u8> = (0..60_000_u32).map(|index| (index % 251) as u8).collect();
        std::fs::write(directory.path().join("f"), &content).unwrap();
        let input = Input::open(directory.path(), "f".as_ref(), true, &Default::default()).unwrap();
        let piece = |&(begin, size, strides, offset): &Told<'_>| Piece {
            input: Arc::clone(&input),
            offset,
            begin: begin.to_vec(),
            size: size.to_vec(),
            strides: strides.to_vec(),
        };
        let view = View { element_bytes, shape: shape.to_vec(), pieces: pieces.iter().map(piece).collect() };
        let count: u64 = shape.iter().product();
        let mut expected = Vec::new();
        for element in 0..count {
            let index: Vec<u64> =
                row_major(shape).iter().zip(shape).map(|(stride, size)| element / stride % size).collect();
            let inside = |p: &&Piece| {
                (0..index.len()).all(|a| index[a] >= p.begin[a] && index[a] < p.begin[a] + p.size[a])
            };
            let piece = view.pieces.iter().find(inside).unwrap();
            let from: u64 = (0..index.len()).map(|a| (index[a] - piece.begin[a]) * piece.strides[a]).sum();
            let at = (piece.offset + from * element_bytes) as usize;
            expected.extend_from_slice(&content[at..at + element_bytes as usize]);
        }
        for step in [1, 2, 3, 7, 64, 1000, count] {
            for first in (0..count).step_by((step as usize).max(count as usize / 50)) {
                let end = (first + step).min(count);
                let mut buffer = vec![0xee; ((end - first) * element_bytes) as usize];
                view.read(first, &mut buffer).unwrap();
                let range = (first * element_bytes) as usize..(end * element_bytes) as usize;
                assert_eq!(buffer, expected[range], "{shape:?} from {first} to {end}");
            }
        }
    }

    #[test]
    fn strides_of_every_kind_are_followed() {
        check(&[5, 7], &[(&[0, 0], &[5, 7], &[1, 5], 3)], 4);
        check(&[3, 4, 5], &[(&[0, 0, 0], &[3, 4, 5], &[1, 15, 3], 0)], 2);
        check(&[3, 4, 5], &[(&[0, 0, 0], &[3, 4, 5], &[40, 10, 2], 1)], 8);
        check(&[4, 6], &[(&[0, 0], &[4, 6], &[0, 1], 9)], 1);
        check(&[4, 6], &[(&[0, 0], &[4, 6], &[0, 0], 9)], 4);
        check(&[50], &[(&[0], &[50], &[1000], 0)], 1);
        check(&[], &[(&[], &[], &[], 5)], 4);
        check(&[40, 40], &[(&[0, 0], &[40, 40], &[1, 300], 0)], 4);
        check(&[90, 80], &[(&[0, 0], &[90, 80], &[80, 1], 0)], 8);
    }

    #[test]
    fn chunks_are_put_together() {
        let rows: &[Told<'_>] = &[(&[0, 0], &[3, 6], &[6, 1], 100), (&[3, 0], &[4, 6], &[6, 1], 900)];
        check(&[7, 6], rows, 4);
        let columns: &[Told<'_>] = &[(&[0, 0], &[7, 2], &[2, 1], 100), (&[0, 2], &[7, 4], &[4, 1], 900)];
        check(&[7, 6], columns, 2);
        let wide: &[Told<'_>] =
            &[(&[0, 0], &[4, 1500], &[1500, 1], 0), (&[0, 1500], &[4, 500], &[500, 1], 30_000)];
        check(&[4, 2000], wide, 4);
        // Uneven columns: shorter than what is read at once, longer, and cut off in the middle of a row.
        let uneven: &[Told<'_>] = &[
            (&[0, 0], &[9, 1100], &[1100, 1], 7),
            (&[0, 1100], &[9, 3], &[3, 1], 3),
            (&[0, 1103], &[9, 2400], &[2400, 1], 9_901),
        ];
        check(&[9, 3503], uneven, 2);
        let deep: &[Told<'_>] = &[
            (&[0, 0, 0], &[2, 3, 1050], &[3 * 1050, 1050, 1], 1),
            (&[0, 0, 1050], &[2, 3, 10], &[30, 10, 1], 50_000),
        ];
        check(&[2, 3, 1060], deep, 4);
        let apart: &[Told<'_>] =
            &[(&[0, 0], &[5, 1500], &[1700, 1], 0), (&[0, 1500], &[5, 20], &[1, 5], 40_000)];
        check(&[5, 1520], apart, 4);
    }

    /// Rows long enough to be read many at a time, more of them than one call takes, wherever the buffer lies.
    #[test]
    fn columns_are_put_together_at_every_distance() {
        let (rows, widths) = (1030_usize, [2048_usize, 2051]);
        let row: usize = widths.iter().sum();
        let value = |row: usize, column: usize| (row * 31 + column * 7) as u8;
        let directory = tempfile::tempdir().unwrap();
        let mut pieces = Vec::new();
        for (begin, width) in [(0, widths[0]), (widths[0], widths[1])] {
            let content: Vec<u8> =
                (0..rows).flat_map(|row| (begin..begin + width).map(move |at| value(row, at))).collect();
            let name = format!("{begin}");
            std::fs::write(directory.path().join(&name), &content).unwrap();
            let input = Input::open(directory.path(), name.as_ref(), true, &Default::default()).unwrap();
            let (begin, size) = (vec![0, begin as u64], vec![rows as u64, width as u64]);
            pieces.push(Piece { input, offset: 0, begin, size, strides: vec![width as u64, 1] });
        }
        let view = View { element_bytes: 1, shape: vec![rows as u64, row as u64], pieces };
        let expected: Vec<u8> =
            (0..rows).flat_map(|at| (0..row).map(move |column| value(at, column))).collect();
        let mut room = vec![0; expected.len() + 4096];
        for (distance, first) in (0..64).step_by(3).zip([0, row, 5, 3 * row - 1].into_iter().cycle()) {
            let begin = (4096 + first % 4096 + distance - room.as_ptr().addr() % 4096) % 4096;
            let buffer = &mut room[begin..][..expected.len() - first];
            buffer.fill(0xee);
            view.read(first as u64, buffer).unwrap();
            assert!(buffer == &expected[first..], "{distance} {first}");
        }
    }
}
