//! What must be true of every detector's entry, and the page that is made from them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use weighbridge::detect::{DETECTORS, Entry, Expected, Rhythm, Settings, State, judge, overdue};
use weighbridge::terms::{Attempt, History, NoMemory, RunId, Step};

use super::synthetic::Series;

#[test]
fn entries_are_complete_and_their_names_state_the_fault() {
    let mut ids = BTreeSet::new();
    for entry in DETECTORS.iter().map(|detector| detector.entry()) {
        assert!(ids.insert(entry.id), "{} is there twice", entry.id);
        let snake = entry.id.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_');
        assert!(snake, "{} is not in snake case", entry.id);
        for instruction in ["check", "detect", "monitor", "no_", "find"] {
            assert!(!entry.id.starts_with(instruction), "{} does not state a fault", entry.id);
        }
        assert!(!entry.summary.ends_with('.') && !entry.summary.is_empty(), "summary of {}", entry.id);
        for text in [entry.what, entry.cause, entry.remedy] {
            assert!(text.ends_with('.') && !text.contains("  "), "text of {}: {text}", entry.id);
        }
        for parameter in entry.parameters {
            let fits = (parameter.min..=parameter.max).contains(&parameter.default);
            assert!(fits && !parameter.doc.is_empty(), "{}.{}", entry.id, parameter.name);
        }
    }
}

fn page() -> String {
    let mut text = String::from(
        "# Detectors\n\nMade from the entries in `src/detect/`; `weighbridge explain NAME` prints the same. \
         Severity, parameters and whether a detector runs can be set under `detect` in the configuration.\n\n\
         | detector | severity | proof | the fault |\n|---|---|---|---|\n",
    );
    let word = |entry: &Entry| format!("{:?}", entry.proof).to_lowercase();
    for entry in DETECTORS.iter().map(|detector| detector.entry()) {
        let off = if entry.enabled { "" } else { ", off by default" };
        writeln!(
            text,
            "| [`{0}`](#{0}) | {1}{off} | {2} | {3} |",
            entry.id,
            entry.severity,
            word(entry),
            entry.summary
        )
        .unwrap();
    }
    for entry in DETECTORS.iter().map(|detector| detector.entry()) {
        writeln!(text, "\n## {}\n\n{}. Since {}.\n", entry.id, upper(entry.summary), entry.since).unwrap();
        writeln!(text, "- **How it is recognised**: {}", entry.what).unwrap();
        writeln!(text, "- **Usual cause**: {}", entry.cause).unwrap();
        writeln!(text, "- **What to do**: {}", entry.remedy).unwrap();
        writeln!(text, "- **Reads**: {}", entry.evidence).unwrap();
        for parameter in entry.parameters {
            writeln!(
                text,
                "- `{}` = {} ({} to {}): {}",
                parameter.name, parameter.default, parameter.min, parameter.max, parameter.doc
            )
            .unwrap();
        }
    }
    text
}

fn upper(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[test]
fn the_page_is_what_the_entries_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/detectors.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page(), "docs/detectors.md is out of date: run with UPDATE_GOLDEN=1");
}

#[test]
fn a_late_checkpoint_is_told_once() {
    let times: Vec<_> = (1..=6).map(|index| (Step(index * 25), index as f64 * 20.0)).collect();
    let rhythm = Rhythm::new(&RunId::new("r"), Attempt(0), &times).unwrap();
    let (mut state, settings) = (State::default(), Settings::default());
    assert!(overdue(&rhythm, 700.0, &mut state, &settings).is_empty(), "inside the limit");
    assert_eq!(rhythm.overdue_by(800.0, &settings).collect::<Vec<_>>(), ["overdue_checkpoint"]);
    let findings = overdue(&rhythm, 800.0, &mut state, &settings);
    assert_eq!(findings.len(), 1);
    assert_eq!((findings[0].detector.as_str(), findings[0].step), ("overdue_checkpoint", Step(150)));
    assert!(overdue(&rhythm, 900.0, &mut state, &settings).is_empty(), "told already");

    let few = Rhythm::new(&RunId::new("r"), Attempt(0), &times[..2]).unwrap();
    assert_eq!(few.overdue_by(1e6, &settings).next(), None, "two checkpoints have no rhythm");
    let planned = Expected { detector: Some("overdue_checkpoint".into()), ..Expected::default() };
    let settings = Settings { expected: vec![planned], ..settings };
    assert_eq!(rhythm.overdue_by(1e6, &settings).next(), None, "it was announced");
}

/// Without a rhythm of its own: one checkpoint and a fixed time are enough, and only where it is asked for.
#[test]
fn a_stall_is_told_where_it_is_asked_for_and_ends_with_the_next_checkpoint() {
    let series = Series::default();
    let reading = series.reading(0);
    let newest = (reading.key.step, reading.checkpoint.timestamp_seconds);
    let rhythm = Rhythm::new(&reading.key.run, Attempt(0), &[newest]).unwrap();
    let mut state = State::default();
    assert!(overdue(&rhythm, newest.1 + 1e6, &mut state, &Settings::default()).is_empty(), "it is off");

    let mut settings = Settings::default();
    settings.detectors.entry("stalled_training_rule".to_owned()).or_default().enabled = Some(true);
    let (history, memory) = (History::new(History::POINTS_MAX), NoMemory);
    judge(&history, &reading, &memory, &mut state, &settings);
    assert!(overdue(&rhythm, newest.1 + 1799.0, &mut state, &settings).is_empty(), "inside the limit");
    let told = overdue(&rhythm, newest.1 + 1801.0, &mut state, &settings);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].detector, "stalled_training_rule");
    assert!(overdue(&rhythm, newest.1 + 1900.0, &mut state, &settings).is_empty(), "told already");
    let over = judge(&history, &series.reading(1), &memory, &mut state, &settings);
    assert_eq!(over.len(), 1);
    assert_eq!((&over[0].id, over[0].resolved_step), (&told[0].id, Some(Step(50))));
}

#[test]
fn a_state_from_a_newer_program_or_a_damaged_one_is_refused() {
    let mut bytes = State::default().to_bytes();
    assert_eq!(State::from_bytes(&bytes).unwrap(), State::default());
    bytes[0] = 200;
    assert!(State::from_bytes(&bytes).is_err());
    assert!(State::from_bytes(&[1, 0]).is_err());
    assert!(State::from_bytes(&[1, 0, 0, 0, b'x']).is_err());
}

/// A detector that waits for a number that nobody measures would never speak.
#[test]
fn detectors_read_only_what_is_measured() {
    let measured: BTreeSet<&str> = weighbridge::measure::METRICS.iter().map(|metric| metric.name).collect();
    let logged = ["learning_rate", "grad_norm", "max_steps", "trainer_state"];
    for entry in DETECTORS.iter().map(|detector| detector.entry()) {
        let words = entry.evidence.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        for word in words.filter(|word| word.contains('_') && !logged.contains(word)) {
            assert!(measured.contains(word), "{} reads {word}, which no metric is called", entry.id);
        }
    }
    let reading = Series::default().reading(3);
    let samples = reading.tensors.iter().map(|tensor| &tensor.samples);
    for name in samples.chain(reading.subjects.iter().map(|subject| &subject.samples)).flat_map(|s| s.keys())
    {
        assert!(measured.contains(name), "the synthetic series has {name}, which no metric is called");
    }
}
