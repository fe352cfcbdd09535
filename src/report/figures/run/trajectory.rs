//! The run's way through the space of weights, from sketches.

use faer::{Mat, Side as Triangle};

use super::empty;
use crate::report::figures::{Axis, Fact, Figure, Mark, Panel, Tone};

/// Two main directions of the run's way, and how far it went. `points` are (step, sketch of the whole
/// model): from sketches only distances can be had, and distances are all that is needed here.
pub fn trajectory(points: &[(u64, Vec<f32>)]) -> Figure {
    let mut figure =
        empty("trajectory", "Way through weight space", "Does the run move steadily, turn, or jump?");
    let n = points.len();
    if n < 3 || points.iter().any(|point| point.1.len() != points[0].1.len()) {
        figure.absent = Some("three checkpoints with sketches of the same tensors are needed".to_owned());
        return figure;
    }
    let mut squared = Mat::<f64>::zeros(n, n);
    for a in 0..n {
        for b in 0..a {
            let d = squared_distance(&points[a].1, &points[b].1);
            squared[(a, b)] = d;
            squared[(b, a)] = d;
        }
    }
    let Some((first, second, share)) = scale(&squared) else {
        figure.absent = Some("the checkpoints do not differ, or hold NaN".to_owned());
        return figure;
    };
    let steps: Vec<u64> = points.iter().map(|point| point.0).collect();
    let travelled: f64 = (1..n).map(|i| squared[(i, i - 1)].sqrt()).sum();
    let apart = squared[(n - 1, 0)].sqrt();
    figure.says = format!(
        "From step {} to {} the weights moved {apart:.3} from where they were, on a way {:.1} times as long; the plane shows {:.0} % of the spread.",
        steps[0],
        steps[n - 1],
        travelled / apart.max(f64::MIN_POSITIVE),
        share * 100.0
    );
    figure.facts = vec![
        Fact::new("distance, first to last", apart),
        Fact::new("way travelled", travelled),
        Fact::new("shown in this plane", share),
    ];
    let labels = || steps.iter().map(|step| format!("step {step}")).collect();
    let plane = Panel::new("", Axis::linear("first direction"), Axis::linear("second direction"))
        .with(Mark::Line {
            name: String::new(),
            x: first.iter().copied().collect(),
            y: second.iter().copied().collect(),
            tone: Tone::Quiet,
            dashed: false,
        })
        .with(Mark::Points {
            name: "checkpoints".to_owned(),
            x: first.iter().copied().collect(),
            y: second.iter().copied().collect(),
            labels: labels(),
            tone: Tone::Main,
        })
        .with(Mark::Points {
            name: format!("newest (step {})", steps[n - 1]),
            x: first[n - 1..].iter().copied().collect(),
            y: second[n - 1..].iter().copied().collect(),
            labels: vec![format!("step {}", steps[n - 1])],
            tone: Tone::Alarm,
        });
    let pace =
        Panel::new("distance from the checkpoint before", Axis::whole("step"), Axis::linear("").from(0.0))
            .with(Mark::Line {
                name: String::new(),
                x: steps[1..].iter().map(|step| *step as f64).collect(),
                y: (1..n).map(|i| squared[(i, i - 1)].sqrt()).collect(),
                tone: Tone::Main,
                dashed: false,
            });
    figure.panels = vec![plane, pace];
    figure
}

/// Sum of squared differences: eight lanes at a time, each short enough that single precision holds six
/// digits. Sketches of a whole model have 100,000 values and every pair of checkpoints is compared.
fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    const LANES: usize = 8;
    const STRETCH: usize = 128 * LANES;
    let stretch = |(a, b): (&[f32], &[f32])| {
        let mut lanes = [0f32; LANES];
        let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
        for (a, b) in a.iter().zip(b) {
            for lane in 0..LANES {
                lanes[lane] += (a[lane] - b[lane]) * (a[lane] - b[lane]);
            }
        }
        let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| (a - b) * (a - b)).sum();
        lanes.into_iter().chain([rest]).map(f64::from).sum::<f64>()
    };
    a.chunks(STRETCH).zip(b.chunks(STRETCH)).map(stretch).sum()
}

/// Classical scaling of squared distances: two coordinates each, and the share of the spread they hold.
fn scale(squared: &Mat<f64>) -> Option<(Vec<f64>, Vec<f64>, f64)> {
    let n = squared.nrows();
    let row: Vec<f64> = (0..n).map(|i| (0..n).map(|j| squared[(i, j)]).sum::<f64>() / n as f64).collect();
    let all = row.iter().sum::<f64>() / n as f64;
    let centred = Mat::from_fn(n, n, |i, j| -0.5 * (squared[(i, j)] - row[i] - row[j] + all));
    if (0..n).any(|i| !centred[(i, i)].is_finite()) {
        return None;
    }
    let eigen = centred.self_adjoint_eigen(Triangle::Lower).ok()?;
    let values: Vec<f64> = eigen.S().column_vector().iter().map(|v| v.max(0.0)).collect();
    let total: f64 = values.iter().sum();
    if total <= 0.0 {
        return None;
    }
    let axis = |k: usize| (0..n).map(|i| eigen.U()[(i, n - k)] * values[n - k].sqrt()).collect::<Vec<_>>();
    Some((axis(1), axis(2), (values[n - 1] + values[n - 2]) / total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_straight_way_is_straight() {
        let points: Vec<(u64, Vec<f32>)> = (0..5).map(|i| (i, vec![i as f32, 0.0, 2.0 * i as f32])).collect();
        let figure = trajectory(&points);
        assert!(figure.absent.is_none());
        assert!((figure.facts[0].value - 4.0 * 5f64.sqrt()).abs() < 1e-6);
        assert!((figure.facts[1].value - figure.facts[0].value).abs() < 1e-6);
        assert!(figure.facts[2].value > 0.999);
    }

    #[test]
    fn lanes_sum_what_a_loop_sums() {
        let (a, b): (Vec<f32>, Vec<f32>) =
            (0..2501).map(|i| ((i as f32 * 0.7).sin(), (i as f32 * 0.3).cos())).unzip();
        let plain: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(a - b).powi(2)).sum();
        assert!((squared_distance(&a, &b) / plain - 1.0).abs() < 1e-5);
    }

    #[test]
    fn too_few_points_say_so() {
        assert!(trajectory(&[(1, vec![1.0])]).absent.is_some());
    }
}
