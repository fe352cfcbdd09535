//! Weights that shrink all together.
//!
//! The size of a matrix says little by itself: what a decay takes away the updates fill up again, and in a
//! young run sizes change for many reasons. But a decay moves a matrix straight towards 0, while updates move
//! it mostly sideways. So it is the *projection* of the movement on the matrix itself that is judged: by it
//! alone a decoupled decay shows as its own number per unit of learning-rate time, however fast the updates
//! refill the matrix.

use crate::detect::entry::{Entry, Parameter, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::panel::{Habit, Panel, median};
use crate::detect::view::{View, is_matrix, value};
use crate::terms::{Severity, Subject, TensorReading};

/// Most matrices move towards 0 faster than any usual decay takes them there.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "weight_decay_too_strong",
        severity: Severity::Warning,
        proof: Proof::Structure,
        summary: "all matrices begin to shrink faster than any usual weight decay shrinks them",
        what: "The movement of a matrix since the checkpoint before, projected on the matrix itself (size ratio times `cosine_to_previous`, less 1), is what a decay leaves behind: updates move it mostly sideways. The median projection over all matrices inside the layers is below minus `fall_min`, at least nine tenths of them are negative, and, divided by learning-rate time, it implies a decay above `decay_min` and above twice the largest of the window (three intervals must be known); or, where updates make the matrices grow by more than that, the median projection over learning-rate time falls by as much from one interval to the next, by more than twice its largest fall of the window, and by half of what it was, in nine tenths of the matrices alike. Where the optimizer does not normalise its steps or no learning rate is logged, the median change of the natural logarithm of rms must instead fall by more than `fall_min` below its own pace and by more than three times its worst excursion, in three quarters of the matrices.",
        cause: "Weight decay or an L2 penalty raised by mistake (a factor 10, a change of units, decay applied twice), a learning rate that multiplies a decoupled decay.",
        remedy: "Compare the optimizer's settings with those before; resume from the last good checkpoint with the old decay.",
        evidence: "rms and cosine_to_previous of all matrices, learning rate",
        parameters: &[
            Parameter {
                name: "fall_min",
                default: 0.01,
                min: 0.0001,
                max: 1.0,
                doc: "share of its size that the median matrix loses in one interval",
            },
            DECAY_MIN,
        ],
        enabled: true,
        since: "0.1.0",
    },
    look,
};

/// A decay that nobody sets on purpose.
pub const DECAY_MIN: Parameter = Parameter {
    name: "decay_min",
    default: 1.0,
    min: 0.0,
    max: 1000000.0,
    doc: "implied decay per unit of learning-rate time; settings in use lie between 0.01 and 0.3",
};
/// Points with a usual pace that are needed where the optimizer has no bound.
const POINTS_MIN: usize = 5;
/// Points of the past whose implied decay is known.
const WINDOW: usize = 32;
/// Fewer of them tell nothing.
const PAST_MIN: usize = 3;
/// Times the largest decay of the past that is news.
pub const PAST_MARGIN: f64 = 2.0;
/// Share of their growth that matrices may lose from one interval to the next by themselves: as they grow, the same updates
/// add a smaller share. A quarter was seen under Lion at a high rate; a decay that mattered took nine tenths.
const SLOWING_SHARE: f64 = 0.5;
/// Median cosine to the checkpoint before below which matrices are replaced rather than trained on.
const COSINE_MIN: f64 = 0.8;
/// Intervals shorter than this share of the longest are the end of a decay, or a warm-up's first steps.
const SHORT: f64 = 0.2;
/// Fewer matrices than this are no majority.
const MATRICES_MIN: usize = 4;

