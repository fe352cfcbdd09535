//! Arithmetic of sketches: how far two tensors are apart, from their sketches alone.

use super::Sketch;

/// Two tensors, or two models, compared by their sketches. Add comparisons of single tensors up to
/// compare models.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Comparison {
    /// Estimated squared norm of the difference.
    distance_square: f64,
    /// Estimated squared norms of the first and the second.
    squares: [f64; 2],
    /// Variance of `distance_square`.
    variance: f64,
}

impl Sketch {
    /// Compares with another sketch of the same recipe and length; none where they cannot be compared:
    /// another version, another length, another size of tensor.
    pub fn compare(&self, other: &Sketch) -> Option<Comparison> {
        let alike = self.version == other.version && self.exact == other.exact;
        if !alike || self.values.len() != other.values.len() || self.values.is_empty() {
            return None;
        }
        let mut sums = Comparison::default();
        for (&a, &b) in self.values.iter().zip(&other.values) {
            let (a, b) = (f64::from(a), f64::from(b));
            sums.distance_square += (a - b) * (a - b);
            sums.squares[0] += a * a;
            sums.squares[1] += b * b;
        }
        // Each of the m buckets is nearly normal, so their sum of squares has variance 2 s^4 / m.
        let share = if self.exact { 0.0 } else { 2.0 / self.values.len() as f64 };
        sums.variance = share * sums.distance_square * sums.distance_square;
        Some(sums)
    }

    /// Estimated norm of the tensor.
    pub fn norm(&self) -> f64 {
        self.values.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt()
    }

    /// Relative standard error of a norm or distance taken from this sketch alone: 1 / sqrt(2 m); 0
    /// where it is the whole tensor.
    pub fn standard_error(&self) -> f64 {
        if self.exact || self.values.is_empty() { 0.0 } else { (0.5 / self.values.len() as f64).sqrt() }
    }
}

impl Comparison {
    /// Adds another tensor of the same two models.
    pub fn add(&mut self, other: &Comparison) {
        self.distance_square += other.distance_square;
        self.squares[0] += other.squares[0];
        self.squares[1] += other.squares[1];
        self.variance += other.variance;
    }

    /// Norm of the difference.
    pub fn distance(&self) -> f64 {
        self.distance_square.sqrt()
    }

    /// Norm of the difference over the norm of the first; none where that is 0.
    pub fn relative(&self) -> Option<f64> {
        (self.squares[0] > 0.0).then(|| (self.distance_square / self.squares[0]).sqrt())
    }

    /// Cosine between the two; none where one is 0.
    pub fn cosine(&self) -> Option<f64> {
        let norms = self.squares[0].sqrt() * self.squares[1].sqrt();
        let product = (self.squares[0] + self.squares[1] - self.distance_square) / 2.0;
        (norms > 0.0).then(|| (product / norms).clamp(-1.0, 1.0))
    }

    /// Relative standard error of [`Comparison::distance`]; 0 where both tensors were kept whole.
    pub fn standard_error(&self) -> f64 {
        if self.distance_square > 0.0 { self.variance.sqrt() / (2.0 * self.distance_square) } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sketch(values: &[f32], exact: bool) -> Sketch {
        Sketch { version: 1, values: values.to_vec(), exact }
    }

    #[test]
    fn whole_tensors_compare_exactly() {
        let (a, b) = (sketch(&[3.0, 0.0], true), sketch(&[0.0, 4.0], true));
        let compared = a.compare(&b).unwrap();
        assert_eq!(compared.distance(), 5.0);
        assert_eq!(compared.relative(), Some(5.0 / 3.0));
        assert_eq!(compared.cosine(), Some(0.0));
        assert_eq!(compared.standard_error(), 0.0);
        assert_eq!(a.compare(&a).unwrap().cosine(), Some(1.0));
    }

    #[test]
    fn many_tensors_have_a_smaller_error_than_one() {
        let (a, b) = (sketch(&[1.0; 64], false), sketch(&[2.0; 64], false));
        let one = a.compare(&b).unwrap();
        assert!((one.standard_error() - a.standard_error()).abs() < 1e-12);
        let mut all = one;
        (0..99).for_each(|_| all.add(&one));
        assert_eq!(all.distance(), one.distance() * 10.0);
        assert!((all.standard_error() - one.standard_error() / 10.0).abs() < 1e-12);
    }

    #[test]
    fn only_sketches_of_one_recipe_compare() {
        let a = sketch(&[1.0; 8], false);
        assert!(a.compare(&sketch(&[1.0; 9], false)).is_none());
        assert!(a.compare(&sketch(&[1.0; 8], true)).is_none());
        assert!(a.compare(&Sketch { version: 2, ..a.clone() }).is_none());
        assert_eq!(sketch(&[0.0; 8], false).compare(&a).unwrap().cosine(), None);
    }
}
