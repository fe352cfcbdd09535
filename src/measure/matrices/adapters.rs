//! LoRA: what the product of the two small factors does to the matrix that they adapt, from r × r
//! matrices alone.
//!
//! ΔW = B A, with A r × inputs and B outputs × r. Its singular values are the roots of the eigenvalues of
//! (BᵀB)(A Aᵀ). The factor alpha / r is in the adapter's configuration and is left out.

use faer::{Mat, MatRef, Par};

use super::panel::{Halt, Matrix, Scratch};
use super::tasks::{Context, Task, no_values};
use crate::measure::kernels::eigen::product_eigenvalues;
use crate::measure::kernels::{gram, spectrum};
use crate::measure::sheet::Sheet;
use crate::terms::{Family, MetricDef, Reason, Role, SubjectKind, Tier, Unit};

const ADAPTER: MetricDef = MetricDef {
    name: "",
    family: Family::Structure,
    subject: SubjectKind::Tensor,
    unit: Unit::Weight,
    tier: Tier::Two,
    help: "",
    formula: "",
    source: "LoRA: Hu et al. 2021 (arXiv 2106.09685)",
    healthy: "",
    sick: "",
    cost: "(inputs + outputs) r^2 multiply-adds",
    since: "0.1.0",
};

/// This family's entries; their subject is the tensor B.
pub(in crate::measure) const DEFS: &[MetricDef] = &[
    MetricDef {
        name: "lora_delta_norm",
        help: "Frobenius norm of the product of a LoRA pair, without the factor alpha / r",
        formula: "||B A||_F = sqrt(tr(B^T B A A^T))",
        healthy: "0 before the first step, then growing ever more slowly",
        sick: "0 after training began: B is not trained; exponential growth: learning rate or alpha too high",
        ..ADAPTER
    },
    MetricDef {
        name: "lora_delta_spectral_norm",
        help: "Largest singular value of the product of a LoRA pair, without the factor alpha / r",
        formula: "s_1(B A)",
        healthy: "of the order of lora_delta_norm",
        sick: "doubles within a few checkpoints",
        ..ADAPTER
    },
    MetricDef {
        name: "lora_stable_rank",
        unit: Unit::One,
        help: "Directions that the product of a LoRA pair uses",
        formula: "||B A||_F^2 / s_1(B A)^2",
        source: "use of rank: grows as r^0.23 to r^0.30, about 3 of 64 (SSRN 6580122)",
        healthy: "1.5 to 4",
        sick: "1.0 in all layers: collapse to one direction",
        ..ADAPTER
    },
    MetricDef {
        name: "lora_effective_rank",
        unit: Unit::One,
        help: "Exponential of the entropy of the singular values of the product of a LoRA pair",
        formula: "exp(-sum p ln p), p = s / sum s of B A",
        source: "Roy and Vetterli 2007",
        healthy: "above lora_stable_rank, below r",
        sick: "1.0 in all layers: collapse to one direction",
        ..ADAPTER
    },
    MetricDef {
        name: "lora_delta_ratio",
        unit: Unit::One,
        help: "Norm of the product of a LoRA pair over the norm of the matrix that it adapts",
        formula: "||B A||_F / ||W_0||_F, without the factor alpha / r",
        healthy: "0.001 to 0.05",
        sick: "above 0.2: the adapter overwrites the model",
        ..ADAPTER
    },
];

fn lack(reason: &Reason, sheet: &mut Sheet) {
    DEFS.iter().for_each(|def| sheet.lack(def.name, reason.clone()));
}

/// Names of A's and B's in the trainers that write them.
const NAMES: [(&str, &str); 4] = [
    ("lora_A", "lora_B"),
    ("lora_a", "lora_b"),
    ("lora_embedding_A", "lora_embedding_B"),
    ("lora_down", "lora_up"),
];

