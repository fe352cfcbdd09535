//! Random numbers for probes and tests: fixed seeds, the same on every machine.

/// A splitmix64 stream. Not for secrets: its only use is start vectors and simulated nulls.
#[derive(Clone, Debug)]
pub struct Noise(u64);

impl Noise {
    /// A stream of that seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in (0, 1).
    pub fn uniform(&mut self) -> f64 {
        ((self.bits() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Standard normal, by Box and Muller.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// `count` standard normal numbers of that seed.
pub fn gaussian(count: usize, seed: u64) -> Vec<f64> {
    let mut noise = Noise::new(seed);
    (0..count).map(|_| noise.normal()).collect()
}
