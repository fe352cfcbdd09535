//! What the trainer wrote about the run, and the model's configuration.
//!
//! `trainer_state.json` grows by one line a logging step and is read once a checkpoint: lines are
//! parsed as they come, and what the product does not need is skipped without being kept. Real files hold
//! bare `NaN` where training went wrong, which is just when they matter.

use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::candidate::Candidate;
use super::json::{self, problem};
use crate::terms::{LogPoint, Problem, ProblemKind, TrainerState};

/// The Trainer's state file.
pub(super) const STATE_FILE: &str = "trainer_state.json";
/// Longest state file that is read: a million log lines.
const STATE_BYTES_MAX: u64 = 256 << 20;
/// Where a model's configuration may stand, first found first taken.
const CONFIG_FILES: [&str; 2] = ["config.json", "params.json"];
const ADAPTER_FILE: &str = "adapter_config.json";
/// Longest configuration that is read; a vocabulary in it would be megabytes.
const CONFIG_BYTES_MAX: u64 = 4 << 20;

/// The trainer's state at this checkpoint; empty where it left nothing. Anything odd is a problem.
pub fn trainer_state(candidate: &Candidate) -> (TrainerState, Vec<Problem>) {
    read(&candidate.root)
}

/// `config.json` (or `params.json`) beside the weights; an adapter's `adapter_config.json` stands in it
/// under the key `adapter_config`.
pub fn model_config(candidate: &Candidate) -> (Option<Value>, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut read = |name: &str| match json::read::<Value>(&candidate.root, Path::new(name), CONFIG_BYTES_MAX)
    {
        Ok(value) if value.is_object() => Some(value),
        Ok(_) => {
            let detail = "is not an object".to_string();
            problems.push(problem(ProblemKind::Malformed, Path::new(name), detail, "copy the file again"));
            None
        }
        Err(problem) if problem.kind == ProblemKind::Missing => None,
        Err(problem) => {
            problems.push(problem);
            None
        }
    };
    let mut config = CONFIG_FILES.iter().find_map(|name| read(name));
    if let Some(adapter) = read(ADAPTER_FILE) {
        let config = config.get_or_insert_with(|| Value::Object(Default::default()));
        if let Some(config) = config.as_object_mut() {
            config.insert("adapter_config".to_string(), adapter);
        }
    }
    (config, problems)
}

/// The state file of a directory; empty without one.
pub(super) fn read(root: &Path) -> (TrainerState, Vec<Problem>) {
    match json::read::<Raw>(root, Path::new(STATE_FILE), STATE_BYTES_MAX) {
        Ok(raw) => raw.into_state(),
        Err(problem) if problem.kind == ProblemKind::Missing => Default::default(),
        Err(problem) => (TrainerState::default(), vec![problem]),
    }
}

/// The file as it stands. Optimizer and its settings are not in it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Raw {
    global_step: Number,
    max_steps: Number,
    epoch: Number,
    log_history: Log,
}

impl Raw {
    fn into_state(self) -> (TrainerState, Vec<Problem>) {
        let odd = [("global_step", self.global_step), ("max_steps", self.max_steps), ("epoch", self.epoch)];
        let odd = odd.into_iter().filter(|(_, number)| matches!(number, Number::Odd));
        let mut details: Vec<String> = odd.map(|(name, _)| format!("{name} is not a number")).collect();
        if self.log_history.odd > 0 {
            details
                .push(format!("{} entries of log_history are not what a trainer logs", self.log_history.odd));
        }
        let remedy = "nothing, unless the file was edited: the rest of it is used";
        let problems = details.into_iter();
        let problems = problems
            .map(|detail| problem(ProblemKind::Malformed, Path::new(STATE_FILE), detail, remedy))
            .collect();
        let state = TrainerState {
            global_step: self.global_step.count(),
            max_steps: self.max_steps.count().filter(|&steps| steps > 0),
            epoch: self.epoch.value().filter(|epoch| epoch.is_finite()),
            log: self.log_history.into_points(),
        };
        (state, problems)
    }
}

