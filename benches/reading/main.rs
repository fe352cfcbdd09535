//! How fast each format is opened and read, against safetensors of the same tensors.
//!
//! `python benches/reading/make_files.py DIR`, then `WEIGHBRIDGE_READING=DIR cargo bench --bench reading`.
//! Reads every tensor once in blocks of 1 MiB on one thread from a warm page cache, which is the worst
//! case for what a format costs beyond the copy: the best of seven rounds counts.

#![allow(clippy::print_stdout, clippy::expect_used)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use weighbridge::tensor::{self, Settings};

const BLOCK_BYTES: usize = 1 << 20;
const ROUNDS: usize = 7;

fn files(root: &Path, name: &str) -> Vec<PathBuf> {
    if !root.join(name).is_dir() {
        return vec![PathBuf::from(name)];
    }
    let entries = std::fs::read_dir(root.join(name)).expect("a directory that can be read");
    let mut files: Vec<PathBuf> =
        entries.map(|entry| Path::new(name).join(entry.expect("an entry").file_name())).collect();
    files.sort();
    files
}

/// Time to open, time to read, bytes.
fn round(root: &Path, files: &[PathBuf]) -> (Duration, Duration, u64) {
    let begin = Instant::now();
    let opened = tensor::open(root, files, &Settings::default());
    let open = begin.elapsed();
    assert!(opened.problems.is_empty(), "{:?}", opened.problems);
    let mut block = vec![0; BLOCK_BYTES];
    let (begin, mut bytes) = (Instant::now(), 0);
    for (index, tensor) in opened.source.tensors().iter().enumerate() {
        let mut offset = 0;
        while offset < tensor.bytes() {
            let len = (tensor.bytes() - offset).min(BLOCK_BYTES as u64) as usize;
            opened.source.read(index, offset, &mut block[..len]).expect("a tensor that can be read");
            offset += len as u64;
        }
        bytes += tensor.bytes();
    }
    (open, begin.elapsed(), bytes)
}

fn main() {
    let Ok(root) = std::env::var("WEIGHBRIDGE_READING") else {
        println!("skipped: set WEIGHBRIDGE_READING to a directory made by benches/reading/make_files.py");
        return;
    };
    let root = PathBuf::from(root);
    let names = [
        "model.safetensors",
        "model.pt",
        "legacy.pt",
        "model.npz",
        "dcp",
        "dcp_rows",
        "dcp_columns",
        "transposed.pt",
    ];
    let cases: Vec<_> = names
        .iter()
        .filter(|name| root.join(name).exists())
        .map(|name| (*name, files(&root, name)))
        .collect();
    // Round by round over all formats, so that a busy moment of the machine touches all alike.
    let mut best = vec![(Duration::MAX, Duration::MAX, 0); cases.len()];
    for _ in 0..ROUNDS {
        for ((_, files), best) in cases.iter().zip(&mut best) {
            let (open, read, bytes) = round(&root, files);
            *best = (best.0.min(open), best.1.min(read), bytes);
        }
    }
    let reference = best[0].0 + best[0].1;
    println!("{:<20} {:>10} {:>10} {:>8} {:>18}", "files", "open ms", "read ms", "GB/s", "of safetensors");
    for ((name, _), (open, read, bytes)) in cases.iter().zip(&best) {
        let rate = *bytes as f64 / read.as_secs_f64() / 1e9;
        let ratio = (*open + *read).as_secs_f64() / reference.as_secs_f64();
        let (open, read) = (open.as_secs_f64() * 1e3, read.as_secs_f64() * 1e3);
        println!("{name:<20} {open:>10.2} {read:>10.2} {rate:>8.2} {ratio:>17.2}x");
    }
}
