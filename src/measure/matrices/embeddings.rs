//! Token tables: how long tokens' vectors are, how far they point apart, and which were never learnt.
//!
//! The same figures are had of an untied output table (`lm_head`), whose rows are tokens too.

use faer::Mat;
use xxhash_rust::xxh3::xxh3_64;

use super::panel::{Halt, Matrix, Scratch};
use super::tasks::{Context, Task, no_matrix};
use crate::measure::kernels::gram;
use crate::measure::sheet::Sheet;
use crate::terms::{Family, MetricDef, MetricName, Reason, Role, SubjectKind, Tier, Unit};

const TOKEN: MetricDef = MetricDef {
    name: "",
    family: Family::Embedding,
    subject: SubjectKind::Tensor,
    unit: Unit::Weight,
    tier: Tier::Two,
    help: "",
    formula: "",
    source: "shrinking and outlying embeddings unsettle early layers: OLMo-7B-0724 (Takase et al. 2023, arXiv 2312.16903)",
    healthy: "",
    sick: "",
    cost: "two passes over the table",
    since: "0.1.0",
};

const NORM: MetricDef = MetricDef {
    formula: "quantile over rows of ||e_i||, by linear interpolation",
    healthy: "a bell with a low tail of rare tokens; moves slowly",
    sick: "all of them shrink: weight decay on embeddings; the upper end runs away: outlying tokens",
    ..TOKEN
};

const SPREAD: MetricDef = MetricDef {
    unit: Unit::Ratio,
    tier: Tier::Three,
    source: "anisotropy and its measures: IsoScore (arXiv 2108.07344)",
    cost: "one Gram product of the width: tokens x width^2 multiply-adds",
    ..TOKEN
};

/// This family's entries.
pub(in crate::measure) const DEFS: &[MetricDef] = &[
    MetricDef { name: "token_norm_min", help: "Norm of the shortest token vector", ..NORM },
    MetricDef { name: "token_norm_q05", help: "Norm of token vectors, 5 % quantile", ..NORM },
    MetricDef { name: "token_norm_median", help: "Norm of token vectors, median", ..NORM },
    MetricDef { name: "token_norm_q95", help: "Norm of token vectors, 95 % quantile", ..NORM },
    MetricDef { name: "token_norm_max", help: "Norm of the longest token vector", ..NORM },
    MetricDef {
        name: "token_norm_gini",
        unit: Unit::Ratio,
        help: "Inequality of the token vectors' norms: 0 for all equal",
        formula: "Gini coefficient of ||e_i||",
        source: "Gini 1912",
        healthy: "below 0.02 at initialisation, 0.05 to 0.2 once trained",
        sick: "rising on: few tokens take all, or a block of tokens is no longer trained",
        ..TOKEN
    },
    MetricDef {
        name: "duplicate_rows",
        unit: Unit::Count,
        help: "Token vectors that equal another one bit for bit, zero rows aside",
        formula: "rows minus distinct rows, of the rows that are not zero",
        source: "duplicates among unused tokens: Land and Bartolo 2024 (arXiv 2405.05417)",
        healthy: "0",
        sick: "above 0: rows were copied, or the vocabulary was padded with copies",
        ..TOKEN
    },
    MetricDef {
        name: "untrained_rows",
        unit: Unit::Count,
        help: "Token vectors that lie at the table's centre, where vectors sink that are never learnt",
        formula: "count of ||e_i - mean|| < median_i ||e_i - mean|| / 2",
        source: "Land and Bartolo 2024 (arXiv 2405.05417)",
        healthy: "constant: the holes of the vocabulary",
        sick: "grows: a part of the data is missing, or the tokenizer changed",
        ..TOKEN
    },
    MetricDef {
        name: "embedding_mean_cosine",
        help: "Mean cosine between two token vectors",
        unit: Unit::One,
        formula: "(||sum_i u_i||^2 - V) / (V (V - 1)), u_i = e_i / ||e_i|| over the V rows that are not zero",
        source: "Ethayarajh 2019; IsoScore (arXiv 2108.07344) warns of it as a measure of spread",
        healthy: "near 0 at initialisation, up to 0.3 in trained tables",
        sick: "above 0.5: all tokens point the same way",
        ..TOKEN
    },
    MetricDef {
        name: "embedding_spread",
        help: "Participation ratio of the token vectors' covariance over its dimension",
        formula: "(sum c)^2 / sum c^2 / d, c eigenvalues of the covariance over tokens",
        healthy: "1 / (1 + d / V) at initialisation, then slowly falling",
        sick: "falls by more than 30 %: the table collapses into few directions",
        ..SPREAD
    },
    MetricDef {
        name: "embedding_top_component_ratio",
        help: "Share of the token vectors' variance in its first direction",
        formula: "c_1 / sum c, c eigenvalues of the covariance over tokens",
        healthy: "below 0.2",
        sick: "rising fast: the table collapses into a line",
        ..SPREAD
    },
];

const ROW_METRICS: usize = 9;

/// Writes that none of the metrics of rows can be had.
fn lack(reason: &Reason, sheet: &mut Sheet) {
    DEFS[..ROW_METRICS].iter().for_each(|def| sheet.lack(def.name, reason.clone()));
}

