//! Attention heads, each from d_h × d_h Gram matrices: the norms of its four projections, the spectrum of
//! the bilinear form W_Q W_Kᵀ that makes its logits, and how its mean query relates to the other heads'.
//!
//! ‖W_Q W_Kᵀ‖ and its singular values follow from W_QᵀW_Q and W_KᵀW_K alone (heads are d × d_h here,
//! d the model's width), so no d × d product is ever formed. In a pre-norm block the norm's gain scales
//! the input of Q, K and V: `*_with_gain` folds it in, since training may move scale from the one to the
//! other without changing the function.

use std::collections::BTreeMap;

use faer::{Mat, MatRef, Par};

use super::panel::{Halt, Matrix, Scratch};
use super::tasks::{Context, Finished, Task};
use crate::measure::kernels::eigen::product_eigenvalues;
use crate::measure::kernels::{gram, ward};
use crate::measure::sheet::Sheet;
use crate::terms::{
    AttentionParts, BlockSource, HeadAxis, HeadPart, MetricName, Reason, Subject, SubjectKind, SubjectReading,
};

pub(in crate::measure) use super::heads_defs::DEFS;

/// One projection of one head, reduced to what the metrics need.
struct Head {
    /// d_h × d_h Gram over the model's width, both triangles.
    gram: Mat<f64>,
    /// The same with the input norm's gain folded in.
    with_gain: Option<Mat<f64>>,
    /// Mean over the model's width: d_h numbers.
    mean: Vec<f64>,
}

/// Heads of one projection by the start of their range; heads that share a range share the entry.
type Heads = BTreeMap<u64, Head>;

/// One task a block.
pub(super) fn tasks<'a>(context: &'a Context<'a>) -> Vec<Task<'a>> {
    let blocks = context.map.attention.iter().filter(|block| {
        let parts = [&block.query, &block.key, &block.value, &block.output];
        parts.iter().all(|part| context.is_readable(part.tensor))
    });
    blocks
        .map(|block| {
            let elements: f64 = context.source.tensors()[block.output.tensor].elements() as f64;
            let products = 8.0 * elements * block.query.width as f64;
            let work = move |scratch: &mut Scratch, _: Par| {
                let subjects = match measure(context.source, block, scratch) {
                    Err(Halt::Reason(reason)) => vec![lacking(block.layer, &reason)],
                    measured => measured?,
                };
                Ok(Finished { subjects, ..Finished::default() })
            };
            // blocks of small heads are far below the speed of large products
            Task { tensor: block.query.tensor, cost: 4.0 * products / 30e9, work: Box::new(work) }
        })
        .collect()
}

fn lacking(layer: u32, reason: &Reason) -> SubjectReading {
    let mut sheet = Sheet::default();
    let names = DEFS.iter().filter(|def| def.subject == SubjectKind::Layer).map(|def| def.name);
    names.for_each(|name| sheet.lack(name, reason.clone()));
    reading(Subject::Layer(layer), sheet)
}

/// Measures every head of a block, and the block's layer.
fn measure(
    source: &dyn BlockSource,
    block: &AttentionParts,
    scratch: &mut Scratch,
) -> Result<Vec<SubjectReading>, Halt> {
    let gain = block.input_norm.map(|tensor| read_gain(source, tensor, scratch)).transpose()?;
    let gain = gain.as_deref();
    let query = heads(source, &block.query, gain, scratch)?;
    let key = heads(source, &block.key, gain, scratch)?;
    let value = heads(source, &block.value, gain, scratch)?;
    let output = heads(source, &block.output, None, scratch)?;
    let mut subjects = Vec::new();
    let mut means = Vec::new();
    for index in 0..block.query.starts.len() {
        let (Some(q), Some(k), Some(v), Some(o)) = (
            head_of(&block.query, &query, index),
            head_of(&block.key, &key, index),
            head_of(&block.value, &value, index),
            head_of(&block.output, &output, index),
        ) else {
            continue;
        };
        let mut sheet = Sheet::default();
        put_head(q, k, v, o, &mut sheet);
        means.push(q.mean.clone());
        subjects.push(reading(Subject::Head { layer: block.layer, head: index as u32 }, sheet));
    }
    let mut layer = layer(&subjects, block.layer);
    cluster(&means, &mut layer);
    subjects.push(layer);
    Ok(subjects)
}

