//! Loops over f32 rows, written so that the compiler turns them into vector instructions.
//!
//! Every function here is `inline(always)` and is meant to be called inside `pulp::Arch::dispatch`: then
//! it is compiled for the best instruction set that the machine has. Sums run in f64, whose range holds
//! the fourth power of every f32, so nothing here overflows or underflows.

/// Independent sums that hide the latency of additions.
const LANES: usize = 16;

/// What one pass over a row tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sums {
    /// Sum of the values.
    pub(crate) sum: f64,
    /// Sum of their squares.
    pub(crate) square: f64,
}

/// Sum and sum of squares.
#[inline(always)]
pub(crate) fn sums(row: &[f32]) -> Sums {
    let (mut sum, mut square) = ([0f64; LANES], [0f64; LANES]);
    let chunks = row.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for lane in 0..LANES {
            let x = f64::from(chunk[lane]);
            sum[lane] += x;
            square[lane] += x * x;
        }
    }
    for (lane, x) in rest.iter().enumerate() {
        let x = f64::from(*x);
        sum[lane] += x;
        square[lane] += x * x;
    }
    Sums { sum: sum.iter().sum(), square: square.iter().sum() }
}

/// Sums of the second, third and fourth power of the distances from `mean`.
#[inline(always)]
pub(crate) fn central(row: &[f32], mean: f64) -> [f64; 3] {
    const LANES: usize = 8;
    let (mut m2, mut m3, mut m4) = ([0f64; LANES], [0f64; LANES], [0f64; LANES]);
    let chunks = row.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for lane in 0..LANES {
            let d = f64::from(chunk[lane]) - mean;
            let q = d * d;
            m2[lane] += q;
            m3[lane] += q * d;
            m4[lane] += q * q;
        }
    }
    for (lane, x) in rest.iter().enumerate() {
        let d = f64::from(*x) - mean;
        let q = d * d;
        m2[lane] += q;
        m3[lane] += q * d;
        m4[lane] += q * q;
    }
    [m2.iter().sum(), m3.iter().sum(), m4.iter().sum()]
}

/// Where a row's values lie, by their bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    /// Largest bits without the sign; at or above [`INFINITE`] where something is not finite.
    pub(crate) abs_max: u32,
    /// Smallest bits without the sign, of what is not zero; `u32::MAX` where all is zero.
    pub(crate) abs_min: u32,
    /// Zeros of either sign.
    pub(crate) zeros: u32,
    /// Zeros with the sign set.
    pub(crate) negative_zeros: u32,
}

/// Bits of +Inf: every finite magnitude is below.
pub(crate) const INFINITE: u32 = 0x7f80_0000;

/// Looks at the bits of a row of at most 2^32 values.
#[inline(always)]
pub(crate) fn range(row: &[f32]) -> Range {
    let (mut high, mut low) = ([0u32; LANES], [u32::MAX; LANES]);
    let (mut zeros, mut negative) = ([0u32; LANES], [0u32; LANES]);
    let chunks = row.chunks_exact(LANES);
    let rest = chunks.remainder();
    let mut look = |lane: usize, x: f32| {
        let bits = x.to_bits();
        let abs = bits & 0x7fff_ffff;
        high[lane] = high[lane].max(abs);
        // Zero wraps round and so is never the smallest.
        low[lane] = low[lane].min(abs.wrapping_sub(1));
        zeros[lane] += u32::from(abs == 0);
        negative[lane] += u32::from(bits == 0x8000_0000);
    };
    for chunk in chunks {
        for (lane, x) in chunk.iter().enumerate() {
            look(lane, *x);
        }
    }
    for (lane, x) in rest.iter().enumerate() {
        look(lane, *x);
    }
    Range {
        abs_max: high.into_iter().max().unwrap_or(0),
        abs_min: low.into_iter().min().unwrap_or(u32::MAX).saturating_add(1),
        zeros: zeros.iter().sum(),
        negative_zeros: negative.iter().sum(),
    }
}

/// Smallest and largest value; (Inf, -Inf) of an empty row.
#[inline(always)]
pub(crate) fn extremes(row: &[f32]) -> (f32, f32) {
    let (mut low, mut high) = ([f32::INFINITY; LANES], [f32::NEG_INFINITY; LANES]);
    let chunks = row.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for lane in 0..LANES {
            let x = chunk[lane];
            low[lane] = if x < low[lane] { x } else { low[lane] };
            high[lane] = if x > high[lane] { x } else { high[lane] };
        }
    }
    for &x in rest {
        low[0] = low[0].min(x);
        high[0] = high[0].max(x);
    }
    (low.into_iter().fold(f32::INFINITY, f32::min), high.into_iter().fold(f32::NEG_INFINITY, f32::max))
}

/// Adds the squares of a row to the sums of its columns.
#[inline(always)]
pub(crate) fn add_squares(row: &[f32], columns: &mut [f64]) {
    for (sum, x) in columns.iter_mut().zip(row) {
        let x = f64::from(*x);
        *sum += x * x;
    }
}

/// Sums over the pairs of a row now and before, all finite.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Pairs {
    /// Pairs with equal bits.
    pub(crate) identical: u64,
    /// Sum of squares before.
    pub(crate) before: f64,
    /// Sum of change times value before.
    pub(crate) cross: f64,
    /// Sums of the first to the fourth power of the change.
    pub(crate) powers: [f64; 4],
    /// Largest change.
    pub(crate) abs_max: f64,
    /// Pairs with a change above `fixed + relative |before|`.
    pub(crate) beyond: u64,
}

/// Compares a row with the same row before; both must be finite.
#[inline(always)]
pub(crate) fn pairs(now: &[f32], before: &[f32], fixed: f64, relative: f64) -> Pairs {
    const LANES: usize = 8;
    let (mut identical, mut beyond) = ([0u32; LANES], [0u32; LANES]);
    let (mut square, mut cross, mut most) = ([0f64; LANES], [0f64; LANES], [0f64; LANES]);
    let mut powers = [[0f64; LANES]; 4];
    let mut look = |lane: usize, now: f32, old: f32| {
        identical[lane] += u32::from(now.to_bits() == old.to_bits());
        let old = f64::from(old);
        let d = f64::from(now) - old;
        let q = d * d;
        square[lane] += old * old;
        cross[lane] += d * old;
        powers[0][lane] += d;
        powers[1][lane] += q;
        powers[2][lane] += q * d;
        powers[3][lane] += q * q;
        most[lane] = if d.abs() > most[lane] { d.abs() } else { most[lane] };
        beyond[lane] += u32::from(d.abs() > fixed + relative * old.abs());
    };
    let (a, b) = (now.chunks_exact(LANES), before.chunks_exact(LANES));
    let rest = a.remainder().iter().zip(b.remainder());
    for (now, before) in a.zip(b) {
        for lane in 0..LANES {
            look(lane, now[lane], before[lane]);
        }
    }
    for (lane, (now, before)) in rest.enumerate() {
        look(lane, *now, *before);
    }
    Pairs {
        identical: identical.iter().map(|&count| u64::from(count)).sum(),
        before: square.iter().sum(),
        cross: cross.iter().sum(),
        powers: powers.map(|power| power.iter().sum()),
        abs_max: most.into_iter().fold(0.0, f64::max),
        beyond: beyond.iter().map(|&count| u64::from(count)).sum(),
    }
}
