//! How loud each row and each column is.

use crate::report::figures::checkpoint::read;
use crate::report::figures::statistics::{quantile, sorted};
use crate::report::figures::{Axis, Body, Choice, Fact, FigureDef, Mark, Material, Panel, Side, Tone};

/// Row and column profile.
pub static FIGURE: FigureDef = FigureDef {
    id: "profiles",
    title: "Rows and columns",
    question: "Are some rows or columns dead, or far louder than the others?",
    series: &["row_rms_max_over_median", "column_rms_max_over_median"],
    draw,
};

/// Longest line that is drawn: longer profiles show the loudest of each stretch.
const POINTS_MAX: usize = 1024;

fn draw(material: Material<'_>, choice: &Choice) -> Result<Body, String> {
    let tensor = material.tensor(choice)?;
    let matrix = read(material, &tensor.facts.name)?;
    let mut rows = vec![0f64; matrix.rows];
    let mut columns = vec![0f64; matrix.columns];
    for (row, sum) in rows.iter_mut().enumerate() {
        for (column, &value) in columns.iter_mut().zip(matrix.row(row)) {
            let square = f64::from(value).powi(2);
            *sum += square;
            *column += square;
        }
    }
    rows.iter_mut().for_each(|sum| *sum = (*sum / matrix.columns.max(1) as f64).sqrt());
    columns.iter_mut().for_each(|sum| *sum = (*sum / matrix.rows.max(1) as f64).sqrt());
    let mut body = Body::from_weights(String::new());
    let mut words = Vec::new();
    for (name, values) in [("row", &rows), ("column", &columns)] {
        let ascending = sorted(values.iter().copied());
        let median = quantile(&ascending, 0.5);
        let ratio = ascending.last().copied().unwrap_or(f64::NAN) / median;
        let dead = values.iter().filter(|rms| **rms == 0.0).count();
        let zeros = match dead {
            0 => format!("no {name} is zero"),
            1 => format!("one {name} is zero"),
            dead => format!("{dead} {name}s are zero"),
        };
        words.push(format!("he loudest {name} is {ratio:.1} times the median one, {zeros}"));
        body.facts.push(Fact::new(format!("loudest {name} : median"), ratio));
        body.facts.push(Fact::new(format!("{name}s of zeros"), dead as f64));
        body.panels.push(profile(name, values, median));
    }
    body.says = format!("T{}.", words.join("; t"));
    body.tensor = Some(tensor.facts.name.to_string());
    Ok(body)
}

fn profile(name: &str, values: &[f64], median: f64) -> Panel {
    let stride = values.len().div_ceil(POINTS_MAX).max(1);
    let loudest = |chunk: &[f64]| chunk.iter().copied().fold(0.0, f64::max);
    Panel::new(format!("{name}s"), Axis::whole(name), Axis::linear("rms").from(0.0))
        .with(Mark::Line {
            name: String::new(),
            x: (0..values.len() as u32).step_by(stride).collect(),
            y: values.chunks(stride).map(loudest).collect(),
            tone: Tone::Main,
            dashed: false,
        })
        .with(Mark::Rule { axis: Side::Y, at: median, label: "median".to_owned(), tone: Tone::Reference })
}
