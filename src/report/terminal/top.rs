//! Runs as they stand, for a terminal that is drawn anew again and again.

use comfy_table::CellAlignment::{self, Left, Right};
use serde_json::Value;

use super::inspect::table;
use super::paint::{Terminal, bar, plain, spark, tail};
use crate::report::number::{count, short};
use crate::terms::Severity;

/// Points of a loss line on a wide terminal.
const SPARK: usize = 24;
/// Width of the kind of run, with the space before it.
const KIND: usize = 20;
/// Narrower terminals have better use for it.
const KIND_COLUMNS_MIN: usize = 110;
/// Everything of a row but name, kind, bar and loss line, with the spaces between.
const OTHERS: usize = 54;

/// The published state, as `/api/v1/state` answers it, as a table; `now_seconds` since 1970 gives the ages.
/// What does not fit on the screen is counted.
pub fn top_text(state: &Value, now_seconds: f64, terminal: &Terminal) -> String {
    let runs = state["runs"]["items"].as_array().map_or(&[][..], Vec::as_slice);
    let mut out = headline(state, runs, terminal);
    if let Some(trouble) = state["store_trouble"].as_str() {
        let text = format!("nothing can be stored: {}", plain(trouble));
        out.push_str(&terminal.severity(Severity::Critical, &text));
        out.push('\n');
    }
    if runs.is_empty() {
        out.push_str("no run yet: a run appears when its first checkpoint is complete\n");
        return out;
    }
    let mut told: Vec<String> = runs.iter().filter_map(|run| worst_finding(run, terminal)).collect();
    // Head, table's head, the line that counts the rest, and the one the cursor stands in; findings get a
    // third of what is left.
    let room = terminal.rows.map_or(usize::MAX, |rows| rows.saturating_sub(4).max(2));
    told.truncate(room / 3);
    let shown = &runs[..runs.len().min(room - told.len())];
    let layout = Layout::of(shown, terminal);
    let mut rows = table(&layout.header());
    for run in shown {
        rows.add_row(layout.row(run, now_seconds));
    }
    let text = rows.trim_fmt();
    let mut lines = text.lines();
    out.push_str(&format!("{}\n", terminal.quiet(lines.next().unwrap_or(""))));
    for (text, run) in lines.zip(shown) {
        out.push_str(&painted(text, run, terminal));
        out.push('\n');
    }
    if shown.len() < runs.len() {
        out.push_str(
            &terminal.quiet(&format!("and {} more runs, none of them worse\n", runs.len() - shown.len())),
        );
    }
    told.iter().for_each(|line| out.push_str(line));
    out
}

fn headline(state: &Value, runs: &[Value], terminal: &Terminal) -> String {
    let total = state["runs"]["total"].as_u64().unwrap_or(0);
    let mut out =
        terminal.heading(&format!("weighbridge  {total} {}", if total == 1 { "run" } else { "runs" }));
    let sick = runs.iter().filter(|run| health(run).0.is_some()).count();
    if sick > 0 {
        out.push_str(&format!(", {sick} {} a person", if sick == 1 { "needs" } else { "need" }));
    } else if !runs.is_empty() {
        out.push_str(", nothing needs a person");
    }
    if let Some(queue) = state["queue_checkpoints"].as_u64().filter(|queue| *queue > 0) {
        out.push_str(&format!("  {queue} checkpoints wait"));
    }
    if state["ready"] == false {
        out.push_str("  first scan under way");
    }
    out.push('\n');
    out
}

fn worst_finding(run: &Value, terminal: &Terminal) -> Option<String> {
    let finding = &run["first_open"];
    let severity = finding["severity"].as_str().and_then(Severity::from_name)?;
    let name = tail(run["run"].as_str().unwrap_or(""), (terminal.columns / 3).max(16));
    let text = format!("{name}: {}", plain(finding["summary"].as_str()?));
    let room = terminal.columns.saturating_sub(severity.name().len() + 1);
    let text = if text.chars().count() > room {
        text.chars().take(room.saturating_sub(1)).chain(['…']).collect()
    } else {
        text
    };
    Some(format!("{} {text}\n", terminal.severity(severity, severity.name())))
}

/// How wide the parts are that can give way.
struct Layout {
    name: usize,
    kind: bool,
    spark: usize,
    bar: usize,
}

impl Layout {
    fn of(runs: &[Value], terminal: &Terminal) -> Self {
        let longest =
            runs.iter().filter_map(|run| run["run"].as_str()).map(|name| name.chars().count()).max();
        let longest = longest.unwrap_or(0).max(12);
        let kind = terminal.columns >= KIND_COLUMNS_MIN && runs.iter().any(|run| run["kind"].is_string());
        let room = terminal.columns.saturating_sub(OTHERS + if kind { KIND } else { 0 });
        let spark = room.saturating_sub(longest + 2).min(SPARK);
        let spark = if spark < 8 { 0 } else { spark };
        let bar = room.saturating_sub(longest + spark + 2).min(8);
        let bar = if bar < 4 { 0 } else { bar };
        let name = room.saturating_sub(spark + bar + 1).clamp(12, longest);
        Self { name, kind, spark, bar }
    }

    fn header(&self) -> Vec<(&'static str, CellAlignment)> {
        let mut header = vec![("run", Left)];
        if self.kind {
            header.push(("kind", Left));
        }
        header.extend([("step", Right), ("done", Right), ("age", Right), ("loss", Right)]);
        if self.spark > 0 {
            header.push(("over time", Left));
        }
        header.extend([("health", Left), ("last good", Right)]);
        header
    }

