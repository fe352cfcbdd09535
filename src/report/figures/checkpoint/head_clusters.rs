//! S14: which heads resemble each other.

use crate::report::figures::statistics::{mean, quantile, sorted};
use crate::report::figures::{
    Axis, Body, Choice, Fact, FigureDef, GONE, Mark, Material, NO_HEADS, Numbers, Panel, Tone,
};
use crate::report::weights::rows_columns;
use crate::terms::HeadAxis;

/// S14.
pub static FIGURE: FigureDef = FigureDef {
    id: "S14",
    title: "Heads that resemble each other",
    question: "Do heads fall into groups?",
    series: &["ward_clusters", "ward_height_min"],
    draw,
};

/// Panels that fit a page: more layers are thinned evenly.
const PANELS_MAX: usize = 12;

fn draw(material: Material<'_>, choice: &Choice) -> Result<Body, String> {
    let lists: Vec<_> =
        material.layer_list("ward_heights").into_iter().filter(|(_, list)| !list.is_empty()).collect();
    if lists.is_empty() {
        return Err(NO_HEADS.to_owned());
    }
    let shown: Vec<_> = match choice.layer {
        Some(layer) => lists.iter().copied().filter(|(l, _)| *l == layer).collect(),
        None => thin(&lists, PANELS_MAX),
    };
    let mut body = Body::stored(String::new());
    for (layer, heights) in shown {
        let panel = Panel::new(format!("layer {layer}"), Axis::default(), Axis::linear("distance").from(0.0));
        match stored_joins(material, layer, heights) {
            Some(joins) => {
                let labels = (0..=heights.len()).map(|head| head.to_string()).collect();
                body.panels.push(panel.with(Mark::Tree { labels, joins, tone: Tone::Main }));
            }
            None => body.panels.push(steps(panel, heights)),
        }
    }
    let least =
        lists.iter().min_by(|a, b| a.1[0].total_cmp(&b.1[0])).map_or((0, f64::NAN), |(l, h)| (*l, h[0]));
    let ratios: Vec<f64> =
        lists.iter().map(|(_, h)| h[h.len() - 1] / quantile(&sorted(h.iter().copied()), 0.5)).collect();
    let groups: Vec<f64> = lists.iter().map(|(_, heights)| clusters_at_cut(heights) as f64).collect();
    body.says = format!(
        "The two closest heads are in layer {} (distance {:.4}); the last join lies {:.1} times as high as the median one on average.",
        least.0,
        least.1,
        mean(&ratios)
    );
    body.facts = vec![
        Fact::new("closest pair", least.1),
        Fact::new("last join : median join", mean(&ratios)),
        Fact::new("groups at 70 % of the last join, mean", mean(&groups)),
    ];
    Ok(body)
}

/// (thing, thing, height) of every join, from the layer's stored pairs; none where they do not fit.
fn stored_joins(material: Material<'_>, layer: u32, heights: &[f64]) -> Option<Vec<(usize, usize, f64)>> {
    let lists = material.layer_list("ward_merges");
    let pairs = lists.iter().find(|(l, _)| *l == layer)?.1;
    let heads = heights.len() + 1;
    let joins: Vec<_> =
        pairs.chunks_exact(2).zip(heights).map(|(p, h)| (p[0] as usize, p[1] as usize, *h)).collect();
    let sound = |(i, join): (usize, &(usize, usize, f64))| join.0 < heads + i && join.1 < heads + i;
    (joins.len() == heights.len() && joins.iter().enumerate().all(sound)).then_some(joins)
}

/// Where only the heights are stored: how high the joins lie, not which heads they join.
fn steps(panel: Panel, heights: &[f64]) -> Panel {
    let mut panel = panel.with(Mark::Bars {
        name: String::new(),
        x: (1..=heights.len() as u32).collect(),
        y: Numbers(heights.to_vec()),
        tone: Tone::Main,
    });
    panel.x = Axis::whole("join");
    panel
}

/// Groups that are left when the tree is cut at 70 % of its height, the usual cut of dendrograms.
fn clusters_at_cut(heights: &[f64]) -> usize {
    let cut = 0.7 * heights.last().copied().unwrap_or(0.0);
    1 + heights.iter().filter(|height| **height > cut).count()
}

