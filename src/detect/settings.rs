//! What a user may change about judgement.

use std::collections::BTreeMap;

use crate::terms::{Planned, RunId, Said, Severity};

use super::baseline::Baseline;
use super::registry::DETECTORS;

/// How judgement behaves. `Default` is the product's default: every detector at its entry's values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// By detector id; a detector that is not named here keeps its entry's values.
    pub detectors: BTreeMap<String, DetectorSettings>,
    /// Events that were planned and are no faults.
    pub expected: Vec<Expected>,
    /// A stored run to compare with.
    pub baseline: Option<Baseline>,
}

impl Settings {
    /// These, with what people announced by command beside what the configuration has.
    #[must_use]
    pub fn with_announced(&self, said: &Said) -> Self {
        // What this program does not understand, because a newer one wrote it, hides nothing.
        let announced = said.announced().filter_map(|announcement| Expected::of(&announcement.planned).ok());
        Self { expected: self.expected.iter().cloned().chain(announced.flatten()).collect(), ..self.clone() }
    }
}

/// Choices for one detector.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DetectorSettings {
    /// On or off; none keeps the entry's choice.
    pub enabled: Option<bool>,
    /// Severity instead of the entry's.
    pub severity: Option<Severity>,
    /// Parameters by name, within the entry's ranges.
    pub parameters: BTreeMap<String, f64>,
}

/// A planned event: what it explains opens no finding.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expected {
    /// Glob on the run's name; none means every run.
    pub run: Option<String>,
    /// Detector that would speak up; none means every detector.
    pub detector: Option<String>,
    /// Globs on tensor names; empty means every tensor and findings without tensors.
    pub tensors: Vec<String>,
    /// First step of the event.
    pub from_step: Option<u64>,
    /// Last step of the event.
    pub until_step: Option<u64>,
    /// Why, for whoever reads it later.
    pub why: String,
}

/// Detectors that tell of a tensor that stands still: what `frozen` announces to all of them.
const STANDING_STILL: [&str; 3] = ["frozen_tensor", "unchanged_tensor", "weight_update_ratio"];

/// Does `glob` match `text`? A glob that cannot be read matches only itself.
pub(super) fn matches(glob: &str, text: &str) -> bool {
    glob == text || globset::Glob::new(glob).is_ok_and(|glob| glob.compile_matcher().is_match(text))
}

impl Expected {
    /// What a planned event means, or why it means nothing.
    pub fn of(planned: &Planned) -> Result<Vec<Self>, String> {
        let frozen = !planned.frozen.is_empty();
        if frozen && (planned.detector.is_some() || !planned.tensors.is_empty()) {
            return Err(
                "`frozen` names detectors and tensors by itself; leave out `detector` and `tensors`".into()
            );
        }
        if !frozen && planned.detector.is_none() && planned.tensors.is_empty() {
            return Err("an entry needs `frozen`, `detector` or `tensors`: it would hide everything".into());
        }
        if let Some(name) = planned.detector.as_deref()
            && !DETECTORS.iter().any(|detector| detector.entry().id == name)
        {
            return Err(format!("no detector is called {name:?}; `weighbridge explain` lists them"));
        }
        if let (Some(from), Some(until)) = (planned.from_step, planned.until_step)
            && from > until
        {
            return Err(format!("from_step {from} is after until_step {until}: it would never begin"));
        }
        let entry = |detector: Option<&str>| Self {
            run: planned.run.clone(),
            detector: detector.map(str::to_owned),
            tensors: if frozen { planned.frozen.clone() } else { planned.tensors.clone() },
            from_step: planned.from_step,
            until_step: planned.until_step,
            why: planned.why.clone(),
        };
        Ok(match frozen {
            true => STANDING_STILL.map(|detector| entry(Some(detector))).into(),
            false => vec![entry(planned.detector.as_deref())],
        })
    }

    /// True when it speaks of this run, detector and step.
    pub(super) fn covers(&self, run: &RunId, detector: &str, step: u64) -> bool {
        self.run.as_deref().is_none_or(|glob| matches(glob, run.as_str()))
            && self.detector.as_deref().is_none_or(|name| name == detector)
            && self.from_step.is_none_or(|from| step >= from)
            && self.until_step.is_none_or(|until| step <= until)
    }

    /// True when it speaks of this tensor.
    pub(super) fn covers_tensor(&self, tensor: &str) -> bool {
        self.tensors.is_empty() || self.tensors.iter().any(|glob| matches(glob, tensor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::Announcement;

    #[test]
    fn what_is_announced_holds_like_what_is_configured_until_it_is_taken_back() {
        let planned = Planned {
            run: Some("a*".into()),
            frozen: vec!["h.0.*".into()],
            from_step: Some(5),
            until_step: Some(9),
            ..Planned::default()
        };
        let configured = Settings { expected: Expected::of(&planned).unwrap(), ..Settings::default() };
        let said = |planned: &Planned, withdrawn| {
            let announcement =
                Announcement { id: "1".into(), planned: planned.clone(), at_seconds: 0.0, withdrawn };
            Said::default().with_announcements(vec![announcement])
        };
        assert_eq!(Settings::default().with_announced(&said(&planned, false)), configured);
        assert_eq!(Settings::default().with_announced(&said(&planned, true)), Settings::default());
        assert_eq!(configured.with_announced(&said(&planned, false)).expected.len(), 6);
        let of_tomorrow = Planned { detector: Some("not_known_yet".into()), ..Planned::default() };
        assert_eq!(Settings::default().with_announced(&said(&of_tomorrow, false)), Settings::default());
    }
}
