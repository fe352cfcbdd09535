//! Trainers' layouts: one file each, and the list of them.

mod accelerate;
pub(super) mod any_weights;
mod bare;
mod composer;
pub(super) mod deepspeed;
mod fairseq;
mod folder;
mod hf_trainer;
mod lightning;
mod megatron;
mod naming;
mod nemo;
pub(super) mod torch_dcp;
mod torch_file;

pub(super) use naming::is_unfinished;

use std::path::Path;

use super::candidate::Written;
use super::disk::Listing;
use super::json;
use crate::terms::{FileStamp, Problem, StepSource};

/// One trainer's way of laying out checkpoints on disk.
pub trait Layout: Sync {
    /// Short name, shown with each checkpoint.
    fn name(&self) -> &'static str;
    /// What lies on disk, in one line for the table of layouts.
    fn on_disk(&self) -> &'static str;
    /// When a checkpoint counts as complete, in one line for the table of layouts.
    fn complete_when(&self) -> &'static str;
    /// Which entries of a directory are checkpoints of this trainer. `peek` lists a subdirectory.
    fn claim(&self, directory: &Listing, peek: Peek<'_>) -> Vec<Claim>;
    /// True for a layout that counts only where no other saw anything.
    fn yields(&self) -> bool {
        false
    }
    /// Looks into one of them. Called again only when one of its files changed.
    fn examine(&self, found: &Found<'_>) -> Draft;
}

/// Lists a subdirectory of the directory at hand by its name.
pub type Peek<'a> = &'a mut dyn FnMut(&str) -> Option<std::sync::Arc<Listing>>;

/// Every layout, in the order in which they are asked; what yields to others comes last.
pub static LAYOUTS: &[&dyn Layout] = &[
    &hf_trainer::HfTrainer,
    &deepspeed::DeepSpeed,
    &megatron::Megatron,
    &nemo::Nemo,
    &lightning::Lightning,
    &composer::Composer,
    &fairseq::Fairseq,
    &torch_dcp::TorchDcp,
    &accelerate::Accelerate,
    &folder::Folder,
    &bare::Bare,
    &torch_file::TorchFile,
    &any_weights::AnyWeights,
];

/// Longest tracker file that is read: it holds one name or number.
const TRACKER_BYTES_MAX: u64 = 4096;

/// Entries of one directory that make up one checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The entry that stands for the checkpoint: a directory, or a file.
    pub entry: String,
    /// Where `entry` is a file: all files of the checkpoint, `entry` among them. Empty for a directory.
    pub members: Vec<String>,
    /// Files beside the checkpoint that bear on its completeness (trackers, markers). They are not
    /// part of it: their change makes the layout look again, and is no change of the checkpoint.
    pub witnesses: Vec<String>,
}

impl Claim {
    /// A directory that is a checkpoint.
    pub fn directory(entry: &str) -> Self {
        Self { entry: entry.to_string(), members: Vec::new(), witnesses: Vec::new() }
    }

    /// Files that are one checkpoint, named by the first of them.
    pub fn files(members: Vec<String>) -> Self {
        Self { entry: members.first().cloned().unwrap_or_default(), members, witnesses: Vec::new() }
    }

    /// True when the checkpoint is a directory.
    pub fn is_directory(&self) -> bool {
        self.members.is_empty()
    }
}

/// A claimed checkpoint with its files.
#[derive(Debug)]
pub struct Found<'a> {
    /// The claim.
    pub claim: &'a Claim,
    /// The directory in which it was found.
    pub directory: &'a Listing,
    /// What `files` are relative to: the checkpoint's directory, or the one that holds its files.
    pub root: &'a Path,
    /// Its files, sorted by path.
    pub files: &'a [FileStamp],
}

impl Found<'_> {
    /// The file of that path relative to `root`.
    pub fn file(&self, path: &str) -> Option<&FileStamp> {
        self.files.iter().find(|file| file.path == Path::new(path))
    }

    /// True when that file is there.
    pub fn has(&self, path: &str) -> bool {
        self.file(path).is_some()
    }

    /// The text of a small file beside the checkpoint, such as a tracker.
    pub fn beside(&self, name: &str) -> Option<String> {
        let bytes = json::read_bytes(&self.directory.path, Path::new(name), TRACKER_BYTES_MAX).ok()?;
        String::from_utf8(bytes).ok()
    }

    /// A small JSON file of the checkpoint.
    pub fn json(&self, path: &str) -> Result<serde_json::Value, Problem> {
        json::read(self.root, Path::new(path), json::BYTES_MAX)
    }
}

/// What a layout makes of one checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Step and where it was learnt; none where nothing names it.
    pub step: Option<(u64, StepSource)>,
    /// Files that hold weights, relative to the root.
    pub weights: Vec<std::path::PathBuf>,
    /// What the layout says about completeness.
    pub written: Written,
    /// Faults seen on the way.
    pub problems: Vec<Problem>,
}