fn look(view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign> {
    let inside = |tensor: &&TensorReading| is_matrix(&tensor.facts) && tensor.facts.meaning.layer.is_some();
    let matrices: Vec<&TensorReading> = view.reading.tensors.iter().filter(inside).collect();
    if matrices.len() < MATRICES_MIN {
        return Vec::new();
    }
    if view.motion.normalised {
        let shrinking = by_projection(view, &matrices, parameters);
        let sure = shrinking.as_ref().is_some_and(|sign| sign.score >= 1.0);
        if sure { shrinking } else { by_fall(view, &matrices, parameters).or(shrinking) }
    } else {
        by_size(view, &matrices, parameters)
    }
    .into_iter()
    .collect()
}

/// Share of itself that a matrix moved along itself in one interval: minus the decay, where the updates are
/// orthogonal to it.
fn along(before: f64, now: f64, cosine: f64) -> f64 {
    now / before * cosine - 1.0
}

/// Median implied decay per unit of learning-rate time at each trusted checkpoint of the window.
fn past_decays(view: &View<'_>, matrices: &[&TensorReading]) -> Vec<f64> {
    let points = view.history.points().len();
    let columns: Vec<(&str, &[f32], &[f32])> = matrices
        .iter()
        .map(|tensor| {
            (&*tensor.facts.name, view.past(tensor, "rms"), view.past(tensor, "cosine_to_previous"))
        })
        .collect();
    (points.saturating_sub(WINDOW).max(1)..points)
        .filter_map(|point| {
            let each = columns.iter().filter_map(|(name, sizes, cosines)| {
                let fit = view.trusted(point, Some(name)) && view.trusted(point - 1, Some(name));
                let (before, now) = (*sizes.get(point - 1)?, *sizes.get(point)?);
                let share = along(f64::from(before), f64::from(now), f64::from(*cosines.get(point)?));
                fit.then_some(-share / view.pace.intervals[point])
            });
            median(each)
        })
        .collect()
}

fn by_projection(view: &View<'_>, matrices: &[&TensorReading], parameters: &Parameters<'_>) -> Option<Sign> {
    let of = |metric| {
        let trusted = matrices.iter().filter(|tensor| !view.previous_tainted(&tensor.facts.name));
        trusted.filter_map(move |tensor| Some((*tensor, value(tensor, metric)?)))
    };
    // Where the past is nearly gone, a projection on it says nothing.
    if median(of("cosine_to_previous").map(|(_, cosine)| cosine))? < COSINE_MIN {
        return None;
    }
    let shares: Vec<f64> = of("cosine_to_previous")
        .filter_map(|(tensor, cosine)| Some(along(view.last(tensor, "rms")?, value(tensor, "rms")?, cosine)))
        .filter(|share| share.is_finite())
        .collect();
    let shrinking = shares.iter().filter(|share| **share < 0.0).count();
    let fall = -median(shares.iter().copied())?;
    let decay = fall / view.pace.now;
    let past = past_decays(view, matrices);
    let most = past.iter().copied().fold(0.0, f64::max);
    let limit = parameters.get("decay_min").max(PAST_MARGIN * most);
    let score = (fall / parameters.get("fall_min")).min(decay / limit);
    let few = shares.len() < MATRICES_MIN || past.len() < PAST_MIN || 10 * shrinking < 9 * shares.len();
    if few || score.is_nan() || score < 0.5 {
        return None;
    }
    let summary = format!(
        "{shrinking} of {} matrices shrink, the median one by {:.1} % in one interval: a weight decay of about {decay:.1}",
        shares.len(),
        fall * 100.0
    );
    let expected = format!(
        "a decay of at most {most:.2} per unit of learning-rate time, as before; settings in use: 0.01 to 0.3"
    );
    let mut sign = Sign::sure(RULE.entry.severity, summary);
    sign.score = score;
    sign.confidence = 0.97;
    sign.evidence = vec![evidence(Subject::Model, "rms", Some(-fall), expected)];
    sign.dissent = others(shares.len() - shrinking);
    Some(sign)
}

/// What began to shrink may go on growing, where its updates lead outwards by more than the decay takes. The updates' part
/// of the projection changes slowly, so that what all matrices lose of it in one interval is the decay that was added.
fn by_fall(view: &View<'_>, matrices: &[&TensorReading], parameters: &Parameters<'_>) -> Option<Sign> {
    // Held against the newest interval before the fault, for as long as it lasts.
    let whole = |point: &usize| view.trusted(*point, None) && view.trusted(point - 1, None);
    let point = (1..view.history.points().len()).rev().take(WINDOW).find(whole)?;
    let interval = view.pace.intervals[point];
    let longest = view.pace.intervals.iter().copied().fold(view.pace.now, f64::max);
    if interval.min(view.pace.now) < SHORT * longest {
        return None;
    }
    let falls: Vec<f64> = matrices
        .iter()
        .filter_map(|tensor| {
            let name = Some(&*tensor.facts.name);
            let (sizes, cosines) = (view.past(tensor, "rms"), view.past(tensor, "cosine_to_previous"));
            let size = |point: usize| sizes.get(point).copied().map(f64::from);
            let last = along(size(point - 1)?, size(point)?, f64::from(*cosines.get(point)?)) / interval;
            let before = view.last(tensor, "rms")?;
            let now = along(before, value(tensor, "rms")?, value(tensor, "cosine_to_previous")?);
            (view.trusted(point, name) && view.trusted(point - 1, name)).then_some(last - now / view.pace.now)
        })
        .filter(|fall| fall.is_finite())
        .collect();
    let added = median(falls.iter().copied())?;
    let alike = falls.iter().filter(|fall| **fall > added / 2.0).count();
    let past = past_decays(view, matrices);
    let most = past.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
    let growth = -past.last()?;
    let limit = parameters.get("decay_min").max(PAST_MARGIN * most).max(SLOWING_SHARE * growth);
    let taken = added * view.pace.now;
    let score = (taken / parameters.get("fall_min")).min(added / limit);
    let few = falls.len() < MATRICES_MIN || past.len() < POINTS_MIN || 10 * alike < 9 * falls.len();
    if few || score.is_nan() || score < 1.0 {
        return None;
    }
    let summary = format!(
        "{alike} of {} matrices lose {:.1} % of themselves to what began in this interval: a weight decay of about {added:.1}",
        falls.len(),
        taken * 100.0
    );
    let expected =
        format!("within {most:.2} per unit of learning-rate time from one interval to the next, as before");
    let mut sign = Sign::sure(RULE.entry.severity, summary);
    sign.score = score;
    sign.confidence = 0.95;
    sign.evidence = vec![evidence(Subject::Model, "rms", Some(-taken), expected)];
    sign.dissent = others(falls.len() - alike);
    Some(sign)
}

fn by_size(view: &View<'_>, matrices: &[&TensorReading], parameters: &Parameters<'_>) -> Option<Sign> {
    let panel = Panel::of_tensors(view, matrices, "rms", false, |rms, _| rms.ln());
    let each = panel.deviations(Habit::Rate);
    let common = panel.common_mode();
    let all = common.deviations(Habit::Rate);
    let fallen = each.now.iter().filter(|deviation| **deviation < 0.0).count();
    let step = common.step(0);
    let score = -all.score(0, parameters.get("fall_min"), 3.0);
    let usual = view.pace.is_lr_time && -step / view.pace.now < parameters.get("decay_min");
    let few = all.points < POINTS_MIN || 4 * fallen < 3 * matrices.len();
    if few || score.is_nan() || score < 0.5 || step >= 0.0 || usual {
        return None;
    }
    let shrunk = (1.0 - step.exp()) * 100.0;
    let summary = format!(
        "{fallen} of {} matrices shrink: the median one by {shrunk:.1} % in one interval",
        matrices.len()
    );
    let expected =
        format!("within {:.2} % of its own pace", 100.0 * (3.0 * all.worst).max(parameters.get("fall_min")));
    let mut sign = Sign::sure(RULE.entry.severity, summary);
    sign.score = score;
    sign.confidence = 0.9;
    sign.evidence = vec![evidence(Subject::Model, "rms", Some(step), expected)];
    sign.dissent = others(matrices.len() - fallen);
    Some(sign)
}

fn others(count: usize) -> Vec<String> {
    if count == 0 { Vec::new() } else { vec![format!("{count} matrices do not shrink")] }
}
