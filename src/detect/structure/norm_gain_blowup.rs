//! A normalisation gain that runs away.

use crate::detect::entry::{Entry, Parameter, Parameters, Proof, Rule, Sign};
use crate::detect::marks::{log_step, marked, unusual};
use crate::detect::panel::{Habit, Panel};
use crate::detect::view::View;
use crate::terms::{Role, Severity, TensorReading};

/// A norm's gain grows faster than the optimizer or its siblings can.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "norm_gain_blowup",
        severity: Severity::Warning,
        proof: Proof::Structure,
        summary: "the gain of a normalisation grows as training does not make it grow",
        what: "The gain moved further than the optimizer can move it at the logged learning rate, and its rms rose by more than 2 %; where the optimizer has no such bound, its rms rose by more than `growth_min` and by more than twice the worst excursion of any gain of the run.",
        cause: "A feedback between the gain and a layer that shrinks, missing weight decay or too high a learning rate on gains, code that rescales gains.",
        remedy: "Check the gain's parameter group; resume from the last good checkpoint. A gain that doubles every few checkpoints ends in overflow.",
        evidence: "update_abs_max, rms",
        parameters: &[Parameter {
            name: "growth_min",
            default: 0.15,
            min: 0.01,
            max: 10.0,
            doc: "growth of the natural logarithm of rms in one interval, where the optimizer has no bound",
        }],
        enabled: true,
        since: "0.1.0",
    },
    look,
};

fn look(view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign> {
    let norms: Vec<&TensorReading> =
        view.reading.tensors.iter().filter(|tensor| tensor.facts.meaning.role == Role::Norm).collect();
    let hit: Vec<&TensorReading> = if view.motion.normalised {
        let all = unusual(view).into_iter().filter(|tensor| tensor.facts.meaning.role == Role::Norm);
        all.filter(|tensor| log_step(view, tensor, "rms").is_some_and(|step| step > 0.02)).collect()
    } else {
        let panel = Panel::of_tensors(view, &norms, "rms", false, |rms, _| rms.ln());
        let deviations = panel.deviations(Habit::Rate);
        if deviations.points < POINTS_MIN {
            return Vec::new();
        }
        let effect = parameters.get("growth_min");
        let beyond = |series: usize| deviations.score(series, effect, 2.0) >= 1.0;
        norms.iter().enumerate().filter(|(series, _)| beyond(*series)).map(|(_, tensor)| *tensor).collect()
    };
    let Some(&first) = hit.first() else { return Vec::new() };
    let grown = log_step(view, first, "rms").unwrap_or_default().exp();
    let mut signs = marked(&hit, RULE.entry.severity, "rms", |tensor| {
        format!("near {:.4}, as in the checkpoint before", view.last(tensor, "rms").unwrap_or_default())
    });
    for sign in &mut signs {
        sign.summary = format!("{} grew {grown:.2} times in one interval", first.facts.name);
        sign.confidence = 0.95;
        sign.dissent.push(format!("{} other gains go on as before", norms.len() - hit.len()));
    }
    signs
}

/// Points with a usual pace that are needed to judge without a bound.
const POINTS_MIN: usize = 5;
