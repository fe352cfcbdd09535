//! torch's distributed checkpoints: `.metadata` tells which chunk of which tensor lies where in the
//! ranks' `*.distcp` files; every chunk there is a small torch archive of its own.
//!
//! `.metadata` is a pickle of some dataclasses, which are read as what they are: names with fields.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::archive::{Archive, Entry, MAGIC};
use super::found::{elements, tame};
use super::limits::{PICKLE_BYTES_MAX, VIEWS_BYTES_FREE, VIEWS_RATIO_MAX};
use super::pickle::{self, Id, Pickle};
use super::torch::{self, Part, Rebuilt, TensorView};
use super::view::Piece;
use super::{Format, Found, Input};
use crate::terms::{Dtype, Problem, ProblemKind};

mod metadata;

use metadata::{Item, Metadata, What};

/// The format.
pub struct Dcp;

const SAVE_AGAIN: &str = "save the checkpoint again; if it is still being written, wait for the trainer";
/// Every dataclass of `.metadata` is of this module, and the outermost one is named first.
const MODULE: &[u8] = b"torch.distributed.checkpoint.metadata";

impl Format for Dcp {
    fn name(&self) -> &'static str {
        "torch DCP"
    }

    fn summary(&self) -> &'static str {
        "`.metadata` with `*.distcp` of any number of ranks (FSDP, tensor parallel): chunks are put together by \
         their offsets; optimizer states are looked into"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["distcp"]
    }

    fn sniff(&self, head: &[u8], file: &Input) -> bool {
        let metadata =
            head.first() == Some(&0x80) && head.windows(MODULE.len()).any(|window| window == MODULE);
        metadata || (is_rank_file(file.path()) && head.starts_with(MAGIC))
    }

    fn collect(&self, file: &Arc<Input>, found: &mut Found) {
        let folder = file.path().parent().unwrap_or(Path::new("")).to_owned();
        if !found.first_of_folder(&folder) {
            return;
        }
        // Whichever file came first, the metadata leads.
        let metadata = if is_rank_file(file.path()) {
            found.open(&folder.join(".metadata"))
        } else {
            Ok(Arc::clone(file))
        };
        if let Err(problem) = metadata.and_then(|metadata| collect(&metadata, &folder, found)) {
            found.problem(problem);
        }
    }

    fn check_lengths(&self, file: &Arc<Input>) -> Option<Problem> {
        if is_rank_file(file.path()) {
            return no_end(file).err();
        }
        read(file).err()
    }
}

fn is_rank_file(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "distcp")
}

/// A rank's file ends with the end of the last chunk's archive.
fn no_end(file: &Input) -> Result<(), Problem> {
    const END: u64 = 22;
    let tail = file.read_vec(file.bytes().saturating_sub(END), END)?;
    if tail.starts_with(b"PK\x05\x06") {
        return Ok(());
    }
    let detail = format!("file ends at byte {}, inside a chunk", file.bytes());
    Err(file.problem(ProblemKind::Truncated, detail, SAVE_AGAIN))
}

fn read(file: &Input) -> Result<Pickle, Problem> {
    if file.bytes() > PICKLE_BYTES_MAX {
        let detail = format!("metadata of {} bytes passes the limit of {PICKLE_BYTES_MAX}", file.bytes());
        return Err(file.problem(ProblemKind::Hostile, detail, "check what wrote this file"));
    }
    let content = file.read_vec(0, file.bytes())?;
    pickle::parse(&content).map_err(|error| torch::pickle_problem(file, 0, error))
}

fn collect(file: &Arc<Input>, folder: &Path, found: &mut Found) -> Result<(), Problem> {
    let pickle = read(file)?;
    torch::accuse(file, &pickle, 0, found);
    let Some(metadata) = Metadata::of(&pickle) else {
        return Err(file.problem(ProblemKind::Malformed, "is no metadata of a checkpoint", SAVE_AGAIN));
    };
    let mut items: HashMap<&str, Vec<&Item>> = HashMap::new();
    for item in &metadata.items {
        items.entry(item.name.as_str()).or_default().push(item);
    }
    let paths: Vec<Vec<String>> = metadata.entries.iter().map(|entry| entry.path.clone()).collect();
    let mut reader = Reader { folder, found, claimed: 0, held: 0 };
    for (entry, (name, part)) in metadata.entries.iter().zip(torch::of_paths(&paths)) {
        let items = items.remove(entry.name.as_str()).unwrap_or_default();
        reader.entry(file, &entry.what, &name, part, &entry.path, &items);
    }
    Ok(())
}