fn head_of<'a>(part: &HeadPart, heads: &'a Heads, index: usize) -> Option<&'a Head> {
    heads.get(part.starts.get(index)?)
}

fn reading(subject: Subject, sheet: Sheet) -> SubjectReading {
    SubjectReading { subject, samples: sheet.samples, lists: BTreeMap::new(), absent: sheet.absent }
}

fn read_gain(source: &dyn BlockSource, tensor: usize, scratch: &mut Scratch) -> Result<Vec<f64>, Halt> {
    let gain = Matrix::flattened(source, tensor)
        .ok_or(Reason::NotApplicable("the norm in front has no gain of its own"))?;
    gain.read_rows(0, gain.rows, scratch)?;
    Ok(scratch.values.clone())
}

/// Reduces all heads of a projection. `gain` is over the model's width.
fn heads(
    source: &dyn BlockSource,
    part: &HeadPart,
    gain: Option<&[f64]>,
    scratch: &mut Scratch,
) -> Result<Heads, Halt> {
    let matrix = Matrix::of(source, part.tensor).ok_or(Reason::NotMatrix)?;
    let (along, across) = match part.axis {
        HeadAxis::Rows => (matrix.rows, matrix.columns),
        HeadAxis::Columns => (matrix.columns, matrix.rows),
    };
    let end = part.starts.iter().max().map_or(0, |start| start + part.width);
    if end > along as u64 || part.width == 0 {
        return Err(Reason::NotApplicable("the heads' ranges do not fit the tensor").into());
    }
    let gain = gain.filter(|gain| gain.len() == across);
    let width = part.width as usize;
    let empty = || Head {
        gram: Mat::zeros(width, width),
        with_gain: gain.map(|_| Mat::zeros(width, width)),
        mean: vec![0.0; width],
    };
    let mut heads: Heads = part.starts.iter().map(|start| (*start, empty())).collect();
    match part.axis {
        HeadAxis::Rows => by_rows(&matrix, width, gain, &mut heads, scratch)?,
        HeadAxis::Columns => by_columns(&matrix, width, gain, &mut heads, scratch)?,
    }
    for head in heads.values_mut() {
        gram::symmetrize(&mut head.gram);
        head.with_gain.iter_mut().for_each(gram::symmetrize);
        head.mean.iter_mut().for_each(|sum| *sum /= across as f64);
    }
    Ok(heads)
}

/// Each head is a range of rows: it is read by itself.
fn by_rows(
    matrix: &Matrix<'_>,
    width: usize,
    gain: Option<&[f64]>,
    heads: &mut Heads,
    scratch: &mut Scratch,
) -> Result<(), Halt> {
    for (&start, head) in heads {
        matrix.read_rows(start as usize, width, scratch)?;
        let values = &mut scratch.values;
        gram::accumulate(
            &mut head.gram,
            MatRef::from_row_major_slice(values, width, matrix.columns),
            Par::Seq,
        );
        for (sum, row) in head.mean.iter_mut().zip(values.chunks_exact(matrix.columns)) {
            *sum = row.iter().sum();
        }
        if let (Some(gain), Some(folded)) = (gain, &mut head.with_gain) {
            for row in values.chunks_exact_mut(matrix.columns) {
                row.iter_mut().zip(gain).for_each(|(x, g)| *x *= g);
            }
            gram::accumulate(folded, MatRef::from_row_major_slice(values, width, matrix.columns), Par::Seq);
        }
    }
    Ok(())
}

