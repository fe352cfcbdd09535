//! `weighbridge acknowledge` and `weighbridge silence`: who is called for what was found.

use clap::{Args, ValueEnum};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

use super::source::{HolderArg, Remote, Source};
use super::{Exit, Run, output};
use crate::report::{plain, time};
use crate::telemetry::now_seconds;
use crate::web::deeds::{self, Known, Wanted};

/// Says that somebody knows of a finding: it calls nobody again unless it grows graver. Its end is told.
#[derive(Debug, Args)]
pub struct Acknowledge {
    /// The finding's id, or its beginning; `weighbridge findings` shows it
    #[arg(required_unless_present = "list")]
    id: Option<String>,
    /// Why, or who, for whoever reads it later
    #[arg(long, value_name = "TEXT", default_value = "")]
    why: String,
    /// Take it back: the finding calls again
    #[arg(long, conflicts_with = "list")]
    undo: bool,
    /// List what is acknowledged
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    holder: HolderArg,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Calls nobody for what it matches until it ends. Findings are made and shown as ever, with the reason.
#[derive(Debug, Args)]
#[group(id = "deed", required = true, multiple = false, args = ["run", "undo", "list"])]
pub struct Silence {
    /// A run's name, or a glob on names
    #[arg(long, requires_all = ["until", "why"])]
    run: Option<String>,
    /// Only this detector
    #[arg(long, requires = "run")]
    detector: Option<String>,
    /// Only findings all of whose tensors match, for example '*.attn.*'
    #[arg(long, value_name = "GLOB", requires = "run")]
    tensor: Option<String>,
    /// Its end: a time from now (90m, 2h, 3d), a date or a time in UTC (2030-01-31, 2030-01-31T08:00Z)
    #[arg(long, value_name = "TIME", requires = "run", value_parser = until)]
    until: Option<f64>,
    /// Why, for whoever finds it later
    #[arg(long, value_name = "TEXT", requires = "run")]
    why: Option<String>,
    /// End the silence of this id, or of this beginning of an id, now
    #[arg(long, value_name = "ID")]
    undo: Option<String>,
    /// List the silences that last
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    holder: HolderArg,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// How an answer about something said is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// For scripts: what was said as JSON, or a list of it
    Json,
}

const ACKNOWLEDGEMENTS: &str = "/api/v1/acknowledgements";
const SILENCES: &str = "/api/v1/silences";

impl Run for Acknowledge {
    const NAME: &'static str = "acknowledge";
    const ABOUT: &'static str = "Say that somebody knows of a finding: it calls nobody again";

    fn run(self) -> anyhow::Result<Exit> {
        let now = now_seconds();
        let source = self.holder.open()?;
        let (known, undo) = match self.id {
            None => (None, None),
            Some(id) if self.undo => (None, Some(id)),
            Some(finding) => (Some(Known { finding, why: self.why }), None),
        };
        let answer = match (&source, known, undo) {
            (Source::Daemon(daemon), known, undo) => ask(daemon, ACKNOWLEDGEMENTS, known, undo)?,
            (Source::Store(store), Some(known), _) => json!(deeds::acknowledge(store, &known, now)?),
            (Source::Store(store), None, Some(id)) => json!(deeds::withdraw(store, &id)?),
            (Source::Store(store), None, None) => json!(deeds::holding(&*store.said()?, now).1),
        };
        self.format.write(&answer, acknowledged, "nothing is acknowledged")
    }
}

impl Run for Silence {
    const NAME: &'static str = "silence";
    const ABOUT: &'static str = "Call nobody for some findings until a time, and say why";

