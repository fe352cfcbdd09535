//! The model as a whole: how much of what there is, and how its figures run over depth.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::Weighed;
use super::sheet::Sheet;
use crate::terms::{
    BlockSource, Category, Family, MetricDef, MetricName, ModelMap, Reason, Role, Subject, SubjectKind,
    SubjectReading, Tier, Unit,
};

pub(super) const MODEL: MetricDef = MetricDef {
    name: "",
    family: Family::Model,
    subject: SubjectKind::Model,
    unit: Unit::Count,
    tier: Tier::One,
    help: "",
    formula: "",
    source: "public GPT-2 weight walks",
    healthy: "constant during a run, in every run seen",
    sick: "any change: tensors were added, lost or changed in shape",
    cost: "none beside the tensors",
    since: "0.1.0",
};

const CATEGORY: MetricDef =
    MetricDef { formula: "sum of elements over the tensors of the category, tied ones once", ..MODEL };

const DEPTH: MetricDef = MetricDef {
    unit: Unit::One,
    tier: Tier::Two,
    formula: "Spearman's rank correlation of the layer's value with the layer's number",
    source: "specialisation over depth in public GPT-2 weight walks",
    healthy: "any, but steady: it moves slowly once the layers have found their parts",
    sick: "a jump: layers were swapped or initialised again",
    ..MODEL
};

const SLOPE: MetricDef = MetricDef {
    formula: "slope of the least-squares line of the layer's value over the layer's number",
    ..DEPTH
};

/// This family's entries.
pub(super) const DEFS: &[MetricDef] = &[
    MetricDef {
        name: "model_elements",
        help: "Elements of all tensors, tied ones once",
        formula: "sum of elements over tensors, tied ones once",
        ..MODEL
    },
    MetricDef {
        name: "model_bytes",
        unit: Unit::Bytes,
        help: "Bytes of all tensors in their own dtypes, tied ones once",
        formula: "sum of bytes over tensors, tied ones once",
        ..MODEL
    },
    MetricDef {
        name: "model_elements_positional_embedding",
        help: "Elements of position tables",
        ..CATEGORY
    },
    MetricDef { name: "model_elements_token_embedding", help: "Elements of token tables", ..CATEGORY },
    MetricDef { name: "model_elements_attention", help: "Elements of attention blocks", ..CATEGORY },
    MetricDef { name: "model_elements_feed_forward", help: "Elements of feed-forward blocks", ..CATEGORY },
    MetricDef { name: "model_elements_layer_norm", help: "Elements of norms", ..CATEGORY },
    MetricDef { name: "model_elements_other", help: "Elements of everything else", ..CATEGORY },
    MetricDef {
        name: "model_norm",
        unit: Unit::Weight,
        help: "Root of the sum of squares of all finite elements, tied ones once",
        formula: "sqrt(sum over tensors of rms^2 times finite elements)",
        source: "norm growth: Merrill et al. 2021 (arXiv 2010.09697)",
        healthy: "grows ever more slowly, to a plateau with weight decay",
        sick: "exponential growth, or a step",
        ..MODEL
    },
    MetricDef {
        name: "attn_std_depth_slope",
        help: "Change of the attention matrices' std from layer to layer",
        ..SLOPE
    },
    MetricDef {
        name: "attn_std_depth_correlation",
        help: "Rank correlation with depth of the attention matrices' std",
        ..DEPTH
    },
    MetricDef {
        name: "attn_pca_depth_slope",
        tier: Tier::Three,
        help: "Change of the attention matrices' share of the first principal component from layer to layer",
        ..SLOPE
    },
    MetricDef {
        name: "attn_pca_depth_correlation",
        tier: Tier::Three,
        help: "Rank correlation with depth of the attention matrices' share of the first principal component",
        ..DEPTH
    },
    MetricDef {
        name: "head_distance_depth_slope",
        help: "Change of the mean distance between a layer's heads from layer to layer",
        ..SLOPE
    },
    MetricDef {
        name: "head_distance_depth_correlation",
        help: "Rank correlation with depth of the mean distance between a layer's heads",
        ..DEPTH
    },
];

/// Adds the model's own reading, from what all other families have found.
pub(super) fn measure(source: &dyn BlockSource, map: &ModelMap, tier: Tier, weighed: &mut Weighed) {
    if weighed.tensors.is_empty() {
        return;
    }
    let mut sheet = Sheet::default();
    totals(source, map, weighed, &mut sheet);
    if tier >= Tier::Two {
        let attention = [Role::AttnQ, Role::AttnK, Role::AttnV, Role::AttnQkv, Role::AttnOut];
        put_trend(
            &over_depth(weighed, &attention, "std"),
            ["attn_std_depth_slope", "attn_std_depth_correlation"],
            &mut sheet,
        );
        let distances = of_layers(weighed, "head_distance_mean");
        put_trend(&distances, ["head_distance_depth_slope", "head_distance_depth_correlation"], &mut sheet);
    }
    if tier >= Tier::Three {
        let query = [Role::AttnQ, Role::AttnQkv];
        let shares = over_depth(weighed, &query, "pca_first_component_ratio");
        put_trend(&shares, ["attn_pca_depth_slope", "attn_pca_depth_correlation"], &mut sheet);
    }
    let Sheet { samples, absent, .. } = sheet;
    weighed.subjects.push(SubjectReading {
        subject: Subject::Model,
        samples,
        lists: BTreeMap::new(),
        absent,
    });
}

