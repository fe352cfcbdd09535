//! What lies in a checkpoint's files: formats, headers, positioned reads.
//!
//! [`open`] looks at the first bytes of every file, picks the [`Format`] that knows them and lets it
//! check the header, once and hard: lengths, counts, names, ranges. What passes the check is a tensor
//! with a place; what does not is a [`Problem`] with file, tensor, byte offset and remedy, and costs
//! only itself. After that nothing is checked again: [`BlockSource::read`] reads by position into the
//! caller's buffer and either fills it or says that the file went away.
//!
//! Nothing in a file is ever executed. Every limit on what a file may ask for is a constant in
//! [`limits`].

mod archive;
mod bare_pickle;
mod chunks;
mod dcp;
mod deepspeed;
mod found;
mod gguf;
mod inflated;
mod input;
pub mod limits;
mod npy;
mod npz;
mod pickle;
mod place;
mod safetensors;
mod torch;
mod torch_legacy;
mod torch_zip;
mod view;
mod window;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::terms::{BlockSource, Problem, ProblemKind, SkippedTensor};

pub use found::Found;
pub use input::Input;

/// What the user can choose about opening files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Weigh files that a symbolic link in the checkpoint names outside of it, as the cache of the
    /// Hugging Face Hub does. Off by default: a link must not lead the daemon out of what it watches.
    pub follow_symlinks_out: bool,
    /// Hand back the memory that reading takes in the system's page cache, so that it does not push a training job's
    /// data out. Files that lay there before stay: the job has just written them, and the next checkpoint is compared
    /// with them. See [`hand_back`].
    pub spare_page_cache: bool,
    /// Find out where the states of optimizers lie, to be looked into. On by default; off, they are told
    /// by name and size only where that costs nothing.
    pub optimizer_states: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { follow_symlinks_out: false, spare_page_cache: false, optimizer_states: true }
    }
}

/// One checkpoint, opened.
pub struct Opened {
    /// Its tensors, to be read by position.
    pub source: Arc<dyn BlockSource>,
    /// States of optimizers, by their path in the file: moments, master weights, steps. No part of the
    /// model: names may come twice, from several ranks.
    pub optimizer: Arc<dyn BlockSource>,
    /// What lies beside the model and is not weighed: states of random number generators, optimizer
    /// states that cannot be read, single numbers.
    pub beside: Vec<SkippedTensor>,
    /// Tensors that are there and cannot or should not be weighed.
    pub skipped: Vec<SkippedTensor>,
    /// What is wrong with the files.
    pub problems: Vec<Problem>,
    /// Names that share one storage, both in the source.
    pub tied: Vec<(String, String)>,
    /// Training step found inside a file.
    pub step: Option<u64>,
    /// Every file that was looked into, relative to the root.
    pub files: Vec<PathBuf>,
}

/// A file format.
pub trait Format: Sync {
    /// Its name in documents and messages.
    fn name(&self) -> &'static str;
    /// What is read of it, one line for the table in the documents.
    fn summary(&self) -> &'static str;
    /// Usual endings of its files, without the dot. Asked only when no format knows the content.
    fn endings(&self) -> &'static [&'static str];
    /// True when the first bytes are of this format.
    fn sniff(&self, head: &[u8], file: &Input) -> bool;
    /// Checks the file's header and adds what it names.
    fn collect(&self, file: &Arc<Input>, found: &mut Found);
    /// Cheap: is the file as long as its header says?
    fn check_lengths(&self, file: &Arc<Input>) -> Option<Problem>;
}

/// All formats, in the order in which they are asked.
pub static FORMATS: &[&dyn Format] = &[
    &safetensors::Safetensors,
    &dcp::Dcp,
    &deepspeed::DeepSpeed,
    &npz::Npz,
    &torch_zip::TorchZip,
    &torch_legacy::TorchLegacy,
    &npy::Npy,
    &gguf::Gguf,
    &bare_pickle::BarePickle,
];

/// Bytes that a format may look at to know its own.
const HEAD_BYTES: u64 = 512;

/// Opens the weights `files` (relative to `root`) as one checkpoint. Never fails as a whole: what
/// cannot be opened is a problem.
pub fn open(root: &Path, files: &[PathBuf], settings: &Settings) -> Opened {
    let mut found = Found::new(root, settings);
    for relative in files {
        match found.open(relative).and_then(|file| Ok((recognise(&file)?, file))) {
            Ok((format, file)) => format.collect(&file, &mut found),
            Err(problem) => found.problem(problem),
        }
    }
    found.finish()
}

/// Hands back what of these files lies in the system's page cache, for files that nobody will read again soon.
pub fn hand_back(root: &Path, files: &[PathBuf], settings: &Settings) {
    // It does not matter whether they lie there: to ask could read them in.
    let unasked = Settings { spare_page_cache: false, ..settings.clone() };
    files
        .iter()
        .filter_map(|file| Input::open(root, file, true, &unasked).ok())
        .for_each(|file| file.hand_back());
}

/// Cheap: is this one file as long as its own header says? None = whole.
pub fn check_lengths(path: &Path) -> Option<Problem> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Some(input::problem(path, ProblemKind::Unreadable, "names no file", "name a file"));
    };
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    // Whether a link may lead out is decided when the checkpoint is opened; here only the length counts.
    let settings = Settings { follow_symlinks_out: true, optimizer_states: false, spare_page_cache: false };
    match Input::open(directory, Path::new(name), true, &settings) {
        Ok(file) => match recognise(&file) {
            Ok(format) => format.check_lengths(&file),
            Err(problem) => Some(problem),
        },
        Err(problem) => Some(problem),
    }
}

/// The format of a file: by content, and by its name's ending where the content says nothing.
fn recognise(file: &Input) -> Result<&'static dyn Format, Problem> {
    if file.bytes() == 0 {
        let detail = "file is empty";
        return Err(file.problem(ProblemKind::Truncated, detail, "save the checkpoint again"));
    }
    let head = file.read_vec(0, HEAD_BYTES)?;
    let by_content = FORMATS.iter().find(|format| format.sniff(&head, file));
    let by_ending = || {
        let ending = file.path().extension()?.to_str()?.to_ascii_lowercase();
        FORMATS.iter().find(|format| format.endings().contains(&ending.as_str()))
    };
    by_content.or_else(by_ending).copied().ok_or_else(|| {
        let known: Vec<_> = FORMATS.iter().map(|format| format.name()).collect();
        file.problem(
            ProblemKind::Malformed,
            format!("not a format that is known ({})", known.join(", ")),
            "point at the weights' files only, or convert them",
        )
    })
}
