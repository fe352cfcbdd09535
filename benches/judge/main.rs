//! What judging one checkpoint of 1,000 tensors costs with 500 checkpoints of history: `cargo bench --bench judge`,
//! or with another number of checkpoints after `--`.
//!
//! The readings are those of the detectors' scripts, with 125 layers, four heads each. Judged as the daemon does,
//! which keeps the newest 128 points of a history in memory, and once more with all 500 of them. The last checkpoint is
//! sick: what nobody expects is looked up in the sketches of the past. Times are of the judge alone, on
//! the clock: the machine should have nothing else to do.

#![allow(clippy::print_stdout, clippy::expect_used, clippy::unwrap_used, dead_code)]

#[path = "../../tests/detect/synthetic.rs"]
mod synthetic;

use std::time::{Duration, Instant};

use weighbridge::detect::{Settings, State, judge};
use weighbridge::terms::History;

use synthetic::{Remembered, Series};

const CHECKPOINTS: usize = 500;
/// Healthy checkpoints at the end of which the time is taken.
const TIMED: usize = 20;
/// Layers of eight tensors, beside two embeddings.
const LAYERS: u32 = 125;

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn measure(checkpoints: usize, points_max: usize) {
    let series = Series { checkpoints: checkpoints + 1, layers: LAYERS, every: 5, ..Series::default() };
    let (mut history, mut state) = (History::new(points_max), State::default());
    let (memory, settings) = (Remembered::default(), Settings::default());
    let mut times = Vec::new();
    let mut found = 0;
    for index in 0..checkpoints {
        let reading = series.reading(index);
        let begun = Instant::now();
        found += judge(&history, &reading, &memory, &mut state, &settings).len();
        times.push(begun.elapsed());
        memory.keep(&reading);
        history.push(&reading);
    }
    let mut sick = series.reading(checkpoints);
    let tensors = sick.tensors.len();
    for (name, value) in [("cosine_to_previous", 0.01), ("update_ratio", 1.4), ("update_abs_max", 1.0)] {
        let tensor = sick.tensors.iter_mut().find(|tensor| &*tensor.facts.name == "h.60.attn_v");
        tensor.expect("a tensor of the series").samples.insert(name, value);
    }
    let begun = Instant::now();
    let told = judge(&history, &sick, &memory, &mut state, &settings);
    let of_sick = begun.elapsed();
    let mut last = times.split_off(checkpoints.saturating_sub(TIMED));
    last.sort();
    println!(
        "{tensors} tensors, {} points of history: median {:.1} ms, largest of {TIMED} {:.1} ms; {found} findings in \
         {checkpoints} healthy checkpoints; a sick one: {:.1} ms, {}",
        history.points().len(),
        milliseconds(last[last.len() / 2]),
        milliseconds(last[last.len() - 1]),
        milliseconds(of_sick),
        told.iter().map(|finding| finding.detector.as_str()).collect::<Vec<_>>().join(", "),
    );
}

fn main() {
    let asked = std::env::args().find_map(|argument| argument.parse().ok());
    let checkpoints = asked.unwrap_or(CHECKPOINTS).max(1);
    measure(checkpoints, History::POINTS_MAX);
    measure(checkpoints, checkpoints);
}
