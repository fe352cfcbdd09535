//! What the number format does to the tensor: values at its ends, values that are few, steps too small
//! to be stored.
//!
//! All of it comes from the sorted values that the shape is made from.

use super::cells::{Cell, Ranked};
use super::job::Job;
use super::sheet::Sheet;
use crate::terms::{Dtype, Family, MetricDef, MetricName, Reason, SubjectKind, Tier, Unit};

const PRECISION: MetricDef = MetricDef {
    name: "",
    family: Family::Precision,
    subject: SubjectKind::Tensor,
    unit: Unit::Count,
    tier: Tier::One,
    help: "",
    formula: "",
    source: "IEEE 754; Micikevicius et al. 2022 (arXiv 2209.05433) for 8-bit floats",
    healthy: "",
    sick: "",
    cost: "none beside the count of the shape metrics",
    since: "0.1.0",
};

/// This family's entries.
pub(super) const DEFS: &[MetricDef] = &[
    MetricDef {
        name: "saturated_elements",
        help: "Finite elements at the largest magnitude that the dtype holds",
        formula: "count of |w| >= the dtype's largest finite value (448 for F8_E4M3, 65504 for F16, 127 for I8)",
        healthy: "0 in every matrix of 13 healthy small runs (F32, BF16); 8-bit weights scaled to their own maximum were not looked at",
        sick: "above 0 in 16-bit or 32-bit floats: overflow was clipped; rising in 8-bit ones: the scale is stale",
        ..PRECISION
    },
    MetricDef {
        name: "subnormal_elements",
        help: "Elements below the dtype's smallest normal magnitude that are not zero",
        formula: "count of 0 < |w| < 2^-126 (F32, BF16), 2^-14 (F16, F8_E5M2), 2^-6 (F8_E4M3), 2^-1022 (F64)",
        healthy: "0 in every matrix of 13 healthy small runs (F32, BF16); F16 was not looked at",
        sick: "above 0 in F32 or BF16: values decay to nothing without a gradient; rising in F16 and F8: precision is lost",
        ..PRECISION
    },
    MetricDef {
        name: "distinct_values",
        help: "Distinct finite values, counted up to 4096, which stands for 4096 or more",
        formula: "min(4096, number of distinct finite values), -0 and 0 being one",
        source: "quantisation grids: Dettmers et al. 2022 (arXiv 2208.07339)",
        healthy: "2000-4096 in trained matrices of F32, fewer where the matrix has fewer elements; 1032-1856 in small BF16 matrices (13 healthy runs)",
        sick: "16 or fewer in a matrix of floats: it was rounded to 4 bits; 256: to 8; 1: constant",
        ..PRECISION
    },
    MetricDef {
        name: "bf16_stall_ratio",
        unit: Unit::Ratio,
        help: "Share of elements that a typical Adam step at the logged learning rate would not move in bf16",
        formula: "share of the finite elements with 0.23 lr < ulp(w) / 2, ulp(w) = 2^(floor(log2 |w|) - 7); 0.23 = sqrt((1 - b1) / (1 + b1)), b1 = 0.9",
        source: "Zamirai et al. 2020 (arXiv 2010.06192)",
        healthy: "any value where an f32 copy of the weights is kept, as by mixed precision: then it tells what the bf16 export rounds away",
        sick: "near 1 where the weights themselves are bf16: training stands still; compare with identical_ratio, which tells what did not move",
        ..PRECISION
    },
];

/// Distinct values are counted so far: more tell nothing more.
pub(super) const DISTINCT_MAX: usize = 4096;
/// Root mean square of an Adam step of independent gradients, over the learning rate: b1 = 0.9.
const STEP_RMS: f64 = 0.229_415_733_870_561_77;
/// Half an ulp of bf16, which has 8 bits of precision, over the power of two at or below the value.
const HALF_ULP_BITS: f64 = 8.0;

const NO_FLOAT: Reason = Reason::NotApplicable("the dtype is no floating-point type");

/// Writes the family's values.
pub(super) fn measure(job: &Job<'_>, ranked: &Ranked<'_>, sheet: &mut Sheet) {
    if ranked.total() == 0 {
        for def in DEFS {
            sheet.lack(def.name, Reason::TooFew { needs: 1 });
        }
        return;
    }
    let (dtype, cells) = (job.info.dtype, ranked.cells());
    let saturated = largest(dtype).map(|most| count(cells, |cell| cell.lo >= most || cell.hi <= -most));
    sheet.put_or("saturated_elements", saturated.map(|count| count as f64));
    let subnormal = smallest_normal(dtype)
        .map(|least| count(cells, |cell| cell.mean != 0.0 && cell.lo > -least && cell.hi < least));
    sheet.put_or("subnormal_elements", subnormal.map(|count| count as f64));
    let exact = cells.iter().all(|cell| cell.lo == cell.hi);
    let distinct = if exact || cells.len() >= DISTINCT_MAX {
        Ok(cells.len().min(DISTINCT_MAX) as f64)
    } else {
        Err(Reason::NotApplicable("the values lie too close together to be told apart"))
    };
    sheet.put_or("distinct_values", distinct);
    sheet.put_or(STALL, stall(job, ranked));
}

