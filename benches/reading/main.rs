//! How fast each format is opened and read, against safetensors of the same tensors.
//!
//! `python benches/reading/make_files.py DIR`, then `WEIGHBRIDGE_READING=DIR cargo bench --bench reading`.
//! Reads every tensor once in blocks of 1 MiB on one thread from a warm page cache, which is the worst
//! case for what a format costs beyond the copy: the best of seven rounds counts.
//!
//! How a file came into the page cache counts for more than its format: what was written in small pieces lies
//! in small pieces of memory. So everything is measured twice, first as the files lie in the cache, and then
//! after each was put out of it and read back from the disk by the same plain reader. Beside each stands the
//! rate of a plain read of the whole file, which no reader of it can beat by much.

#![allow(clippy::print_stdout, clippy::expect_used)]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{Advice, fadvise};
use weighbridge::tensor::{self, Settings};

const BLOCK_BYTES: usize = 1 << 20;
const PAGE_BYTES: usize = 4096;
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

/// Best times so far, of opening, of reading, and of a plain read; bytes of the tensors and of the files.
struct Best {
    open: Duration,
    read: Duration,
    plain: Duration,
    bytes: u64,
    plain_bytes: u64,
}

impl Best {
    const NONE: Self =
        Self { open: Duration::MAX, read: Duration::MAX, plain: Duration::MAX, bytes: 0, plain_bytes: 0 };

    fn round(&mut self, root: &Path, files: &[PathBuf], block: &mut [u8]) {
        let begin = Instant::now();
        let opened = tensor::open(root, files, &Settings::default());
        self.open = self.open.min(begin.elapsed());
        assert!(opened.problems.is_empty(), "{:?}", opened.problems);
        let begin = Instant::now();
        self.bytes = 0;
        for (index, tensor) in opened.source.tensors().iter().enumerate() {
            let mut offset = 0;
            while offset < tensor.bytes() {
                let len = (tensor.bytes() - offset).min(BLOCK_BYTES as u64) as usize;
                opened.source.read(index, offset, &mut block[..len]).expect("a tensor that can be read");
                offset += len as u64;
            }
            self.bytes += tensor.bytes();
        }
        self.read = self.read.min(begin.elapsed());
        let begin = Instant::now();
        self.plain_bytes = files.iter().map(|file| plain_read(&root.join(file), block)).sum();
        self.plain = self.plain.min(begin.elapsed());
    }

    fn rate(bytes: u64, time: Duration) -> f64 {
        bytes as f64 / time.as_secs_f64() / 1e9
    }
}

/// The whole file from its beginning to its end, and how many bytes that were.
fn plain_read(path: &Path, block: &mut [u8]) -> u64 {
    let file = File::open(path).expect("a file that can be read");
    // Half a page off the file's own pages: a little above them, some processors copy much slower.
    let begin = (PAGE_BYTES + PAGE_BYTES / 2 - block.as_ptr().addr() % PAGE_BYTES) % PAGE_BYTES;
    let block = &mut block[begin..][..BLOCK_BYTES];
    let mut offset = 0;
    loop {
        match file.read_at(block, offset).expect("a file that can be read") {
            0 => return offset,
            read => offset += read as u64,
        }
    }
}

/// Puts the file out of the page cache, which takes what is not on the disk yet to be written first.
fn put_out_of_the_cache(path: &Path) {
    let file = File::options().read(true).write(true).open(path).expect("a file that can be written");
    file.sync_all().expect("a disk that takes it");
    fadvise(&file, 0, None, Advice::DontNeed).expect("advice that is taken");
}

fn measure(title: &str, root: &Path, cases: &[(&str, Vec<PathBuf>)]) {
    let mut block = vec![0; BLOCK_BYTES + PAGE_BYTES];
    // Round by round over all formats, so that a busy moment of the machine touches all alike.
    let mut best: Vec<Best> = cases.iter().map(|_| Best::NONE).collect();
    for _ in 0..ROUNDS {
        for ((_, files), best) in cases.iter().zip(&mut best) {
            best.round(root, files, &mut block);
        }
    }
    let reference = best[0].open + best[0].read;
    println!("\n{title}");
    println!(
        "{:<20} {:>8} {:>8} {:>8} {:>15} {:>11}",
        "files", "open ms", "read ms", "GB/s", "of safetensors", "plain GB/s"
    );
    for ((name, _), best) in cases.iter().zip(&best) {
        let ratio = (best.open + best.read).as_secs_f64() / reference.as_secs_f64();
        println!(
            "{name:<20} {:>8.2} {:>8.2} {:>8.2} {ratio:>14.2}x {:>11.2}",
            best.open.as_secs_f64() * 1e3,
            best.read.as_secs_f64() * 1e3,
            Best::rate(best.bytes, best.read),
            Best::rate(best.plain_bytes, best.plain),
        );
    }
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
        "dcp_parallel",
        "dcp_columns",
        "transposed.pt",
    ];
    let cases: Vec<_> = names
        .iter()
        .filter(|name| root.join(name).exists())
        .map(|name| (*name, files(&root, name)))
        .collect();
    measure("as they lie in the page cache", &root, &cases);
    let all = || cases.iter().flat_map(|(_, files)| files).map(|file| root.join(file));
    all().for_each(|file| put_out_of_the_cache(&file));
    let mut block = vec![0; BLOCK_BYTES + PAGE_BYTES];
    for file in all() {
        plain_read(&file, &mut block);
    }
    measure("read back from the disk", &root, &cases);
}
