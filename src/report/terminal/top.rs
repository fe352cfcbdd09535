//! Runs as they stand, for a terminal that is drawn anew again and again.

use comfy_table::CellAlignment::{Left, Right};
use serde_json::Value;

use super::inspect::table;
use super::paint::{Terminal, bar, spark, tail};
use crate::report::number::{count, short};
use crate::terms::Severity;

/// Points of a loss line.
const SPARK: usize = 24;

/// The published state, as `/api/v1/state` answers it, as a table; `now_seconds` since 1970 gives the ages.
pub fn top_text(state: &Value, now_seconds: f64, terminal: &Terminal) -> String {
    let runs = state["runs"]["items"].as_array().map_or(&[][..], Vec::as_slice);
    let mut out = terminal.heading(&format!("weighbridge  {} runs", state["runs"]["total"]));
    if let Some(queue) = state["queue_checkpoints"].as_u64().filter(|queue| *queue > 0) {
        out.push_str(&format!("  {queue} checkpoints wait"));
    }
    if state["ready"] == false {
        out.push_str("  first scan under way");
    }
    out.push('\n');
    if let Some(trouble) = state["store_trouble"].as_str() {
        out.push_str(&terminal.severity(Severity::Critical, &format!("nothing can be stored: {trouble}\n")));
    }
    if runs.is_empty() {
        out.push_str("no run yet: a run appears when its first checkpoint is complete\n");
        return out;
    }
    let mut rows = table(&[
        ("run", Left),
        ("step", Right),
        ("", Left),
        ("age", Right),
        ("loss", Right),
        ("", Left),
        ("health", Left),
        ("last good", Right),
    ]);
    for run in runs {
        rows.add_row(row(run, now_seconds, terminal));
    }
    out.push_str(&rows.trim_fmt());
    out.push('\n');
    for run in runs {
        let finding = &run["first_open"];
        if let (Some(severity), Some(summary)) =
            (finding["severity"].as_str().and_then(Severity::from_name), finding["summary"].as_str())
        {
            let name = tail(run["run"].as_str().unwrap_or(""), 40);
            out.push_str(&format!(
                "{} {name}: {}\n",
                terminal.severity(severity, severity.name()),
                super::paint::plain(summary)
            ));
        }
    }
    out
}

fn row(run: &Value, now_seconds: f64, terminal: &Terminal) -> Vec<String> {
    let step = run["step"].as_u64();
    let share = step.zip(run["max_steps"].as_u64()).map(|(step, max)| step as f64 / max.max(1) as f64);
    let losses: Vec<f64> = run["losses"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|point| point[1].as_f64().unwrap_or(f64::NAN))
        .collect();
    let thinned: Vec<f64> = losses.iter().copied().step_by(losses.len().div_ceil(SPARK).max(1)).collect();
    vec![
        tail(run["run"].as_str().unwrap_or(""), (terminal.columns / 3).max(12)),
        step.map_or("–".to_owned(), count),
        share.map_or(String::new(), |share| format!("{} {:3.0} %", bar(share, 8), share * 100.0)),
        run["timestamp_seconds"].as_f64().map_or("–".to_owned(), |time| age(now_seconds - time)),
        run["loss"].as_f64().map_or("–".to_owned(), short),
        spark(&thinned),
        health(run, terminal),
        run["last_good"]["step"].as_u64().map_or("–".to_owned(), count),
    ]
}

fn health(run: &Value, terminal: &Terminal) -> String {
    let open = |name: &str| run["open"][name].as_u64().unwrap_or(0);
    match (open("critical"), open("warning")) {
        (0, 0) => "healthy".to_owned(),
        (0, warnings) => terminal.severity(Severity::Warning, &format!("{warnings} warning")),
        (critical, _) => terminal.severity(Severity::Critical, &format!("{critical} critical")),
    }
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
    fn nothing_yet_says_what_to_expect() {
        let text = top_text(
            &json!({ "ready": false, "runs": { "total": 0, "items": [] } }),
            0.0,
            &Terminal::default(),
        );
        assert!(text.contains("no run yet") && text.contains("first scan"));
    }
}
