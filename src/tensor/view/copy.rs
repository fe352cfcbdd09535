//! Copies what a piece has of a box into the caller's buffer, in as few system calls and as near to the processor
//! as it goes.
//!
//! A call costs about as much as copying some kibibytes. So long runs are read straight to their places, runs of
//! middle length by calls that take many places at once, and short ones and single elements by way of a stretch
//! of the file that stays in the caches.

use std::io::IoSliceMut;

use super::{Axis, Overlap, Piece};
use crate::tensor::input::{away_from, is_aliased};
use crate::tensor::limits::GATHER_BYTES_MAX;
use crate::terms::SourceError;

/// Runs at least this long are read one by one.
const RUN_BYTES_DIRECT: u64 = 64 << 10;
/// Runs at least this long are read many at a time, each to its place. For shorter ones the system takes longer to
/// go from place to place than a second copy takes.
const RUN_BYTES_SPREAD: u64 = 2048;
/// Bytes that are copied in the time of one call: so much more may be read for each run that needs no call of its own.
const CALL_BYTES: u64 = 4096;

/// Copies from one piece into one buffer.
pub struct Copier<'a> {
    piece: &'a Piece,
    element_bytes: u64,
    buffer: &'a mut [u8],
    scratch: Vec<u8>,
}

impl<'a> Copier<'a> {
    /// Of elements that wide, by way of that room.
    pub fn new(piece: &'a Piece, element_bytes: u64, buffer: &'a mut [u8], scratch: Vec<u8>) -> Self {
        Self { piece, element_bytes, buffer, scratch }
    }

    /// The room, to be used again.
    pub fn into_scratch(self) -> Vec<u8> {
        self.scratch
    }

    /// Copies the whole overlap.
    pub fn copy(&mut self, overlap: Overlap) -> Result<(), SourceError> {
        let (outer, run) = match overlap.axes.split_last() {
            None => (&[][..], 1),
            Some((axis, outer)) if axis.from == 1 && axis.to == 1 => (outer, axis.size),
            Some(_) => return self.gather_any(overlap),
        };
        let bytes = run * self.element_bytes;
        let rows_follow = outer.last().is_some_and(|rows| rows.from == run && rows.to >= run);
        if outer.is_empty() || bytes >= RUN_BYTES_DIRECT {
            self.direct(overlap.from, overlap.to, outer, run)
        } else if bytes >= RUN_BYTES_SPREAD && rows_follow {
            self.spread(overlap.from, overlap.to, outer, run)
        } else {
            self.gather_any(overlap)
        }
    }

    fn offset(&self, from: u64) -> u64 {
        self.piece.offset + from * self.element_bytes
    }

    /// Reads runs that lie in one piece on both sides.
    fn direct(&mut self, from: u64, to: u64, axes: &[Axis], run: u64) -> Result<(), SourceError> {
        let Some((axis, inner)) = axes.split_first() else {
            let (offset, bytes) = (self.offset(from), (run * self.element_bytes) as usize);
            let target = &mut self.buffer[(to * self.element_bytes) as usize..][..bytes];
            return self.piece.input.read_at(offset, target);
        };
        for index in 0..axis.size {
            self.direct(from + index * axis.from, to + index * axis.to, inner, run)?;
        }
        Ok(())
    }

    /// Reads rows that follow each other in the file, each to its place in the buffer; by a detour where one of
    /// these places is a slow one.
    fn spread(&mut self, from: u64, to: u64, axes: &[Axis], run: u64) -> Result<(), SourceError> {
        let Some((&rows, inner)) = axes.split_first() else { return Ok(()) };
        if !inner.is_empty() {
            let mut indices = 0..rows.size;
            return indices.try_for_each(|index| {
                self.spread(from + index * rows.from, to + index * rows.to, inner, run)
            });
        }
        let offset = self.offset(from);
        let [bytes, row] = [run, rows.to].map(|elements| (elements * self.element_bytes) as usize);
        let target = &mut self.buffer[(to * self.element_bytes) as usize..];
        let places = target.chunks_mut(row).take(rows.size as usize);
        let mut places: Vec<_> = places.map(|row| IoSliceMut::new(&mut row[..bytes])).collect();
        let mut from_there = (offset..).step_by(bytes);
        if places.iter().zip(&mut from_there).any(|(place, offset)| is_aliased(place.as_ptr().addr(), offset))
        {
            return self.gather(from, to, &[Axis { size: run, from: 1, to: 1 }, rows]);
        }
        self.piece.input.read_spread_at(offset, &mut places)
    }

    fn gather_any(&mut self, overlap: Overlap) -> Result<(), SourceError> {
        let mut axes = overlap.axes;
        axes.sort_by_key(|axis| axis.from);
        self.gather(overlap.from, overlap.to, &axes)
    }