    fn row(&self, run: &Value, now_seconds: f64) -> Vec<String> {
        let step = run["step"].as_u64();
        let share = step.zip(run["max_steps"].as_u64()).map(|(step, max)| step as f64 / max.max(1) as f64);
        let done = |share: f64| {
            let space = if self.bar > 0 { " " } else { "" };
            format!("{}{space}{:3.0} %", bar(share, self.bar), share * 100.0)
        };
        let mut row = vec![tail(run["run"].as_str().unwrap_or(""), self.name)];
        if self.kind {
            row.push(run["kind"].as_str().unwrap_or("–").replace('_', " "));
        }
        row.extend([
            step.map_or("–".to_owned(), count),
            share.map_or(String::new(), done),
            run["timestamp_seconds"].as_f64().map_or("–".to_owned(), |time| age(now_seconds - time)),
            run["loss"].as_f64().map_or("–".to_owned(), short),
        ]);
        if self.spark > 0 {
            let losses = run["losses"].as_array().into_iter().flatten();
            let losses: Vec<f64> = losses.map(|point| point[1].as_f64().unwrap_or(f64::NAN)).collect();
            let every = losses.len().div_ceil(self.spark).max(1);
            row.push(spark(&losses.iter().copied().step_by(every).collect::<Vec<_>>()));
        }
        row.push(health(run).1);
        row.push(run["last_good"]["step"].as_u64().map_or("–".to_owned(), count));
        row
    }
}

fn health(run: &Value) -> (Option<Severity>, String) {
    let open = |name: &str| run["open"][name].as_u64().unwrap_or(0);
    match (open("critical"), open("warning")) {
        (0, 0) => (None, "healthy".to_owned()),
        (0, warnings) => (Some(Severity::Warning), format!("{warnings} warning")),
        (critical, _) => (Some(Severity::Critical), format!("{critical} critical")),
    }
}

/// A row's line with its health in colour: escapes inside cells would count as width.
fn painted(line: &str, run: &Value, terminal: &Terminal) -> String {
    let (severity, words) = health(run);
    let Some((severity, at)) = severity.zip(line.rfind(&words)) else { return line.to_owned() };
    let (before, after) = line.split_at(at);
    format!("{before}{}{}", terminal.severity(severity, &words), &after[words.len()..])
}

fn age(seconds: f64) -> String {
    match seconds {
        s if s >= 86_400.0 => format!("{:.0} d", s / 86_400.0),
        s if s >= 3600.0 => format!("{:.0} h", s / 3600.0),
        s if s >= 60.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.0} s", s.max(0.0)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn runs_are_rows_and_findings_are_lines() {
        let state = json!({ "ready": true, "queue_checkpoints": 2, "runs": { "total": 1, "items": [{
            "run": "a\u{1b}[2J", "step": 1200, "max_steps": 2400, "timestamp_seconds": 100.0, "loss": 2.5,
            "losses": [[1, 3.0], [2, null], [3, 2.5]], "open": { "critical": 1, "warning": 0, "info": 0 },
            "last_good": { "step": 1100 }, "first_open": { "severity": "critical", "summary": "all is lost" },
        }] } });
        let text = top_text(&state, 220.0, &Terminal::default());
        for part in [
            "2 checkpoints wait",
            "1\u{202f}200",
            " 50 %",
            "2 min",
            "1 critical",
            "1\u{202f}100",
            "all is lost",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains('\u{1b}'), "a run's name cannot move the cursor");
    }

    #[test]
    fn everything_keeps_to_the_screen() {
        let run = |i: usize| {
            let sick = usize::from(i == 0);
            json!({
                "run": format!("a-long-name-of-a-run-that-somebody-gave-{i}"), "step": 12_000 + i, "max_steps": 24_000,
                "timestamp_seconds": 100.0, "loss": 2.5, "losses": (0..99).map(|x| [x, 99 - x]).collect::<Vec<_>>(),
                "open": { "critical": sick, "warning": 0, "info": 0 }, "last_good": { "step": 11_000 },
                "kind": "reinforcement_like",
                "first_open": (i == 0).then(|| json!({ "severity": "critical", "summary": "x".repeat(200) })),
            })
        };
        let items: Vec<Value> = (0..50).map(run).collect();
        let state = json!({ "ready": true, "queue_checkpoints": 0, "runs": { "total": 50, "items": items } });
        for (columns, rows) in [(80, 24), (100, 30), (160, 50), (240, 80)] {
            let terminal = Terminal { columns, rows: Some(rows), colours: false };
            let text = top_text(&state, 220.0, &terminal);
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= columns, "{widest} characters on {columns} columns\n{text}");
            assert_eq!(text.contains("reinforcement like"), columns >= KIND_COLUMNS_MIN, "{text}");
            assert!(text.lines().count() < rows, "{} lines on {rows} rows\n{text}", text.lines().count());
        }
    }

    #[test]
    fn nothing_yet_says_what_to_expect() {
        let text = top_text(
            &json!({ "ready": false, "runs": { "total": 0, "items": [] } }),
            0.0,
            &Terminal::default(),
        );
        assert!(text.contains("no run yet") && text.contains("first scan"));
    }
}
