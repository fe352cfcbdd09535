//! What torch's files have in common: a pickle that names tensors, and storages beside it.
//!
//! [`rebuild()`] tells which objects of the pickle are tensors, [`state`] walks the containers and tells
//! model from optimizer, and [`add_tensors`] joins the tensors with their storages. The two file
//! formats differ only in where a storage lies.

mod rebuild;
mod state;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::archive::{Archive, Entry};
use super::found::{elements, tame};
use super::limits::{VIEWS_BYTES_FREE, VIEWS_RATIO_MAX};
use super::pickle::{Failure, Pickle, PickleError, accusation};
use super::place::Place;
use super::view::{Piece, View, row_major};
use super::{Found, Input};
use crate::terms::{Problem, ProblemKind};

pub use rebuild::{Rebuilt, TensorView, dtype_of, rebuild, storage_of};
pub use state::{Part, STEP_KEYS, of_paths, step_inside};

const SAVE_AGAIN: &str = "save the checkpoint again; if it is still being written, wait for the trainer";
const DISTRUST: &str = "do not load this file with torch.load: find out where it comes from";

/// Adds all tensors of the pickle; `storages` tells where each storage lies, `leave_out` which names
/// are had from elsewhere.
pub fn add_tensors(
    input: &Arc<Input>,
    pickle: &Pickle,
    storages: &dyn Fn(&str) -> Option<Entry>,
    leave_out: &dyn Fn(&str) -> bool,
    found: &mut Found,
) {
    let rank = rank_prefix(input.path());
    let contents = state::walk(pickle);
    if contents.too_deep {
        let detail = "containers are nested deeper than tensors are looked for";
        found.problem(input.problem(ProblemKind::Hostile, detail, DISTRUST));
    }
    found.step = found.step.or(step_inside(pickle, pickle.root));
    let mut adder = Adder { input, storages, delivered: 0, shared: HashMap::new() };
    let of_optimizer = is_optimizer_file(input.path());
    for mut leaf in contents.leaves {
        if of_optimizer && leaf.part != Part::Random {
            leaf.part = Part::Optimizer;
        }
        if leave_out(&leaf.name) {
            continue;
        }
        leaf.name.insert_str(0, &rank);
        let reason = leaf.part.reason(&leaf.name);
        match (leaf.what, leaf.part) {
            (Rebuilt::Tensor(view), Part::Model) => adder.add(&leaf.name, view, found),
            (Rebuilt::Tensor(view), Part::Optimizer) if found.wants_optimizer() => {
                adder.add_optimizer(&leaf.name, &view, found);
            }
            (Rebuilt::Tensor(view), part) => {
                let count = elements(&view.shape).unwrap_or(0);
                pass_over(part, &leaf.name, &view.shape, count, reason.unwrap_or_default(), found);
            }
            (Rebuilt::Skipped { elements, reason: of_tensor }, part) => {
                let reason = reason.unwrap_or(of_tensor);
                pass_over(part, &leaf.name, &[elements], elements, reason, found);
            }
            (Rebuilt::Other, _) => {}
        }
    }
}

/// Lists what is not weighed: optimizer, generators and single numbers beside the model, anything else as
/// missing from it.
pub fn pass_over(part: Part, name: &str, shape: &[u64], count: u64, reason: String, found: &mut Found) {
    match part {
        Part::Optimizer | Part::Random => found.pass_over(name, count, reason),
        Part::Beside if shape.is_empty() => found.pass_over(name, count, reason),
        Part::Model | Part::Beside => found.skip(name, count, reason),
    }
}

/// Files that hold nothing but an optimizer's states, whatever their keys are: `optimizer.pt`,
/// `optimizer_1.bin`, `distrib_optim.pt`.
fn is_optimizer_file(path: &Path) -> bool {
    let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    name.starts_with("optimizer") || name.starts_with("distrib_optim")
}

