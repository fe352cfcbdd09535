//! DeepSpeed's partitioned files: at stage 3 the model's file names shapes only, and the weights lie as
//! slices of one flat 32-bit copy in the ranks' optimizer files.
//!
//! Each parameter was padded to a multiple of the ranks and cut; rank r holds the r-th slice, one
//! parameter after the other. That is how they are put together here, in place: a parameter is a view of
//! as many pieces as there are ranks. At stages 0 to 2 the model's file has the whole weights and is
//! read as any torch archive.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::archive::MAGIC;
use super::found::elements;
use super::limits::CHUNKS_MAX;
use super::pickle::{Id, Pickle};
use super::place::Place;
use super::torch::{self, Rebuilt};
use super::torch_zip::{TorchArchive, TorchZip};
use super::view::{Piece, View};
use super::{Format, Found, Input};
use crate::terms::{Dtype, Problem, ProblemKind};

/// The format.
pub struct DeepSpeed;

const SAVE_AGAIN: &str = "save the checkpoint again, with the files of all ranks";
const MODEL: &str = "_model_states.pt";
const OPTIMIZER: &str = "_optim_states.pt";
/// What the optimizer's files begin with, by the training's precision.
const PRECISIONS: [&str; 3] = ["bf16_", "", "fp16_"];

impl Format for DeepSpeed {
    fn name(&self) -> &'static str {
        "DeepSpeed ZeRO"
    }

    fn summary(&self) -> &'static str {
        "`zero_pp_rank_*` files: at stage 3 the ranks' flat 32-bit partitions are put together to the parameters; \
         model states of stages 0 to 2 are torch zip files"
    }

    fn endings(&self) -> &'static [&'static str] {
        &[]
    }

    fn sniff(&self, head: &[u8], file: &Input) -> bool {
        head.starts_with(MAGIC) && Name::of(file.path()).is_some()
    }

    fn collect(&self, file: &Arc<Input>, found: &mut Found) {
        let Some(name) = Name::of(file.path()) else { return TorchZip.collect(file, found) };
        let group = name.folder.join(&name.model_rank);
        if found.first_of_folder(&group) {
            match merge(&name, found) {
                Ok(Stage::Partitioned) => {
                    found.merged.insert(group.clone());
                }
                Ok(Stage::Whole) => {}
                Err(problem) => {
                    found.merged.insert(group.clone());
                    found.problem(problem);
                }
            }
        }
        if !found.merged.contains(&group) {
            TorchZip.collect(file, found);
        } else if name.optimizer {
            // The flat copy is the weights, which were added; what is left are the moments.
            match TorchArchive::open(file, found) {
                Ok(archive) => {
                    let flat = |name: &str| name.contains(FLAT);
                    torch::add_tensors(file, &archive.pickle, &|key| archive.storage(key), &flat, found);
                }
                Err(problem) => found.problem(problem),
            }
        }
    }

    fn check_lengths(&self, file: &Arc<Input>) -> Option<Problem> {
        TorchZip.check_lengths(file)
    }
}

/// Key of the flat copies.
const FLAT: &str = "fp32_flat_groups";

/// `[bf16_]zero_pp_rank_0_mp_rank_00_model_states.pt`, taken apart.
struct Name {
    folder: PathBuf,
    model_rank: String,
    optimizer: bool,
}

impl Name {
    fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let (_, rest) = name.split_once("zero_pp_rank_")?;
        let (_, rest) = rest.split_once('_')?;
        let (rank, optimizer) = match rest.strip_suffix(MODEL) {
            Some(rank) => (rank, false),
            None => (rest.strip_suffix(OPTIMIZER)?, true),
        };
        rank.strip_prefix("mp_rank_")?;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        Some(Self { folder, model_rank: rank.to_owned(), optimizer })
    }

    fn model(&self, rank: u64) -> PathBuf {
        self.folder.join(format!("zero_pp_rank_{rank}_{}{MODEL}", self.model_rank))
    }

    fn optimizer(&self, rank: u64, found: &mut Found) -> Result<Arc<Input>, Problem> {
        let mut first = None;
        for precision in PRECISIONS {
            let name = format!("{precision}zero_pp_rank_{rank}_{}{OPTIMIZER}", self.model_rank);
            match found.open(&self.folder.join(name)) {
                Ok(file) => return Ok(file),
                Err(problem) => first = first.or(Some(problem)),
            }
        }
        Err(first.unwrap_or_else(|| {
            super::input::problem(&self.folder, ProblemKind::Missing, "no file", SAVE_AGAIN)
        }))
    }
}

enum Stage {
    /// The model's file has the weights.
    Whole,
    /// The weights were put together.
    Partitioned,
}

