//! `inspect` as text: what is in the checkpoint, tensor by tensor, with bars and small histograms.

use comfy_table::{Cell, CellAlignment, Table, presets};

use super::paint::{Terminal, bar, hung, plain, spark, tail, wrapped};
use crate::detect::run_kind;
use crate::report::Answer;
use crate::report::json::Inventory;
use crate::report::number::{bytes, count, short};
use crate::terms::{Catalog, Reading, Severity, Subject, TensorReading};

/// One reading for people: header, categories, tensors, heads, answers, problems.
pub fn inspect_text(
    reading: &Reading,
    _catalog: &Catalog,
    answers: &[Answer],
    terminal: &Terminal,
) -> String {
    let mut out = String::new();
    header(&mut out, reading, terminal);
    categories(&mut out, reading, terminal);
    tensors(&mut out, reading, terminal);
    heads(&mut out, reading, terminal);
    questions(&mut out, answers, terminal);
    troubles(&mut out, reading, terminal);
    out
}

fn header(out: &mut String, reading: &Reading, terminal: &Terminal) {
    let title = format!("{}  {}", plain(&reading.key.to_string()), plain(&reading.family));
    line(out, &terminal.heading(&title));
    let facts = &reading.checkpoint;
    let mut parts = vec![plain(&facts.path.to_string_lossy()), facts.layout.clone(), bytes(facts.bytes())];
    parts.extend(run_kind(reading).map(|kind| kind.words().to_owned()));
    if let Some(loss) = reading.trainer.loss() {
        parts.push(format!("loss {}", short(loss)));
    }
    if let Some(rate) = reading.trainer.learning_rate() {
        parts.push(format!("learning rate {}", short(rate)));
    }
    if let Some(previous) = reading.previous {
        parts.push(format!("changes since step {previous}"));
    }
    parts.push(format!("{:.1} % of the elements weighed", reading.coverage_ratio() * 100.0));
    line(out, &terminal.quiet(&hung(&parts.join(" · "), terminal.columns, 2)));
    out.push('\n');
}

/// An empty table without lines.
pub(super) fn table(columns: &[(&str, CellAlignment)]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(columns.iter().map(|(name, alignment)| Cell::new(name).set_alignment(*alignment)));
    for (index, (_, alignment)) in columns.iter().enumerate() {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(*alignment);
            column.set_padding((0, 1));
        }
    }
    table
}

fn categories(out: &mut String, reading: &Reading, terminal: &Terminal) {
    use CellAlignment::{Left, Right};
    let inventory = Inventory::of(reading);
    if inventory.elements == 0 {
        return;
    }
    line(out, &terminal.heading("Parameters by category"));
    let mut table = table(&[
        ("category", Left),
        ("tensors", Right),
        ("elements", Right),
        ("size", Right),
        ("share", Left),
    ]);
    for (category, share) in &inventory.categories {
        let ratio = share.elements as f64 / inventory.elements as f64;
        table.add_row([
            category.name().replace('_', " "),
            share.tensors.to_string(),
            count(share.elements),
            bytes(share.bytes),
            format!("{} {:4.1} %", bar(ratio, 20), ratio * 100.0),
        ]);
    }
    table.add_row([
        "total".to_owned(),
        String::new(),
        count(inventory.elements),
        bytes(inventory.bytes),
        String::new(),
    ]);
    line(out, &table.trim_fmt());
    for (first, second) in &reading.tied {
        line(
            out,
            &terminal.quiet(&format!("{} is tied to {} and counted once", plain(second), plain(first))),
        );
    }
    out.push('\n');
}

/// Metrics of the tensor table with their headers and how much they are worth: where the terminal is too
/// narrow for all, those with the highest number go first.
const COLUMNS: [(&str, &str, u8); 7] = [
    ("mean", "mean", 6),
    ("std", "std", 0),
    ("abs_max", "|max|", 1),
    ("excess_kurtosis", "kurtosis", 4),
    ("ks_statistic", "KS D", 2),
    ("stable_rank", "st. rank", 5),
    ("update_ratio", "update", 3),
];
/// Widest of their values, with the space before it.
const COLUMN_WIDTH: usize = 10;
/// Bins of the small histograms.
const BINS: usize = 12;