/// Ranks of tensor parallelism each have a part of every tensor under the same name, in files or
/// directories named by the rank: `mp_rank_01.` for the second one, nothing for the first.
pub fn rank_prefix(path: &Path) -> String {
    let parts = path.components().filter_map(|part| part.as_os_str().to_str());
    let mut rank = parts.filter_map(|part| {
        let rank = &part[part.find("mp_rank_")?..];
        let digits = rank.len()
            - rank["mp_rank_".len()..].trim_start_matches(|c: char| c.is_ascii_digit() || c == '_').len();
        Some(rank[..digits].trim_end_matches('_'))
    });
    match rank.next_back() {
        Some(rank) if rank.bytes().any(|byte| matches!(byte, b'1'..=b'9')) => format!("{rank}."),
        _ => String::new(),
    }
}

/// Tells what a pickle tried to have called.
pub fn accuse(input: &Input, pickle: &Pickle, begin: u64, found: &mut Found) {
    if let Some((detail, offset)) = accusation(&pickle.suspects) {
        let mut problem = input.problem(ProblemKind::Hostile, detail, DISTRUST);
        problem.offset = Some(begin + offset);
        found.problem(problem);
    }
}

/// The problem of a pickle that could not be read. One that names a dangerous callable is hostile
/// however it ends: `torch.load` would have run that before it came to the fault.
pub fn pickle_problem(input: &Input, begin: u64, failure: Failure) -> Problem {
    let error = failure.error;
    if let Some((detail, offset)) = accusation(&failure.suspects) {
        let mut problem = input.problem(ProblemKind::Hostile, format!("{detail}; {error}"), DISTRUST);
        problem.offset = Some(begin + offset);
        return problem;
    }
    let (kind, remedy) = match error {
        PickleError::Ended => (ProblemKind::Truncated, SAVE_AGAIN),
        PickleError::Malformed(_) => (ProblemKind::Malformed, SAVE_AGAIN),
        PickleError::Limit(_) => (ProblemKind::Hostile, DISTRUST),
    };
    let mut problem = input.problem(kind, error.to_string(), remedy);
    problem.offset = Some(begin + failure.offset);
    problem
}

type Extent = (u64, Vec<u64>, Vec<u64>);

struct Adder<'a> {
    input: &'a Arc<Input>,
    storages: &'a dyn Fn(&str) -> Option<Entry>,
    /// Bytes that all tensors so far deliver.
    delivered: u64,
    /// First name of each view, by where it begins, its shape and its strides.
    shared: HashMap<Extent, String>,
}

impl Adder<'_> {
    fn add(&mut self, name: &str, view: TensorView, found: &mut Found) {
        match self.locate(&view) {
            Ok((entry, skip, bytes)) => {
                let Some(place) = place(self.input, &view, &entry, skip) else {
                    let count = elements(&view.shape).unwrap_or(0);
                    return found.skip(name, count, "a strided view into a compressed entry");
                };
                let extent = (entry.offset + skip, view.shape.clone(), view.strides);
                if found.add(self.input, name, view.dtype, view.shape, place) && bytes > 0 {
                    match self.shared.get(&extent) {
                        Some(first) => found.tied.push((first.clone(), name.to_owned())),
                        None => {
                            self.shared.insert(extent, name.to_owned());
                        }
                    }
                }
            }
            Err(problem) => found.refuse(name, elements(&view.shape).unwrap_or(0), problem),
        }
    }

    /// A state of an optimizer. A fault in it is told; it is never missing from the model.
    fn add_optimizer(&mut self, name: &str, view: &TensorView, found: &mut Found) {
        match self.locate(view) {
            Ok((entry, skip, _)) => match place(self.input, view, &entry, skip) {
                Some(place) => {
                    found.add_optimizer(self.input, name, view.dtype, view.shape.clone(), place);
                }
                None => {
                    let count = elements(&view.shape).unwrap_or(0);
                    found.pass_over(name, count, "a strided view into a compressed entry");
                }
            },
            Err(mut problem) => {
                problem.tensor = Some(tame(name));
                found.problem(problem);
            }
        }
    }

    /// The storage, the byte in it at which the view begins, and the view's bytes.
    fn locate(&mut self, view: &TensorView) -> Result<(Entry, u64, u64), Problem> {
        let Some(entry) = (self.storages)(&view.storage) else {
            let detail = format!("its storage {} is not in the file", tame(&view.storage));
            return Err(self.input.problem(ProblemKind::Missing, detail, SAVE_AGAIN));
        };
        let (skip, bytes) = check_view(self.input, view, &entry)?;
        let allowed = VIEWS_BYTES_FREE.max(self.input.bytes().saturating_mul(VIEWS_RATIO_MAX));
        if self.delivered.saturating_add(bytes) > allowed {
            let detail =
                format!("the tensors claim more than {allowed} bytes of a file of {}", self.input.bytes());
            return Err(self.input.problem(ProblemKind::Hostile, detail, DISTRUST));
        }
        self.delivered += bytes;
        Ok((entry, skip, bytes))
    }
}

