//! What the formats find, gathered over all files of a checkpoint and made into one [`BlockSource`].

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;

use super::chunks::Chunked;
use super::input::{self, Input};
use super::limits::{
    FILES_MAX, FILES_OPEN_MAX, NAME_BYTES_MAX, PROBLEMS_MAX, RANK_MAX, TENSOR_ELEMENTS_MAX, TENSORS_MAX,
};
use super::place::Place;
use super::view::Piece;
use super::{Opened, Settings};
use crate::terms::{BlockSource, Dtype, Problem, ProblemKind, SkippedTensor, SourceError, TensorInfo};

/// Gathers tensors, skipped tensors and problems.
pub struct Found {
    root: PathBuf,
    settings: Settings,
    /// Every file that was looked into, in order.
    files: IndexMap<PathBuf, Arc<Input>>,
    /// Directories that were put together as a whole.
    folders: HashSet<PathBuf>,
    /// Those of them whose files' tensors were put together.
    pub merged: HashSet<PathBuf>,
    chunked: IndexMap<String, Chunked>,
    tensors: Vec<TensorInfo>,
    places: Vec<Place>,
    by_name: HashMap<Arc<str>, usize>,
    /// Chunks, tensors and places of optimizer states, by the same rules; the same name may come from
    /// several ranks' files.
    optimizer: Optimizer,
    /// Listed, not weighed, and no part of the model.
    pub beside: Vec<SkippedTensor>,
    /// Listed, not weighed.
    pub skipped: Vec<SkippedTensor>,
    /// Names that share one storage.
    pub tied: Vec<(String, String)>,
    /// Training step that a file names.
    pub step: Option<u64>,
    problems: Vec<Problem>,
    problems_untold: usize,
    refused_tensors: usize,
}

impl Found {
    /// Nothing yet, below that root.
    pub fn new(root: &Path, settings: &Settings) -> Self {
        Self {
            root: root.to_owned(),
            settings: settings.clone(),
            files: IndexMap::new(),
            folders: HashSet::new(),
            merged: HashSet::new(),
            chunked: IndexMap::new(),
            tensors: Vec::new(),
            places: Vec::new(),
            by_name: HashMap::new(),
            optimizer: Optimizer::default(),
            beside: Vec::new(),
            skipped: Vec::new(),
            tied: Vec::new(),
            step: None,
            problems: Vec::new(),
            problems_untold: 0,
            refused_tensors: 0,
        }
    }

    /// Opens a file of the checkpoint, or gives it again.
    pub fn open(&mut self, relative: &Path) -> Result<Arc<Input>, Problem> {
        if let Some(file) = self.files.get(relative) {
            return Ok(Arc::clone(file));
        }
        if self.files.len() >= FILES_MAX {
            let detail = format!("the checkpoint has more than {FILES_MAX} files");
            return Err(input::problem(
                relative,
                ProblemKind::Hostile,
                detail,
                "check the checkpoint's index",
            ));
        }
        let keep = self.files.len() < FILES_OPEN_MAX;
        let file = Input::open(&self.root, relative, keep, &self.settings)?;
        self.files.insert(relative.to_owned(), Arc::clone(&file));
        Ok(file)
    }

    /// True the first time that it is asked for a directory: its files belong together and are
    /// collected once.
    pub fn first_of_folder(&mut self, folder: &Path) -> bool {
        self.folders.insert(folder.to_owned())
    }

    /// Adds a part of a tensor that lies in several chunks, perhaps in several files. `shape` is the
    /// whole tensor's, where it is known.
    pub fn add_chunk(&mut self, name: &str, dtype: Dtype, shape: Option<&[u64]>, piece: Piece) {
        if self.chunked.len() >= TENSORS_MAX && !self.chunked.contains_key(name) {
            self.refused_tensors += 1;
            return;
        }
        let chunked = self.chunked.entry(name.to_owned()).or_insert_with(|| Chunked::new(dtype, shape));
        chunked.add(dtype, piece);
    }