fn thin<T: Copy>(items: &[T], most: usize) -> Vec<T> {
    let stride = items.len().div_ceil(most).max(1);
    items.iter().copied().step_by(stride).collect()
}

/// Heads of a layer, joined by Ward's method.
#[derive(Clone, Debug, PartialEq)]
pub struct Clusters {
    /// Heads.
    pub heads: usize,
    /// (thing, thing, height): things below `heads` are heads, the i-th join makes thing `heads + i`.
    pub joins: Vec<(usize, usize, f64)>,
    /// Correlation of every two heads' mean query vectors, row-major.
    pub similarity: Vec<f64>,
}

/// Joins the heads of a layer by the Euclidean distance of their mean query vectors.
pub fn head_clusters(material: Material<'_>, layer: u32) -> Result<Clusters, String> {
    let (heads, width, vectors) = head_vectors(material, layer)?;
    let vector = |head: usize| &vectors[head * width..(head + 1) * width];
    let distance = |a: usize, b: usize| {
        vector(a).iter().zip(vector(b)).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
    };
    let mut distances: Vec<f64> =
        (0..heads).flat_map(|a| (a + 1..heads).map(move |b| (a, b))).map(|(a, b)| distance(a, b)).collect();
    if distances.iter().any(|d| !d.is_finite()) {
        return Err("a query vector holds NaN or Inf".to_owned());
    }
    let tree = kodama::linkage(&mut distances, heads, kodama::Method::Ward);
    let joins = tree.steps().iter().map(|step| (step.cluster1, step.cluster2, step.dissimilarity)).collect();
    let cosine = |a: usize, b: usize| {
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        dot(vector(a), vector(b)) / (dot(vector(a), vector(a)) * dot(vector(b), vector(b))).sqrt()
    };
    let similarity =
        (0..heads).flat_map(|a| (0..heads).map(move |b| (a, b))).map(|(a, b)| cosine(a, b)).collect();
    Ok(Clusters { heads, joins, similarity })
}

/// (heads, width, values): each head's query weights averaged over the model's width.
pub fn head_vectors(material: Material<'_>, layer: u32) -> Result<(usize, usize, Vec<f64>), String> {
    let weights = material.weights.ok_or(GONE)?;
    let block = weights.map.attention.iter().find(|block| block.layer == layer).ok_or(NO_HEADS)?;
    let part = &block.query;
    let info = &weights.source.tensors()[part.tensor];
    let (rows, columns) = rows_columns(&info.shape);
    let matrix = weights.matrix(part.tensor).map_err(|error| error.to_string())?;
    let matrix = matrix.ok_or("too large to be read for a picture")?;
    let (heads, width) = (part.starts.len(), part.width as usize);
    let mut vectors = vec![0.0; heads * width];
    for (head, &start) in part.starts.iter().enumerate() {
        let end = start + part.width;
        if end > if part.axis == HeadAxis::Rows { rows } else { columns } {
            return Err(NO_HEADS.to_owned());
        }
        for (k, at) in (start as usize..end as usize).enumerate() {
            vectors[head * width + k] = match part.axis {
                HeadAxis::Rows => mean(&matrix.row(at).iter().map(|v| f64::from(*v)).collect::<Vec<_>>()),
                HeadAxis::Columns => mean(&matrix.column(at).into_iter().map(f64::from).collect::<Vec<_>>()),
            };
        }
    }
    Ok((heads, width, vectors))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_counts_groups() {
        assert_eq!(clusters_at_cut(&[0.1, 0.2, 1.0]), 2);
        assert_eq!(clusters_at_cut(&[1.0, 1.0, 1.0]), 4);
        assert_eq!(clusters_at_cut(&[]), 1);
    }

    #[test]
    fn thinning_keeps_at_most() {
        let items: Vec<u32> = (0..100).collect();
        assert!(thin(&items, 12).len() <= 12);
        assert_eq!(thin(&items[..3], 12), [0, 1, 2]);
    }
}
