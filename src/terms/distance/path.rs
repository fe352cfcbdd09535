//! A run's way through weight space: the plane that shows most of it, and how it moves.

use std::sync::Arc;

use faer::{Mat, Side};
use serde::Serialize;

use super::{Products, distance};
use crate::terms::{ReadingKey, Sketches};

/// The way of a run, from its checkpoints' distances to each other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trajectory {
    /// The checkpoints, as given.
    pub keys: Vec<ReadingKey>,
    /// Their places on the two main axes (classical scaling of the distances), in the unit of weights.
    pub coordinates: Vec<[f64; 2]>,
    /// Share of the squared distances that each axis shows.
    pub shares: [f64; 2],
    /// Distance of each checkpoint from the one before it; one fewer than there are checkpoints.
    pub moves: Vec<f64>,
    /// Standard error of each.
    pub move_standard_errors: Vec<f64>,
    /// Distance from the first to the last.
    pub end_to_end: f64,
    /// Slope of log distance over log lag: 1 drifts, 0.5 wanders like noise, below 0.3 is trapped.
    /// None with fewer than 6 checkpoints.
    pub diffusion_exponent: Option<f64>,
    /// Standard error of that slope, from the scatter of the lags about the line.
    pub diffusion_standard_error: Option<f64>,
}

/// Fewest checkpoints for which an exponent is told: 3 different lags of 3 pairs and more each.
const DIFFUSION_POINTS_MIN: usize = 6;

/// The way through the given checkpoints, of the tensors that all of them have. None with fewer than two, or
/// where no tensor is common to all.
pub fn trajectory(points: &[(ReadingKey, Arc<Sketches>)]) -> Option<Trajectory> {
    let (_, first) = points.first()?;
    let common: Vec<&Arc<str>> = first.keys().filter(|name| is_common(name, points)).collect();
    if points.len() < 2 || common.is_empty() {
        return None;
    }
    let squared = squared_distances(points, &common);
    let (coordinates, shares) = scale(&squared);
    let count = points.len();
    let steps: Vec<f64> = points.iter().map(|(key, _)| key.step.0 as f64).collect();
    let exponent = diffusion(&steps, &squared);
    let neighbours = points.windows(2).map(|pair| distance(&pair[0].1, &pair[1].1).standard_error);
    Some(Trajectory {
        keys: points.iter().map(|(key, _)| key.clone()).collect(),
        coordinates,
        shares,
        moves: (1..count).map(|index| squared[(index, index - 1)].sqrt()).collect(),
        move_standard_errors: neighbours.collect(),
        end_to_end: squared[(count - 1, 0)].sqrt(),
        diffusion_exponent: exponent.map(|(slope, _)| slope),
        diffusion_standard_error: exponent.map(|(_, error)| error),
    })
}

fn is_common(name: &Arc<str>, points: &[(ReadingKey, Arc<Sketches>)]) -> bool {
    let Some(first) = points.first().and_then(|(_, sketches)| sketches.get(name)) else { return false };
    points.iter().all(|(_, sketches)| {
        sketches.get(name).is_some_and(|sketch| {
            sketch.version == first.version
                && sketch.exact == first.exact
                && sketch.values.len() == first.values.len()
        })
    })
}

fn squared_distances(points: &[(ReadingKey, Arc<Sketches>)], common: &[&Arc<str>]) -> Mat<f64> {
    let mut squared = Mat::zeros(points.len(), points.len());
    for (row, (_, left)) in points.iter().enumerate() {
        for (column, (_, right)) in points[..row].iter().enumerate() {
            let pairs = common.iter().filter_map(|name| Products::of(left.get(*name)?, right.get(*name)?));
            let sum: f64 = pairs.map(|products| products.difference).sum();
            squared[(row, column)] = sum;
            squared[(column, row)] = sum;
        }
    }
    squared
}

/// Classical scaling (Torgerson 1952): eigenvectors of the doubly centred squared distances.
fn scale(squared: &Mat<f64>) -> (Vec<[f64; 2]>, [f64; 2]) {
    let count = squared.nrows();
    let mean = |row: usize| (0..count).map(|column| squared[(row, column)]).sum::<f64>() / count as f64;
    let means: Vec<f64> = (0..count).map(mean).collect();
    let whole = means.iter().sum::<f64>() / count as f64;
    let centred = Mat::from_fn(count, count, |row, column| {
        -0.5 * (squared[(row, column)] - means[row] - means[column] + whole)
    });
    let mut coordinates = vec![[0.0; 2]; count];
    let mut shares = [0.0; 2];
    let Ok(eigen) = centred.self_adjoint_eigen(Side::Lower) else { return (coordinates, shares) };
    let values = eigen.S();
    let positive: f64 = (0..count).map(|index| values[index].max(0.0)).sum();
    for axis in 0..2.min(count) {
        // Ascending order: the last is the largest.
        let at = count - 1 - axis;
        let value = values[at].max(0.0);
        if positive <= 0.0 {
            break;
        }
        shares[axis] = value / positive;
        // An axis has no direction of its own: the last checkpoint is shown on its positive side.
        let turn = if eigen.U()[(count - 1, at)] < 0.0 { -1.0 } else { 1.0 };
        for (row, place) in coordinates.iter_mut().enumerate() {
            place[axis] = turn * value.sqrt() * eigen.U()[(row, at)];
        }
    }
    (coordinates, shares)
}

/// Least-squares slope of log mean distance over log lag, and its standard error. Lags beyond half of the run
/// are left out: they have few pairs, all of which share most of the way.
fn diffusion(steps: &[f64], squared: &Mat<f64>) -> Option<(f64, f64)> {
    let count = steps.len();
    if count < DIFFUSION_POINTS_MIN {
        return None;
    }
    let mut lags: Vec<(f64, f64)> = Vec::new();
    for lag in 1..=count / 2 {
        let pairs = (lag..count).map(|at| (steps[at] - steps[at - lag], squared[(at, at - lag)]));
        let (mut time, mut square, mut number) = (0.0, 0.0, 0.0);
        for (apart, distance) in pairs.filter(|(apart, distance)| *apart > 0.0 && *distance > 0.0) {
            time += apart;
            square += distance;
            number += 1.0;
        }
        if number > 0.0 {
            lags.push(((time / number).ln(), 0.5 * (square / number).ln()));
        }
    }
    slope(&lags)
}

fn slope(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    let count = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0 / count, y + point.1 / count));
    let spread: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    if points.len() < 3 || spread <= 0.0 {
        return None;
    }
    let slope = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum::<f64>() / spread;
    let rest: f64 = points.iter().map(|point| (point.1 - y - slope * (point.0 - x)).powi(2)).sum();
    Some((slope, (rest / (count - 2.0) / spread).sqrt()))
}
