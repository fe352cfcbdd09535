//! Small JSON files that trainers leave: capped in size, and with the bare `NaN` and `Infinity` that
//! Python writes and the standard forbids.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::terms::{Problem, ProblemKind};

/// Longest configuration, index or tracker that is read. An index of 100 000 tensors has about 10 MB.
pub(super) const BYTES_MAX: u64 = 64 << 20;

/// Reads and parses `root/path`. Bare `NaN`, `Infinity` and `-Infinity` become strings of that name.
pub(super) fn read<T: DeserializeOwned>(root: &Path, path: &Path, bytes_max: u64) -> Result<T, Problem> {
    let bytes = read_bytes(root, path, bytes_max)?;
    parse(&bytes).map_err(|error| {
        problem(
            ProblemKind::Malformed,
            path,
            format!("does not parse as JSON: {error}"),
            "if it is still being written it will be read again; otherwise copy the file again",
        )
    })
}

/// Parses strictly, and only where that fails with the bare words replaced.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(bytes).or_else(|error| match quote_bare_words(bytes) {
        Cow::Borrowed(_) => Err(error),
        Cow::Owned(quoted) => serde_json::from_slice(&quoted),
    })
}

/// The whole file, unless it is longer than `bytes_max`.
pub(super) fn read_bytes(root: &Path, path: &Path, bytes_max: u64) -> Result<Vec<u8>, Problem> {
    let unreadable = |error: std::io::Error| {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ProblemKind::Missing,
            _ => ProblemKind::Unreadable,
        };
        problem(
            kind,
            path,
            format!("cannot be read: {error}"),
            "check that the file is there and its permissions",
        )
    };
    let file = File::open(root.join(path)).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(problem(
            ProblemKind::Hostile,
            path,
            "not a regular file".into(),
            "remove it from the checkpoint",
        ));
    }
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > bytes_max {
        let detail = format!("longer than the limit of {bytes_max} bytes");
        return Err(problem(ProblemKind::Hostile, path, detail, "check what wrote this file"));
    }
    Ok(bytes)
}

/// A problem of one file.
pub(super) fn problem(kind: ProblemKind, path: &Path, detail: String, remedy: &str) -> Problem {
    Problem { kind, path: path.to_path_buf(), tensor: None, offset: None, detail, remedy: remedy.to_string() }
}

/// Puts quotes around `NaN`, `Infinity` and `-Infinity` where they stand outside strings.
fn quote_bare_words(bytes: &[u8]) -> Cow<'_, [u8]> {
    const WORDS: [&[u8]; 3] = [b"NaN", b"Infinity", b"-Infinity"];
    let mut quoted: Vec<u8> = Vec::new();
    let (mut copied, mut at, mut in_string) = (0, 0, false);
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if in_string => at += 1,
            b'"' => in_string = !in_string,
            b'N' | b'I' | b'-' if !in_string => {
                if let Some(word) = WORDS.iter().find(|word| bytes[at..].starts_with(word)) {
                    quoted.extend_from_slice(&bytes[copied..at]);
                    quoted.push(b'"');
                    quoted.extend_from_slice(word);
                    quoted.push(b'"');
                    at += word.len();
                    copied = at;
                    continue;
                }
            }
            _ => {}
        }
        at += 1;
    }
    if copied == 0 {
        return Cow::Borrowed(bytes);
    }
    quoted.extend_from_slice(&bytes[copied..]);
    Cow::Owned(quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_words_are_quoted_outside_strings_only() {
        let text = br#"{"NaN \" NaN": NaN, "a": [-Infinity, Infinity, -1], "b": "x \\"}"#;
        let want = br#"{"NaN \" NaN": "NaN", "a": ["-Infinity", "Infinity", -1], "b": "x \\"}"#;
        assert_eq!(&*quote_bare_words(text), want);
        assert!(matches!(quote_bare_words(br#"{"a": "NaN"}"#), Cow::Borrowed(_)));
        assert!(parse::<serde_json::Value>(text).is_ok());
        assert!(parse::<serde_json::Value>(br#"{"a": Nan}"#).is_err());
    }
}