/// One dataclass that tells a tensor.
struct Reader<'a> {
    folder: &'a Path,
    found: &'a mut Found,
    /// Bytes that all chunks so far deliver, and bytes of the files' ranges that they lie in.
    claimed: u64,
    held: u64,
}

impl Reader<'_> {
    fn entry(&mut self, file: &Input, what: &What, name: &str, part: Part, path: &[String], items: &[&Item]) {
        match what {
            What::Tensor { shape, dtype } => {
                let count = elements(shape).unwrap_or(0);
                if is_step(path, part) && count == 1 {
                    self.step_of_tensor(items);
                }
                let moments = part == Part::Optimizer && self.found.wants_optimizer();
                if let Some(reason) = part.reason(name).filter(|_| !moments) {
                    return torch::pass_over(part, name, shape, count, reason, self.found);
                }
                let Some(known) = torch::dtype_of(dtype) else {
                    let reason = format!("dtype {} cannot be weighed", tame(dtype));
                    return torch::pass_over(part, name, shape, count, reason, self.found);
                };
                if items.is_empty() {
                    let detail = "the metadata names no chunk of it";
                    let problem = file.problem(ProblemKind::Missing, detail, SAVE_AGAIN);
                    return self.refuse(name, count, moments, problem);
                }
                if let Err(problem) = self.chunks(name, shape, known, items, moments) {
                    self.refuse(name, count, moments, problem);
                }
            }
            What::Bytes => {
                if is_step(path, part) {
                    self.step_of_bytes(items);
                }
            }
            What::Unknown(kind) => self.found.skip(name, 0, format!("{} is not read", tame(kind))),
        }
    }

    /// A fault of a tensor, which is missing from the model then, or of an optimizer's state.
    fn refuse(&mut self, name: &str, count: u64, moments: bool, mut problem: Problem) {
        if moments {
            problem.tensor = Some(tame(name));
            self.found.problem(problem);
        } else {
            self.found.refuse(name, count, problem);
        }
    }

    fn chunks(
        &mut self,
        name: &str,
        shape: &[u64],
        dtype: Dtype,
        items: &[&Item],
        moments: bool,
    ) -> Result<(), Problem> {
        let mut pieces = Vec::with_capacity(items.len());
        for item in items {
            let (input, view, entry) = self.chunk(item)?;
            let fault = |kind, detail: String| {
                let mut problem = input.problem(kind, detail, SAVE_AGAIN);
                problem.offset = Some(item.offset);
                problem
            };
            if view.dtype != dtype {
                let detail = format!("the chunk is {}, the metadata says {dtype}", view.dtype);
                return Err(fault(ProblemKind::Malformed, detail));
            }
            let (skip, bytes) = torch::check_view(&input, &view, &entry)?;
            self.claimed = self.claimed.saturating_add(bytes);
            self.held = self.held.saturating_add(item.length);
            if self.claimed > VIEWS_BYTES_FREE.max(self.held.saturating_mul(VIEWS_RATIO_MAX)) {
                return Err(fault(
                    ProblemKind::Hostile,
                    "chunks claim more bytes than the files hold".into(),
                ));
            }
            if !entry.stored {
                return Err(fault(
                    ProblemKind::Malformed,
                    "the chunk is compressed, which is not read".into(),
                ));
            }
            let begin = item.begin.clone().unwrap_or_else(|| vec![0; view.shape.len()]);
            let offset = entry.offset + skip;
            pieces.push(Piece { input, offset, begin, size: view.shape, strides: view.strides });
        }
        for piece in pieces {
            if moments {
                self.found.add_optimizer_chunk(name, dtype, shape, piece);
            } else {
                self.found.add_chunk(name, dtype, Some(shape), piece);
            }
        }
        Ok(())
    }

    /// The archive of a chunk.
    fn archive(&mut self, item: &Item) -> Result<(Arc<Input>, Archive), Problem> {
        let input = self.found.open(&self.folder.join(&item.file))?;
        let fault = |kind, detail: String| {
            let mut problem = input.problem(kind, detail, SAVE_AGAIN);
            problem.offset = Some(item.offset);
            problem
        };
        if item.transformed {
            return Err(fault(ProblemKind::Malformed, "the chunk is compressed, which is not read".into()));
        }
        match item.offset.checked_add(item.length) {
            None => return Err(fault(ProblemKind::Hostile, "the chunk's range overflows".into())),
            Some(end) if end > input.bytes() => {
                let detail = format!("data ends at byte {}, metadata says {end}", input.bytes());
                return Err(fault(ProblemKind::Truncated, detail));
            }
            Some(_) => {}
        }
        let mut archive = Archive::open(&input, item.offset, item.length)?;
        match archive.problems.pop() {
            Some(problem) => Err(problem),
            None => Ok((input, archive)),
        }
    }

    /// The pickle of a chunk and the byte at which it begins.
    fn pickle(&mut self, item: &Item) -> Result<(Arc<Input>, Archive, Pickle), Problem> {
        let (input, archive) = self.archive(item)?;
        let name = torch::pickle_name(&archive).map(str::to_owned);
        let Some(entry) = name.and_then(|name| archive.entries.get(&name).copied()) else {
            let mut problem = input.problem(ProblemKind::Malformed, "the chunk has no data.pkl", SAVE_AGAIN);
            problem.offset = Some(item.offset);
            return Err(problem);
        };
        let content = archive.read(&entry)?;
        let pickle =
            pickle::parse(&content).map_err(|error| torch::pickle_problem(&input, entry.offset, error))?;
        torch::accuse(&input, &pickle, entry.offset, self.found);
        Ok((input, archive, pickle))
    }

    /// The tensor of a chunk and its storage.
    fn chunk(&mut self, item: &Item) -> Result<(Arc<Input>, TensorView, Entry), Problem> {
        let (input, archive, pickle) = self.pickle(item)?;
        let fault = |detail: String| {
            let mut problem = input.problem(ProblemKind::Malformed, detail, SAVE_AGAIN);
            problem.offset = Some(item.offset);
            problem
        };
        let view = match torch::rebuild(&pickle, pickle.root) {
            Rebuilt::Tensor(view) => view,
            Rebuilt::Skipped { reason, .. } => return Err(fault(reason)),
            Rebuilt::Other => return Err(fault("the chunk holds no tensor".into())),
        };
        let entry = torch::pickle_name(&archive)
            .and_then(|name| name.strip_suffix("data.pkl"))
            .and_then(|prefix| archive.entries.get(&format!("{prefix}data/{}", view.storage)).copied());
        match entry {
            Some(entry) => Ok((input, view, entry)),
            None => Err(fault(format!("storage {} is not in the chunk", tame(&view.storage)))),
        }
    }

    /// A step that cannot be read is no fault: the weights can be.
    fn step_of_tensor(&mut self, items: &[&Item]) {
        let Some((input, view, entry)) = items.first().and_then(|item| self.chunk(item).ok()) else { return };
        let Ok((skip, bytes)) = torch::check_view(&input, &view, &entry) else { return };
        let mut value = [0; 8];
        let integer = matches!(view.dtype, Dtype::I32 | Dtype::I64 | Dtype::U32 | Dtype::U64);
        let Some(target) = value.get_mut(..bytes as usize).filter(|_| integer) else { return };
        if entry.place(&input, skip).read(0, target).is_ok() {
            self.tell_step(i64::from_le_bytes(value).try_into().ok());
        }
    }

    fn step_of_bytes(&mut self, items: &[&Item]) {
        if let Some((_, _, pickle)) = items.first().and_then(|item| self.pickle(item).ok()) {
            let root: Id = pickle.root;
            self.tell_step(pickle.size(root).or_else(|| torch::step_inside(&pickle, root)));
        }
    }

    fn tell_step(&mut self, step: Option<u64>) {
        self.found.step = self.found.step.or(step);
    }
}

/// True where the path names the training step, not the step of an optimizer.
fn is_step(path: &[String], part: Part) -> bool {
    let mut keys = path.iter().flat_map(|key| key.split('.'));
    // Composer counts steps as batches, and its iterations are something else.
    let composer = keys.clone().any(|key| key == "Timestamp");
    let names_it = |key: &str| match composer {
        true => key == "batch",
        false => torch::STEP_KEYS.contains(&key) || key == "train_state",
    };
    part != Part::Optimizer && keys.next_back().is_some_and(names_it)
}
