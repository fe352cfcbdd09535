//! One receiver as it is configured.

use std::fmt;
use std::path::{Path, PathBuf};

use super::Notifier;
use crate::export::{EXPORTERS, Kind, ReadingWriter};
use crate::terms::Severity;

/// Text that must not show up in logs, pages or error messages.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// A receiver of notices.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Its name in logs, counters and the store. A new name is a new receiver, which has heard of nothing.
    pub name: String,
    /// How it is told: name of an exporter of notices.
    pub kind: String,
    /// Where it listens: `http` or `https`. It may hold a secret, as chat hooks do.
    pub url: Option<Secret>,
    /// File that holds the address instead, read at each delivery.
    pub url_file: Option<PathBuf>,
    /// File that holds a bearer token, read at each delivery.
    pub token_file: Option<PathBuf>,
    /// Directory that event files are written into, where the kind writes files.
    pub directory: Option<PathBuf>,
    /// Program and arguments, where the kind is a command. Run without a shell.
    pub command: Vec<String>,
    /// Findings below this are not told.
    pub severity_min: Severity,
    /// Whether the end of a finding is told too.
    pub resolved: bool,
    /// Most notices about one run in an hour; more wait for their turn. 30 is one every two minutes:
    /// who gets more stops reading them.
    pub per_run_hour_max: u32,
}

impl Default for Target {
    fn default() -> Self {
        Self {
            name: String::new(),
            kind: "webhook".into(),
            url: None,
            url_file: None,
            token_file: None,
            directory: None,
            command: Vec::new(),
            severity_min: Severity::Warning,
            resolved: true,
            per_run_hour_max: 30,
        }
    }
}

/// A target that cannot be used.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum TargetError {
    /// The store's marks would be mixed up, or a log line could not say which.
    #[error("target {0:?}: a name is 1 to 64 letters, digits, - or _, and no two targets share one")]
    Name(String),
    /// No exporter of that name takes notices.
    #[error("target {name}: kind {kind:?} is not one of {known}")]
    Kind {
        /// The target.
        name: String,
        /// What was written.
        kind: String,
        /// What could have been.
        known: String,
    },
    /// Not a severity.
    #[error("target {name}: severity {word:?} is neither info, warning nor critical")]
    Severity {
        /// The target.
        name: String,
        /// What was written.
        word: String,
    },
    /// It cannot be reached as described.
    #[error("target {name}: {detail}")]
    Reach {
        /// The target.
        name: String,
        /// What is missing or too much.
        detail: &'static str,
    },
}

impl Target {
    /// The exporter of notices that writes for it.
    pub fn notifier(&self) -> Option<&'static dyn Notifier> {
        match self.receiver()? {
            Kind::Notify(notifier) => Some(notifier),
            _ => None,
        }
    }

    /// The exporter of readings that writes for it.
    pub fn reading_writer(&self) -> Option<&'static dyn ReadingWriter> {
        match self.receiver()? {
            Kind::Readings(writer) => Some(writer),
            _ => None,
        }
    }

    fn receiver(&self) -> Option<Kind> {
        receivers().find(|(name, _)| *name == self.kind).map(|(_, kind)| kind)
    }

    fn needs(&self) -> Option<Needs> {
        match self.receiver()? {
            Kind::Notify(notifier) => Some(notifier.needs()),
            Kind::Readings(writer) => Some(writer.needs()),
            Kind::Scrape(_) => None,
        }
    }

    /// The targets, if all can be used.
    pub fn check(targets: Vec<Target>) -> Result<Vec<Target>, TargetError> {
        for (index, target) in targets.iter().enumerate() {
            let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            let is_named = (1..=64).contains(&target.name.len()) && target.name.chars().all(fits);
            if !is_named || targets[..index].iter().any(|other| other.name == target.name) {
                return Err(TargetError::Name(target.name.clone()));
            }
            target.check_reach()?;
        }
        Ok(targets)
    }

    fn check_reach(&self) -> Result<(), TargetError> {
        let refuse = |detail| Err(TargetError::Reach { name: self.name.clone(), detail });
        match self.needs() {
            None => {
                let known = receivers().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
                return Err(TargetError::Kind { name: self.name.clone(), kind: self.kind.clone(), known });
            }
            Some(Needs::Url) => {}
            Some(Needs::Command) if self.command.is_empty() => {
                return refuse("needs a command: program and arguments");
            }
            Some(Needs::Directory) if self.directory.is_none() => return refuse("needs a directory"),
            Some(_) => return Ok(()),
        }
        match (&self.url, &self.url_file) {
            (Some(Secret(url)), None) if url.starts_with("http://") || url.starts_with("https://") => Ok(()),
            (None, Some(_)) => Ok(()),
            (Some(_), None) => refuse("url must begin with http:// or https://"),
            _ => refuse("needs either url or url_file"),
        }
    }

    /// Where it listens, without a slash at the end.
    pub fn address(&self) -> Result<Secret, String> {
        let url = match (&self.url, &self.url_file) {
            (Some(url), _) => url.0.clone(),
            (None, Some(file)) => secret_in(file)?,
            (None, None) => return Err("no url is set".into()),
        };
        Ok(Secret(url.trim_end_matches('/').to_owned()))
    }

    /// Its bearer token, where it has one.
    pub fn token(&self) -> Result<Option<Secret>, String> {
        self.token_file.as_deref().map(|file| secret_in(file).map(Secret)).transpose()
    }
}

/// The first line of a file. The message names the file, never what is in it.
fn secret_in(file: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

fn receivers() -> impl Iterator<Item = (&'static str, Kind)> {
    EXPORTERS
        .iter()
        .filter(|entry| !matches!(entry.kind, Kind::Scrape(_)))
        .map(|entry| (entry.name, entry.kind))
}

/// How a kind of target is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// An address.
    Url,
    /// A command.
    Command,
    /// A directory.
    Directory,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(target: Target) -> String {
        Target::check(vec![target]).map_or_else(|error| error.to_string(), |_| "fine".into())
    }

    #[test]
    fn says_what_is_wrong_with_a_target() {
        let url = |url: &str| Some(Secret(url.into()));
        let good = Target { name: "a".into(), url: url("https://x/y"), ..Target::default() };
        assert_eq!(said(good.clone()), "fine");
        assert!(said(Target { name: "a b".into(), ..good.clone() }).contains("\"a b\""));
        assert!(said(Target { kind: "pager".into(), ..good.clone() }).contains("not one of alertmanager"));
        assert!(said(Target { url: url("ftp://x"), ..good.clone() }).contains("must begin with http"));
        assert!(said(Target { url: None, ..good.clone() }).contains("either url or url_file"));
        assert!(said(Target { kind: "command".into(), ..good.clone() }).contains("needs a command"));
        assert_eq!(Target::check(vec![good.clone(), good.clone()]), Err(TargetError::Name("a".into())));
    }

    #[test]
    fn shows_no_secret() {
        let target = Target { url: Some(Secret("https://hooks/T123".into())), ..Target::default() };
        assert!(!format!("{target:?}").contains("T123"));
    }
}
