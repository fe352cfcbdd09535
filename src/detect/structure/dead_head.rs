//! An attention head that was switched off.

use crate::detect::entry::{Entry, Parameter, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::view::View;
use crate::terms::{Role, Severity, Subject};

/// A head's output or scores vanish while the other heads keep theirs.
pub static RULE: Rule = Rule {
    entry: Entry {
        id: "dead_head",
        severity: Severity::Critical,
        proof: Proof::Structure,
        summary: "an attention head gives nothing any more",
        what: "`ov_norm` (what the head can write) or `qk_norm` (what it can tell apart) of one head falls to at most `share_max` of its own usual value in one interval while another head of its layer keeps its own. A head that was weak from the start, or that faded over many checkpoints, is no fault.",
        cause: "A mask or pruning that stayed on, a slice of the projection overwritten with zeros, heads mapped wrongly by a conversion.",
        remedy: "Compare the head's rows and columns with the checkpoint before; resume from there, and check code that masks or reshapes heads.",
        evidence: "ov_norm, qk_norm, q_norm, k_norm, v_norm, o_norm",
        parameters: &[Parameter {
            name: "share_max",
            default: 0.02,
            min: 0.0,
            max: 0.5,
            doc: "share of its usual value at which a head is dead",
        }],
        enabled: true,
        since: "0.1.0",
    },
    look,
};

/// Points of the past that tell a head's usual value.
const WINDOW: usize = 32;
/// A head above this share of its usual value in one checkpoint and dead in the next did not fade.
const ALIVE_SHARE: f64 = 0.2;

fn look(view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign> {
    let limit = parameters.get("share_max");
    let mut dead: Vec<(u32, u32, &'static str, f64)> = Vec::new();
    let mut sudden = false;
    for metric in ["ov_norm", "qk_norm"] {
        let shares = shares(view, metric);
        for (subject, share) in &shares {
            let Subject::Head { layer, head } = *subject else { continue };
            let known = dead.iter().any(|&(l, h, ..)| (l, h) == (layer, head));
            if *share <= limit * best_in_layer(&shares, layer).min(1.0) && !known {
                sudden |= was_alive(view, subject, metric);
                dead.push((layer, head, metric, *share));
            }
        }
    }
    let Some(&(layer, head, metric, share)) = dead.first() else { return Vec::new() };
    let more = if dead.len() == 1 { String::new() } else { format!(", and {} more heads", dead.len() - 1) };
    let what = if metric == "ov_norm" { "writes nothing" } else { "tells nothing apart" };
    let summary = format!("head {head} of layer {layer} {what}: {metric} is {}{more}", of_usual(share));
    let mut sign = Sign::sure(RULE.entry.severity, summary);
    // A head that faded over many checkpoints opens nothing; one that died keeps its finding open.
    sign.score = if sudden { 1.0 } else { 0.5 };
    for &(layer, head, metric, share) in &dead {
        let subject = Subject::Head { layer, head };
        sign.evidence.push(evidence(subject.clone(), metric, Some(share), "near 1 times its usual value"));
        for name in parts(view, layer, &subject, limit) {
            if !sign.tensors.contains(&name) {
                sign.tensors.push(name);
            }
        }
    }
    vec![sign]
}

/// Each head's value over its usual one (upper quartile of its past).
fn shares(view: &View<'_>, metric: &'static str) -> Vec<(Subject, f64)> {
    let heads =
        view.reading.subjects.iter().filter(|subject| matches!(subject.subject, Subject::Head { .. }));
    heads
        .filter_map(|head| {
            let now = head.samples.get(metric).copied()?;
            Some((head.subject.clone(), now / usual(view, &head.subject, metric)?))
        })
        .filter(|(_, share)| share.is_finite())
        .collect()
}

/// The largest share among a layer's heads: some head must still be well.
fn best_in_layer(shares: &[(Subject, f64)], layer: u32) -> f64 {
    let mates =
        shares.iter().filter(|(subject, _)| matches!(subject, Subject::Head { layer: l, .. } if *l == layer));
    mates.map(|(_, share)| *share).fold(0.0, f64::max)
}

/// A share of the usual value, in words.
fn of_usual(share: f64) -> String {
    match share {
        0.0 => "0".to_owned(),
        share if share < 1e-4 => format!("{share:.1e} times its usual value"),
        share => format!("{:.2} % of its usual value", 100.0 * share),
    }
}

/// Had the head a good part of its usual value in the checkpoint before?
fn was_alive(view: &View<'_>, subject: &Subject, metric: &'static str) -> bool {
    let past = view.history.column(subject, metric);
    let last = past.iter().rev().find(|value| value.is_finite()).map(|&value| f64::from(value));
    last.zip(usual(view, subject, metric)).is_some_and(|(last, usual)| last >= ALIVE_SHARE * usual)
}

fn usual(view: &View<'_>, subject: &Subject, metric: &'static str) -> Option<f64> {
    let past = view.history.column(subject, metric);
    let mut past: Vec<f32> =
        past.iter().rev().take(WINDOW).copied().filter(|value| value.is_finite()).collect();
    past.sort_by(f32::total_cmp);
    past.get(past.len() * 3 / 4).map(|&value| f64::from(value)).filter(|_| past.len() >= 2)
}

/// The projections in which the head vanished, output first; all of its layer's where none did alone.
fn parts(view: &View<'_>, layer: u32, head: &Subject, limit: f64) -> Vec<String> {
    let reading = view.reading.subjects.iter().find(|subject| subject.subject == *head);
    let gone = |metric: &'static str| {
        let now = reading.and_then(|reading| reading.samples.get(metric).copied());
        let share = now.zip(usual(view, head, metric)).map(|(now, usual)| now / usual);
        share.is_some_and(|share| share <= limit.max(0.05))
    };
    let (q, k, v, o) = (gone("q_norm"), gone("k_norm"), gone("v_norm"), gone("o_norm"));
    let any = q || k || v || o;
    let hit = |role: Role| match role {
        Role::AttnOut => o || !any,
        Role::AttnV => v || !any,
        Role::AttnQ => q || !any,
        Role::AttnK => k || !any,
        Role::AttnQkv => q || k || v || !any,
        _ => false,
    };
    let mut names: Vec<(bool, String)> = view
        .reading
        .tensors
        .iter()
        .filter(|tensor| tensor.facts.meaning.layer == Some(layer) && hit(tensor.facts.meaning.role))
        .map(|tensor| (tensor.facts.meaning.role != Role::AttnOut, tensor.facts.name.to_string()))
        .collect();
    names.sort();
    names.into_iter().map(|(_, name)| name).collect()
}
