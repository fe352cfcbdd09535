//! Whose turn it is for a full spectrum.
//!
//! The budget is time, yet the same checkpoints must give the same readings on any machine and in a
//! replay. So the cost of a tensor is counted in floating-point operations at a nominal speed, the
//! tensors are dealt into rounds of one budget each, and checkpoint number r gets round r modulo their
//! number.

use std::time::Duration;

/// Multiply-adds a second of one core in a matrix product in f64, as measured with faer on a 2-core EPYC.
const PRODUCT_SPEED: f64 = 30e9;

/// Operations a second of one core in the reduction to tridiagonal form: half of it is bound by memory.
const REDUCTION_SPEED: f64 = 9e9;

/// Nominal seconds on one core for spectrum and principal components of a matrix of that shape.
pub(super) fn seconds(rows: usize, columns: usize) -> f64 {
    let (short, long) = (rows.min(columns) as f64, rows.max(columns) as f64);
    // where rows are the short side the standardised matrix needs a product of its own
    let products = if rows < columns { 2.0 } else { 1.0 };
    products * short * short * long / PRODUCT_SPEED + 2.0 * 4.0 / 3.0 * short.powi(3) / REDUCTION_SPEED
}

/// For each cost, in order: is it its turn in this round? Every one has its turn once in as many rounds
/// as there are; each round has at least one.
pub(super) fn turns(costs: &[f64], budget: Option<Duration>, round: u64) -> Vec<bool> {
    let Some(budget) = budget else { return vec![true; costs.len()] };
    let (mut dealt, mut spent, mut rounds) = (Vec::with_capacity(costs.len()), 0.0, 0u64);
    for &cost in costs {
        if spent > 0.0 && spent + cost > budget.as_secs_f64() {
            rounds += 1;
            spent = 0.0;
        }
        spent += cost;
        dealt.push(rounds);
    }
    dealt.iter().map(|&mine| mine == round % (rounds + 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_budget_means_everybody() {
        assert_eq!(turns(&[1.0, 2.0], None, 5), [true, true]);
    }

    #[test]
    fn everybody_has_a_turn_and_no_round_overspends() {
        let costs = [0.5, 0.4, 0.3, 5.0, 0.1, 0.2];
        let budget = Some(Duration::from_secs(1));
        let mut seen = vec![0; costs.len()];
        for round in 0..4 {
            let turn = turns(&costs, budget, round);
            let spent: f64 = costs.iter().zip(&turn).filter(|(_, t)| **t).map(|(c, _)| c).sum();
            let count = turn.iter().filter(|t| **t).count();
            assert!(spent <= 1.0 || count == 1, "round {round} spends {spent}");
            turn.iter().zip(&mut seen).for_each(|(t, s)| *s += usize::from(*t));
        }
        assert_eq!(seen, [1; 6]);
        assert_eq!(turns(&costs, budget, 4), turns(&costs, budget, 0));
    }
}
