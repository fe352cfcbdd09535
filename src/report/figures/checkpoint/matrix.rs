//! S9: the weight matrix itself, whole or any part of it.

use std::ops::Range;

use crate::report::figures::statistics::{quantile, sorted};
use crate::report::figures::{Axis, Body, Choice, Fact, FigureDef, Mark, Material, Panel, Ramp};
use crate::report::weights::Matrix;

/// S9.
pub static FIGURE: FigureDef = FigureDef {
    id: "S9",
    title: "Inside the matrix",
    question: "Is there structure in the matrix: dead rows, loud columns, blocks, stripes?",
    series: &[],
    draw,
};

/// Most cells of a picture along one side: finer than a screen shows in half its width.
const CELLS_MAX: usize = 192;

fn draw(material: Material<'_>, choice: &Choice) -> Result<Body, String> {
    let tensor = material.tensor(choice)?;
    let matrix = read(material, &tensor.facts.name)?;
    let rms = |values: &[f32]| {
        (values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / values.len().max(1) as f64).sqrt()
    };
    let rows: Vec<f64> = (0..matrix.rows).map(|row| rms(matrix.row(row))).collect();
    let mut columns = vec![0.0; matrix.columns];
    for row in 0..matrix.rows {
        for (sum, value) in columns.iter_mut().zip(matrix.row(row)) {
            *sum += f64::from(*value).powi(2);
        }
    }
    let columns: Vec<f64> = columns.iter().map(|sum| (sum / matrix.rows.max(1) as f64).sqrt()).collect();
    let loudest = |values: &[f64]| {
        let sorted = sorted(values.iter().copied());
        let top = values.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(index, _)| index);
        (top, sorted.last().copied().unwrap_or(f64::NAN) / quantile(&sorted, 0.5))
    };
    let ((row, row_ratio), (column, column_ratio)) = (loudest(&rows), loudest(&columns));
    let (panel, _) = heat(&matrix, choice, "row", "column");
    let mut body = Body::from_weights(format!(
        "The loudest row ({row}) has {row_ratio:.1} times the rms of the median row, the loudest column ({column}) {column_ratio:.1} times that of the median column."
    ));
    body.facts = vec![
        Fact::new("rows", matrix.rows as f64),
        Fact::new("columns", matrix.columns as f64),
        Fact::new("loudest row / median", row_ratio),
        Fact::new("loudest column / median", column_ratio),
        Fact::new("rows of zeros", rows.iter().filter(|rms| **rms == 0.0).count() as f64),
    ];
    body.panels = vec![panel];
    body.tensor = Some(tensor.facts.name.to_string());
    body.choices = material.matrix_names();
    Ok(body)
}

/// A whole tensor as a matrix, or why not.
pub fn read(material: Material<'_>, name: &str) -> Result<Matrix, String> {
    let weights = material.weights()?;
    let (index, _) =
        weights.find(name).ok_or_else(|| format!("the checkpoint's files no longer hold {name}"))?;
    let matrix = weights.matrix(index).map_err(|error| error.to_string())?;
    matrix.ok_or_else(|| "too large to be drawn whole: more than 64 Mi elements".to_owned())
}

/// A matrix, or the chosen part of it, as a heat map with zero in the middle of its colours; and the value
/// at which the colours end: the 99.5 % quantile of the absolute values, so that one outlier does not
/// bleach everything else.
pub fn heat(matrix: &Matrix, choice: &Choice, rows: &str, columns: &str) -> (Panel, f64) {
    let part = |wanted: &Option<Range<u64>>, all: usize| {
        let (start, end) =
            wanted.as_ref().map_or((0, all), |range| (range.start as usize, range.end as usize));
        let start = start.min(all.saturating_sub(1));
        start..end.clamp(start + 1, all.max(start + 1))
    };
    let (row_range, column_range) = (part(&choice.rows, matrix.rows), part(&choice.columns, matrix.columns));
    let (height, width, values) = shrink(matrix, row_range.clone(), column_range.clone(), CELLS_MAX);
    let sizes = sorted(values.iter().map(|value| value.abs()));
    let limit = match quantile(&sizes, 0.995) {
        limit if limit > 0.0 => limit,
        _ => sizes.last().copied().filter(|last| *last > 0.0).unwrap_or(1.0),
    };
    let range = |range: &Range<usize>| [range.start as f64, range.end as f64];
    let panel = Panel::new(
        "",
        Axis::whole(columns).from(column_range.start as f64).to(column_range.end as f64),
        Axis::whole(rows).from(row_range.start as f64).to(row_range.end as f64),
    )
    .with(Mark::Heat {
        rows: height,
        columns: width,
        values: values.into_iter().collect(),
        ramp: Ramp::Diverging,
        low: -limit,
        high: limit,
        label: "weight".to_owned(),
        y: range(&row_range),
        x: range(&column_range),
        at: None,
    });
    (panel, limit)
}

/// Part of a matrix in at most `cells_max` × `cells_max` cells. A cell that stands for several elements
/// shows the one that is farthest from zero: a mean would hide the outliers that one looks for.
pub fn shrink(
    matrix: &Matrix,
    rows: Range<usize>,
    columns: Range<usize>,
    cells_max: usize,
) -> (usize, usize, Vec<f64>) {
    let (height, width) = (rows.len().min(cells_max), columns.len().min(cells_max));
    let mut cells = vec![0f64; height * width];
    let mut broken = vec![false; height * width];
    for row in rows.clone() {
        let y = (row - rows.start) * height / rows.len();
        let line = &matrix.row(row)[columns.clone()];
        for (column, &value) in line.iter().enumerate() {
            let cell = y * width + column * width / columns.len();
            if !value.is_finite() {
                broken[cell] = true;
            } else if f64::from(value).abs() > cells[cell].abs() {
                cells[cell] = f64::from(value);
            }
        }
    }
    for (cell, broken) in cells.iter_mut().zip(broken) {
        if broken {
            *cell = f64::NAN;
        }
    }
    (height, width, cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_shows_its_loudest_element() {
        let matrix =
            Matrix { rows: 2, columns: 4, values: vec![0.0, -3.0, 1.0, 0.5, 2.0, 0.0, f32::NAN, 0.0] };
        assert_eq!(shrink(&matrix, 0..1, 0..4, 8), (1, 4, vec![0.0, -3.0, 1.0, 0.5]));
        let (height, width, cells) = shrink(&matrix, 0..1, 0..4, 2);
        assert_eq!((height, width, cells), (1, 2, vec![-3.0, 1.0]));
        let (_, _, cells) = shrink(&matrix, 0..2, 2..4, 1);
        assert!(cells[0].is_nan(), "an element that is not a number is never averaged away");
    }
}
