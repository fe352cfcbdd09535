//! Hostile and broken files: each costs only itself, and is told with file, tensor, byte and remedy.

mod fuzz;
mod limits;
mod malicious;
mod safetensors;

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use weighbridge::tensor::{self, Opened, Settings};
use weighbridge::terms::{Problem, ProblemKind};

/// A checkpoint of one file, opened.
pub struct Case {
    directory: TempDir,
    pub name: &'static str,
}

impl Case {
    pub fn new(name: &'static str, content: &[u8]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(name), content).unwrap();
        Self { directory, name }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn open(&self) -> Opened {
        tensor::open(self.directory.path(), &[PathBuf::from(self.name)], &Settings::default())
    }

    pub fn check_lengths(&self) -> Option<Problem> {
        tensor::check_lengths(&self.directory.path().join(self.name))
    }
}

pub fn names(opened: &Opened) -> Vec<&str> {
    opened.source.tensors().iter().map(|tensor| &*tensor.name).collect()
}

/// The bytes of a tensor, read in one piece.
pub fn bytes_of(opened: &Opened, name: &str) -> Vec<u8> {
    let index = opened.source.tensors().iter().position(|tensor| &*tensor.name == name).unwrap();
    let mut bytes = vec![0; opened.source.tensors()[index].bytes() as usize];
    opened.source.read(index, 0, &mut bytes).unwrap();
    bytes
}

/// Exactly one problem, of that kind, whose text holds all of `parts`.
#[track_caller]
pub fn one_problem(problems: &[Problem], kind: ProblemKind, parts: &[&str]) {
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_problem(&problems[0], kind, parts);
}

#[track_caller]
pub fn assert_problem(problem: &Problem, kind: ProblemKind, parts: &[&str]) {
    let text = problem.to_string();
    assert_eq!(problem.kind, kind, "{text}");
    for part in parts {
        assert!(text.contains(part), "{text:?} lacks {part:?}");
    }
    assert!(!problem.remedy.is_empty(), "{text}");
}

mod places {
    use super::*;

    #[test]
    fn a_missing_file_is_missing() {
        let case = Case::new("a.safetensors", b"");
        let opened = tensor::open(case.path(), &[PathBuf::from("b.safetensors")], &Settings::default());
        one_problem(&opened.problems, ProblemKind::Missing, &["b.safetensors: file is not there"]);
    }

    #[test]
    fn an_empty_file_is_truncated() {
        let case = Case::new("a.safetensors", b"");
        one_problem(&case.open().problems, ProblemKind::Truncated, &["file is empty"]);
        assert!(case.check_lengths().is_some());
    }

    #[test]
    fn a_named_pipe_is_refused_without_waiting() {
        let case = Case::new("other", b"");
        let fifo = case.path().join("pipe.safetensors");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::from(0o600)).unwrap();
        let opened = tensor::open(case.path(), &[PathBuf::from("pipe.safetensors")], &Settings::default());
        one_problem(&opened.problems, ProblemKind::Hostile, &["named pipe"]);
    }

    #[test]
    fn a_device_and_a_directory_are_refused() {
        let case = Case::new("other", b"");
        std::os::unix::fs::symlink("/dev/zero", case.path().join("zero.safetensors")).unwrap();
        std::fs::create_dir(case.path().join("d.safetensors")).unwrap();
        let allow = Settings { follow_symlinks_out: true, ..Settings::default() };
        let opened = tensor::open(case.path(), &[PathBuf::from("zero.safetensors")], &allow);
        one_problem(&opened.problems, ProblemKind::Hostile, &["device"]);
        let opened = tensor::open(case.path(), &[PathBuf::from("d.safetensors")], &allow);
        one_problem(&opened.problems, ProblemKind::Hostile, &["directory"]);
    }

    #[test]
    fn paths_and_links_that_lead_out_are_refused() {
        let outside = Case::new("x.safetensors", &safetensors::whole());
        let case = Case::new("other", b"");
        let target = outside.path().join("x.safetensors");
        std::os::unix::fs::symlink(&target, case.path().join("link.safetensors")).unwrap();
        let link = [PathBuf::from("link.safetensors")];
        let opened = tensor::open(case.path(), &link, &Settings::default());
        one_problem(&opened.problems, ProblemKind::Hostile, &["leads out of the checkpoint"]);
        let opened =
            tensor::open(case.path(), &link, &Settings { follow_symlinks_out: true, ..Settings::default() });
        assert_eq!(names(&opened), ["a", "b"], "{:?}", opened.problems);
        for path in [PathBuf::from("../x.safetensors"), target] {
            let opened = tensor::open(case.path(), &[path], &Settings::default());
            one_problem(&opened.problems, ProblemKind::Hostile, &["leads out of the checkpoint"]);
        }
    }

    #[test]
    fn file_names_that_would_harm_are_refused_and_shown_tame() {
        let case = Case::new("other", b"");
        for name in ["a\0b.distcp".to_owned(), "a\u{202e}b".to_owned(), "long/".repeat(300)] {
            let opened = tensor::open(case.path(), &[PathBuf::from(&name)], &Settings::default());
            one_problem(
                &opened.problems,
                ProblemKind::Hostile,
                &["the file's name holds control characters"],
            );
            let told = opened.problems[0].to_string();
            assert!(!told.contains(['\0', '\u{202e}']) && told.len() < 1000, "{told}");
        }
    }

    #[test]
    fn a_file_of_no_known_format_is_told() {
        let case = Case::new("notes.txt", b"these are no weights at all");
        one_problem(&case.open().problems, ProblemKind::Malformed, &["not a format that is known"]);
    }
}
