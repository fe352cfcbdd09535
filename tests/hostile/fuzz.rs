//! Real files, damaged at random: no panic, no endless loop, no runaway memory, whatever the bytes.
//!
//! The damage is seeded, so a failure names a case that comes again. In a normal run each format gets
//! some hundred cases; with `WEIGHBRIDGE_FUZZ_SECONDS=600` each gets that long, and the slowest case and
//! the peak of memory are told.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use weighbridge::tensor::{self, Opened, Settings};

/// Cases of one format in a normal run.
const CASES: u64 = 400;
/// Bytes read of each tensor.
const READ_BYTES: u64 = 64 << 10;
/// Peak of memory in a long run.
const MEMORY_BYTES_MAX: u64 = 512 << 20;
/// Slowest case in a long run.
const CASE_SECONDS_MAX: u64 = 5;

/// xorshift64*: small, seeded, good enough to pick bytes.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.roll() % limit.max(1) as u64) as usize
    }
}

/// Numbers at which sizes and offsets break.
const EDGES: [u64; 12] =
    [0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 32, 1 << 62, (1 << 63) - 1, u64::MAX];

fn damage(bytes: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..1 + dice.below(4) {
        let at = dice.below(bytes.len());
        match dice.below(9) {
            0 => bytes.truncate(at),
            1 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            2 if at < bytes.len() => bytes[at] = dice.roll() as u8,
            3 => {
                let width = [1, 2, 4, 8][dice.below(4)];
                let edge = EDGES[dice.below(EDGES.len())].to_le_bytes();
                let end = (at + width).min(bytes.len());
                let len = end - at.min(end);
                bytes[end - len..end].copy_from_slice(&edge[..len]);
            }
            4 => {
                let end = (at + dice.below(64)).min(bytes.len());
                bytes.drain(at.min(end)..end);
            }
            5 | 6 => {
                let from = dice.below(bytes.len());
                let end = (from + dice.below(64)).min(bytes.len());
                let part = bytes[from.min(end)..end].to_vec();
                bytes.splice(at..at, part);
            }
            7 => {
                let digits: &[&[u8]] =
                    &[b"18446744073709551616", b"-1", b"1e400", b"[[[[[[[[", b"\"", b"}", b"."];
                let word = digits[dice.below(digits.len())];
                bytes.splice(at..at, word.iter().copied());
            }
            _ => {
                let len = dice.below(32);
                let noise: Vec<u8> = (0..len).map(|_| dice.roll() as u8).collect();
                bytes.splice(at..at, noise);
            }
        }
        if bytes.is_empty() {
            return;
        }
    }
}

fn use_it(opened: &Opened) {
    for (index, tensor) in opened.source.tensors().iter().enumerate().take(64) {
        let mut block = vec![0; tensor.bytes().min(READ_BYTES) as usize];
        let _ = opened.source.read(index, 0, &mut block);
        let tail = tensor.bytes() - block.len() as u64;
        let _ = opened.source.read(index, tail, &mut block);
    }
    for problem in &opened.problems {
        let text = problem.to_string();
        assert!(!text.contains('\0') && text.len() < 20_000, "{text}");
    }
}

/// A checkpoint of the fixtures: its files, the first of which is damaged.
struct Seed {
    files: Vec<(PathBuf, Vec<u8>)>,
}

fn seeds(folder: &str) -> Vec<Seed> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tensor").join(folder);
    let mut seeds = Vec::new();
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for entry in entries {
        let name = |path: &Path| PathBuf::from(path.file_name().unwrap());
        if entry.is_dir() {
            let mut files: Vec<PathBuf> =
                std::fs::read_dir(&entry).unwrap().map(|file| file.unwrap().path()).collect();
            files.sort();
            let files: Vec<_> = files.iter().map(|file| (name(file), std::fs::read(file).unwrap())).collect();
            for first in 0..files.len().min(2) {
                let mut files = files.clone();
                files.swap(0, first);
                seeds.push(Seed { files });
            }
        } else if entry.extension().is_some_and(|ending| ending != "json") {
            seeds.push(Seed { files: vec![(name(&entry), std::fs::read(&entry).unwrap())] });
        }
    }
    assert!(!seeds.is_empty());
    seeds
}

