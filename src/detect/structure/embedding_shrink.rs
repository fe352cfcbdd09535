//! A token embedding that a decay of its own shrinks.

use crate::detect::entry::{Entry, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::panel::median;
use crate::detect::structure::weight_decay_too_strong::{DECAY_MIN, PAST_MARGIN};
use crate::detect::view::{View, is_matrix, subject, value};
use crate::terms::{Role, Severity, TensorReading};

/// The embedding moves straight towards 0, the layers do not.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "embedding_shrink",
        severity: Severity::Warning,
        proof: Proof::Structure,
        summary: "the token embedding shrinks towards 0, and the layers do not",
        what: "The movement of the token embedding projected on itself (size ratio times `cosine_to_previous`, less 1), divided by learning-rate time, implies a decay above `decay_min` and above twice the largest of its own past at each of the newest two checkpoints, and takes at least a hundredth of its size each time; `token_norm_median` fell by at least half as much; and the median matrix inside the layers shows less than a third of it. Where all shrink, `weight_decay_too_strong` tells. Judged where a learning rate is logged; `decay_min` holds while the run's own speed shows an optimizer that normalises its steps.",
        cause: "Weight decay or an L2 penalty raised for the embedding alone, a parameter group with the wrong settings. Small embeddings make early layers unstable.",
        remedy: "Check the embedding's parameter group, and leave embeddings out of weight decay; resume from the last good checkpoint.",
        evidence: "rms, cosine_to_previous, token_norm_median, learning rate",
        parameters: &[DECAY_MIN],
        enabled: true,
        since: "0.1.0",
    },
    look,
};

/// Share of its size that an interval must take.
const FALL_MIN: f64 = 0.01;
/// Points whose implied decay is known; fewer tell nothing.
const PAST_MIN: usize = 4;
/// Points that tell the past.
const WINDOW: usize = 32;
/// Share of the embedding's decay that the layers may have.
const LAYERS_MAX: f64 = 1.0 / 3.0;

fn look(view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign> {
    if !view.pace.is_lr_time {
        return Vec::new();
    }
    // Under plain gradient steps usual decays differ by powers of ten, and the table's own past must do.
    let decay_min = if view.motion.normalised { parameters.get("decay_min") } else { 0.0 };
    let tensors = view.reading.tensors.iter();
    let tables = tensors.filter(|tensor| tensor.facts.meaning.role == Role::TokenEmbedding);
    tables.filter_map(|table| shrinks(view, table, decay_min)).collect()
}

/// Share of itself that a matrix lost along itself at each trusted point of the window, and now.
fn losses(view: &View<'_>, tensor: &TensorReading) -> Option<(Vec<f64>, f64)> {
    let (sizes, cosines) = (view.past(tensor, "rms"), view.past(tensor, "cosine_to_previous"));
    let lost = |before: f64, now: f64, cosine: f64| 1.0 - now / before * cosine;
    let name = Some(&*tensor.facts.name);
    let points = sizes.len().min(cosines.len());
    let past = (1..points)
        .map(|point| {
            let fit = view.trusted(point, name) && view.trusted(point - 1, name);
            let size = |point: usize| f64::from(sizes[point]);
            if fit { lost(size(point - 1), size(point), f64::from(cosines[point])) } else { f64::NAN }
        })
        .collect();
    let now = lost(view.last(tensor, "rms")?, value(tensor, "rms")?, value(tensor, "cosine_to_previous")?);
    (!view.previous_tainted(&tensor.facts.name)).then_some((past, now))
}

fn shrinks(view: &View<'_>, table: &TensorReading, decay_min: f64) -> Option<Sign> {
    let (past, now) = losses(view, table)?;
    // The newest two intervals must agree; those before tell how it was.
    let (last, past) = past.split_last()?;
    let intervals = &view.pace.intervals;
    let from = (past.len() + 1).saturating_sub(WINDOW);
    let known: Vec<f64> = past
        .iter()
        .enumerate()
        .skip(from)
        .map(|(point, lost)| lost / intervals[point + 1])
        .filter(|decay| decay.is_finite())
        .collect();
    let most = known.iter().copied().fold(0.0, f64::max);
    let limit = decay_min.max(PAST_MARGIN * most);
    let decay = now / view.pace.now;
    let recent = [(*last, last / intervals.get(past.len() + 1)?), (now, decay)];
    let least =
        recent.iter().map(|(lost, decay)| (lost / FALL_MIN).min(decay / limit)).fold(f64::INFINITY, f64::min);
    // Frequent tokens' rows may go on growing: the median row tells what happens to the table.
    let (norm_before, norm) = (view.last(table, "token_norm_median")?, value(table, "token_norm_median")?);
    let fell = 1.0 - norm / norm_before > now / 2.0;
    let inside = |tensor: &&TensorReading| is_matrix(&tensor.facts) && tensor.facts.meaning.layer.is_some();
    let layers = view.reading.tensors.iter().filter(inside);
    let layers = median(layers.filter_map(|tensor| losses(view, tensor).map(|(_, now)| now)))?;
    if known.len() < PAST_MIN || least.is_nan() || least < 0.5 || !fell || layers > LAYERS_MAX * now {
        return None;
    }
    let summary = format!(
        "{} shrinks by {:.1} % an interval, as under a weight decay of about {decay:.2}; the layers do not",
        table.facts.name,
        100.0 * now
    );
    let mut sign = Sign::sure(RULE.entry.severity, summary);
    sign.score = least;
    sign.confidence = 0.95;
    sign.tensors = vec![table.facts.name.to_string()];
    let expected = format!("a decay of at most {most:.2} per unit of learning-rate time, as before");
    sign.evidence = vec![evidence(subject(table), "rms", Some(-now), expected)];
    let expected = format!("near {norm_before:.4}, as in the checkpoint before");
    sign.evidence.push(evidence(subject(table), "token_norm_median", Some(norm), expected));
    sign.dissent = vec![format!("the median matrix of the layers lost {:.2} % of itself", 100.0 * layers)];
    Some(sign)
}
