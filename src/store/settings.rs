//! What the user can set.

use std::time::Duration;

/// Settings of the store; `Default` is the product's.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Memory that the database may use as cache, in bytes. It lies beside a training job, so it is small.
    pub cache_bytes: u64,
    /// Bytes that stay free on the file system: below it nothing new is written.
    pub free_bytes_min: u64,
    /// What of old readings is kept. Facts and findings always are.
    pub retention: Retention,
    /// Pause between two looks at what need not be kept any more, where few commits come.
    pub tend_interval: Duration,
}

/// What of old readings is kept, by kind: sketches are 85 % of a store, samples of tier one 5 %.
#[derive(Clone, Debug, PartialEq)]
pub struct Retention {
    /// Sketches: distances to earlier checkpoints.
    pub sketches: Keep,
    /// Quantiles: histograms over time.
    pub quantiles: Keep,
    /// Samples of the cheap metrics.
    pub tier_one: Keep,
    /// Samples of the tops of the spectra and of heads.
    pub tier_two: Keep,
    /// Samples of full spectra.
    pub tier_three: Keep,
    /// Bytes that all sketches and quantiles together may take; the oldest are thinned further until it is kept.
    pub bulk_bytes_max: Option<u64>,
}

/// Which readings keep something. What a finding rests on keeps everything, whatever is set here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Keep {
    /// Of each attempt, this many of the newest readings keep it.
    pub newest: u64,
    /// Of those that are older, at most this many, evenly by step.
    pub older: u64,
    /// Nothing whose checkpoint is older than so many days keeps it.
    pub days: Option<f64>,
}

/// One kind of what is kept: the configuration, its reference and the document are made from this.
#[derive(Clone, Copy, Debug)]
pub struct KeepKind {
    /// Key below `keep.retention`.
    pub name: &'static str,
    /// What it is, and what it is good for.
    pub doc: &'static str,
    /// Where it stands in the settings.
    pub slot: fn(&mut Retention) -> &mut Keep,
}

/// All kinds.
pub static KEEP_KINDS: &[KeepKind] = &[
    KeepKind {
        name: "sketches",
        doc: "Sketches: distances to earlier checkpoints, 0.5 MB a checkpoint of 148 tensors",
        slot: |retention| &mut retention.sketches,
    },
    KeepKind {
        name: "quantiles",
        doc: "Quantiles: histograms over time, 70 kB a checkpoint",
        slot: |retention| &mut retention.quantiles,
    },
    KeepKind {
        name: "tier_one",
        doc: "Values of the metrics of one pass over every tensor",
        slot: |retention| &mut retention.tier_one,
    },
    KeepKind {
        name: "tier_two",
        doc: "Values of heads and of the tops of spectra",
        slot: |retention| &mut retention.tier_two,
    },
    KeepKind {
        name: "tier_three",
        doc: "Values of full spectra",
        slot: |retention| &mut retention.tier_three,
    },
];

impl Keep {
    /// Everything, for good.
    pub const ALL: Keep = Keep { newest: u64::MAX, older: u64::MAX, days: None };
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cache_bytes: 32 << 20,
            free_bytes_min: 256 << 20,
            retention: Retention::default(),
            tend_interval: Duration::from_secs(600),
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        // 500 checkpoints of a 148-tensor model stay whole and below 450 MB; a run that writes more of them
        // keeps its newest 300 and up to 200 spread over the rest.
        let bulk = Keep { newest: 300, older: 200, days: None };
        Self {
            sketches: bulk,
            quantiles: bulk,
            tier_one: Keep::ALL,
            tier_two: Keep::ALL,
            tier_three: Keep::ALL,
            bulk_bytes_max: None,
        }
    }
}

impl Retention {
    /// The small store: 500 checkpoints of a 148-tensor model in less than 80 MB.
    pub fn small() -> Self {
        let bulk = Keep { newest: 8, older: 16, days: None };
        Self { sketches: bulk, quantiles: bulk, ..Self::default() }
    }
}
