//! Checkpoints in memory, and random numbers, for the tests of this room.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Plan, Previous, Weighed, weigh};
use crate::terms::{
    BlockSource, Dtype, LogPoint, ModelMap, SourceError, Step, TensorInfo, Tier, TrainerState,
};

/// Tensors in memory. Counts the bytes that are read.
#[derive(Default)]
pub(crate) struct InMemory {
    infos: Vec<TensorInfo>,
    data: Vec<Vec<u8>>,
    pub(crate) read: AtomicU64,
}

impl InMemory {
    pub(crate) fn add(&mut self, name: &str, dtype: Dtype, shape: &[u64], bytes: Vec<u8>) {
        let info = TensorInfo {
            name: Arc::from(name),
            dtype,
            shape: shape.to_vec(),
            file: PathBuf::from("model.safetensors"),
        };
        assert_eq!(info.bytes(), bytes.len() as u64, "{name}");
        self.infos.push(info);
        self.data.push(bytes);
    }

    pub(crate) fn one(dtype: Dtype, shape: &[u64], bytes: Vec<u8>) -> Self {
        let mut source = Self::default();
        source.add("w", dtype, shape, bytes);
        source
    }

    pub(crate) fn f32(shape: &[u64], values: &[f32]) -> Self {
        Self::one(Dtype::F32, shape, values.iter().flat_map(|x| x.to_le_bytes()).collect())
    }

    pub(crate) fn bf16(shape: &[u64], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|&x| half::bf16::from_f32(x).to_le_bytes()).collect();
        Self::one(Dtype::BF16, shape, bytes)
    }
}

impl BlockSource for InMemory {
    fn tensors(&self) -> &[TensorInfo] {
        &self.infos
    }

    fn read(&self, tensor: usize, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        self.read.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        buffer.copy_from_slice(&self.data[tensor][offset as usize..][..buffer.len()]);
        Ok(())
    }
}

/// A map that knows nothing.
pub(crate) fn unknown() -> ModelMap {
    ModelMap {
        family: "unknown".to_owned(),
        meanings: Vec::new(),
        attention: Vec::new(),
        tied: Vec::new(),
        tied_absent: Vec::new(),
        remarks: Vec::new(),
    }
}

/// Tier 1 on that many threads.
pub(crate) fn plan(threads: usize) -> Plan {
    Plan { tier: Tier::One, threads, sketch_len: 256, quantiles: 16, ..Plan::default() }
}

/// Weighs tier 1; the previous checkpoint, if any, was 10 steps before, at a learning rate of 1e-3.
pub(crate) fn weighed(source: &InMemory, previous: Option<&InMemory>, threads: usize) -> Weighed {
    let log = vec![LogPoint { step: 20, learning_rate: Some(1e-3), ..LogPoint::default() }];
    let trainer = TrainerState { global_step: Some(20), log, ..TrainerState::default() };
    let previous = previous.map(|source| Previous { step: Step(10), source });
    weigh(source, &unknown(), previous, &trainer, &plan(threads), &())
}

/// A small generator that gives the same numbers on every machine (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in (0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        ((self.bits() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Standard normal (Box and Muller).
    pub(crate) fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (2.0 * std::f64::consts::PI * self.uniform()).cos()
    }

    pub(crate) fn normals(&mut self, len: usize, scale: f64) -> Vec<f32> {
        (0..len).map(|_| (self.normal() * scale) as f32).collect()
    }

    /// Student's t with whole degrees of freedom.
    pub(crate) fn student(&mut self, freedom: u32) -> f64 {
        let square: f64 = (0..freedom).map(|_| self.normal().powi(2)).sum();
        self.normal() / (square / f64::from(freedom)).sqrt()
    }
}