/// One task a pair.
pub(super) fn tasks<'a>(context: &'a Context<'a>) -> Vec<Task<'a>> {
    let mut tasks = Vec::new();
    for (index, b) in context.of_role(Role::LoraB) {
        let partner = NAMES.iter().find_map(|(a, b_name)| {
            let name = b.facts.name.contains(b_name).then(|| b.facts.name.replace(b_name, a))?;
            context.of_role(Role::LoraA).find(|(_, reading)| *reading.facts.name == *name)
        });
        let pair = partner.and_then(|(a_index, a)| {
            let matrices = (Matrix::of(context.source, a_index)?, Matrix::of(context.source, index)?);
            (matrices.0.rows == matrices.1.columns).then_some((matrices, a))
        });
        let Some(((a, b_matrix), a_reading)) = pair else {
            let reason = Reason::NotApplicable("no factor A of the same rank goes with it");
            tasks.push(Task::lacking(index, lack, reason));
            continue;
        };
        let sick = [a_reading, b].into_iter().filter_map(no_values).find(|r| *r == Reason::NotFinite);
        if let Some(reason) = sick {
            tasks.push(Task::lacking(index, lack, reason));
            continue;
        }
        let base = base_norm(context, &b.facts.name);
        let cost = ((a.columns + b_matrix.rows) * a.rows * a.rows) as f64 / 1e9;
        tasks.push(Task::of_tensor(index, cost, lack, move |scratch, _, sheet| {
            measure(&a, &b_matrix, base, scratch, sheet)
        }));
    }
    tasks
}

/// Norm of the adapted matrix, where it is in the same file.
fn base_norm(context: &Context<'_>, name: &str) -> Option<f64> {
    let stem = &name[..NAMES.iter().filter_map(|(_, b)| name.find(b)).min()?];
    let base = [format!("{stem}base_layer.weight"), format!("{stem}weight")];
    let (_, _, reading) = context.readable().find(|(_, _, r)| base.iter().any(|b| **b == *r.facts.name))?;
    let elements: u64 = reading.facts.shape.iter().product();
    Some(reading.samples.get("rms")? * (elements as f64).sqrt()).filter(|norm| *norm > 0.0)
}

fn measure(
    a: &Matrix<'_>,
    b: &Matrix<'_>,
    base: Option<f64>,
    scratch: &mut Scratch,
    sheet: &mut Sheet,
) -> Result<(), Halt> {
    let rank = a.rows;
    let mut of_a = Mat::zeros(rank, rank);
    a.each_column_panel(a.columns_of_panel(), scratch, |count, values| {
        gram::accumulate(&mut of_a, MatRef::from_row_major_slice(values, rank, count), Par::Seq);
        Ok(())
    })?;
    let mut of_b = Mat::zeros(rank, rank);
    b.each_row_panel(scratch, |_, values| {
        let rows = values.len() / rank;
        gram::accumulate(&mut of_b, MatRef::from_column_major_slice(values, rank, rows), Par::Seq);
        Ok(())
    })?;
    gram::symmetrize(&mut of_a);
    gram::symmetrize(&mut of_b);
    let unsolved = Reason::NotApplicable("the eigenvalues did not converge");
    let squares = product_eigenvalues(&of_a, &of_b).ok_or(unsolved)?;
    let total: f64 = squares.iter().sum();
    sheet.put("lora_delta_norm", total.sqrt());
    sheet.put("lora_delta_spectral_norm", squares.first().copied().unwrap_or(0.0).sqrt());
    let no_base = Reason::NotApplicable("the adapted matrix is not in this checkpoint");
    sheet.put_or("lora_delta_ratio", base.map(|base| total.sqrt() / base).ok_or(no_base));
    if total > 0.0 {
        let singular: Vec<f64> = squares.iter().map(|square| square.sqrt()).collect();
        sheet.put("lora_stable_rank", total / squares[0]);
        sheet.put_or("lora_effective_rank", spectrum::effective_rank(&singular).ok_or(Reason::AllZero));
    } else {
        sheet.lack_all(&["lora_stable_rank", "lora_effective_rank"], &Reason::AllZero);
    }
    Ok(())
}
