//! What people may say: made here for the API, and for the commands where no daemon runs.

use globset::Glob;
use serde::{Deserialize, Serialize};

use crate::detect::{DETECTORS, Expected};
use crate::store::{self, Store};
use crate::terms::{Acknowledgement, Announcement, Finding, Planned, Said, Silence};

/// Longest reason.
const WHY_MAX: usize = 1000;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was asked for makes no sense.
    #[error("{0}")]
    Asked(String),
    /// There is no such finding, silence or acknowledgement.
    #[error("{0}")]
    Missing(String),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// A silence as it is asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// A run's name, or a glob on names.
    pub run: String,
    /// Detector; none for all.
    pub detector: Option<String>,
    /// Glob on tensor names; none for all findings.
    pub tensor: Option<String>,
    /// Its end, seconds since 1970.
    pub until_seconds: f64,
    /// Why.
    pub why: String,
}

/// Somebody knows of a finding.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// The finding's id, or its beginning where that names one only.
    pub finding: String,
    /// Why, or who.
    #[serde(default)]
    pub why: String,
}

/// Makes a silence.
pub fn silence(store: &Store, wanted: Wanted, now_seconds: f64) -> Result<Silence, Error> {
    check_globs([Some(&wanted.run), wanted.tensor.as_ref()].into_iter().flatten())?;
    if let Some(detector) = &wanted.detector {
        let is_known = DETECTORS.iter().any(|known| known.entry().id == detector)
            || store.findings(None)?.iter().any(|finding| finding.detector == *detector);
        if !is_known {
            let message = format!("no detector is called {detector:?}; `weighbridge explain` lists them");
            return Err(Error::Asked(message));
        }
    }
    // Also refuses NaN.
    if !(wanted.until_seconds > now_seconds && wanted.until_seconds.is_finite()) {
        return Err(Error::Asked("the end of a silence lies in the future".into()));
    }
    let why = reason(&wanted.why)?;
    if why.is_empty() {
        return Err(Error::Asked("say why: who finds the silence later needs to know".into()));
    }
    let silence = Silence {
        id: id_of(&wanted, now_seconds),
        run: wanted.run,
        detector: wanted.detector,
        tensor: wanted.tensor,
        at_seconds: now_seconds,
        until_seconds: wanted.until_seconds,
        why,
    };
    store.silence(&silence)?;
    Ok(silence)
}

/// Ends a silence before its time.
pub fn end_silence(store: &Store, id: &str, now_seconds: f64) -> Result<Silence, Error> {
    let said = store.said()?;
    let running = said.silences.iter().filter(|silence| silence.until_seconds > now_seconds);
    let mut silence = one(running, id, |silence| &silence.id, "silence that lasts")?.clone();
    silence.until_seconds = now_seconds;
    store.silence(&silence)?;
    Ok(silence)
}

/// Says that somebody knows of a finding.
pub fn acknowledge(store: &Store, known: &Known, now_seconds: f64) -> Result<Acknowledgement, Error> {
    let findings = store.findings(None)?;
    let finding: &Finding = one(findings.iter(), &known.finding, |finding| &finding.id.0, "finding")?;
    if let Some(step) = finding.resolved_step {
        let message =
            format!("finding {} is over since step {step}: there is nothing to acknowledge", finding.id);
        return Err(Error::Asked(message));
    }
    let known = Acknowledgement {
        run: finding.run.clone(),
        finding: finding.id.clone(),
        severity: finding.severity,
        at_seconds: now_seconds,
        why: reason(&known.why)?,
        withdrawn: false,
    };
    store.acknowledge(&known)?;
    Ok(known)
}

/// Takes it back: the finding calls again.
pub fn withdraw(store: &Store, finding: &str) -> Result<Acknowledgement, Error> {
    let said = store.said()?;
    let standing = said.acknowledgements.values().filter(|known| !known.withdrawn);
    let mut known = one(standing, finding, |known| &known.finding.0, "acknowledged finding")?.clone();
    known.withdrawn = true;
    store.acknowledge(&known)?;
    Ok(known)
}

/// Announces what is planned: from the next checkpoint on it is no fault.
pub fn announce(store: &Store, mut planned: Planned, now_seconds: f64) -> Result<Announcement, Error> {
    check_globs(planned.run.iter().chain(&planned.tensors).chain(&planned.frozen))?;
    Expected::of(&planned).map_err(Error::Asked)?;
    planned.why = reason(&planned.why)?;
    if planned.why.is_empty() {
        return Err(Error::Asked("say why: who finds the announcement later needs to know".into()));
    }
    let id = id_of(&planned, now_seconds);
    let announcement = Announcement { id, planned, at_seconds: now_seconds, withdrawn: false };
    store.keep_announcement(&announcement)?;
    Ok(announcement)
}

/// Takes it back: from the next checkpoint on it is judged as ever.
pub fn withdraw_announcement(store: &Store, id: &str) -> Result<Announcement, Error> {
    let said = store.said()?;
    let standing = said.announced();
    let mut announcement =
        one(standing, id, |announcement| &announcement.id, "announcement that holds")?.clone();
    announcement.withdrawn = true;
    store.keep_announcement(&announcement)?;
    Ok(announcement)
}

/// Silences and acknowledgements that hold, in the order in which they were made.
pub fn holding(said: &Said, now_seconds: f64) -> (Vec<&Silence>, Vec<&Acknowledgement>) {
    let silences = said.silences.iter().filter(|silence| silence.until_seconds > now_seconds);
    let mut known: Vec<_> = said.acknowledgements.values().filter(|known| !known.withdrawn).collect();
    known.sort_by(|a, b| a.at_seconds.total_cmp(&b.at_seconds));
    (silences.collect(), known)
}

fn check_globs<'a>(globs: impl IntoIterator<Item = &'a String>) -> Result<(), Error> {
    let read = |glob: &String| Glob::new(glob).map(drop).map_err(|error| Error::Asked(error.to_string()));
    globs.into_iter().try_for_each(read)
}

/// Named by what it says and when, so that the same said twice is two.
fn id_of(wanted: &impl std::fmt::Debug, now_seconds: f64) -> String {
    let text = format!("{wanted:?} {now_seconds}");
    format!("{:016x}", xxhash_rust::xxh3::xxh3_64(text.as_bytes()))
}

fn reason(why: &str) -> Result<String, Error> {
    let why = why.trim();
    match why.chars().count() {
        length if length > WHY_MAX => {
            Err(Error::Asked(format!("{length} characters of reason, at most {WHY_MAX}")))
        }
        _ => Ok(why.to_owned()),
    }
}

/// The one whose id is `id`, or the only one whose id begins so.
fn one<'a, T>(
    all: impl Iterator<Item = &'a T>,
    id: &str,
    id_of: impl Fn(&T) -> &str,
    what: &str,
) -> Result<&'a T, Error> {
    let near: Vec<&T> = all.filter(|one| id_of(one).starts_with(id)).collect();
    match &near[..] {
        [found] if !id.is_empty() => Ok(found),
        [] => Err(Error::Missing(format!("no {what} has the id {id}"))),
        near => {
            near.iter().find(|one| id_of(one) == id).copied().ok_or_else(|| {
                Error::Asked(format!("{} ids begin with {id:?}: write more of it", near.len()))
            })
        }
    }
}