fn totals(source: &dyn BlockSource, map: &ModelMap, weighed: &Weighed, sheet: &mut Sheet) {
    let name = |index: usize| source.tensors().get(index).map(|info| &*info.name);
    let repeats: HashSet<&str> = map.tied.iter().filter_map(|(_, second)| name(*second)).collect();
    let mut categories: HashMap<Category, u64> = HashMap::new();
    let (mut bytes, mut square) = (0, 0.0);
    for tensor in weighed.tensors.iter().filter(|tensor| !repeats.contains(&*tensor.facts.name)) {
        let elements: u64 = tensor.facts.shape.iter().product();
        *categories.entry(tensor.facts.meaning.category).or_default() += elements;
        bytes += elements * tensor.facts.dtype.bytes() as u64;
        let sample = |metric: &str| tensor.samples.get(metric).copied().unwrap_or(0.0);
        square += sample("rms").powi(2) * (elements as f64 - sample("nan_elements") - sample("inf_elements"));
    }
    sheet.put("model_elements", categories.values().sum::<u64>() as f64);
    sheet.put("model_bytes", bytes as f64);
    sheet.put("model_norm", square.sqrt());
    for &category in Category::ALL {
        sheet.put(elements_of(category), categories.get(&category).copied().unwrap_or(0) as f64);
    }
}

const fn elements_of(category: Category) -> MetricName {
    match category {
        Category::PositionalEmbedding => "model_elements_positional_embedding",
        Category::TokenEmbedding => "model_elements_token_embedding",
        Category::Attention => "model_elements_attention",
        Category::FeedForward => "model_elements_feed_forward",
        Category::LayerNorm => "model_elements_layer_norm",
        Category::Other => "model_elements_other",
    }
}

/// Mean over the matrices of these roles, by layer.
fn over_depth(weighed: &Weighed, roles: &[Role], metric: MetricName) -> Vec<(f64, f64)> {
    let mut layers: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    for tensor in &weighed.tensors {
        let meaning = tensor.facts.meaning;
        if let (Some(layer), Some(&value)) = (meaning.layer, tensor.samples.get(metric))
            && tensor.facts.shape.len() == 2
            && roles.contains(&meaning.role)
        {
            layers.entry(layer).or_default().push(value);
        }
    }
    layers.iter().map(|(layer, x)| (f64::from(*layer), x.iter().sum::<f64>() / x.len() as f64)).collect()
}

fn of_layers(weighed: &Weighed, metric: MetricName) -> Vec<(f64, f64)> {
    let layers = weighed.subjects.iter().filter_map(|subject| match subject.subject {
        Subject::Layer(layer) => Some((f64::from(layer), *subject.samples.get(metric)?)),
        _ => None,
    });
    layers.collect()
}

/// Writes slope and rank correlation of points (layer, value) under the two names.
fn put_trend(points: &[(f64, f64)], names: [MetricName; 2], sheet: &mut Sheet) {
    /// Two points always lie on a line.
    const LAYERS_MIN: usize = 3;
    if points.len() < LAYERS_MIN {
        return sheet.lack_all(&names, &Reason::TooFew { needs: LAYERS_MIN as u64 });
    }
    let (layers, values): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
    let (slope, _) = line(&layers, &values);
    let (_, correlation) = line(&ranks(&layers), &ranks(&values));
    sheet.put(names[0], slope);
    sheet.put_or(names[1], correlation.ok_or(Reason::Constant));
}

/// Slope and correlation of y over x; x is not constant.
fn line(x: &[f64], y: &[f64]) -> (f64, Option<f64>) {
    let count = x.len() as f64;
    let (mean_x, mean_y) = (x.iter().sum::<f64>() / count, y.iter().sum::<f64>() / count);
    let sum = |f: fn(f64, f64) -> f64| x.iter().zip(y).map(|(x, y)| f(x - mean_x, y - mean_y)).sum::<f64>();
    let (xx, yy, xy) = (sum(|x, _| x * x), sum(|_, y| y * y), sum(|x, y| x * y));
    (xy / xx, (xx > 0.0 && yy > 0.0).then(|| xy / (xx * yy).sqrt()))
}

/// Ranks from 0, ties sharing their mean.
fn ranks(values: &[f64]) -> Vec<f64> {
    let below = |x: &f64| values.iter().filter(|y| *y < x).count() as f64;
    let equal = |x: &f64| values.iter().filter(|y| *y == x).count() as f64;
    values.iter().map(|x| below(x) + 0.5 * (equal(x) - 1.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rising_value_has_rank_correlation_one() {
        let mut sheet = Sheet::default();
        put_trend(&[(0.0, 1.0), (1.0, 3.0), (2.0, 100.0)], ["slope", "correlation"], &mut sheet);
        assert_eq!(sheet.samples["correlation"], 1.0);
        assert_eq!(sheet.samples["slope"], 49.5);
        put_trend(&[(0.0, 1.0), (1.0, 3.0)], ["few", "fewer"], &mut sheet);
        assert_eq!(sheet.absent["few"], Reason::TooFew { needs: 3 });
        put_trend(&[(0.0, 1.0), (1.0, 1.0), (2.0, 1.0)], ["flat", "constant"], &mut sheet);
        assert_eq!((sheet.samples["flat"], &sheet.absent["constant"]), (0.0, &Reason::Constant));
    }

    #[test]
    fn ties_share_their_rank() {
        assert_eq!(ranks(&[5.0, 1.0, 5.0]), [1.5, 0.0, 1.5]);
    }
}
