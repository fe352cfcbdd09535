//! A run that goes another way than the one that it is compared with.

use crate::terms::{Severity, Subject, TensorReading};

use super::baseline::{Baseline, COMPARED, Place};
use super::entry::{Entry, Parameter, Parameters, Proof, Rule, Sign, evidence};
use super::view::{View, is_matrix, subject, value};

/// Fewer matrices than this are no band.
const MATRICES_MIN: usize = 4;
/// Matrices that the stored run must have too, as a share: it is of another model otherwise.
const COMPARABLE_MIN: f64 = 0.5;

/// Many matrices are of another size or rank than those of the stored run were there.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "unlike_baseline",
        severity: Severity::Warning,
        proof: Proof::Comparison,
        summary: "many matrices are unlike those of the baseline run at the same point of its way",
        what: "Only where `detect.baseline` (or `--baseline`) names a stored run. The rms, or the effective rank, of at least `tensors_share` of the matrices that both have with equal dimensions differs by more than `band` (natural logarithm) from the stored run's at the same learning-rate time, at the same step where either logs none, and did at the checkpoint before. Other seeds of one recipe stay within the band in 93 % of the matrices; what the logged learning rate explains is no difference. At least half of the matrices must be comparable; nothing is said beyond the stored run's end.",
        cause: "Another recipe than the baseline's: optimizer, initialisation, weight decay, a start from trained weights; or a fault that moves the whole model.",
        remedy: "Compare both configurations; `weighbridge diff` of two checkpoints of the same step shows which tensors differ.",
        evidence: "rms, effective_rank, learning rate",
        parameters: &[
            Parameter {
                name: "band",
                default: 0.35,
                min: 0.01,
                max: 100.0,
                doc: "difference of natural logarithms that counts; 0.35 is 1.42 times",
            },
            Parameter {
                name: "tensors_share",
                default: 0.25,
                min: 0.01,
                max: 1.0,
                doc: "share of the compared matrices that must be out of the band",
            },
        ],
        enabled: true,
        since: "0.1.0",
    },
    look,
};

fn look(view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign> {
    view.baseline.and_then(|baseline| unlike(view, baseline, parameters)).into_iter().collect()
}

/// A matrix out of the band, and by how much.
type Out<'a> = (&'a TensorReading, f64);

fn unlike(view: &View<'_>, baseline: &Baseline, parameters: &Parameters<'_>) -> Option<Sign> {
    let band = parameters.get("band");
    let place = baseline.place(view.trainer(), view.schedule.step)?;
    let matrices: Vec<&TensorReading> =
        view.reading.tensors.iter().filter(|tensor| is_matrix(&tensor.facts)).collect();
    let compared: Vec<&TensorReading> = matrices
        .iter()
        .copied()
        .filter(|tensor| baseline.has(&tensor.facts.name, &tensor.facts.shape))
        .collect();
    if compared.len() < MATRICES_MIN || (compared.len() as f64) < COMPARABLE_MIN * matrices.len() as f64 {
        return None;
    }
    let before = before(view, baseline);
    let worst = (0..COMPARED.len())
        .map(|metric| (metric, out(view, baseline, &compared, metric, band, place, before)))
        .max_by_key(|(_, out)| out.len());
    let (metric, out) = worst.filter(|(_, out)| !out.is_empty())?;
    let share = out.len() as f64 / compared.len() as f64;
    let (count, name) = (compared.len(), COMPARED[metric]);
    let summary = format!(
        "{} of {count} matrices are out of the band of {} by their {name}, {} by {:.2} times",
        out.len(),
        baseline.run,
        out[0].0.facts.name,
        out[0].1.abs().exp()
    );
    let mut sign = Sign::sure(RULE.entry.severity, summary);
    sign.score = share / parameters.get("tensors_share");
    sign.confidence = 0.9;
    sign.tensors = out.iter().map(|(tensor, _)| tensor.facts.name.to_string()).collect();
    sign.evidence = vec![evidence(
        Subject::Model,
        "tensors_out_of_band_ratio",
        Some(share),
        format!("below {} as between seeds of one recipe", parameters.get("tensors_share")),
    )];
    sign.evidence.extend(out.iter().map(|(tensor, apart)| {
        let now = value(tensor, name);
        let there = now.map_or(f64::NAN, |now| now / apart.exp());
        evidence(subject(tensor), name, now, format!("near {there:.4e}, as in {} there", baseline.run))
    }));
    let inside = count - out.len();
    if inside > 0 {
        sign.dissent.push(format!("{inside} of {count} compared matrices are within the band"));
    }
    Some(sign)
}

/// Index in the history of the newest whole checkpoint, and its place.
fn before(view: &View<'_>, baseline: &Baseline) -> Option<(usize, Place)> {
    let point = view.newest_whole()?;
    let step = view.history.points().get(point)?.key.step.0;
    Some((point, baseline.place(view.trainer(), step)?))
}

/// Matrices whose metric is out of the band now, and at the checkpoint before where there is one; farthest
/// first.
fn out<'a>(
    view: &View<'_>,
    baseline: &Baseline,
    compared: &[&'a TensorReading],
    metric: usize,
    band: f64,
    place: Place,
    before: Option<(usize, Place)>,
) -> Vec<Out<'a>> {
    let name = COMPARED[metric];
    let was_out = |tensor: &TensorReading| {
        let Some((point, place)) = before else { return view.readings() == 0 };
        let then = view.past(tensor, name).get(point).map(|&then| f64::from(then));
        let there = baseline.log(&tensor.facts.name, metric, place);
        then.zip(there).is_some_and(|(then, there)| (then.ln() - there).abs() > band)
    };
    let apart = |tensor: &TensorReading| {
        let now = value(tensor, name).filter(|now| *now > 0.0)?;
        Some(now.ln() - baseline.log(&tensor.facts.name, metric, place)?)
    };
    let mut out: Vec<Out<'_>> = compared
        .iter()
        .filter_map(|&tensor| Some((tensor, apart(tensor)?)))
        .filter(|(tensor, apart)| apart.abs() > band && was_out(tensor))
        .collect();
    out.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then(a.0.facts.name.cmp(&b.0.facts.name)));
    out
}