    /// Reads one stretch of the file and picks the elements from it; takes the outermost dimension
    /// apart where the stretch would be too long or too little of it wanted. `axes` are sorted by
    /// their strides in the file.
    fn gather(&mut self, from: u64, to: u64, axes: &[Axis]) -> Result<(), SourceError> {
        if self.fits(axes) {
            return self.pick(from, to, axes);
        }
        let Some((&last, inner)) = axes.split_last() else { return Ok(()) };
        let mut step = last.size;
        while step > 1 && !self.fits_with(inner, Axis { size: step, ..last }) {
            step = step.div_ceil(2);
        }
        for index in (0..last.size).step_by(step as usize) {
            let (from, to) = (from + index * last.from, to + index * last.to);
            if step == 1 {
                self.gather(from, to, inner)?;
            } else {
                let part = Axis { size: step.min(last.size - index), ..last };
                self.pick(from, to, &[inner, &[part]].concat())?;
            }
        }
        Ok(())
    }

    fn fits_with(&self, axes: &[Axis], last: Axis) -> bool {
        self.fits(&[axes, &[last]].concat())
    }

    fn fits(&self, axes: &[Axis]) -> bool {
        let wanted: u64 = axes.iter().map(|axis| axis.size).product();
        let run = axes.first().filter(|axis| axis.from == 1).map_or(1, |axis| axis.size);
        let (span, run_bytes) = (span(axes), run * self.element_bytes);
        let bytes = span * self.element_bytes;
        span == 1 || (bytes <= GATHER_BYTES_MAX && bytes <= wanted / run * (CALL_BYTES + run_bytes))
    }

    fn pick(&mut self, from: u64, to: u64, axes: &[Axis]) -> Result<(), SourceError> {
        let (offset, bytes) = (self.offset(from), (span(axes) * self.element_bytes) as usize);
        let source = away_from(offset, &mut self.scratch, bytes);
        self.piece.input.read_at(offset, source)?;
        let mut axes = axes.to_vec();
        axes.sort_by_key(|axis| std::cmp::Reverse(axis.to));
        match self.element_bytes {
            1 => scatter::<1>(source, 0, self.buffer, to, &axes),
            2 => scatter::<2>(source, 0, self.buffer, to, &axes),
            4 => scatter::<4>(source, 0, self.buffer, to, &axes),
            _ => scatter::<8>(source, 0, self.buffer, to, &axes),
        }
        Ok(())
    }
}

/// Elements from the first to the last one.
fn span(axes: &[Axis]) -> u64 {
    1 + axes.iter().map(|axis| (axis.size - 1) * axis.from).sum::<u64>()
}

fn scatter<const N: usize>(source: &[u8], from: u64, target: &mut [u8], to: u64, axes: &[Axis]) {
    let Some((axis, inner)) = axes.split_first() else {
        target[to as usize * N..][..N].copy_from_slice(&source[from as usize * N..][..N]);
        return;
    };
    if inner.is_empty() {
        return copy_line::<N>(&source[from as usize * N..], &mut target[to as usize * N..], *axis);
    }
    match inner {
        [inner] if !inner.is_dense() => scatter_tiles::<N>(source, from, target, to, [*axis, *inner]),
        _ => {
            for index in 0..axis.size {
                scatter::<N>(source, from + index * axis.from, target, to + index * axis.to, inner);
            }
        }
    }
}

/// One dimension: at once where it is dense, else element by element.
fn copy_line<const N: usize>(source: &[u8], target: &mut [u8], axis: Axis) {
    let size = axis.size as usize;
    if axis.is_dense() {
        return target[..size * N].copy_from_slice(&source[..size * N]);
    }
    let (from, to) = (axis.from as usize * N, axis.to as usize * N);
    for index in 0..size {
        target[index * to..][..N].copy_from_slice(&source[index * from..][..N]);
    }
}

/// Elements on a side of a tile. Its lines in source and target are often a power of two apart, where the nearest
/// cache keeps only eight of them.
const TILE: u64 = 8;

/// Two dimensions tile by tile, so that a transposed matrix does not miss the cache at every element.
fn scatter_tiles<const N: usize>(
    source: &[u8],
    from: u64,
    target: &mut [u8],
    to: u64,
    [outer, inner]: [Axis; 2],
) {
    for row in (0..outer.size).step_by(TILE as usize) {
        for column in (0..inner.size).step_by(TILE as usize) {
            for row in row..(row + TILE).min(outer.size) {
                let from = from + row * outer.from + column * inner.from;
                let to = to + row * outer.to + column * inner.to;
                let run = [Axis { size: TILE.min(inner.size - column), ..inner }];
                scatter::<N>(source, from, target, to, &run);
            }
        }
    }
}
