//! The five questions that people ask of weights, answered in words with the figures behind them.
//!
//! Every answer rests on stored numbers alone, so it can be given for any checkpoint ever weighed. Where
//! the thresholds come from is said beside them; between two thresholds the answer is "partly".

use std::collections::BTreeMap;

use serde::Serialize;

use super::figures::statistics::{mean, quantile, rank_correlation, sorted, std};
use super::number::short;
use crate::terms::{Reading, Reason, Role, Subject};

/// How a question is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Verdict {
    Yes,
    Partly,
    No,
    NotApplicable,
}

/// One question with its answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// The question.
    pub question: &'static str,
    /// The answer in one word.
    pub verdict: Verdict,
    /// The answer in one sentence, with its figures.
    pub answer: String,
    /// Name of the picture that shows it.
    pub figure: &'static str,
    /// The figures it rests on, by metric.
    pub values: BTreeMap<&'static str, f64>,
}

/// The five questions, in order.
pub fn answers(reading: &Reading) -> Vec<Answer> {
    vec![periodic(reading), gaussian(reading), specialised(reading), deeper(reading), clusters(reading)]
}

fn not_applicable(question: &'static str, figure: &'static str, why: &str) -> Answer {
    let answer = format!("Not applicable: {why}.");
    Answer { question, verdict: Verdict::NotApplicable, answer, figure, values: BTreeMap::new() }
}

/// Yes at or beyond `yes`, no below `no`.
fn verdict(value: f64, no: f64, yes: f64) -> Verdict {
    match value {
        value if value >= yes => Verdict::Yes,
        value if value >= no => Verdict::Partly,
        _ => Verdict::No,
    }
}

const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Yes => "Yes",
        Verdict::Partly => "Partly",
        Verdict::No => "No",
        Verdict::NotApplicable => "Not applicable",
    }
}

const PERIODIC: &str = "Is there a periodic position pattern?";

/// 1 % of the dimensions of a noise table exceed Fisher's 99 % point; trained tables come near all of them.
fn periodic(reading: &Reading) -> Answer {
    let table = reading.tensors.iter().find(|t| t.facts.meaning.role == Role::PositionEmbedding);
    let Some(table) = table else {
        return not_applicable(PERIODIC, "S6", "this model has no learnt position table");
    };
    let sample = |name: &str| table.samples.get(name).copied();
    let (Some(ratio), Some(peak)) =
        (sample("position_periodic_ratio"), sample("position_peak_fraction_mean"))
    else {
        let why = table
            .absent
            .get("position_periodic_ratio")
            .map_or("it was not measured".to_owned(), Reason::to_string);
        return not_applicable(PERIODIC, "S6", &why);
    };
    let verdict = verdict(ratio, 0.1, 0.5);
    Answer {
        question: PERIODIC,
        verdict,
        answer: format!(
            "{}: {:.0} % of the dimensions have a stronger period than noise allows (noise: 1 %); their strongest frequency holds {:.0} % of the power on average.",
            word(verdict),
            ratio * 100.0,
            peak * 100.0
        ),
        figure: "S6",
        values: BTreeMap::from([("position_periodic_ratio", ratio), ("position_peak_fraction_mean", peak)]),
    }
}

const GAUSSIAN: &str = "Are the attention weights Gaussian-like?";

/// D of a million normal values is about 0.001; a Laplace distribution with the same spread has 0.06, and
/// GPT-2's first attention matrix, clearly heavier than normal, 0.09.
fn gaussian(reading: &Reading) -> Answer {
    const ROLES: [Role; 5] = [Role::AttnQ, Role::AttnK, Role::AttnV, Role::AttnQkv, Role::AttnOut];
    let of_attention = || reading.tensors.iter().filter(|t| ROLES.contains(&t.facts.meaning.role));
    let column = |name: &str| sorted(of_attention().filter_map(|t| t.samples.get(name).copied()));
    let distances = column("ks_statistic");
    let (Some(&least), Some(&most)) = (distances.first(), distances.last()) else {
        return not_applicable(GAUSSIAN, "S8", "no attention matrix of this checkpoint could be measured");
    };
    let (distance, kurtosis) = (quantile(&distances, 0.5), quantile(&column("excess_kurtosis"), 0.5));
    let verdict = verdict(-distance, -0.05, -0.02);
    Answer {
        question: GAUSSIAN,
        verdict,
        answer: format!(
            "{}: over {} matrices the distance D to the fitted normal is {} in the median, from {} to {}; the median excess kurtosis is {}.",
            word(verdict),
            distances.len(),
            short(distance),
            short(least),
            short(most),
            short(kurtosis)
        ),
        figure: "S8",
        values: BTreeMap::from([("ks_statistic", distance), ("excess_kurtosis", kurtosis)]),
    }
}

const SPECIALISED: &str = "Are the heads specialised?";

