//! `inspect` as text: what is in the checkpoint, tensor by tensor, with bars and small histograms.

use comfy_table::{Cell, CellAlignment, Table, presets};

use super::paint::{Terminal, bar, plain, spark, tail};
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
    line(out, &terminal.quiet(&parts.join(" · ")));
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

/// Columns of the tensor table after name and shape.
const COLUMNS: [&str; 7] =
    ["mean", "std", "abs_max", "excess_kurtosis", "ks_statistic", "stable_rank", "update_ratio"];

fn tensors(out: &mut String, reading: &Reading, terminal: &Terminal) {
    use CellAlignment::{Left, Right};
    if reading.tensors.is_empty() {
        return;
    }
    line(out, &terminal.heading("Tensors"));
    let shown: Vec<&str> = COLUMNS
        .into_iter()
        .filter(|name| reading.tensors.iter().any(|t| t.samples.contains_key(name)))
        .collect();
    let mut header = vec![("name", Left), ("dtype", Left), ("shape", Right)];
    header.extend(shown.iter().map(|name| (*name, Right)));
    header.push(("values", Left));
    let mut table = table(&header);
    let name_width = (terminal.columns / 3).clamp(16, 48);
    for tensor in &reading.tensors {
        let mut row = vec![
            tail(&tensor.facts.name, name_width),
            tensor.facts.dtype.to_string(),
            shape(&tensor.facts.shape),
        ];
        row.extend(
            shown.iter().map(|name| tensor.samples.get(name).map_or("–".to_owned(), |&value| short(value))),
        );
        row.push(small_histogram(tensor));
        table.add_row(row);
    }
    line(out, &table.trim_fmt());
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
    const BINS: usize = 12;
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
        line(out, &format!("{}\n  {}", answer.question, plain(&answer.answer)));
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
