//! Medians and how far they can be trusted.

/// The rounds from which there is a 95 % interval: with fewer, even lowest to highest holds the median less often.
pub(super) const ENOUGH: usize = 6;

/// How often an interval may miss the median.
const RISK: f64 = 0.05;

/// The median of a series and the interval that holds the true one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Estimate {
    pub(super) median: f64,
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) rounds: usize,
}

impl Estimate {
    /// The interval is that of the median by order statistics: each value lies below the true median with probability
    /// one half, so how many do is binomial, whatever the distribution; the interval leaves out as many values at
    /// either end as it can and still holds the median in at least 95 % of all cases. Of fewer than [`ENOUGH`] values
    /// it is lowest to highest.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let rounds = sorted.len();
        let cut = left_out(rounds);
        let (low, high) = (*sorted.get(cut)?, *sorted.get(rounds.checked_sub(cut + 1)?)?);
        let median = f64::midpoint(sorted[(rounds - 1) / 2], sorted[rounds / 2]);
        Some(Self { median, low, high, rounds })
    }
}

/// How many of `n` sorted values an interval of the median may leave out at either end.
fn left_out(n: usize) -> usize {
    let Ok(exponent) = i32::try_from(n) else { return 0 };
    // The probability that exactly k of n values lie below the median, from k = 0 on.
    let mut exactly = 0.5_f64.powi(exponent);
    let mut at_most = exactly;
    let mut cut = 0;
    // Leaving out k + 1 at either end misses when at most k values lie on one side.
    while 2.0 * at_most <= RISK {
        cut += 1;
        exactly *= count(n - cut + 1) / count(cut);
        at_most += exactly;
    }
    // The first value out of place is the one that the interval begins with.
    cut.saturating_sub(1)
}

/// A number of things that are few.
#[expect(clippy::cast_precision_loss, reason = "they are few")]
pub(super) fn count(things: usize) -> f64 {
    things as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_has_no_median() {
        assert_eq!(Estimate::of(&[]), None);
    }

    #[test]
    fn few_values_reach_from_lowest_to_highest() {
        assert_eq!(Estimate::of(&[7.0]), Some(Estimate { median: 7.0, low: 7.0, high: 7.0, rounds: 1 }));
        assert_eq!(Estimate::of(&[4.0, 1.0]), Some(Estimate { median: 2.5, low: 1.0, high: 4.0, rounds: 2 }));
        assert_eq!(Estimate::of(&[3.0, 1.0, 2.0]), Some(Estimate { median: 2.0, low: 1.0, high: 3.0, rounds: 3 }));
    }

    /// The values of any table of distribution-free intervals of the median.
    #[test]
    fn the_interval_is_that_of_the_binomial_table() {
        // Rounds, and which of the sorted values, from 1, the 95 % interval begins with.
        for (rounds, begins) in [(6, 1), (8, 1), (9, 2), (10, 2), (11, 2), (12, 3), (15, 4), (20, 6), (25, 8), (50, 18)]
        {
            assert_eq!(left_out(rounds) + 1, begins, "{rounds} rounds");
        }
    }

    #[test]
    fn one_odd_value_in_ten_is_outside() {
        let values = [5.0, 1.0, 2.0, 3.0, 4.0, 6.0, 7.0, 8.0, 9.0, 1000.0];
        assert_eq!(Estimate::of(&values), Some(Estimate { median: 5.5, low: 2.0, high: 9.0, rounds: 10 }));
    }
}
