//! Four f64 at a time, by the best instructions that the machine has.
//!
//! Left to itself the compiler turns loops that widen f32 and sum in f64 into half-empty vectors, so these
//! say which lanes belong together. Both implementations do the same operations in the same order: which
//! machine it was cannot be seen in a value.

use pulp::{Arch, Simd, WithSimd};

/// What the loops of `lanes` are made of.
pub(crate) trait Quads: Copy {
    /// Four numbers.
    type Quad: Copy;

    /// The same number four times.
    fn splat(self, x: f64) -> Self::Quad;
    /// Exactly those numbers.
    fn widen(self, x: &[f32; 4]) -> Self::Quad;
    /// Those numbers.
    fn load(self, x: &[f64; 4]) -> Self::Quad;
    /// a + b
    fn add(self, a: Self::Quad, b: Self::Quad) -> Self::Quad;
    /// a - b
    fn sub(self, a: Self::Quad, b: Self::Quad) -> Self::Quad;
    /// a b
    fn mul(self, a: Self::Quad, b: Self::Quad) -> Self::Quad;
    /// |a|
    fn abs(self, a: Self::Quad) -> Self::Quad;
    /// The larger ones, of numbers.
    fn max(self, a: Self::Quad, b: Self::Quad) -> Self::Quad;
    /// In their order.
    fn array(self, a: Self::Quad) -> [f64; 4];
}

/// For every machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portable;

#[inline(always)]
fn each(f: impl Fn(usize) -> f64) -> [f64; 4] {
    [f(0), f(1), f(2), f(3)]
}

impl Quads for Portable {
    type Quad = [f64; 4];

    #[inline(always)]
    fn splat(self, x: f64) -> [f64; 4] {
        [x; 4]
    }
    #[inline(always)]
    fn widen(self, x: &[f32; 4]) -> [f64; 4] {
        each(|i| f64::from(x[i]))
    }
    #[inline(always)]
    fn load(self, x: &[f64; 4]) -> [f64; 4] {
        *x
    }
    #[inline(always)]
    fn add(self, a: [f64; 4], b: [f64; 4]) -> [f64; 4] {
        each(|i| a[i] + b[i])
    }
    #[inline(always)]
    fn sub(self, a: [f64; 4], b: [f64; 4]) -> [f64; 4] {
        each(|i| a[i] - b[i])
    }
    #[inline(always)]
    fn mul(self, a: [f64; 4], b: [f64; 4]) -> [f64; 4] {
        each(|i| a[i] * b[i])
    }
    #[inline(always)]
    fn abs(self, a: [f64; 4]) -> [f64; 4] {
        each(|i| a[i].abs())
    }
    #[inline(always)]
    fn max(self, a: [f64; 4], b: [f64; 4]) -> [f64; 4] {
        each(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    fn array(self, a: [f64; 4]) -> [f64; 4] {
        a
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use pulp::{f32x4, f64x4, x86::V3};

    impl super::Quads for V3 {
        type Quad = f64x4;

        #[inline(always)]
        fn splat(self, x: f64) -> f64x4 {
            self.splat_f64x4(x)
        }
        #[inline(always)]
        fn widen(self, x: &[f32; 4]) -> f64x4 {
            self.convert_f32x4_to_f64x4(f32x4(x[0], x[1], x[2], x[3]))
        }
        #[inline(always)]
        fn load(self, x: &[f64; 4]) -> f64x4 {
            f64x4(x[0], x[1], x[2], x[3])
        }
        #[inline(always)]
        fn add(self, a: f64x4, b: f64x4) -> f64x4 {
            self.add_f64x4(a, b)
        }
        #[inline(always)]
        fn sub(self, a: f64x4, b: f64x4) -> f64x4 {
            self.sub_f64x4(a, b)
        }
        #[inline(always)]
        fn mul(self, a: f64x4, b: f64x4) -> f64x4 {
            self.mul_f64x4(a, b)
        }
        #[inline(always)]
        fn abs(self, a: f64x4) -> f64x4 {
            self.abs_f64x4(a)
        }
        #[inline(always)]
        fn max(self, a: f64x4, b: f64x4) -> f64x4 {
            self.max_f64x4(a, b)
        }
        #[inline(always)]
        fn array(self, a: f64x4) -> [f64; 4] {
            [a.0, a.1, a.2, a.3]
        }
    }
}

/// Something to be compiled once for each instruction set.
///
/// A struct with an inlined `run`, and no closure: closures reach the compiler through a function of their
/// own, which is compiled for the oldest machine.
pub(crate) trait Work {
    /// What comes out.
    type Output;

    /// Does it; must be `inline(always)`, with all that it calls in its loops.
    fn run<Q: Quads>(self, quads: Q) -> Self::Output;
}

struct Plain<W>(W);

impl<W: Work> WithSimd for Plain<W> {
    type Output = W::Output;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> W::Output {
        self.0.run(Portable)
    }
}

/// Does the work by the best instructions there are.
pub(crate) fn dispatch<W: Work>(arch: Arch, work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    if let Arch::V3(v3) = arch {
        struct Wide<W>(pulp::x86::V3, W);
        impl<W: Work> pulp::NullaryFnOnce for Wide<W> {
            type Output = W::Output;

            #[inline(always)]
            fn call(self) -> W::Output {
                self.1.run(self.0)
            }
        }
        return v3.vectorize(Wide(v3, work));
    }
    arch.dispatch(Plain(work))
}