/// Writes the metrics of spread from the Gram matrix of the columns, which it spoils, and their sums
/// over `rows` rows: they come with the full spectrum, which needs the same product.
pub(super) fn put_spread(mut gram: Mat<f64>, sums: &[f64], rows: f64, sheet: &mut Sheet) {
    for column in 0..gram.ncols() {
        for row in column..gram.nrows() {
            gram[(row, column)] -= sums[row] * sums[column] / rows;
        }
    }
    let trace = gram::trace(&gram);
    let square = gram::squared_norm(&gram);
    if trace <= 0.0 || square <= 0.0 {
        return lack_spread(&Reason::Constant, sheet);
    }
    sheet.put("embedding_spread", trace * trace / square / gram.nrows() as f64);
    let top = gram::largest_eigenvalue(gram);
    sheet.put_or("embedding_top_component_ratio", top.map(|top| top / trace).ok_or(Reason::Constant));
}

/// Writes that none of the metrics of spread can be had.
pub(super) fn lack_spread(reason: &Reason, sheet: &mut Sheet) {
    DEFS[ROW_METRICS..].iter().for_each(|def| sheet.lack(def.name, reason.clone()));
}

/// One task a table for its rows.
pub(super) fn tasks<'a>(context: &'a Context<'a>) -> Vec<Task<'a>> {
    let mut tasks = Vec::new();
    let tables = context.of_role(Role::TokenEmbedding).chain(context.of_role(Role::LmHead));
    for (index, reading) in tables {
        let (Some(matrix), None) = (Matrix::of(context.source, index), no_matrix(reading)) else {
            let reason = no_matrix(reading).unwrap_or(Reason::NotMatrix);
            tasks.push(Task::lacking(index, lack, reason));
            continue;
        };
        let cost = (matrix.rows * matrix.columns) as f64 / 1e9;
        tasks.push(Task::of_tensor(index, cost, lack, move |s, _, sheet| rows(&matrix, s, sheet)));
    }
    tasks
}

fn rows(matrix: &Matrix<'_>, scratch: &mut Scratch, sheet: &mut Sheet) -> Result<(), Halt> {
    let (mut norms, mut hashes) = (Vec::with_capacity(matrix.rows), Vec::with_capacity(matrix.rows));
    let mut sum = vec![0.0; matrix.columns];
    let mut direction = vec![0.0; matrix.columns];
    let mut bytes = Vec::new();
    matrix.each_row_panel(scratch, |_, values| {
        for row in values.chunks_exact(matrix.columns) {
            let norm = row.iter().map(|x| x * x).sum::<f64>().sqrt();
            norms.push(norm);
            sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
            if norm > 0.0 {
                direction.iter_mut().zip(row).for_each(|(sum, x)| *sum += x / norm);
                bytes.clear();
                bytes.extend(row.iter().flat_map(|x| x.to_le_bytes()));
                hashes.push(xxh3_64(&bytes));
            }
        }
        Ok(())
    })?;
    if norms.iter().any(|norm| !norm.is_finite()) {
        return Err(Reason::Overflow.into());
    }
    let live = hashes.len() as f64;
    hashes.sort_unstable();
    hashes.dedup();
    sheet.put("duplicate_rows", live - hashes.len() as f64);
    let square: f64 = direction.iter().map(|x| x * x).sum();
    let cosine = if live >= 2.0 {
        Ok((square - live) / (live * (live - 1.0)))
    } else {
        Err(Reason::TooFew { needs: 2 })
    };
    sheet.put_or("embedding_mean_cosine", cosine);
    norms.sort_unstable_by(f64::total_cmp);
    put_norms(&norms, sheet);
    sum.iter_mut().for_each(|sum| *sum /= matrix.rows as f64);
    sheet.put("untrained_rows", central_rows(matrix, &sum, scratch)? as f64);
    Ok(())
}

fn put_norms(sorted: &[f64], sheet: &mut Sheet) {
    const PLACES: [(MetricName, f64); 5] = [
        ("token_norm_min", 0.0),
        ("token_norm_q05", 0.05),
        ("token_norm_median", 0.5),
        ("token_norm_q95", 0.95),
        ("token_norm_max", 1.0),
    ];
    for (name, p) in PLACES {
        sheet.put(name, quantile(sorted, p));
    }
    let count = sorted.len() as f64;
    let total: f64 = sorted.iter().sum();
    let weighted: f64 = sorted.iter().enumerate().map(|(i, norm)| (i as f64 + 1.0) * norm).sum();
    sheet.put("token_norm_gini", 2.0 * weighted / (count * total) - (count + 1.0) / count);
}

/// Quantile of at least one sorted value, by linear interpolation.
fn quantile(sorted: &[f64], p: f64) -> f64 {
    let place = p * (sorted.len() - 1) as f64;
    let (below, share) = (place.floor() as usize, place.fract());
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + share * (sorted[above] - sorted[below])
}

/// Rows nearer to `centre` than half of the median row.
fn central_rows(matrix: &Matrix<'_>, centre: &[f64], scratch: &mut Scratch) -> Result<usize, Halt> {
    let mut distances = Vec::with_capacity(matrix.rows);
    matrix.each_row_panel(scratch, |_, values| {
        for row in values.chunks_exact(matrix.columns) {
            distances.push(row.iter().zip(centre).map(|(x, c)| (x - c).powi(2)).sum::<f64>().sqrt());
        }
        Ok(())
    })?;
    distances.sort_unstable_by(f64::total_cmp);
    let limit = 0.5 * quantile(&distances, 0.5);
    Ok(distances.partition_point(|distance| *distance < limit))
}
