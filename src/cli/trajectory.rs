//! `weighbridge trajectory`: a run's way through weight space, from the stored sketches.

use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;

use super::distance::Format;
use super::source::{Source, StoreArg};
use super::{Exit, Run, output};
use crate::store::Store;
use crate::terms::distance::{self, Event, Oddity};
use crate::terms::{Attempt, RunId};

/// Checkpoints that are laid out at most; of more, evenly many. Each takes about 0.7 MB of memory.
const POINTS_MAX: usize = 128;

/// Tells how a run moved, and where a checkpoint is not what its step says.
#[derive(Debug, Args)]
pub struct Trajectory {
    /// The run
    run: String,
    #[command(flatten)]
    store: StoreArg,
    /// Only this attempt; else all of them, one after the other
    #[arg(long)]
    attempt: Option<u32>,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    way: distance::Trajectory,
    events: Vec<Event>,
}

impl Run for Trajectory {
    const NAME: &'static str = "trajectory";
    const ABOUT: &'static str = "Tell how a run moved through weight space, from stored sketches";

    fn run(self) -> anyhow::Result<Exit> {
        let store = Source::at_rest(&self.store.store)?;
        let points = self.points(&store)?;
        let bare: Vec<_> = points.iter().map(|(key, sketches, _)| (key.clone(), sketches.clone())).collect();
        let way =
            distance::trajectory(&bare).context("fewer than two checkpoints have sketches that compare")?;
        let answer = Answer { way, events: distance::events(&points) };
        let text = match self.format {
            Format::Json => format!("{}\n", serde_json::to_string_pretty(&answer)?),
            Format::Text => words(&answer),
        };
        output::text(&text)?;
        Ok(Exit::Done)
    }
}

impl Trajectory {
    fn points(&self, store: &Store) -> anyhow::Result<Vec<distance::Point>> {
        let run = RunId::new(&self.run);
        let mut keys = store.keys(&run);
        keys.retain(|key| self.attempt.is_none_or(|attempt| key.attempt == Attempt(attempt)));
        if keys.is_empty() {
            bail!("run {run} is not in this store");
        }
        let stride = keys.len().div_ceil(POINTS_MAX);
        // Counted from the newest, so that the newest is always there.
        let thinned: Vec<_> = keys.into_iter().rev().step_by(stride).collect();
        let mut points = Vec::new();
        for key in thinned.into_iter().rev() {
            let Some(sketches) = store.sketches_of(&key)? else { continue };
            let Some(reading) = store.reading_without_bulk(&key)? else { continue };
            points.push((key, sketches, reading.tensors.into_iter().map(|tensor| tensor.facts).collect()));
        }
        Ok(points)
    }
}

fn words(answer: &Answer) -> String {
    let way = &answer.way;
    let mut text = format!("{} checkpoints, {:.6} from first to last", way.keys.len(), way.end_to_end);
    let travelled: f64 = way.moves.iter().sum();
    text.push_str(&format!(" on a way of {travelled:.6}\n"));
    if let (Some(exponent), Some(error)) = (way.diffusion_exponent, way.diffusion_standard_error) {
        let line = format!(
            "diffusion exponent {exponent:.3} ± {error:.3} (1 drifts, 0.5 wanders, below 0.3 is trapped)\n"
        );
        text.push_str(&line);
    }
    let moves = way.keys.iter().skip(1).zip(&way.moves).zip(&way.move_standard_errors);
    for (index, ((key, distance), error)) in moves.enumerate() {
        let [x, y] = way.coordinates[index + 1];
        text.push_str(&format!("  {key}: moved {distance:.6} ± {error:.6}, at ({x:.4}, {y:.4})\n"));
    }
    for event in &answer.events {
        text.push_str(&format!("{}: {}\n", event.key, oddity(&event.oddity)));
    }
    text
}

fn oddity(oddity: &Oddity) -> String {
    match oddity {
        Oddity::Again(key) => format!("this is {key} again"),
        Oddity::Swapped(swaps) => {
            let pairs: Vec<_> =
                swaps.iter().map(|swap| format!("{} and {}", swap.tensor, swap.with)).collect();
            format!("these changed places: {}", pairs.join("; "))
        }
        Oddity::Copied(pairs) => {
            let pairs: Vec<_> = pairs.iter().map(|(of, copy)| format!("{copy} is {of}")).collect();
            format!("these became copies: {}", pairs.join("; "))
        }
        Oddity::WentBack { to, tensors } => {
            let names: Vec<&str> = tensors.iter().map(|name| &**name).collect();
            format!("older than the rest, as of {to}: {}", names.join(", "))
        }
    }
}