    fn assemble(&mut self) {
        for (name, chunked) in std::mem::take(&mut self.chunked) {
            let Some(file) = chunked.file().map(Arc::clone) else { continue };
            let (dtype, count) = (chunked.dtype, chunked.elements());
            match chunked.assemble() {
                Ok((shape, place)) => {
                    self.add(&file, &name, dtype, shape, place);
                }
                Err((kind, detail)) => {
                    let problem = file.problem(kind, detail, "save the checkpoint again, with all its files");
                    self.refuse(&name, count, problem);
                }
            }
        }
    }

    /// Adds a tensor whose place was checked to lie inside its file. A second one of the same name, a
    /// bad name and one too many are told as problems and listed as skipped. True when it was added.
    pub fn add(&mut self, file: &Input, name: &str, dtype: Dtype, shape: Vec<u64>, place: Place) -> bool {
        let elements = elements(&shape).unwrap_or(0);
        if let Err(problem) = check_name(file, name) {
            self.refuse(name, elements, problem);
            return false;
        }
        if self.tensors.len() >= TENSORS_MAX {
            self.refused_tensors += 1;
            if self.refused_tensors == 1 {
                self.problem(file.problem(
                    ProblemKind::Hostile,
                    format!("holds more than {TENSORS_MAX} tensors, the most that are weighed"),
                    "check what wrote this file",
                ));
            }
            return false;
        }
        let name: Arc<str> = name.into();
        match self.by_name.entry(Arc::clone(&name)) {
            Entry::Occupied(_) => {
                let detail = "the name is there twice; the first one was taken";
                let problem = file.problem(ProblemKind::Malformed, detail, "save the checkpoint again");
                self.refuse(&name, elements, problem);
                false
            }
            Entry::Vacant(slot) => {
                slot.insert(self.tensors.len());
                self.tensors.push(TensorInfo { name, dtype, shape, file: file.path().to_owned() });
                self.places.push(place);
                true
            }
        }
    }

    /// True when the content of optimizer states is wanted, not only their names and sizes.
    pub fn wants_optimizer(&self) -> bool {
        self.settings.optimizer_states
    }

    /// Adds an optimizer's state whose place was checked to lie inside its file.
    pub fn add_optimizer(&mut self, file: &Input, name: &str, dtype: Dtype, shape: Vec<u64>, place: Place) {
        if self.optimizer.placed.tensors.len() < TENSORS_MAX {
            let info = TensorInfo { name: tame(name).into(), dtype, shape, file: file.path().to_owned() };
            self.optimizer.placed.tensors.push(info);
            self.optimizer.placed.places.push(place);
        }
    }

    /// Adds a part of an optimizer's state, as [`Found::add_chunk`] does of a tensor.
    pub fn add_optimizer_chunk(&mut self, name: &str, dtype: Dtype, shape: &[u64], piece: Piece) {
        let chunked = &mut self.optimizer.chunked;
        if chunked.len() < TENSORS_MAX || chunked.contains_key(name) {
            let of_name = chunked.entry(name.to_owned());
            of_name.or_insert_with(|| Chunked::new(dtype, Some(shape))).add(dtype, piece);
        }
    }

    fn assemble_optimizer(&mut self) {
        for (name, chunked) in std::mem::take(&mut self.optimizer.chunked) {
            let Some(file) = chunked.file().map(Arc::clone) else { continue };
            let dtype = chunked.dtype;
            match chunked.assemble() {
                Ok((shape, place)) => self.add_optimizer(&file, &name, dtype, shape, place),
                Err((kind, detail)) => {
                    let mut problem =
                        file.problem(kind, detail, "save the checkpoint again, with all its files");
                    problem.tensor = Some(tame(&name));
                    self.problem(problem);
                }
            }
        }
    }

    /// Lists what lies beside the model and is not weighed: it does not count as missing from it.
    pub fn pass_over(&mut self, name: &str, elements: u64, reason: impl Into<String>) {
        if self.beside.len() < TENSORS_MAX {
            self.beside.push(SkippedTensor { name: tame(name), elements, reason: reason.into() });
        }
    }