const STALL: MetricName = "bf16_stall_ratio";

fn stall(job: &Job<'_>, ranked: &Ranked<'_>) -> Result<f64, Reason> {
    if !job.info.dtype.is_float() {
        return Err(NO_FLOAT);
    }
    let rate = job.learning_rate.filter(|rate| *rate > 0.0 && rate.is_finite());
    let rate = rate.ok_or(Reason::NotApplicable("the trainer logged no learning rate above 0"))?;
    // The smallest power of two whose half ulp is above the step.
    let limit = (((STEP_RMS * rate).log2() + HALF_ULP_BITS).floor() + 1.0).exp2();
    let stalled = count(ranked.cells(), |cell| cell.lo >= limit || cell.hi <= -limit);
    Ok(stalled as f64 / ranked.total() as f64)
}

fn count(cells: &[Cell], holds: impl Fn(&Cell) -> bool) -> u64 {
    cells.iter().filter(|cell| holds(cell)).map(|cell| cell.count).sum()
}

/// Largest magnitude of a dtype that stands for a number.
fn largest(dtype: Dtype) -> Result<f64, Reason> {
    Ok(match dtype {
        Dtype::BOOL => return Err(Reason::NotApplicable("the dtype has no range")),
        Dtype::U8 => f64::from(u8::MAX),
        Dtype::I8 => f64::from(i8::MAX),
        Dtype::U16 => f64::from(u16::MAX),
        Dtype::I16 => f64::from(i16::MAX),
        Dtype::U32 => f64::from(u32::MAX),
        Dtype::I32 => f64::from(i32::MAX),
        Dtype::U64 => u64::MAX as f64,
        Dtype::I64 => i64::MAX as f64,
        Dtype::F8_E4M3 => 448.0,
        Dtype::F8_E5M2 => 57344.0,
        Dtype::F16 => 65504.0,
        Dtype::BF16 => f64::from(half::bf16::MAX.to_f32()),
        Dtype::F32 => f64::from(f32::MAX),
        Dtype::F64 => f64::MAX,
    })
}

/// Smallest normal magnitude of a dtype.
fn smallest_normal(dtype: Dtype) -> Result<f64, Reason> {
    match dtype {
        Dtype::F8_E4M3 => Ok((-6f64).exp2()),
        Dtype::F8_E5M2 | Dtype::F16 => Ok((-14f64).exp2()),
        Dtype::BF16 | Dtype::F32 => Ok(f64::from(f32::MIN_POSITIVE)),
        Dtype::F64 => Ok(f64::MIN_POSITIVE),
        _ => Err(NO_FLOAT),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{InMemory, weighed};
    use crate::terms::Dtype;
    use crate::terms::Samples;

    fn samples(source: &InMemory, threads: usize) -> Samples {
        weighed(source, None, threads).tensors[0].samples.clone()
    }

    #[test]
    fn ends_of_the_format_are_counted() {
        let mut values = vec![0.5f32; 1 << 17];
        values[3] = f32::MAX;
        values[70_000] = -f32::MAX;
        values[4] = 1e30;
        values[5] = 1e-40;
        values[6] = -1e-45;
        values[7] = 0.0;
        let got = samples(&InMemory::f32(&[256, 512], &values), 2);
        assert_eq!((got["saturated_elements"], got["subnormal_elements"]), (2.0, 2.0));
        assert_eq!(got["distinct_values"], 7.0);
        // 0.23 * 1e-3 is below half an ulp from 2^-4 on.
        assert_eq!(got["bf16_stall_ratio"], (values.len() - 3) as f64 / values.len() as f64);
    }

    #[test]
    fn each_float_has_its_own_ends() {
        let halves: Vec<u8> = [65504f32, -65504.0, 1e-5, 1.0]
            .iter()
            .flat_map(|&x| half::f16::from_f32(x).to_le_bytes())
            .collect();
        let got = samples(&InMemory::one(Dtype::F16, &[4], halves), 1);
        assert_eq!((got["saturated_elements"], got["subnormal_elements"]), (2.0, 1.0));
        let got = samples(&InMemory::one(Dtype::F8_E4M3, &[3], vec![0x7e, 0x01, 0x38]), 1);
        assert_eq!((got["saturated_elements"], got["subnormal_elements"]), (1.0, 1.0));
        let got = samples(&InMemory::one(Dtype::I8, &[3], vec![0x7f, 0x80, 0]), 1);
        assert_eq!(got["saturated_elements"], 2.0);
        assert!(!got.contains_key("subnormal_elements"));
    }

    #[test]
    fn a_grid_shows_in_the_distinct_values() {
        let values: Vec<f32> = (0..1 << 17).map(|i| ((i * 7919) % 16) as f32 * 0.0137).collect();
        assert_eq!(samples(&InMemory::f32(&[256, 512], &values), 2)["distinct_values"], 16.0);
        let values: Vec<f32> = (0..1 << 17).map(|i| i as f32).collect();
        assert_eq!(samples(&InMemory::f32(&[256, 512], &values), 2)["distinct_values"], 4096.0);
    }
}