fn open(directory: &Path, seed: &Seed, damaged: &[u8]) -> Opened {
    for (index, (name, content)) in seed.files.iter().enumerate() {
        std::fs::write(directory.join(name), if index == 0 { damaged } else { content }).unwrap();
    }
    let names: Vec<PathBuf> = seed.files.iter().map(|(name, _)| name.clone()).collect();
    let _ = tensor::check_lengths(&directory.join(&names[0]));
    tensor::open(directory, &names, &Settings::default())
}

fn seconds() -> Option<u64> {
    std::env::var("WEIGHBRIDGE_FUZZ_SECONDS").ok()?.parse().ok()
}

fn fuzz(folder: &str) {
    let seeds = seeds(folder);
    let directory = tempfile::tempdir().unwrap();
    let (begin, mut slowest, mut slowest_case) = (Instant::now(), Duration::ZERO, 0);
    let mut case = 0;
    let goes_on = |case: u64| match seconds() {
        Some(seconds) => begin.elapsed() < Duration::from_secs(seconds),
        None => case < CASES,
    };
    while goes_on(case) {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ (case + 1).wrapping_mul(0xd134_2543_de82_ef95));
        let seed = &seeds[dice.below(seeds.len())];
        let mut damaged = seed.files[0].1.clone();
        damage(&mut damaged, &mut dice);
        let started = Instant::now();
        let opened = std::panic::catch_unwind(|| {
            let opened = open(directory.path(), seed, &damaged);
            use_it(&opened);
        });
        assert!(opened.is_ok(), "{folder}: case {case} of {} panics", seed.files[0].0.display());
        if started.elapsed() > slowest {
            (slowest, slowest_case) = (started.elapsed(), case);
        }
        case += 1;
    }
    if seconds().is_some() {
        println!(
            "{folder}: {case} cases, slowest {slowest:?} (case {slowest_case}), peak {} MiB",
            peak() >> 20
        );
        assert!(peak() <= MEMORY_BYTES_MAX, "{folder}: peak of memory {}", peak());
        assert!(slowest.as_secs() < CASE_SECONDS_MAX, "{folder}: case {slowest_case} takes {slowest:?}");
    }
}

/// Largest resident memory of this process, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

#[test]
fn damaged_torch_zip() {
    fuzz("torch_zip");
}

#[test]
fn damaged_torch_legacy() {
    fuzz("torch_legacy");
}

#[test]
fn damaged_distributed() {
    fuzz("dcp");
}

#[test]
fn damaged_deepspeed() {
    fuzz("deepspeed");
}

#[test]
fn damaged_arrays() {
    fuzz("numpy");
}

#[test]
fn damaged_gguf() {
    fuzz("gguf");
}

#[test]
fn damaged_safetensors() {
    fuzz("safetensors");
}

#[test]
fn damaged_malicious() {
    fuzz("malicious");
}

/// Every format, cut at every byte (at every seventh beyond the first 600): what is cut is told.
#[test]
fn files_cut_anywhere_are_told() {
    for (folder, file, padding) in [
        ("safetensors", "every_dtype.safetensors", 0),
        ("torch_zip", "strides.pt", 0),
        ("torch_legacy", "strides.pt", 0),
        ("numpy", "rows.npy", 0),
        ("numpy", "compressed.npz", 0),
        ("gguf", "plain.gguf", 32),
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tensor").join(folder);
        let whole = std::fs::read(folder.join(file)).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let seed = Seed { files: vec![(PathBuf::from(file), Vec::new())] };
        // Bytes that only pad the end of a file are missed by nobody.
        for length in (0..whole.len() - padding).filter(|length| *length < 600 || length % 7 == 0) {
            let opened = open(directory.path(), &seed, &whole[..length]);
            assert!(!opened.problems.is_empty(), "{file} cut at {length}");
            assert!(tensor::check_lengths(&directory.path().join(file)).is_some(), "{file} cut at {length}");
            use_it(&opened);
        }
    }
}
