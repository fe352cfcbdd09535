//! The configuration: YAML as typed, checked into each room's own settings; the only user of
//! `serde_yaml`.
//!
//! Everything has a default, so no file is needed. A key that is not known, a value of the wrong kind
//! or out of its range is refused with file, line, key and what is allowed: a monitor that quietly
//! ignores a misspelt key is worse than none. `config/reference.yaml` shows every key at its default;
//! a test holds it to the code.

mod access;
mod check;
mod error;
mod range;
mod raw;
mod reference;

pub use access::{AccessFiles, Stamp, stamps};
pub use check::Config;
pub use error::Error;
pub use raw::{DetectorChoice, Raw};
pub use reference::reference_yaml;

use std::path::Path;

/// Longest configuration that is read. The parser is no longer maintained, so it gets nothing large.
pub const BYTES_MAX: u64 = 1 << 20;

/// Reads and checks a file.
pub fn load(path: &Path) -> Result<Config, Error> {
    let text = read(path)?;
    let mut config = parse(&text).map_err(|error| error.in_file(path))?;
    config.access = config.access.below(path.parent().unwrap_or(Path::new("")));
    Ok(config)
}

/// Checks a text.
pub fn parse(text: &str) -> Result<Config, Error> {
    // An empty document is YAML's null; here it means "all defaults".
    let nothing = text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'));
    let raw = if nothing {
        Raw::default()
    } else {
        serde_yaml::from_str(text).map_err(|error| Error::yaml(text, error))?
    };
    check::check(raw, text)
}

fn read(path: &Path) -> Result<String, Error> {
    let io = |error: std::io::Error| Error::Io { path: path.to_owned(), message: error.to_string() };
    let bytes = std::fs::metadata(path).map_err(io)?.len();
    if bytes > BYTES_MAX {
        return Err(Error::TooLarge { path: path.to_owned(), bytes });
    }
    std::fs::read_to_string(path).map_err(io)
}

#[cfg(test)]
mod tests;