    /// Lists a tensor that cannot or should not be weighed.
    pub fn skip(&mut self, name: &str, elements: u64, reason: impl Into<String>) {
        if self.skipped.len() < TENSORS_MAX {
            let name = tame(name);
            self.skipped.push(SkippedTensor { name, elements, reason: reason.into() });
        }
    }

    /// Lists a tensor as skipped because of a problem, which is told too.
    pub fn refuse(&mut self, name: &str, elements: u64, mut problem: Problem) {
        self.skip(name, elements, problem.detail.clone());
        problem.tensor = Some(tame(name));
        self.problem(problem);
    }

    /// Tells a problem.
    pub fn problem(&mut self, problem: Problem) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        } else {
            self.problems_untold += 1;
        }
    }

    /// The checkpoint as a whole.
    pub fn finish(mut self) -> Opened {
        self.assemble();
        self.assemble_optimizer();
        if self.problems_untold > 0 {
            let detail = format!("{} more problems are not told one by one", self.problems_untold);
            let first = self.files.keys().next().cloned().unwrap_or_default();
            let remedy = "save the checkpoint again";
            self.problems.push(input::problem(&first, ProblemKind::Malformed, detail, remedy));
        }
        Opened {
            source: Arc::new(Placed { tensors: self.tensors, places: self.places }),
            optimizer: Arc::new(self.optimizer.placed),
            beside: self.beside,
            skipped: self.skipped,
            problems: self.problems,
            tied: self.tied,
            step: self.step,
            files: self.files.into_keys().collect(),
        }
    }
}

/// What is known of the optimizer's states.
#[derive(Default)]
struct Optimizer {
    chunked: IndexMap<String, Chunked>,
    placed: Placed,
}

/// Tensors and where each one lies.
#[derive(Default)]
struct Placed {
    tensors: Vec<TensorInfo>,
    places: Vec<Place>,
}

impl BlockSource for Placed {
    fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    fn read(&self, tensor: usize, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        self.places[tensor].read(offset, buffer)
    }
}

/// Product of the dimensions; none where it overflows or passes what one tensor may have.
pub fn elements(shape: &[u64]) -> Option<u64> {
    if shape.len() > RANK_MAX {
        return None;
    }
    // A zero makes the product zero, but must not hide an overflow of the other dimensions.
    let product =
        shape.iter().filter(|&&size| size > 0).try_fold(1_u64, |product, &size| product.checked_mul(size))?;
    (product <= TENSOR_ELEMENTS_MAX).then(|| if shape.contains(&0) { 0 } else { product })
}

/// Names go into labels, store keys and pages: those escape quotes and angle brackets, but a control
/// character or a text-direction mark has no honest use in a name.
fn check_name(file: &Input, name: &str) -> Result<(), Problem> {
    let detail = if name.len() > NAME_BYTES_MAX {
        format!("the name has {} bytes, the most is {NAME_BYTES_MAX}", name.len())
    } else if name.chars().any(is_wild) {
        "the name holds control characters".to_owned()
    } else {
        return Ok(());
    };
    Err(file.problem(ProblemKind::Hostile, detail, "rename the tensor"))
}

/// True for a name that must not be shown as it is.
pub fn harms(name: &str) -> bool {
    name.len() > NAME_BYTES_MAX || name.chars().any(is_wild)
}

fn is_wild(character: char) -> bool {
    let direction_marks = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character.is_control() || direction_marks || matches!(character, '\u{2028}' | '\u{2029}')
}

/// The name as it can be shown: cut and without control characters.
pub fn tame(name: &str) -> String {
    let shown = name.chars().take(NAME_BYTES_MAX / 4);
    let mut tamed: String = shown.map(|c| if is_wild(c) { '\u{fffd}' } else { c }).collect();
    if name.chars().nth(NAME_BYTES_MAX / 4).is_some() {
        tamed.push('…');
    }
    tamed
}
