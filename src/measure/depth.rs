//! By how many bits the values of a tensor are counted, and what counts by more bits than those of cells tell.

use super::counter::{SPAN, unpacked};

/// Most values of which quarters of cells are enough to find D: a normal's D falls with the root of their number.
const QUARTERS_MAX: usize = 1 << 23;
/// Bits of each cell that the fine table tells apart.
pub(crate) const FINE_SPLIT: u32 = 4;
/// Bits of each cell that packed entries tell apart, where they tell quarters.
pub(super) const QUARTERS: u32 = 2;

/// By how many bits the values of a tensor are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Depth {
    /// By cells.
    #[default]
    Cells,
    /// By the quarters of cells.
    Quarters,
    /// By cells, and by their sixteenths beside that.
    Sixteenths,
}

impl Depth {
    /// The depth for nearly normal values, of which a tensor has so many.
    pub(crate) const fn nearly_normal(values: usize) -> Self {
        if values <= QUARTERS_MAX { Self::Quarters } else { Self::Sixteenths }
    }
}

/// Counts by more bits than those of cells.
#[derive(Clone, Copy)]
pub(crate) enum Deep<'a> {
    /// Packed entries of quarters.
    Quarters(&'a [u64]),
    /// Counts of sixteenths.
    Sixteenths(&'a [u32]),
}

impl Deep<'_> {
    /// Bits of each cell that are told apart.
    pub(crate) const fn split(&self) -> u32 {
        match self {
            Self::Quarters(_) => QUARTERS,
            Self::Sixteenths(_) => FINE_SPLIT,
        }
    }

    /// Appends the counts of some parts of cells, in the order of their bits.
    pub(crate) fn counts(&self, parts: std::ops::Range<usize>, out: &mut Vec<u32>) {
        match self {
            Self::Quarters(packed) => out.extend(
                parts
                    .clone()
                    .zip(&packed[parts])
                    .map(|(part, &entry)| unpacked(part, SPAN - QUARTERS, entry)[0] as u32),
            ),
            Self::Sixteenths(counts) => out.extend_from_slice(&counts[parts]),
        }
    }
}