/// Each head is a range of columns: rows are read once, for all heads.
fn by_columns(
    matrix: &Matrix<'_>,
    width: usize,
    gain: Option<&[f64]>,
    heads: &mut Heads,
    scratch: &mut Scratch,
) -> Result<(), Halt> {
    let columns = matrix.columns;
    matrix.each_row_panel(scratch, |first, values| {
        let rows = values.len() / columns;
        for (&start, head) in heads.iter_mut() {
            let start = start as usize;
            let panel = MatRef::from_row_major_slice(values, rows, columns).subcols(start, width);
            gram::accumulate(&mut head.gram, panel.transpose(), Par::Seq);
            for row in values.chunks_exact(columns) {
                head.mean.iter_mut().zip(&row[start..start + width]).for_each(|(sum, x)| *sum += x);
            }
        }
        let Some(gain) = gain else { return Ok(()) };
        for (row, g) in values.chunks_exact_mut(columns).zip(&gain[first..]) {
            row.iter_mut().for_each(|x| *x *= g);
        }
        for (&start, head) in heads.iter_mut() {
            let panel = MatRef::from_row_major_slice(values, rows, columns).subcols(start as usize, width);
            if let Some(folded) = &mut head.with_gain {
                gram::accumulate(folded, panel.transpose(), Par::Seq);
            }
        }
        Ok(())
    })
}

/// The Frobenius norm behind a Gram matrix, if all that went into it was finite.
fn norm(matrix: &Mat<f64>) -> Result<f64, Reason> {
    let trace = gram::trace(matrix);
    if trace.is_finite() { Ok(trace.max(0.0).sqrt()) } else { Err(Reason::NotFinite) }
}

fn put_head(q: &Head, k: &Head, v: &Head, o: &Head, sheet: &mut Sheet) {
    sheet.put_or("q_norm", norm(&q.gram));
    sheet.put_or("k_norm", norm(&k.gram));
    sheet.put_or("v_norm", norm(&v.gram));
    sheet.put_or("o_norm", norm(&o.gram));
    put_pair(&q.gram, &k.gram, &PLAIN, sheet);
    sheet.put_or("ov_norm", product_norm(&v.gram, &o.gram));
    match (&q.with_gain, &k.with_gain, &v.with_gain) {
        (Some(q), Some(k), Some(v)) => {
            put_pair(q, k, &WITH_GAIN, sheet);
            sheet.put_or("ov_norm_with_gain", product_norm(v, &o.gram));
        }
        _ => {
            let reason = Reason::NotApplicable("no norm gain scales this block's input");
            sheet.lack_all(&WITH_GAIN, &reason);
            sheet.lack("ov_norm_with_gain", reason);
        }
    }
}

/// ‖A Bᵀ‖_F from the Grams AᵀA and BᵀB: the root of their inner product.
fn product_norm(a: &Mat<f64>, b: &Mat<f64>) -> Result<f64, Reason> {
    norm(a)?;
    norm(b)?;
    if a.nrows() != b.nrows() {
        return Err(Reason::NotApplicable("value and output heads differ in width"));
    }
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    let sum: f64 = (0..a.ncols()).map(|j| dot(a.col_as_slice(j), b.col_as_slice(j))).sum();
    Ok(sum.max(0.0).sqrt())
}

const PLAIN: [MetricName; 4] = ["qk_norm", "qk_spectral_norm", "qk_logit_std", "qk_spectral_entropy"];
const WITH_GAIN: [MetricName; 4] = [
    "qk_norm_with_gain",
    "qk_spectral_norm_with_gain",
    "qk_logit_std_with_gain",
    "qk_spectral_entropy_with_gain",
];