/// Heads at initialisation differ by their sampling error: a few per cent in the norm of W_Q W_Kᵀ.
fn specialised(reading: &Reading) -> Answer {
    let spreads: Vec<f64> =
        by_layer(reading, "qk_norm").values().filter(|n| n.len() > 1).map(|n| std(n) / mean(n)).collect();
    let entropies: Vec<f64> = by_layer(reading, "qk_spectral_entropy").into_values().flatten().collect();
    if spreads.is_empty() {
        return not_applicable(
            SPECIALISED,
            "S13",
            "the attention heads of this model could not be told apart",
        );
    }
    let spread = mean(&spreads);
    let verdict = verdict(spread, 0.1, 0.25);
    let entropy = mean(&entropies);
    Answer {
        question: SPECIALISED,
        verdict,
        answer: format!(
            "{}: within a layer, the strength of the heads' matching (norm of W_Q W_Kᵀ) varies by {:.1} % of its mean; untrained heads vary by a few per cent. Its directions are spread with entropy {}.",
            word(verdict),
            spread * 100.0,
            two(entropy)
        ),
        figure: "S13",
        values: BTreeMap::from([("qk_norm_spread", spread), ("qk_spectral_entropy", entropy)]),
    }
}

const DEEPER: &str = "Does specialisation grow with depth?";

/// Of twelve layers in random order, one in forty has a rank correlation beyond 0.6.
fn deeper(reading: &Reading) -> Answer {
    let layers = by_layer(reading, "qk_norm");
    let points: Vec<(f64, f64)> = layers
        .iter()
        .filter(|(_, n)| n.len() > 1)
        .map(|(layer, n)| (f64::from(*layer), std(n) / mean(n)))
        .collect();
    if points.len() < 3 {
        return not_applicable(DEEPER, "S15", "fewer than three layers have heads that can be compared");
    }
    let (x, y): (Vec<f64>, Vec<f64>) = points.into_iter().unzip();
    let rank = rank_correlation(&x, &y);
    let verdict = verdict(rank, 0.3, 0.6);
    Answer {
        question: DEEPER,
        verdict,
        answer: format!(
            "{}: the spread of the heads goes from {:.1} % in layer {} to {:.1} % in layer {}; its rank correlation with depth is {}.",
            word(verdict),
            y[0] * 100.0,
            x[0],
            y[y.len() - 1] * 100.0,
            x[x.len() - 1],
            two(rank)
        ),
        figure: "S15",
        values: BTreeMap::from([("rank_correlation_with_depth", rank)]),
    }
}

const CLUSTERS: &str = "Do the heads form clusters?";

/// Merges of random vectors lie within a third of each other; a last merge twice the median one joins
/// groups that lie apart.
fn clusters(reading: &Reading) -> Answer {
    let heights = |subject: &&crate::terms::SubjectReading| {
        subject.lists.get("ward_heights").filter(|list| list.len() > 1).cloned()
    };
    let lists: Vec<Vec<f64>> = reading.subjects.iter().filter_map(|s| heights(&s)).collect();
    if lists.is_empty() {
        return not_applicable(CLUSTERS, "S14", "no layer has three heads that could be told apart");
    }
    let ratios: Vec<f64> = lists
        .iter()
        .map(|list| list[list.len() - 1] / quantile(&sorted(list.iter().copied()), 0.5))
        .collect();
    let groups: Vec<f64> =
        reading.subjects.iter().filter_map(|s| s.samples.get("ward_clusters").copied()).collect();
    let ratio = mean(&ratios);
    let verdict = verdict(ratio, 1.4, 2.0);
    Answer {
        question: CLUSTERS,
        verdict,
        answer: format!(
            "{}: joining heads by likeness, the last join lies {} times as high as the median one (random heads: about 1.3); cut at 70 % of the height, a layer has {} groups on average.",
            word(verdict),
            two(ratio),
            two(mean(&groups))
        ),
        figure: "S14",
        values: BTreeMap::from([("ward_height_max_over_median", ratio), ("ward_clusters", mean(&groups))]),
    }
}

/// What is worth two digits after the point.
fn two(value: f64) -> String {
    format!("{value:.2}")
}

fn by_layer(reading: &Reading, metric: &str) -> BTreeMap<u32, Vec<f64>> {
    let mut layers: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    for subject in &reading.subjects {
        if let (Subject::Head { layer, .. }, Some(&value)) = (&subject.subject, subject.samples.get(metric)) {
            layers.entry(*layer).or_default().push(value);
        }
    }
    layers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_have_a_middle() {
        assert_eq!(verdict(0.6, 0.1, 0.5), Verdict::Yes);
        assert_eq!(verdict(0.3, 0.1, 0.5), Verdict::Partly);
        assert_eq!(verdict(0.0, 0.1, 0.5), Verdict::No);
        assert_eq!(verdict(f64::NAN, 0.1, 0.5), Verdict::No);
    }
}
