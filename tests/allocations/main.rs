//! Counted work of a weighing: allocations, memory at its peak, bytes read. Counts are the same on every machine, so
//! that a change which costs more is seen where times would not tell. A binary of its own, as it counts for the whole
//! process.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use weighbridge::measure::{Plan, QUANTILES, SKETCH_LEN, weigh};
use weighbridge::model::understand;
use weighbridge::terms::{BlockSource, Dtype, SourceError, TensorInfo, Tier, TrainerState};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Square matrices of noise, made as they are read.
struct Noise {
    infos: Vec<TensorInfo>,
    read: AtomicU64,
}

impl Noise {
    fn new(matrices: usize, side: u64) -> Self {
        let info = |index: usize| TensorInfo {
            name: Arc::from(format!("layers.{index}.weight")),
            dtype: Dtype::F32,
            shape: vec![side, side],
            file: "model.safetensors".into(),
        };
        Self { infos: (0..matrices).map(info).collect(), read: 0.into() }
    }
}

impl BlockSource for Noise {
    fn tensors(&self) -> &[TensorInfo] {
        &self.infos
    }

    fn read(&self, _: usize, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        self.read.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        for (index, value) in buffer.chunks_exact_mut(4).enumerate() {
            // The sum of eight uniform bytes is nearly normal.
            let mut bits = (offset / 4 + index as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            bits = (bits ^ (bits >> 31)).wrapping_mul(0x94D0_49BB_1331_11EB);
            let sum: u32 = bits.to_le_bytes().iter().map(|byte| u32::from(*byte)).sum();
            let fine = (bits >> 40) as f32 / (1 << 24) as f32;
            value.copy_from_slice(&((sum as f32 - 1020.0 + fine) * 1e-4).to_le_bytes());
        }
        Ok(())
    }
}

/// Allocations, bytes at the peak, and times that every byte was read.
fn count(matrices: usize, side: u64) -> (u64, usize, f64) {
    let source = Noise::new(matrices, side);
    let map = understand(source.tensors(), None);
    let plan =
        Plan { tier: Tier::One, threads: 1, sketch_len: SKETCH_LEN, quantiles: QUANTILES, ..Plan::default() };
    let profiler = dhat::Profiler::builder().testing().build();
    let weighed = weigh(&source, &map, None, &TrainerState::default(), &plan, &());
    let stats = dhat::HeapStats::get();
    drop(profiler);
    assert!(weighed.problems.is_empty(), "{:?}", weighed.problems);
    let bytes = matrices as u64 * side * side * 4;
    let looks = source.read.into_inner() as f64 / bytes as f64;
    println!(
        "{matrices} of {side}: {} allocations, {} bytes at the peak",
        stats.total_blocks, stats.max_bytes
    );
    (stats.total_blocks, stats.max_bytes, looks)
}

#[test]
fn a_weighing_allocates_no_more_than_it_did() {
    let (few, few_peak, looks) = count(2, 1024);
    let (many, many_peak, _) = count(10, 1024);
    let (_, large_peak, large_looks) = count(1, 4096);
    // A matrix held by its thread is read once, a larger one once a look.
    assert!(looks == 1.0 && large_looks <= 2.0, "{looks} and {large_looks} looks");
    let each = (many - few) / 8;
    assert!(each <= 600, "{each} allocations a matrix of 1024 x 1024");
    // Buffers are used again: more tensors need no more memory but for what is kept of them, nor do larger ones.
    let kept = 8 * (SKETCH_LEN * 4 + QUANTILES * 4 + 16_384);
    assert!(many_peak <= few_peak + kept, "{many_peak} bytes after {few_peak}");
    assert!(large_peak <= 64 << 20, "{large_peak} bytes at the peak for a matrix of 64 MiB");
}
