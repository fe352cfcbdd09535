//! `weighbridge expect`: what is planned is no fault.

use clap::Args;
use serde_json::{Value, json};

use super::said::{Format, ask};
use super::source::{HolderArg, Source};
use super::{Exit, Run};
use crate::report::{plain, time};
use crate::telemetry::now_seconds;
use crate::terms::{Announcement, Planned};
use crate::web::deeds;

/// Announces what is planned: from the next checkpoint on it is no finding. For what was found already see
/// `acknowledge` and `silence`.
#[derive(Debug, Args)]
#[group(id = "deed", required = true, multiple = false, args = ["run", "undo", "list"])]
pub struct Expect {
    /// A run's name, or a glob on names; it need not have begun
    #[arg(requires_all = ["event", "why"])]
    run: Option<String>,
    #[command(flatten)]
    event: Event,
    /// First step of the event [default: from now on]
    #[arg(long, value_name = "STEP", requires = "run")]
    from_step: Option<u64>,
    /// Last step of the event [default: without end]
    #[arg(long, value_name = "STEP", requires = "run")]
    until_step: Option<u64>,
    /// Why, for whoever reads it later
    #[arg(long, value_name = "TEXT", requires = "run")]
    why: Option<String>,
    /// Take the announcement of this id, or of this beginning of an id, back
    #[arg(long, value_name = "ID")]
    undo: Option<String>,
    /// List what is announced
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    holder: HolderArg,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// What is to happen.
#[derive(Debug, Args)]
#[group(id = "event", multiple = true)]
struct Event {
    /// These tensors stand still: a glob, for example 'transformer.h.0.*'; may be repeated
    #[arg(long, value_name = "GLOB", requires = "run", conflicts_with_all = ["detector", "tensor"])]
    frozen: Vec<String>,
    /// What this detector would tell
    #[arg(long, requires = "run")]
    detector: Option<String>,
    /// Only of these tensors; with no detector, whatever is told of them. May be repeated
    #[arg(long, value_name = "GLOB", requires = "run")]
    tensor: Vec<String>,
}

const ANNOUNCEMENTS: &str = "/api/v1/announcements";

impl Run for Expect {
    const NAME: &'static str = "expect";
    const ABOUT: &'static str = "Announce what is planned: from the next checkpoint on it is no finding";

    fn run(self) -> anyhow::Result<Exit> {
        let now = now_seconds();
        let source = self.holder.open()?;
        let planned = self.run.map(|run| Planned {
            run: Some(run),
            detector: self.event.detector,
            tensors: self.event.tensor,
            frozen: self.event.frozen,
            from_step: self.from_step,
            until_step: self.until_step,
            why: self.why.unwrap_or_default(),
        });
        let answer = match (&source, planned, self.undo) {
            (Source::Daemon(daemon), planned, undo) => ask(daemon, ANNOUNCEMENTS, planned, undo)?,
            (Source::Store(store), Some(planned), _) => json!(deeds::announce(store, planned, now)?),
            (Source::Store(store), None, Some(id)) => json!(deeds::withdraw_announcement(store, &id)?),
            (Source::Store(store), None, None) => {
                json!(store.said()?.announced().collect::<Vec<&Announcement>>())
            }
        };
        self.format.write(&answer, announced, "nothing is announced")
    }
}

/// One line: what, where, when and why.
fn announced(announcement: &Value) -> String {
    let text = |key: &str| plain(announcement[key].as_str().unwrap_or_default());
    let globs = |key: &str| {
        let all = announcement[key].as_array().map(Vec::as_slice).unwrap_or_default();
        all.iter().filter_map(Value::as_str).map(plain).collect::<Vec<_>>().join(" ")
    };
    let of = |word: &str, what: String| if what.is_empty() { what } else { format!(", {word} {what}") };
    let step = |key: &str| announcement[key].as_u64().map_or(String::new(), |step| step.to_string());
    let word = if announcement["withdrawn"] == true { "taken back" } else { "expected" };
    format!(
        "{word} {}  run {}{}{}{}{}{}, said at {}: {}",
        text("id"),
        text("run"),
        of("frozen", globs("frozen")),
        of("detector", text("detector")),
        of("tensors", globs("tensors")),
        of("from step", step("from_step")),
        of("until step", step("until_step")),
        time(announcement["at_seconds"].as_f64().unwrap_or_default()),
        text("why")
    )
}