/// A number, the name of one that JSON has not, or something else.
#[derive(Clone, Copy, Default, PartialEq)]
enum Number {
    #[default]
    Absent,
    Value(f64),
    Odd,
}

impl Number {
    fn value(self) -> Option<f64> {
        match self {
            Number::Value(value) => Some(value),
            _ => None,
        }
    }

    /// As a count of steps: whole and within what a double counts exactly.
    fn count(self) -> Option<u64> {
        self.value()
            .filter(|value| (0.0..9e15).contains(value) && value.fract() == 0.0)
            .map(|value| value as u64)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Number;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }
            fn visit_u64<E>(self, value: u64) -> Result<Number, E> {
                Ok(Number::Value(value as f64))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Number, E> {
                Ok(Number::Value(value as f64))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Number, E> {
                Ok(Number::Value(value))
            }
            fn visit_str<E>(self, text: &str) -> Result<Number, E> {
                // Rust reads all spellings of NaN and infinity, and numbers that were logged as text.
                Ok(text.parse().map_or(Number::Odd, Number::Value))
            }
            fn visit_unit<E>(self) -> Result<Number, E> {
                Ok(Number::Absent)
            }
            fn visit_bool<E>(self, _: bool) -> Result<Number, E> {
                Ok(Number::Odd)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Number, A::Error> {
                IgnoredAny.visit_seq(seq).map(|_| Number::Odd)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Number, A::Error> {
                IgnoredAny.visit_map(map).map(|_| Number::Odd)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// The log, one point an entry, and how many entries were no such thing.
#[derive(Default)]
struct Log {
    points: Vec<LogPoint>,
    odd: usize,
}

impl Log {
    /// By step, with entries of one step (loss, evaluation, summary) merged; the newest only.
    fn into_points(mut self) -> Vec<LogPoint> {
        self.points.sort_by_key(|point| point.step);
        let mut merged: Vec<LogPoint> = Vec::with_capacity(self.points.len());
        for point in self.points {
            match merged.last_mut() {
                Some(last) if last.step == point.step => {
                    last.loss = point.loss.or(last.loss);
                    last.learning_rate = point.learning_rate.or(last.learning_rate);
                    last.grad_norm = point.grad_norm.or(last.grad_norm);
                }
                _ => merged.push(point),
            }
        }
        let surplus = merged.len().saturating_sub(TrainerState::LOG_POINTS_MAX);
        merged.drain(..surplus);
        merged
    }
}

impl<'de> Deserialize<'de> for Log {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Log;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of log entries")
            }
            fn visit_unit<E>(self) -> Result<Log, E> {
                Ok(Log::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Log, A::Error> {
                let mut log = Log::default();
                while let Some(Line { step, point, odd }) = seq.next_element()? {
                    match step.count() {
                        _ if odd => log.odd += 1,
                        Some(_) if point == LogPoint::default() => {}
                        Some(step) => log.points.push(LogPoint { step, ..point }),
                        None => log.odd += 1,
                    }
                }
                Ok(log)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// One entry of the log.
#[derive(Default)]
struct Line {
    step: Number,
    point: LogPoint,
    odd: bool,
}

impl Line {
    fn odd() -> Self {
        Self { odd: true, ..Self::default() }
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    Step,
    Loss,
    LearningRate,
    GradNorm,
    #[serde(other)]
    Other,
}

impl<'de> Deserialize<'de> for Line {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Line;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a log entry")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Line, A::Error> {
                let mut line = Line::default();
                while let Some(field) = map.next_key()? {
                    match field {
                        Field::Step => line.step = map.next_value()?,
                        Field::Loss => line.point.loss = map.next_value::<Number>()?.value(),
                        Field::LearningRate => line.point.learning_rate = map.next_value::<Number>()?.value(),
                        Field::GradNorm => line.point.grad_norm = map.next_value::<Number>()?.value(),
                        Field::Other => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(line)
            }
            fn visit_unit<E>(self) -> Result<Line, E> {
                Ok(Line::odd())
            }
            fn visit_str<E>(self, _: &str) -> Result<Line, E> {
                Ok(Line::odd())
            }
            fn visit_u64<E>(self, _: u64) -> Result<Line, E> {
                Ok(Line::odd())
            }
            fn visit_i64<E>(self, _: i64) -> Result<Line, E> {
                Ok(Line::odd())
            }
            fn visit_f64<E>(self, _: f64) -> Result<Line, E> {
                Ok(Line::odd())
            }
            fn visit_bool<E>(self, _: bool) -> Result<Line, E> {
                Ok(Line::odd())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Line, A::Error> {
                IgnoredAny.visit_seq(seq).map(|_| Line::odd())
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (TrainerState, Vec<Problem>) {
        json::parse::<Raw>(text.as_bytes()).unwrap().into_state()
    }

    #[test]
    fn a_sick_run_is_read() {
        let (state, problems) = parse(
            r#"{"epoch": 0.5, "global_step": 30, "max_steps": 100, "is_hyper_param_search": false,
                "log_history": [
                  {"step": 10, "loss": 2.5, "grad_norm": 1.0, "learning_rate": 1e-3, "epoch": 0.1},
                  {"step": 20, "loss": NaN, "grad_norm": Infinity, "learning_rate": 5e-4},
                  {"step": 20, "eval_loss": 2.0, "eval_note": "NaN \" \\"},
                  {"step": 30, "loss": 0.0, "grad_norm": -Infinity, "learning_rate": 0.0}],
                "trial_params": null}"#,
        );
        assert_eq!(problems, []);
        assert_eq!((state.global_step, state.max_steps, state.epoch), (Some(30), Some(100), Some(0.5)));
        assert_eq!(state.log.len(), 3);
        assert_eq!(state.log[0].loss, Some(2.5));
        assert!(state.log[1].loss.unwrap().is_nan());
        assert_eq!(state.log[1].grad_norm, Some(f64::INFINITY));
        assert_eq!((state.loss(), state.learning_rate()), (Some(0.0), Some(0.0)));
        assert_eq!(state.grad_norm(), Some(f64::NEG_INFINITY));
    }

    #[test]
    fn oddities_are_problems_and_the_rest_is_used() {
        let (state, problems) = parse(
            r#"{"global_step": [7], "max_steps": "900", "epoch": {"a": 1},
                "log_history": [7, null, "x", [1], true, 1.5, -2, {"loss": 1}, {"step": 5, "loss": [2]},
                                {"step": 6, "loss": 3.0}, {"step": -1, "loss": 3.0}]}"#,
        );
        assert_eq!((state.global_step, state.max_steps, state.epoch), (None, Some(900), None));
        assert_eq!(state.log.iter().map(|point| point.step).collect::<Vec<_>>(), [6]);
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(problems[2].detail.starts_with("9 entries"), "{}", problems[2].detail);
    }

    #[test]
    fn empty_and_planless_states() {
        assert_eq!(parse("{}"), Default::default());
        assert_eq!(parse(r#"{"max_steps": -1, "log_history": null}"#), Default::default());
        assert!(json::parse::<Raw>(br#"{"global_step": 3, "log_hist"#).is_err());
    }

    #[test]
    fn the_newest_lines_of_a_long_log_are_kept() {
        let lines: Vec<String> = (0..TrainerState::LOG_POINTS_MAX + 5)
            .map(|step| format!(r#"{{"step": {step}, "loss": 1.0}}"#))
            .collect();
        let (state, _) = parse(&format!(r#"{{"log_history": [{}]}}"#, lines.join(",")));
        assert_eq!(state.log.len(), TrainerState::LOG_POINTS_MAX);
        assert_eq!(state.log[0].step, 5);
    }
}
