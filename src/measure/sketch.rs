//! Linear memory: from two sketches, the distance of the tensors, long after their files are gone.
//!
//! The tensor is cut into blocks of `m` numbers. Each block is multiplied by random signs, rotated by a
//! random offset and added up. Signs and offsets depend on the position alone, so sketches subtract as
//! tensors do, and tensors of other names compare too (swaps, copies, stale shards). The offset must be
//! able to move by single elements: rounded to vector lanes, one outlier column would always fall into
//! the same few buckets.
//!
//! Error of a norm: relative standard error `1 / sqrt(2 m)` (Kane and Nelson 2012 for the bound).

use crate::terms::Sketch;

/// Recipe of the signs and offsets below. Any change to it needs a new number.
pub(crate) const VERSION: u32 = 1;

/// Blocks that are added up in f32 before they are flushed to f64.
const FLUSH_BLOCKS: u32 = 64;

/// SplitMix64 (Steele, Lea and Flood 2014): a well-mixed number from a position.
fn mix(position: u64) -> u64 {
    let mut z = position.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Sign bits of the positions within a block, for one sketch length.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    signs: Vec<u32>,
}

impl Recipe {
    /// Signs for sketches of `len` numbers; `len` above 0.
    pub(crate) fn new(len: usize) -> Self {
        // A range of positions of its own, so that signs and offsets are independent.
        let signs = (0..len as u64).map(|i| (mix(i | 1 << 62) as u32) & (1 << 31)).collect();
        Self { signs }
    }

    /// Numbers in a sketch.
    pub(crate) fn len(&self) -> usize {
        self.signs.len()
    }
}

/// A sketch in the making. Parts of a tensor may be sketched apart and added.
#[derive(Clone, Debug)]
pub(crate) struct Sketcher {
    coarse: Vec<f64>,
    fine: Vec<f32>,
    pending: u32,
}

impl Sketcher {
    /// An empty sketch of that recipe's length.
    pub(crate) fn new(recipe: &Recipe) -> Self {
        Self { coarse: vec![0.0; recipe.len()], fine: vec![0.0; recipe.len()], pending: 0 }
    }

    /// Adds `values`, which stand at `position` and after in the tensor.
    #[inline(always)]
    pub(crate) fn push(&mut self, recipe: &Recipe, mut position: u64, mut values: &[f32]) {
        let len = recipe.len();
        while !values.is_empty() {
            let (block, within) = (position / len as u64, (position % len as u64) as usize);
            let taken = values.len().min(len - within);
            let random = mix(block);
            let flip = ((random >> 32) as u32) & (1 << 31);
            let offset = (random as u32 as usize + within) % len;
            let (part, rest) = values.split_at(taken);
            let signs = &recipe.signs[within..within + taken];
            let first = taken.min(len - offset);
            add(&mut self.fine[offset..offset + first], &part[..first], &signs[..first], flip);
            add(&mut self.fine[..taken - first], &part[first..], &signs[first..], flip);
            self.pending += 1;
            if self.pending == FLUSH_BLOCKS {
                self.flush();
            }
            values = rest;
            position += taken as u64;
        }
    }

    fn flush(&mut self) {
        for (coarse, fine) in self.coarse.iter_mut().zip(&mut self.fine) {
            *coarse += f64::from(*fine);
            *fine = 0.0;
        }
        self.pending = 0;
    }

    /// Adds another part of the same tensor.
    pub(crate) fn merge(&mut self, mut other: Sketcher) {
        other.flush();
        for (coarse, more) in self.coarse.iter_mut().zip(&other.coarse) {
            *coarse += more;
        }
    }

    /// The sketch as it is stored.
    pub(crate) fn finish(mut self) -> Sketch {
        self.flush();
        Sketch { version: VERSION, values: self.coarse.iter().map(|&x| x as f32).collect(), exact: false }
    }
}

/// `sums[i] += values[i]` with its sign flipped where the bits of `signs[i]` and `flip` differ. What is
/// not finite counts as 0.
#[inline(always)]
fn add(sums: &mut [f32], values: &[f32], signs: &[u32], flip: u32) {
    for ((sum, value), sign) in sums.iter_mut().zip(values).zip(signs) {
        let value = if value.is_finite() { *value } else { 0.0 };
        *sum += f32::from_bits(value.to_bits() ^ sign ^ flip);
    }
}
