//! A pickle by itself. It holds no weights that can be weighed, but `torch.load` would run it: it is
//! looked at so that a dangerous one is told.

use std::sync::Arc;

use super::limits::PICKLE_BYTES_MAX;
use super::pickle::{self, Pickle};
use super::{Format, Found, Input, torch};
use crate::terms::{Problem, ProblemKind};

/// The format.
pub struct BarePickle;

impl Format for BarePickle {
    fn name(&self) -> &'static str {
        "pickle"
    }

    fn summary(&self) -> &'static str {
        "looked at, never run: names of dangerous callables are told, arrays inside are listed as skipped"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["pkl", "pickle"]
    }

    fn sniff(&self, head: &[u8], file: &Input) -> bool {
        let ending = file.path().extension().and_then(|ending| ending.to_str());
        match head {
            [0x80, 2..=5, ..] => true,
            // Protocols 0 and 1 have no mark; a file that should be torch's and begins like this is one.
            [b'(' | b'c' | b'}' | b']' | b'i', ..] => {
                matches!(ending, Some("pt" | "pth" | "bin" | "ckpt" | "pkl" | "pickle"))
            }
            _ => false,
        }
    }

    fn collect(&self, file: &Arc<Input>, found: &mut Found) {
        match read(file) {
            Ok(pickle) => {
                torch::accuse(file, &pickle, 0, found);
                torch::add_tensors(file, &pickle, &|_| None, &|_| false, found);
            }
            Err(problem) => found.problem(problem),
        }
    }

    fn check_lengths(&self, file: &Arc<Input>) -> Option<Problem> {
        read(file).err()
    }
}

fn read(file: &Input) -> Result<Pickle, Problem> {
    if file.bytes() > PICKLE_BYTES_MAX {
        let detail = format!("a pickle of {} bytes passes the limit of {PICKLE_BYTES_MAX}", file.bytes());
        return Err(file.problem(
            ProblemKind::Hostile,
            detail,
            "save the weights with torch.save or as safetensors",
        ));
    }
    let content = file.read_vec(0, file.bytes())?;
    pickle::parse(&content).map_err(|error| torch::pickle_problem(file, 0, error))
}
