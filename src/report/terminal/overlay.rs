//! Several runs on one axis, one row each: all rows share their steps and their heights.

use serde_json::Value;

use super::paint::{Terminal, plain, spark_between, tail};
use crate::report::number::short;

/// Widest of a value with the space before it.
const VALUE_WIDTH: usize = 11;

/// One run's line: what it is called, and (step, value) by step.
struct Line {
    run: String,
    points: Vec<(f64, f64)>,
}

/// The picture `overlay`, as the API answers it, as rows.
pub fn overlay_text(figure: &Value, terminal: &Terminal) -> String {
    let title = figure["title"].as_str().unwrap_or_default();
    let lines = lines(figure);
    let all = || lines.iter().flat_map(|line| line.points.iter().copied());
    let span = |of: fn((f64, f64)) -> f64| {
        all().map(of).fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)))
    };
    let (steps, values) = (span(|point| point.0), span(|point| point.1));
    if all().next().is_none() {
        let why = figure["absent"].as_str().unwrap_or("these runs have no finite value of it");
        return format!("{title}: {}\n", plain(why));
    }
    let longest = lines.iter().map(|line| line.run.chars().count()).max().unwrap_or(0);
    let name_width = longest.clamp(3, terminal.columns / 3);
    let cells = terminal.columns.saturating_sub(name_width + 2 + 2 * VALUE_WIDTH).clamp(10, 100);
    let heading =
        format!("{title}, steps {} to {}, from {} to {}", steps.0, steps.1, short(values.0), short(values.1));
    let mut out = terminal.heading(&heading) + "\n";
    let header =
        format!("{:name_width$}  {:cells$}{:>VALUE_WIDTH$}{:>VALUE_WIDTH$}", "run", "", "first", "last");
    out.push_str(&(terminal.quiet(header.trim_end()) + "\n"));
    for line in &lines {
        let Some((first, last)) = line.points.first().zip(line.points.last()) else { continue };
        let drawn = spark_between(&resampled(&line.points, steps, cells), values.0, values.1);
        let name = tail(&line.run, name_width);
        let (first, last) = (short(first.1), short(last.1));
        out.push_str(&format!(
            "{name:name_width$}  {drawn:cells$}{first:>VALUE_WIDTH$}{last:>VALUE_WIDTH$}\n"
        ));
    }
    out
}

fn lines(figure: &Value) -> Vec<Line> {
    let numbers = |value: &Value| -> Vec<f64> {
        value.as_array().into_iter().flatten().map(|number| number.as_f64().unwrap_or(f64::NAN)).collect()
    };
    let marks = figure["panels"][0]["marks"].as_array();
    marks
        .into_iter()
        .flatten()
        .map(|mark| {
            let points = numbers(&mark["x"]).into_iter().zip(numbers(&mark["y"]));
            Line {
                run: mark["name"].as_str().unwrap_or_default().to_owned(),
                points: points.filter(|point| point.1.is_finite()).collect(),
            }
        })
        .collect()
}

/// The mean of the values in each of so many equal stretches of steps; a stretch between two values has the
/// one before, one outside of them has none.
fn resampled(points: &[(f64, f64)], (from, to): (f64, f64), cells: usize) -> Vec<f64> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return vec![f64::NAN; cells] };
    let width = ((to - from) / cells as f64).max(f64::MIN_POSITIVE);
    let cell_of = |step: f64| (((step - from) / width) as usize).min(cells - 1);
    let mut sums = vec![(0.0, 0u32); cells];
    for &(step, value) in points {
        let (sum, count) = &mut sums[cell_of(step)];
        *sum += value;
        *count += 1;
    }
    let (begin, end) = (cell_of(first.0), cell_of(last.0));
    let mut before = f64::NAN;
    let fill = |(cell, (sum, count)): (usize, (f64, u32))| {
        if count > 0 {
            before = sum / f64::from(count);
        }
        if (begin..=end).contains(&cell) { before } else { f64::NAN }
    };
    sums.into_iter().enumerate().map(fill).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows_share_their_steps_and_heights() {
        let line = |name: &str, x: &[f64], y: &[f64]| json!({ "kind": "line", "name": name, "x": x, "y": y });
        let marks =
            [line("long", &[0.0, 50.0, 100.0], &[8.0, 4.0, 1.0]), line("half", &[0.0, 49.0], &[1.0, 1.0])];
        let figure = json!({ "title": "loss", "panels": [{ "marks": marks }] });
        let terminal = Terminal { columns: 40, rows: Some(24), colours: false };
        let text = overlay_text(&figure, &terminal);
        let rows: Vec<&str> = text.lines().collect();
        assert_eq!(rows[0], "loss, steps 0 to 100, from 1 to 8");
        assert_eq!(rows[2], "long  ██████▄▄▄▄▄▁          8          1");
        // It ends half-way, and is as low as the other one's end.
        assert_eq!(rows[3], "half  ▁▁▁▁▁▁                1          1");
        assert!(rows.iter().all(|row| row.chars().count() <= 40), "{text}");
    }

    #[test]
    fn nothing_to_show_says_why() {
        let figure = json!({ "title": "rms", "panels": [], "absent": "none of these runs has a value" });
        assert_eq!(overlay_text(&figure, &Terminal::default()), "rms: none of these runs has a value\n");
    }
}
