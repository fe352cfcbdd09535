//! Judgement, tested as data: the scripts in `fixtures/detect/*.case` load a healthy series, break it and
//! say which finding must come when; everything that is not expected must not come.

mod again;
mod case;
mod kind;
mod registry;
mod synthetic;

use std::path::Path;

use weighbridge::detect::{DETECTORS, Rhythm, Settings, State, judge, overdue};
use weighbridge::terms::{Finding, History, Severity};

use case::Case;

/// Judges the whole case, once through and once with the state written and read back at every
/// checkpoint: both must agree byte for byte.
fn findings(case: &Case) -> Vec<Finding> {
    let settings = case.settings();
    let once = play(case, &settings, false);
    let again = play(case, &settings, true);
    assert_eq!(format!("{once:?}"), format!("{again:?}"), "{}: replay differs", case.name);
    once
}

fn play(case: &Case, settings: &Settings, restart: bool) -> Vec<Finding> {
    let (mut history, mut state) = (History::new(History::POINTS_MAX), State::default());
    let memory = synthetic::Remembered::default();
    let mut all: Vec<Finding> = Vec::new();
    let mut times = Vec::new();
    for (index, reading) in case.readings().enumerate() {
        let mut changed = judge(&history, &reading, &memory, &mut state, settings);
        let at_seconds = reading.checkpoint.timestamp_seconds;
        times.push((reading.key.step, at_seconds));
        for seconds in case.waits(index + 1) {
            let rhythm = Rhythm::new(&reading.key.run, reading.key.attempt, &times).unwrap();
            changed.extend(overdue(&rhythm, at_seconds + seconds, &mut state, settings));
        }
        for finding in changed {
            match all.iter_mut().find(|known| known.id == finding.id) {
                Some(known) => *known = finding,
                None => all.push(finding),
            }
        }
        if restart {
            state = State::from_bytes(&state.to_bytes()).unwrap();
        }
        memory.keep(&reading);
        history.push(&reading);
    }
    all
}

fn check(path: &Path) -> Result<(), String> {
    let case = Case::parse(path)?;
    let mut alerts: Vec<Finding> =
        findings(&case).into_iter().filter(|finding| finding.severity >= Severity::Warning).collect();
    for expected in &case.expected {
        let step = case.step(expected.checkpoint);
        let found =
            alerts.iter().position(|finding| finding.detector == expected.detector && finding.step.0 == step);
        let Some(index) = found else {
            let seen: Vec<_> = alerts.iter().map(|finding| (&finding.detector, finding.step.0)).collect();
            return Err(format!("{}: no {} at step {step}; alerts: {seen:?}", case.name, expected.detector));
        };
        let finding = alerts.remove(index);
        expected.hold(&case, &finding)?;
    }
    match alerts.first() {
        Some(finding) => Err(format!(
            "{}: unexpected {} at step {}: {}",
            case.name, finding.detector, finding.step, finding.summary
        )),
        None => Ok(()),
    }
}

fn cases() -> Vec<std::path::PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/detect");
    let mut paths: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "case"))
        .collect();
    paths.sort();
    paths
}

#[test]
fn every_case_holds() {
    let failed: Vec<String> = cases().iter().filter_map(|path| check(path).err()).collect();
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}

#[test]
fn every_detector_has_a_sick_case_and_a_healthy_twin() {
    let texts: Vec<(String, String)> = cases()
        .iter()
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    for detector in DETECTORS {
        let id = detector.entry().id;
        let has = |text: &str, words: &str| text.lines().any(|line| line.starts_with(words));
        let sick = texts.iter().any(|(_, text)| has(text, &format!("expect {id} ")));
        assert!(sick, "no case expects {id}");
        let twin = texts.iter().find(|(name, _)| *name == format!("{id}_twin"));
        let (_, twin) = twin.unwrap_or_else(|| panic!("no healthy twin: {id}_twin.case"));
        assert!(!has(twin, &format!("expect {id} ")), "the twin of {id} is not healthy");
        // A twin that looks nothing like the fault, or at which the detector never looks, proves nothing.
        let looks = ["at ", "series ", "baseline ", "tied "].iter().any(|words| has(twin, words));
        assert!(looks, "the twin of {id} is a healthy series like any other");
        assert!(detector.entry().enabled || has(twin, &format!("enable {id}")), "{id} is off in its twin");
    }
}
