//! Tensors that are read whole: decoded to f64 and sorted. Simple and exact for every dtype.

use super::cells::{Ranked, from_values};
use super::change::{self, Change};
use super::decode::to_f64;
use super::inventory::Special;
use super::job::{Job, Outcome};
use super::rows::Sums;
use super::{elements, inventory, moments, precision, rows, shape};
use crate::terms::SourceError;

/// Weighs one tensor in memory.
pub(super) fn weigh(job: &Job<'_>) -> Result<Outcome, SourceError> {
    let bytes = job.read_whole()?;
    let mut values = Vec::new();
    to_f64(job.info.dtype, &bytes, &mut values);
    let mut out = Outcome::new(job);
    out.content_hash = xxhash_rust::xxh3::xxh3_64(&bytes);
    let special = special(&values);
    inventory::measure(job.info, special, &mut out.sheet);
    let mut finite: Vec<f64> = values.iter().copied().filter(|x| x.is_finite()).collect();
    let moments = moments::of_values(&finite);
    elements::measure(&moments, &mut out.sheet);
    let cells = from_values(&mut finite);
    let ranked = Ranked::new(&cells);
    shape::measure(&ranked, &moments, None, &mut out.sheet);
    precision::measure(job, &ranked, &mut out.sheet);
    out.remember_quantiles(job, &ranked);
    match job.no_rows(&special) {
        Some(reason) => rows::lack(&reason, &mut out.sheet),
        None => measure_rows(job, &values, &mut out),
    }
    if let Some((mut sums, interval)) = compare(job, &values)? {
        change::measure(
            job.info,
            &mut sums,
            &interval,
            rows::sides(&job.info.shape).is_some(),
            &mut out.sheet,
        );
        out.change = Some((sums.all.square, sums.all.before));
    }
    if job.sketch_len > 0 {
        let narrow: Vec<f32> = values.iter().map(|&x| x as f32).collect();
        out.sketch_whole(job, &narrow);
    }
    Ok(out)
}

fn special(values: &[f64]) -> Special {
    values.iter().fold(Special::default(), |mut special, x| {
        special.nan += u64::from(x.is_nan());
        special.inf += u64::from(x.is_infinite());
        special.zero += u64::from(*x == 0.0);
        special
    })
}

fn measure_rows(job: &Job<'_>, values: &[f64], out: &mut Outcome) {
    let Some((row_count, columns)) = rows::sides(&job.info.shape) else { return };
    let mut sums = Sums { column_square: vec![0.0; columns as usize], ..Sums::default() };
    let mut normalized = Vec::with_capacity(values.len());
    for row in values.chunks_exact(columns as usize) {
        let n = columns as f64;
        let mean = row.iter().sum::<f64>() / n;
        sums.row_variance.push(row.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n);
        let square = row.iter().map(|x| x * x).sum::<f64>() / n;
        sums.row_square.push(square);
        for (sum, x) in sums.column_square.iter_mut().zip(row) {
            *sum += x * x / row_count as f64;
        }
        if square > 0.0 {
            normalized.extend(row.iter().map(|x| x / square.sqrt()));
        }
    }
    rows::measure_sums(&mut sums, &mut out.sheet);
    normalized.retain(|x| x.is_finite());
    let moments = moments::of_values(&normalized);
    rows::measure_normalized(&Ranked::new(&from_values(&mut normalized)), &moments, None, &mut out.sheet);
}

/// Compares with the previous checkpoint's tensor, if it is there.
fn compare(job: &Job<'_>, now: &[f64]) -> Result<Option<(Change, change::Interval)>, SourceError> {
    let Some(previous) = &job.previous else { return Ok(None) };
    let Some(bytes) = previous.read_whole() else { return Ok(None) };
    let mut before = Vec::with_capacity(now.len());
    to_f64(previous.info.dtype, &bytes, &mut before);
    let mut change = Change::default();
    let width = job.row_len().max(1);
    let reach = previous.interval.reach(job.info.dtype);
    for (now, before) in now.chunks(width).zip(before.chunks(width)) {
        let row = change::compare_row(now, before, reach, &mut change);
        change.close_row(&row);
    }
    let limit = change::SPIKE_RMS * change.rms();
    if change.abs_max > limit {
        for (now, before) in now.chunks(width).zip(before.chunks(width)) {
            change.count_spikes(now, before, limit);
        }
    }
    Ok(Some((change, previous.interval)))
}
