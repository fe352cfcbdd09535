//! Loops over f32 rows, for the best instruction set that the machine has.
//!
//! Every function here is `inline(always)` and is meant to be called inside [`Work::run`]: then it is
//! compiled for that set. Sums run in f64, whose range holds the fourth power of every f32, so nothing here
//! overflows or underflows.
//!
//! [`Work::run`]: super::quads::Work::run

use super::central::Central;
use super::change::Reach;
use super::quads::Quads;

/// Independent sums that hide the latency of additions.
const LANES: usize = 16;

/// All lanes of two quads, then what is left of the row.
#[inline(always)]
fn total<Q: Quads>(quads: Q, [one, other]: [Q::Quad; 2], rest: impl Iterator<Item = f64>) -> f64 {
    let [a, b, c, d] = quads.array(quads.add(one, other));
    rest.fold((a + c) + (b + d), |sum, x| sum + x)
}

/// Sums of the first to the fourth power of the values. With `COLUMNS` their squares are added to `columns` on the
/// way, which has as many entries as the row.
#[inline(always)]
pub(crate) fn powers<Q: Quads, const COLUMNS: bool>(quads: Q, row: &[f32], columns: &mut [f64]) -> [f64; 4] {
    const LANES: usize = 8;
    let mut powers = [[quads.splat(0.0); LANES / 4]; 4];
    let (chunks, rest) = row.as_chunks::<LANES>();
    let (column_chunks, column_rest) = columns.as_chunks_mut::<LANES>();
    for (index, chunk) in chunks.iter().enumerate() {
        for (part, x) in chunk.as_chunks::<4>().0.iter().enumerate() {
            let x = quads.widen(x);
            let q = quads.mul(x, x);
            powers[0][part] = quads.add(powers[0][part], x);
            powers[1][part] = quads.add(powers[1][part], q);
            powers[2][part] = quads.add(powers[2][part], quads.mul(q, x));
            powers[3][part] = quads.add(powers[3][part], quads.mul(q, q));
            if COLUMNS {
                let sums = &mut column_chunks[index].as_chunks_mut::<4>().0[part];
                *sums = quads.array(quads.add(quads.load(sums), q));
            }
        }
    }
    let rest = rest.iter().map(|&x| f64::from(x));
    if COLUMNS {
        column_rest.iter_mut().zip(rest.clone()).for_each(|(sum, x)| *sum += x * x);
    }
    let [p1, p2, p3, p4] = powers;
    [
        total(quads, p1, rest.clone()),
        total(quads, p2, rest.clone().map(|x| x * x)),
        total(quads, p3, rest.clone().map(|x| (x * x) * x)),
        total(quads, p4, rest.map(|x| (x * x) * (x * x))),
    ]
}

/// Sums of the second, third and fourth power of the distances from `mean`.
#[inline(always)]
fn central<Q: Quads>(quads: Q, row: &[f32], mean: f64) -> [f64; 3] {
    const LANES: usize = 8;
    let means = quads.splat(mean);
    let mut powers = [[quads.splat(0.0); LANES / 4]; 3];
    let (chunks, rest) = row.as_chunks::<LANES>();
    for chunk in chunks {
        for (part, x) in chunk.as_chunks::<4>().0.iter().enumerate() {
            let d = quads.sub(quads.widen(x), means);
            let q = quads.mul(d, d);
            powers[0][part] = quads.add(powers[0][part], q);
            powers[1][part] = quads.add(powers[1][part], quads.mul(q, d));
            powers[2][part] = quads.add(powers[2][part], quads.mul(q, q));
        }
    }
    let rest = rest.iter().map(|&x| f64::from(x) - mean);
    let [m2, m3, m4] = powers;
    [
        total(quads, m2, rest.clone().map(|d| d * d)),
        total(quads, m3, rest.clone().map(|d| d * d * d)),
        total(quads, m4, rest.map(|d| (d * d) * (d * d))),
    ]
}

/// The moments of a row of finite values whose [`powers`] are known: from these where they tell them exactly enough,
/// else from one more pass.
#[inline(always)]
pub(crate) fn about_mean<Q: Quads>(quads: Q, row: &[f32], powers: [f64; 4]) -> Central {
    let count = row.len() as u64;
    Central::from_powers(count, powers).unwrap_or_else(|| {
        let mean = powers[0] / count as f64;
        Central { count, mean, powers: central(quads, row, mean) }
    })
}