fn merge(name: &Name, found: &mut Found) -> Result<Stage, Problem> {
    let file = match found.open(&name.model(0)) {
        Ok(file) => file,
        Err(problem) if problem.kind == ProblemKind::Missing => return Ok(Stage::Whole),
        Err(problem) => return Err(problem),
    };
    let model = TorchArchive::open(&file, found)?;
    let Some(parameters) = parameters(&model.pickle).filter(|parameters| !parameters.is_empty()) else {
        return Ok(Stage::Whole);
    };
    let names: HashSet<&str> = parameters.iter().map(|(name, _)| name.as_str()).collect();
    torch::add_tensors(&file, &model.pickle, &|key| model.storage(key), &|name| names.contains(name), found);
    let ranks = ranks(name, found)?;
    let mut offset = 0;
    let prefix = torch::rank_prefix(file.path());
    for (parameter, shape) in &parameters {
        let parameter = format!("{prefix}{parameter}");
        let count = elements(shape).unwrap_or(0);
        let slice = count.div_ceil(ranks.len() as u64);
        match view(&ranks, offset, slice, count) {
            Some(view) if elements(shape).is_some() => {
                found.add(&file, &parameter, Dtype::F32, shape.clone(), Place::View(view));
            }
            _ => {
                let detail = "the ranks' partitions do not hold all of it";
                found.refuse(&parameter, count, file.problem(ProblemKind::Missing, detail, SAVE_AGAIN));
            }
        }
        offset += slice;
    }
    Ok(Stage::Partitioned)
}

/// Names and whole shapes, where the file has shapes in place of weights.
fn parameters(pickle: &Pickle) -> Option<Vec<(String, Vec<u64>)>> {
    let module = pickle.get(pickle.root, "module")?;
    let mut parameters = Vec::new();
    for &group in pickle.sequence(pickle.get(pickle.root, "param_shapes")?)? {
        for (name, shape) in pickle.items(group)? {
            let name = pickle.text(name)?;
            // A weight of the module that is not empty means that nothing was partitioned.
            let whole = pickle.get(module, name).map(|id| torch::rebuild(pickle, id));
            if matches!(whole, Some(Rebuilt::Tensor(view)) if !view.shape.contains(&0)) {
                return None;
            }
            parameters.push((name.to_owned(), pickle.sizes(shape)?));
        }
    }
    Some(parameters)
}

/// A stretch of a rank's flat copy.
struct Stretch {
    input: Arc<Input>,
    offset: u64,
    elements: u64,
}

/// The flat copies of all ranks.
fn ranks(name: &Name, found: &mut Found) -> Result<Vec<Vec<Stretch>>, Problem> {
    let mut ranks = Vec::new();
    let mut count = 1;
    while (ranks.len() as u64) < count {
        let file = name.optimizer(ranks.len() as u64, found)?;
        let archive = TorchArchive::open(&file, found)?;
        let malformed = |detail: &str| file.problem(ProblemKind::Malformed, detail, SAVE_AGAIN);
        let state = archive.pickle.get(archive.pickle.root, "optimizer_state_dict");
        let state = state.ok_or_else(|| malformed("holds no optimizer state"))?;
        count = partitions(&archive.pickle, state)
            .filter(|count| (1..=CHUNKS_MAX as u64).contains(count))
            .ok_or_else(|| malformed("does not tell how many ranks there are"))?;
        let flat = archive.pickle.get(state, FLAT).and_then(|flat| archive.pickle.sequence(flat));
        let flat = flat.ok_or_else(|| malformed("holds no flat copy of the weights"))?;
        let stretches = flat.iter().map(|&id| stretch(&file, &archive, id)).collect::<Result<Vec<_>, _>>()?;
        ranks.push(stretches);
    }
    Ok(ranks)
}

fn partitions(pickle: &Pickle, state: Id) -> Option<u64> {
    let count = pickle.get(state, "partition_count")?;
    pickle.size(count).or_else(|| pickle.size(*pickle.sequence(count)?.first()?))
}

fn stretch(file: &Arc<Input>, archive: &TorchArchive, id: Id) -> Result<Stretch, Problem> {
    let malformed = |detail: &str| file.problem(ProblemKind::Malformed, detail, SAVE_AGAIN);
    let Rebuilt::Tensor(view) = torch::rebuild(&archive.pickle, id) else {
        return Err(malformed("its flat copy is no tensor"));
    };
    let entry = archive
        .storage(&view.storage)
        .ok_or_else(|| malformed("the storage of its flat copy is not there"))?;
    let (skip, bytes) = torch::check_view(file, &view, &entry)?;
    if view.dtype != Dtype::F32 || view.shape.len() != 1 || !entry.stored || view.strides != [1] {
        return Err(malformed("its flat copy is not a row of 32-bit floats"));
    }
    Ok(Stretch { input: Arc::clone(file), offset: entry.offset + skip, elements: bytes / 4 })
}

/// The parameter of `count` elements of which each rank has `slice` at `offset` of its flat copy.
fn view(ranks: &[Vec<Stretch>], offset: u64, slice: u64, count: u64) -> Option<View> {
    let mut pieces = Vec::with_capacity(ranks.len());
    for (rank, stretches) in ranks.iter().enumerate() {
        let begin = rank as u64 * slice;
        let end = (begin + slice).min(count);
        let (mut reached, mut at) = (begin, offset);
        for stretch in stretches {
            if at >= stretch.elements {
                at -= stretch.elements;
                continue;
            }
            if reached >= end {
                break;
            }
            let size = (stretch.elements - at).min(end - reached);
            pieces.push(Piece {
                input: Arc::clone(&stretch.input),
                offset: stretch.offset + at * 4,
                begin: vec![reached],
                size: vec![size],
                strides: vec![1],
            });
            reached += size;
            at = 0;
        }
        if reached < end {
            return None;
        }
    }
    Some(View { element_bytes: 4, shape: vec![count], pieces })
}
