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

/// Places of the integers of every pickle in the bytes, with their widths: offsets and lengths of chunks, shapes, strides,
/// sizes of storages. Changed in place, they leave the pickle and the archive around it whole, so that the damage comes
/// as far as the checks of what they mean.
fn numbers(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut places = Vec::new();
    for start in 0..bytes.len().saturating_sub(2) {
        if bytes[start] == 0x80 && (2..=5).contains(&bytes[start + 1]) {
            numbers_of_pickle(bytes, start + 2, &mut places);
        }
    }
    places
}

fn numbers_of_pickle(bytes: &[u8], mut at: usize, places: &mut Vec<(usize, usize)>) {
    let little = |at: usize, width: usize| {
        let field = bytes.get(at..at + width).unwrap_or(&[]);
        field.iter().rev().fold(0_usize, |value, &byte| value << 8 | usize::from(byte))
    };
    let line =
        |at: usize| bytes.iter().skip(at).position(|&byte| byte == b'\n').map_or(bytes.len(), |len| len + 1);
    while let Some(&opcode) = bytes.get(at) {
        at += 1;
        let number = match opcode {
            b'K' => 1,
            b'M' => 2,
            b'J' => 4,
            0x8a => {
                at += 1;
                little(at - 1, 1)
            }
            _ => 0,
        };
        if number > 0 && at + number <= bytes.len() {
            places.push((at, number));
        }
        at += number
            + match opcode {
                b'h' | b'q' | 0x80 => 1,
                b'j' | b'r' => 4,
                b'G' | 0x95 => 8,
                b'c' => line(at) + line(at + line(at)),
                0x8c | b'U' | b'C' => 1 + little(at, 1),
                b'X' | b'T' | b'B' => 4 + little(at, 4),
                b'.' => return,
                b'K' | b'M' | b'J' | 0x8a | 0x81 | 0x85..=0x89 | 0x8f..=0x94 => 0,
                b'(' | b')' | b']' | b'}' | b'0' | b'1' | b'2' | b'N' | b'Q' | b'R' | b'a' | b'b' | b'd'
                | b'e' | b'l' | b's' | b't' | b'u' => 0,
                _ => return,
            };
    }
}

/// Changes integers of pickles to near ones, to others of the same file, and to the edges of their widths.
fn damage_numbers(bytes: &mut [u8], places: &[(usize, usize)], dice: &mut Dice) {
    for _ in 0..1 + dice.below(3) {
        let (at, width) = places[dice.below(places.len())];
        let (other, other_width) = places[dice.below(places.len())];
        let mut field = [0; 8];
        let kept = width.min(8);
        field[..kept].copy_from_slice(&bytes[at..at + kept]);
        let value = u64::from_le_bytes(field);
        let new = match dice.below(5) {
            0 => value.wrapping_add(1),
            1 => value.wrapping_sub(1),
            2 => EDGES[dice.below(EDGES.len())],
            3 => value.wrapping_mul(2),
            _ => {
                let len = other_width.min(8);
                let mut field = [0; 8];
                field[..len].copy_from_slice(&bytes[other..other + len]);
                u64::from_le_bytes(field)
            }
        };
        bytes[at..at + kept].copy_from_slice(&new.to_le_bytes()[..kept]);
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
    /// Where the first one's pickles have integers.
    numbers: Vec<(usize, usize)>,
}

impl Seed {
    fn new(files: Vec<(PathBuf, Vec<u8>)>) -> Self {
        let numbers = numbers(&files[0].1);
        Self { files, numbers }
    }

    /// The first file, damaged: blindly, or where the numbers are.
    fn damaged(&self, dice: &mut Dice) -> Vec<u8> {
        let mut bytes = self.files[0].1.clone();
        if !self.numbers.is_empty() && dice.below(2) == 0 {
            damage_numbers(&mut bytes, &self.numbers, dice);
        } else {
            damage(&mut bytes, dice);
        }
        bytes
    }
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
                seeds.push(Seed::new(files));
            }
        } else if entry.extension().is_some_and(|ending| ending != "json") {
            seeds.push(Seed::new(vec![(name(&entry), std::fs::read(&entry).unwrap())]));
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
    let (begin, mut case) = (Instant::now(), 0);
    // Slowest by the clock and by the processor's time: what others take of a busy machine is no hang of ours.
    let (mut slowest, mut busiest) = ((Duration::ZERO, 0), (Duration::ZERO, 0));
    let goes_on = |case: u64| match seconds() {
        Some(seconds) => begin.elapsed() < Duration::from_secs(seconds),
        None => case < CASES,
    };
    while goes_on(case) {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ (case + 1).wrapping_mul(0xd134_2543_de82_ef95));
        let seed = &seeds[dice.below(seeds.len())];
        let damaged = seed.damaged(&mut dice);
        let (started, processor) = (Instant::now(), processor_time());
        let opened = std::panic::catch_unwind(|| {
            let opened = open(directory.path(), seed, &damaged);
            use_it(&opened);
        });
        assert!(opened.is_ok(), "{folder}: case {case} of {} panics", seed.files[0].0.display());
        slowest = slowest.max((started.elapsed(), case));
        busiest = busiest.max((processor_time().saturating_sub(processor), case));
        case += 1;
    }
    if seconds().is_some() {
        println!(
            "{folder}: {case} cases, slowest {:?} by the clock (case {}) and {:?} of the processor (case {}), peak {} MiB",
            slowest.0,
            slowest.1,
            busiest.0,
            busiest.1,
            peak() >> 20
        );
        assert!(peak() <= MEMORY_BYTES_MAX, "{folder}: peak of memory {}", peak());
        let (time, case) = busiest;
        assert!(time.as_secs() < CASE_SECONDS_MAX, "{folder}: case {case} takes {time:?} of the processor");
        // A case that waits takes no processor. Nothing here waits, so a machine that is ten times too busy is allowed for.
        let (time, case) = slowest;
        assert!(time.as_secs() < 10 * CASE_SECONDS_MAX, "{folder}: case {case} takes {time:?}");
    }
}

/// What this thread has had of the processor, told by the kernel in steps of some milliseconds.
fn processor_time() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(told.split_whitespace().next().unwrap().parse().unwrap())
}

/// The numbers that are changed are those that mean something: of `.metadata`, offsets and lengths of chunks.
#[test]
fn numbers_of_pickles_are_found() {
    for (file, known) in
        [("dcp/wide_columns/.metadata", &[2101, 1001, 1051][..]), ("torch_zip/strides.pt", &[])]
    {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tensor").join(file);
        let bytes = std::fs::read(path).unwrap();
        let places = numbers(&bytes);
        assert!(places.len() > 10, "{file}: {places:?}");
        let value = |&(at, width): &(usize, usize)| {
            bytes[at..at + width].iter().rev().fold(0, |v, &b| v << 8 | u64::from(b))
        };
        let values: Vec<u64> = places.iter().filter(|place| place.1 <= 4).map(value).collect();
        assert!(known.iter().all(|known| values.contains(known)), "{file}: {values:?}");
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
        let seed = Seed::new(vec![(PathBuf::from(file), Vec::new())]);
        // Bytes that only pad the end of a file are missed by nobody.
        for length in (0..whole.len() - padding).filter(|length| *length < 600 || length % 7 == 0) {
            let opened = open(directory.path(), &seed, &whole[..length]);
            assert!(!opened.problems.is_empty(), "{file} cut at {length}");
            assert!(tensor::check_lengths(&directory.path().join(file)).is_some(), "{file} cut at {length}");
            use_it(&opened);
        }
    }
}