/// Where a row's values lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Range {
    /// Largest bits without the sign; at or above [`INFINITE`] where something is not finite.
    pub(crate) abs_max: u32,
    /// Smallest bits without the sign, of what is not zero; `u32::MAX` where all is zero.
    pub(crate) abs_min: u32,
    /// Zeros of either sign.
    pub(crate) zeros: u32,
    /// Zeros with the sign set.
    pub(crate) negative_zeros: u32,
    /// Smallest and largest value, where all are finite.
    pub(crate) extremes: (f32, f32),
}

/// Bits of +Inf: every finite magnitude is below.
pub(crate) const INFINITE: u32 = 0x7f80_0000;

/// Looks at the bits of a row of 1 to 2^32 values.
#[inline(always)]
pub(crate) fn range(row: &[f32]) -> Range {
    let (mut high, mut low) = ([f32::NEG_INFINITY; LANES], [f32::INFINITY; LANES]);
    // Of the bits without the sign. Zero less one wraps round, and so is never the least that is not zero.
    let (mut most, mut least, mut wrapped) = ([0u32; LANES], [u32::MAX; LANES], [0u32; LANES]);
    let (chunks, rest) = row.as_chunks::<LANES>();
    let mut look = |lane: usize, x: f32| {
        let abs = x.to_bits() & 0x7fff_ffff;
        high[lane] = if x > high[lane] { x } else { high[lane] };
        low[lane] = if x < low[lane] { x } else { low[lane] };
        most[lane] = most[lane].max(abs);
        least[lane] = least[lane].min(abs.wrapping_sub(1));
        wrapped[lane] = wrapped[lane].max(abs.wrapping_sub(1));
    };
    for chunk in chunks {
        for (lane, x) in chunk.iter().enumerate() {
            look(lane, *x);
        }
    }
    for (lane, x) in rest.iter().enumerate() {
        look(lane, *x);
    }
    // Few rows hold a zero.
    let count = |bits: u32| row.iter().filter(|x| x.to_bits() == bits).count() as u32;
    let [zeros, negative_zeros] =
        if wrapped.contains(&u32::MAX) { [0, 0x8000_0000].map(count) } else { [0, 0] };
    Range {
        abs_max: most.into_iter().max().unwrap_or(0),
        abs_min: least.into_iter().min().unwrap_or(u32::MAX).saturating_add(1),
        zeros: zeros + negative_zeros,
        negative_zeros,
        // -0 becomes 0.
        extremes: (
            low.into_iter().fold(f32::INFINITY, f32::min) + 0.0,
            high.into_iter().fold(f32::NEG_INFINITY, f32::max) + 0.0,
        ),
    }
}

/// Sums over the pairs of a row now and before.
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
    /// Pairs with a change that is out of reach.
    pub(crate) beyond: u64,
}

