//! What is wrong with a configuration, and where.

use std::path::{Path, PathBuf};

use super::BYTES_MAX;

/// What every refusal of a number says.
pub(super) const OUT_OF_RANGE: &str = "is out of range, allowed is";

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("{path}: cannot read: {message}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's message.
        message: String,
    },
    /// Nobody writes a megabyte of configuration.
    #[error("{path}: {bytes} bytes, at most {max} are read", path = path.display(), max = BYTES_MAX)]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// A key or value is refused.
    #[error("{place}{message}", place = place(path.as_deref(), *line))]
    Value {
        /// The file, where there is one.
        path: Option<PathBuf>,
        /// Line, counted from 1, where it is known.
        line: Option<usize>,
        /// Key, value and what is allowed.
        message: String,
    },
}

impl Error {
    /// A value that the rooms refuse; the line is found by its key.
    pub(super) fn value(text: &str, keys: &[&str], message: impl std::fmt::Display) -> Self {
        let message = format!("{}: {message}", keys.join("."));
        Self::Value { path: None, line: line_of(text, keys), message }
    }

    pub(super) fn yaml(text: &str, error: serde_yaml::Error) -> Self {
        let line = error.location().map(|location| location.line());
        let mut message = error.to_string();
        // The line is told in front, once.
        if let Some(at) = message.rfind(" at line ") {
            message.truncate(at);
        }
        // A refused number is told with its section only; the line has its key.
        let key =
            line.and_then(|line| text.lines().nth(line - 1)?.split_once(':')).map(|(key, _)| key.trim());
        if let (Some((section, rest)), Some(key)) = (message.split_once(": "), key)
            && rest.contains(OUT_OF_RANGE)
            && !section.ends_with(key)
        {
            message = format!("{section}.{key}: {rest}");
        }
        Self::Value { path: None, line, message }
    }

    pub(super) fn in_file(self, file: &Path) -> Self {
        match self {
            Self::Value { line, message, .. } => Self::Value { path: Some(file.to_owned()), line, message },
            other => other,
        }
    }
}

fn place(path: Option<&Path>, line: Option<usize>) -> String {
    match (path, line) {
        (Some(path), Some(line)) => format!("{}:{line}: ", path.display()),
        (Some(path), None) => format!("{}: ", path.display()),
        (None, Some(line)) => format!("line {line}: "),
        (None, None) => String::new(),
    }
}

/// The line of a nested key in block style: each key is looked for below the one before it.
fn line_of(text: &str, keys: &[&str]) -> Option<usize> {
    let mut found = None;
    let mut lines = text.lines().enumerate();
    for key in keys {
        let (index, _) = lines.by_ref().find(|(_, line)| {
            let line = line.trim_start().trim_start_matches("- ");
            line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(':'))
        })?;
        found = Some(index + 1);
    }
    found
}
