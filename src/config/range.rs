//! Numbers that know their range: refused while they are parsed, so that the message has the line.

use super::error::OUT_OF_RANGE;
use serde::{Deserialize, Deserializer, de::Error};

macro_rules! ranges {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $min:expr, $max:expr;)*) => {
        $($(#[$doc])*
        pub fn $name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<$type, D::Error> {
            let value = <$type>::deserialize(deserializer)?;
            let range = $min..=$max;
            // NaN is in no range.
            if range.contains(&value) {
                Ok(value)
            } else {
                let (min, max) = range.into_inner();
                Err(D::Error::custom(format!("{value} {OUT_OF_RANGE} {min} to {max}")))
            }
        })*
    };
}

ranges! {
    /// A pause: not so short that it spins, not so long that nobody would wait for it.
    pause_seconds: f64 = 0.05, 86_400.0;
    /// A time that may be zero.
    time_seconds: f64 = 0.0, 31_536_000.0;
    /// Threads of the scales.
    threads: usize = 1, 256;
    /// Numbers in a sketch; 0 is none.
    sketch_elements: usize = 0, 65_536;
    /// Stored quantiles a tensor; 0 is none.
    quantiles: usize = 0, 1_024;
    /// Highest tier.
    tier: u8 = 1, 3;
    /// Series in one scrape.
    series: usize = 100, 5_000_000;
    /// Directories between a watched one and a checkpoint.
    depth: usize = 1, 64;
    /// Runs kept in memory.
    runs: usize = 1, 10_000;
    /// Connections at once.
    connections: usize = 1, 65_536;
    /// Checkpoints of a run that are kept.
    kept: usize = 1, 1_000;
    /// Gibibytes; 0 is no limit.
    gibibytes: f64 = 0.0, 1e9;
    /// Mebibytes.
    mebibytes: u64 = 1, 1_048_576;
}
