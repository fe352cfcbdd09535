//! `weighbridge distance`: how far apart two checkpoints of a run are, from the stored sketches.

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use super::source::{Source, StoreArg};
use super::{Exit, Run, output};
use crate::store::Store;
use crate::terms::distance::distance;
use crate::terms::{Attempt, ReadingKey, RunId, Step};

/// Tells the distance of two checkpoints, whether their files are still there or not.
#[derive(Debug, Args)]
pub struct Distance {
    /// The run
    run: String,
    /// Step of the one checkpoint
    from: u64,
    /// Step of the other
    to: u64,
    #[command(flatten)]
    store: StoreArg,
    /// Attempt that both belong to; else the newest that has the step
    #[arg(long)]
    attempt: Option<u32>,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Forms of a short answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For scripts.
    Json,
}

impl Run for Distance {
    const NAME: &'static str = "distance";
    const ABOUT: &'static str = "Tell how far apart two checkpoints are, from stored sketches";

    fn run(self) -> anyhow::Result<Exit> {
        let store = Source::at_rest(&self.store.store)?;
        let sketches = |step| {
            let key = find(&store, &RunId::new(&self.run), self.attempt, step)?;
            store.sketches_of(&key)?.with_context(|| format!("{key}: its sketches were not kept"))
        };
        let apart = distance(&*sketches(self.from)?, &*sketches(self.to)?);
        if apart.tensors.is_empty() {
            bail!("the two checkpoints have no tensor whose sketches compare");
        }
        let text = match self.format {
            Format::Json => format!("{}\n", serde_json::to_string_pretty(&apart)?),
            Format::Text => {
                let mut tensors = apart.tensors.clone();
                tensors.sort_by(|left, right| right.relative.total_cmp(&left.relative));
                let mut text = format!(
                    "distance {:.6} ± {:.6}, {:.3} % of the norm, cosine {:.6} ± {:.6}, {} tensors\n",
                    apart.distance,
                    apart.standard_error,
                    apart.relative * 100.0,
                    apart.cosine,
                    apart.cosine_standard_error,
                    tensors.len()
                );
                for tensor in tensors.iter().take(TENSORS_SHOWN) {
                    let line = format!(
                        "  {:8.3} %  {:.6} ± {:.6}  cosine {:.6}  {}\n",
                        tensor.relative * 100.0,
                        tensor.distance,
                        tensor.standard_error,
                        tensor.cosine,
                        tensor.tensor
                    );
                    text.push_str(&line);
                }
                text
            }
        };
        output::text(&text)?;
        Ok(Exit::Done)
    }
}

/// Tensors that moved most, as text shows them; JSON has all.
const TENSORS_SHOWN: usize = 12;

fn find(store: &Store, run: &RunId, attempt: Option<u32>, step: u64) -> anyhow::Result<ReadingKey> {
    let keys = store.keys(run);
    if keys.is_empty() {
        bail!("run {run} is not in this store");
    }
    let wanted =
        |key: &&ReadingKey| key.step == Step(step) && attempt.is_none_or(|of| key.attempt == Attempt(of));
    let found = keys.iter().rfind(wanted).cloned();
    found.with_context(|| format!("run {run} has no checkpoint of step {step} in this store"))
}