    fn run(self) -> anyhow::Result<Exit> {
        let now = now_seconds();
        let source = self.holder.open()?;
        let wanted = self.run.map(|run| Wanted {
            run,
            detector: self.detector,
            tensor: self.tensor,
            until_seconds: self.until.unwrap_or_default(),
            why: self.why.unwrap_or_default(),
        });
        let answer = match (&source, wanted, self.undo) {
            (Source::Daemon(daemon), wanted, undo) => ask(daemon, SILENCES, wanted, undo)?,
            (Source::Store(store), Some(wanted), _) => json!(deeds::silence(store, wanted, now)?),
            (Source::Store(store), None, Some(id)) => json!(deeds::end_silence(store, &id, now)?),
            (Source::Store(store), None, None) => json!(deeds::holding(&*store.said()?, now).0),
        };
        self.format.write(&answer, silenced, "nothing is silenced")
    }
}

/// Has a daemon say what is wanted, else take back what `undo` names, else list what holds.
pub fn ask(
    daemon: &Remote,
    path: &str,
    wanted: Option<impl Serialize>,
    undo: Option<String>,
) -> anyhow::Result<Value> {
    match (wanted, undo) {
        (Some(wanted), _) => daemon.json("POST", path, Some(&json!(wanted))),
        (None, Some(id)) => daemon.json("DELETE", &format!("{path}/{id}"), None),
        (None, None) => daemon.json("GET", path, None),
    }
}

impl Format {
    /// One answer or a list of them; `nothing` stands for an empty list.
    pub fn write(self, answer: &Value, line: fn(&Value) -> String, nothing: &str) -> anyhow::Result<Exit> {
        let text = match (self, answer.as_array().map(Vec::as_slice)) {
            (Self::Json, _) => serde_json::to_string_pretty(answer)?,
            (Self::Text, Some([])) => nothing.to_owned(),
            (Self::Text, Some(all)) => all.iter().map(line).collect::<Vec<_>>().join("\n"),
            (Self::Text, None) => line(answer),
        };
        output::text(&format!("{text}\n"))?;
        Ok(Exit::Done)
    }
}

fn acknowledged(known: &Value) -> String {
    let text = |key: &str| plain(known[key].as_str().unwrap_or_default());
    let word = if known["withdrawn"] == true { "taken back" } else { "acknowledged" };
    let why = if text("why").is_empty() { String::new() } else { format!(": {}", text("why")) };
    let at = time(known["at_seconds"].as_f64().unwrap_or_default());
    format!("{word}  {}  {} of {}, at {at}{why}", text("finding"), text("severity"), text("run"))
}

fn silenced(silence: &Value) -> String {
    let text = |key: &str| plain(silence[key].as_str().unwrap_or_default());
    let of = |word: &str, key: &str| {
        if silence[key].is_null() { String::new() } else { format!(", {word} {}", text(key)) }
    };
    let until = silence["until_seconds"].as_f64().unwrap_or_default();
    let word = if until > now_seconds() { "until" } else { "ended" };
    format!(
        "silence {}  run {}{}{}, {word} {}: {}",
        text("id"),
        text("run"),
        of("detector", "detector"),
        of("tensors", "tensor"),
        time(until),
        text("why")
    )
}

/// Seconds since 1970 of an end: a time from now, or a date or time in UTC. It lies in the future.
fn until(text: &str) -> Result<f64, String> {
    let now = Timestamp::now();
    let parsed = if let Ok(span) = text.parse::<Span>() {
        let length =
            span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|error| error.to_string())?;
        now.checked_add(length).map_err(|error| error.to_string())?
    } else if let Ok(time) = text.parse::<Timestamp>() {
        time
    } else {
        let civil: DateTime = text.parse().map_err(|_| {
            "write a time from now, such as 2h or 3d, or a time in UTC, such as 2030-01-31T08:00Z".to_owned()
        })?;
        TimeZone::UTC.to_timestamp(civil).map_err(|error| error.to_string())?
    };
    if parsed <= now {
        return Err(format!("{parsed} is over: the end of a silence lies in the future"));
    }
    Ok(parsed.as_millisecond() as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_length_or_a_time() {
        let from_now = |text| until(text).unwrap() - now_seconds();
        for (text, seconds) in [("90m", 5400.0), ("2h", 7200.0), ("3d", 259_200.0), ("1h 30m", 5400.0)] {
            assert!((from_now(text) - seconds).abs() < 60.0, "{text}");
        }
        for (text, seconds) in [
            ("2999-01-31T08:00:00Z", 32_474_764_800.0),
            ("2999-01-31T09:00:00+01:00", 32_474_764_800.0),
            ("2999-01-31", 32_474_736_000.0),
            ("2999-01-31T08:00", 32_474_764_800.0),
        ] {
            assert_eq!(until(text), Ok(seconds), "{text}");
        }
        for text in ["", "soon", "-2h", "2001-01-01", "0s"] {
            assert!(until(text).is_err(), "{text}");
        }
    }
}
