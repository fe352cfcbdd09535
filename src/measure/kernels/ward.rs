//! Hierarchical clustering by Ward's criterion on Euclidean distance.

use kodama::{Method, linkage};

/// One merge of the dendrogram. Labels below the number of points are points; label points + i is the
/// cluster that merge i made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Merge {
    /// The lower label.
    pub left: usize,
    /// The higher label.
    pub right: usize,
    /// Ward distance at which they merge.
    pub height: f64,
}

/// Merges of `points` (equally long), lowest first; heights are those of scipy's `linkage(…, "ward")`.
/// Empty for fewer than two points, and where a distance is not a finite number.
pub fn ward(points: &[Vec<f64>]) -> Vec<Merge> {
    if points.len() < 2 {
        return Vec::new();
    }
    let mut distances = Vec::with_capacity(points.len() * (points.len() - 1) / 2);
    for (i, a) in points.iter().enumerate() {
        for b in &points[i + 1..] {
            distances.push(a.iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt());
        }
    }
    // The library panics on NaN.
    if distances.iter().any(|distance| !distance.is_finite()) {
        return Vec::new();
    }
    linkage(&mut distances, points.len(), Method::Ward)
        .steps()
        .iter()
        .map(|step| Merge { left: step.cluster1, right: step.cluster2, height: step.dissimilarity })
        .collect()
}

/// Clusters left when merges higher than `share` of the highest are undone: scipy's default colouring
/// of a dendrogram cuts at .7.
pub fn clusters_at(merges: &[Merge], share: f64) -> usize {
    let cut = share * merges.last().map_or(0.0, |merge| merge.height);
    1 + merges.iter().filter(|merge| merge.height > cut).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_number_has_no_tree() {
        for bad in [f64::NAN, f64::INFINITY, 1e300] {
            assert!(ward(&[vec![bad], vec![0.0], vec![1.0]]).is_empty(), "{bad}");
        }
    }

    #[test]
    fn two_pairs_merge_first() {
        let points = [0.0, 1.0, 10.0, 12.0].map(|x| vec![x]);
        let merges = ward(&points);
        let heights: Vec<f64> = merges.iter().map(|merge| merge.height).collect();
        // scipy: linkage([[0],[1],[10],[12]], "ward")[:, 2]
        for (got, want) in heights.iter().zip([1.0, 2.0, 14.849_242_404_917_497]) {
            assert!((got - want).abs() < 1e-12, "{heights:?}");
        }
        assert_eq!((merges[2].left, merges[2].right), (4, 5));
        assert_eq!(clusters_at(&merges, 0.7), 2);
        assert_eq!(ward(&points[..1]), vec![]);
    }
}