/// Checks that a view lies inside its storage. The byte of the storage at which it begins, and the bytes
/// that it delivers.
pub fn check_view(input: &Input, view: &TensorView, entry: &Entry) -> Result<(u64, u64), Problem> {
    let fault = |kind, detail: String, remedy: &str| {
        let mut problem = input.problem(kind, detail, remedy);
        problem.offset = Some(entry.offset);
        problem
    };
    let width = view.dtype.bytes() as u64;
    let (Some(count), Some(span)) = (elements(&view.shape), view.span()) else {
        let detail = format!("shape {:?} with strides {:?} overflows", view.shape, view.strides);
        return Err(fault(ProblemKind::Hostile, detail, DISTRUST));
    };
    let reach = view.offset.checked_add(span).and_then(|end| end.checked_mul(width));
    let told = view.storage_elements.saturating_mul(view.storage_width);
    let Some(reach) = reach.filter(|&reach| reach <= told) else {
        return Err(fault(ProblemKind::Hostile, "reaches past the end of its storage".into(), DISTRUST));
    };
    if reach > entry.bytes {
        let detail =
            format!("storage {} has {} bytes, the tensor needs {reach}", tame(&view.storage), entry.bytes);
        return Err(fault(ProblemKind::Truncated, detail, SAVE_AGAIN));
    }
    Ok((view.offset * width, count * width))
}

/// The entry with the pickle: the outermost `data.pkl`.
pub fn pickle_name(archive: &Archive) -> Option<&str> {
    let names = archive.entries.keys().map(String::as_str);
    let named = names.filter(|name| *name == "data.pkl" || name.ends_with("/data.pkl"));
    named.min_by_key(|name| name.matches('/').count())
}

fn place(input: &Arc<Input>, view: &TensorView, entry: &Entry, skip: u64) -> Option<Place> {
    if view.is_contiguous() {
        return Some(entry.place(input, skip));
    }
    entry.stored.then(|| {
        let piece = Piece {
            input: Arc::clone(input),
            offset: entry.offset + skip,
            begin: vec![0; view.shape.len()],
            size: view.shape.clone(),
            strides: view.strides.clone(),
        };
        Place::View(View {
            element_bytes: view.dtype.bytes() as u64,
            shape: view.shape.clone(),
            pieces: vec![piece],
        })
    })
}

impl TensorView {
    /// Elements from the view's first to its last; none on overflow.
    fn span(&self) -> Option<u64> {
        if self.shape.contains(&0) {
            return Some(0);
        }
        self.shape
            .iter()
            .zip(&self.strides)
            .try_fold(1_u64, |span, (&size, &stride)| span.checked_add((size - 1).checked_mul(stride)?))
    }

    fn is_contiguous(&self) -> bool {
        let dense = row_major(&self.shape);
        let axes = self.shape.iter().zip(&self.strides).zip(&dense);
        self.shape.contains(&0)
            || axes.into_iter().all(|((&size, stride), dense)| size == 1 || stride == dense)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_beyond_the_first_stand_before_the_name() {
        for (path, prefix) in [
            ("model.pt", ""),
            ("iter_0000500/mp_rank_00/model_optim_rng.pt", ""),
            ("iter_0000500/mp_rank_01/model_optim_rng.pt", "mp_rank_01."),
            ("iter_0000500/mp_rank_00_002/model_optim_rng.pt", "mp_rank_00_002."),
            ("mp_rank_03_model_states.pt", "mp_rank_03."),
            ("zero_pp_rank_1_mp_rank_00_model_states.pt", ""),
        ] {
            assert_eq!(rank_prefix(Path::new(path)), prefix, "{path}");
        }
    }
}