/// Compares a row with the same row before. Where a value of either is not finite, neither is `before + powers[1]`.
#[inline(always)]
pub(crate) fn pairs<Q: Quads>(quads: Q, now: &[f32], before: &[f32], reach: Reach) -> Pairs {
    const LANES: usize = 8;
    let zero = [quads.splat(0.0); LANES / 4];
    let (mut square, mut cross, mut most) = (zero, zero, zero);
    let mut powers = [zero; 4];
    let (chunks, rest) = now.as_chunks::<LANES>();
    let (old_chunks, old_rest) = before.as_chunks::<LANES>();
    for (chunk, old_chunk) in chunks.iter().zip(old_chunks) {
        let quarters = chunk.as_chunks::<4>().0.iter().zip(old_chunk.as_chunks::<4>().0);
        for (part, (now, old)) in quarters.enumerate() {
            let old = quads.widen(old);
            let d = quads.sub(quads.widen(now), old);
            let q = quads.mul(d, d);
            square[part] = quads.add(square[part], quads.mul(old, old));
            cross[part] = quads.add(cross[part], quads.mul(d, old));
            powers[0][part] = quads.add(powers[0][part], d);
            powers[1][part] = quads.add(powers[1][part], q);
            powers[2][part] = quads.add(powers[2][part], quads.mul(q, d));
            powers[3][part] = quads.add(powers[3][part], quads.mul(q, q));
            most[part] = quads.max(quads.abs(d), most[part]);
        }
    }
    let olds = old_rest.iter().map(|&old| f64::from(old));
    let rest = rest.iter().zip(olds).map(|(&now, old)| (f64::from(now) - old, old));
    let [p1, p2, p3, p4] = powers;
    let abs_max = most.into_iter().flat_map(|part| quads.array(part));
    let abs_max = abs_max.chain(rest.clone().map(|(d, _)| d.abs())).fold(0.0, f64::max);
    let is_beyond = |(&now, &old): (&f32, &f32)| {
        let old = f64::from(old);
        u64::from(reach.is_exceeded(f64::from(now) - old, old))
    };
    Pairs {
        identical: now.iter().zip(before).filter(|(now, old)| now.to_bits() == old.to_bits()).count() as u64,
        before: total(quads, square, rest.clone().map(|(_, old)| old * old)),
        cross: total(quads, cross, rest.clone().map(|(d, old)| d * old)),
        powers: [
            total(quads, p1, rest.clone().map(|(d, _)| d)),
            total(quads, p2, rest.clone().map(|(d, _)| d * d)),
            total(quads, p3, rest.clone().map(|(d, _)| d * d * d)),
            total(quads, p4, rest.clone().map(|(d, _)| (d * d) * (d * d))),
        ],
        abs_max,
        // Few rows may have such a change.
        beyond: if abs_max > reach.fixed { now.iter().zip(before).map(is_beyond).sum() } else { 0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::quads::{Portable, Work, dispatch};

    const REACH: Reach = Reach { fixed: 1e-3, relative: 1e-3 };

    /// A row of an awkward length, with its past.
    fn rows() -> (Vec<f32>, Vec<f32>) {
        let now: Vec<f32> = (0..1003u32).map(|i| ((i * 7919) % 1000) as f32 * 1e-3 - 0.3).collect();
        let before = now.iter().enumerate().map(|(i, x)| if i % 3 == 0 { *x } else { x * 1.01 }).collect();
        (now, before)
    }

    struct All<'a>(&'a [f32], &'a [f32]);

    impl Work for All<'_> {
        type Output = ([f64; 4], Vec<f64>, [f64; 3], Pairs);

        #[inline(always)]
        fn run<Q: Quads>(self, quads: Q) -> Self::Output {
            let mut columns = vec![1.0; self.0.len()];
            let powers = powers::<Q, true>(quads, self.0, &mut columns);
            let pairs = pairs(quads, self.0, self.1, REACH);
            (powers, columns, central(quads, self.0, 0.2), pairs)
        }
    }

    #[test]
    fn instruction_sets_agree_bit_by_bit() {
        let (now, before) = rows();
        assert_eq!(dispatch(pulp::Arch::new(), All(&now, &before)), All(&now, &before).run(Portable));
    }

    #[test]
    fn powers_are_what_a_plain_loop_says() {
        let (row, _) = rows();
        let mut columns = vec![1.0; row.len()];
        let got = powers::<_, true>(Portable, &row, &mut columns);
        assert_eq!(powers::<_, false>(Portable, &row, &mut []), got);
        for (power, got) in (1..5).zip(got) {
            let each = row.iter().map(|&x| f64::from(x).powi(power));
            let (sum, size) = (each.clone().sum::<f64>(), each.map(f64::abs).sum::<f64>());
            assert!((got - sum).abs() <= 1e-12 * size, "{power}");
        }
        assert!(columns.iter().zip(&row).all(|(&sum, &x)| sum == 1.0 + f64::from(x) * f64::from(x)));
    }

    #[test]
    fn pairs_are_what_a_plain_loop_says() {
        let (now, before) = rows();
        let got = pairs(Portable, &now, &before, REACH);
        let each = now.iter().zip(&before).map(|(&a, &b)| (f64::from(a) - f64::from(b), f64::from(b)));
        assert_eq!(
            got.beyond as usize,
            each.clone().filter(|(d, b)| d.abs() > 1e-3 + 1e-3 * b.abs()).count()
        );
        assert_eq!(got.abs_max, each.clone().fold(0.0, |most: f64, (d, _)| most.max(d.abs())));
        let cross: f64 = each.map(|(d, b)| d * b).sum();
        assert!((got.cross - cross).abs() <= 1e-12 * cross.abs());
    }

    #[test]
    fn a_range_knows_signs_zeros_and_what_is_not_finite() {
        let range_of = |row: &[f32]| range(row);
        let range = range_of(&[-2.0, -0.0, 0.0, 0.5]);
        assert_eq!((range.extremes, range.zeros, range.negative_zeros), ((-2.0, 0.5), 2, 1));
        assert_eq!((range.abs_max, range.abs_min), (2f32.to_bits(), 0.5f32.to_bits()));
        assert!(range_of(&[0.0, -f32::NAN]).abs_max > INFINITE);
        assert_eq!(range_of(&[f32::NEG_INFINITY, 1.0]).abs_max, INFINITE);
        assert_eq!(range_of(&[-0.0; 3]).extremes.0.to_bits(), 0);
        assert_eq!(range_of(&[0.0; 20]).abs_min, u32::MAX);
    }
}