/// Writes the metrics of W_Q W_Kᵀ under the four given names.
fn put_pair(q: &Mat<f64>, k: &Mat<f64>, names: &[MetricName; 4], sheet: &mut Sheet) {
    let [norm_name, spectral, logit, entropy] = *names;
    let width = q.nrows();
    if norm(q).is_err() || norm(k).is_err() || k.nrows() != width {
        return sheet.lack_all(names, &Reason::NotFinite);
    }
    let Some(squares) = product_eigenvalues(q, k) else {
        return sheet.lack_all(names, &Reason::NotApplicable("the eigenvalues did not converge"));
    };
    let total: f64 = squares.iter().sum();
    sheet.put(norm_name, total.sqrt());
    sheet.put(spectral, squares[0].sqrt());
    sheet.put(logit, (total / width as f64).sqrt());
    let value = if total == 0.0 {
        Err(Reason::AllZero)
    } else if width < 2 {
        Err(Reason::TooFew { needs: 2 })
    } else {
        let shares = squares.iter().map(|square| square / total).filter(|p| *p > 0.0);
        Ok(-shares.map(|p| p * p.ln()).sum::<f64>() / (width as f64).ln())
    };
    sheet.put_or(entropy, value);
}

/// The layer's figures over its heads.
fn layer(heads: &[SubjectReading], layer: u32) -> SubjectReading {
    let mut sheet = Sheet::default();
    for (name, of) in [("ov_norm_min_over_median", "ov_norm"), ("qk_norm_min_over_median", "qk_norm")] {
        let mut values: Vec<f64> = heads.iter().filter_map(|head| head.samples.get(of).copied()).collect();
        values.sort_by(f64::total_cmp);
        let median = values.get(values.len() / 2).copied();
        sheet.put_or(
            name,
            match median {
                Some(median) if median > 0.0 && values.len() == heads.len() => Ok(values[0] / median),
                Some(_) if values.len() == heads.len() => Err(Reason::AllZero),
                _ => Err(Reason::NotFinite),
            },
        );
    }
    reading(Subject::Layer(layer), sheet)
}

const CLUSTERS: [MetricName; 5] =
    ["ward_height_min", "ward_height_max", "ward_clusters", "head_distance_mean", "head_distance_spread"];

/// Which heads resemble each other: Ward linkage on their mean query vectors.
fn cluster(means: &[Vec<f64>], layer: &mut SubjectReading) {
    /// Share of the highest merge at which the tree is cut: scipy's default for colouring.
    const CUT: f64 = 0.7;
    let mut sheet = Sheet::default();
    let merges = ward::ward(means);
    if means.len() < 2 {
        sheet.lack_all(&CLUSTERS, &Reason::TooFew { needs: 2 });
    } else if merges.is_empty() {
        sheet.lack_all(&CLUSTERS, &Reason::NotFinite);
    } else {
        let distances = distances(means);
        let count = distances.len() as f64;
        let mean = distances.iter().sum::<f64>() / count;
        let spread = (distances.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / count).sqrt();
        sheet.put("ward_height_min", merges[0].height);
        sheet.put("ward_height_max", merges[merges.len() - 1].height);
        sheet.put("ward_clusters", ward::clusters_at(&merges, CUT) as f64);
        sheet.put("head_distance_mean", mean);
        sheet.put_or(
            "head_distance_spread",
            if mean > 0.0 { Ok(spread / mean) } else { Err(Reason::Constant) },
        );
        layer.lists.insert("ward_heights", merges.iter().map(|merge| merge.height).collect());
        let pairs = merges.iter().flat_map(|merge| [merge.left as f64, merge.right as f64]);
        layer.lists.insert("ward_merges", pairs.collect());
    }
    layer.samples.extend(sheet.samples);
    layer.absent.extend(sheet.absent);
}

fn distances(points: &[Vec<f64>]) -> Vec<f64> {
    let pairs = points.iter().enumerate().flat_map(|(i, a)| points[i + 1..].iter().map(move |b| (a, b)));
    pairs.map(|(a, b)| a.iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt()).collect()
}