fn tensors(out: &mut String, reading: &Reading, terminal: &Terminal) {
    use CellAlignment::{Left, Right};
    if reading.tensors.is_empty() {
        return;
    }
    line(out, &terminal.heading("Tensors"));
    let has = |metric: &str| reading.tensors.iter().any(|t| t.samples.contains_key(metric));
    let longest = |width: fn(&TensorReading) -> usize| reading.tensors.iter().map(width).max().unwrap_or(0);
    let shape_width = longest(|t| shape(&t.facts.shape).chars().count());
    let name_width = longest(|t| t.facts.name.chars().count()).min((terminal.columns / 3).clamp(16, 60));
    let dtype = terminal.columns >= 100;
    let taken = name_width + shape_width + BINS + 4 + if dtype { 9 } else { 0 };
    let room = terminal.columns.saturating_sub(taken) / COLUMN_WIDTH;
    let mut ranks: Vec<u8> = COLUMNS.iter().filter(|column| has(column.0)).map(|column| column.2).collect();
    ranks.sort_unstable();
    ranks.truncate(room.max(1));
    let shown: Vec<_> = COLUMNS.iter().filter(|c| has(c.0) && ranks.contains(&c.2)).collect();

    let mut header = vec![("name", Left), ("values", Left), ("shape", Right)];
    header.extend(dtype.then_some(("dtype", Left)));
    header.extend(shown.iter().map(|(_, header, _)| (*header, Right)));
    let mut table = table(&header);
    for tensor in &reading.tensors {
        let mut row =
            vec![tail(&tensor.facts.name, name_width), small_histogram(tensor), shape(&tensor.facts.shape)];
        row.extend(dtype.then(|| tensor.facts.dtype.to_string()));
        let value = |metric| tensor.samples.get(metric).map_or("–".to_owned(), |&value| short(value));
        row.extend(shown.iter().map(|(metric, ..)| value(*metric)));
        table.add_row(row);
    }
    // Rows are one line each, so a row is painted as its line: escapes inside cells would count as width.
    let text = table.trim_fmt();
    let mut lines = text.lines();
    line(out, &terminal.quiet(lines.next().unwrap_or("")));
    for (text, tensor) in lines.zip(&reading.tensors) {
        let broken =
            ["nan_elements", "inf_elements"].iter().any(|m| tensor.samples.get(m).is_some_and(|v| *v > 0.0));
        line(out, &if broken { terminal.severity(Severity::Critical, text) } else { text.to_owned() });
    }
    for tensor in &reading.tensors {
        for (metric, word) in [("nan_elements", "NaN"), ("inf_elements", "Inf")] {
            if let Some(&value) = tensor.samples.get(metric).filter(|&&value| value > 0.0) {
                let text = format!("{}: {} {word}", plain(&tensor.facts.name), count(value as u64));
                line(out, &terminal.severity(Severity::Critical, &text));
            }
        }
    }
    out.push('\n');
}

/// Dimensions as `768 × 2304`.
fn shape(dimensions: &[u64]) -> String {
    if dimensions.is_empty() {
        return "scalar".to_owned();
    }
    dimensions.iter().map(u64::to_string).collect::<Vec<_>>().join(" × ")
}

/// Twelve bins over the middle 99 % of the values, from the quantiles.
fn small_histogram(tensor: &TensorReading) -> String {
    let quantiles = &tensor.quantiles;
    let (Some(&low), Some(&high)) = (quantiles.first(), quantiles.last()) else { return String::new() };
    if high <= low {
        return "constant".to_owned();
    }
    let mut bins = [0.0; BINS];
    for &value in quantiles {
        let bin = (f64::from(value - low) / f64::from(high - low) * BINS as f64) as usize;
        bins[bin.min(BINS - 1)] += 1.0;
    }
    spark(&bins)
}

fn heads(out: &mut String, reading: &Reading, terminal: &Terminal) {
    let mut layers: std::collections::BTreeMap<u32, Vec<f64>> = std::collections::BTreeMap::new();
    for subject in &reading.subjects {
        if let (Subject::Head { layer, .. }, Some(&norm)) = (&subject.subject, subject.samples.get("qk_norm"))
        {
            layers.entry(*layer).or_default().push(norm);
        }
    }
    if layers.is_empty() {
        return;
    }
    line(out, &terminal.heading("Heads: norm of W_Q W_Kᵀ, one bar a head"));
    for (layer, norms) in &layers {
        let (low, high) =
            norms.iter().fold((f64::INFINITY, 0f64), |(low, high), &v| (low.min(v), high.max(v)));
        line(out, &format!("layer {layer:>3}  {}  {} to {}", spark(norms), short(low), short(high)));
    }
    out.push('\n');
}

fn questions(out: &mut String, answers: &[Answer], terminal: &Terminal) {
    if answers.is_empty() {
        return;
    }
    line(out, &terminal.heading("Five questions"));
    for answer in answers {
        line(out, answer.question);
        line(out, &wrapped(&plain(&answer.answer), terminal.columns.min(100), 2));
    }
    out.push('\n');
}

fn troubles(out: &mut String, reading: &Reading, terminal: &Terminal) {
    for skipped in &reading.skipped {
        line(
            out,
            &terminal.severity(
                Severity::Warning,
                &format!("not weighed: {}: {}", plain(&skipped.name), plain(&skipped.reason)),
            ),
        );
    }
    for remark in &reading.remarks {
        line(out, &terminal.quiet(&plain(remark)));
    }
    for problem in &reading.problems {
        line(out, &terminal.severity(Severity::Critical, &plain(&problem.to_string())));
        line(out, &format!("  {}", plain(&problem.remedy)));
    }
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}
