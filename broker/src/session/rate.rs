//! How much a session may send: a bucket of tokens (as in RFC 2697, one rate, one burst) that may also be in debt.

use std::time::Duration;

/// Seconds' worth that may come at once, and seconds' worth of debt at which the connection ends.
const BURST_S: i64 = 5;
/// Tokens are counted in millionths, so that a microsecond is worth a whole number of them.
const MICRO: i64 = 1_000_000;

/// Tokens for one kind of thing.
#[derive(Debug)]
pub(crate) struct Bucket {
    per_s: i64,
    level: i64,
}

/// Whether something was within the rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rate {
    Within,
    /// Too much: it is to be refused.
    Over,
    /// Too much for so long that there is no hope.
    Hopeless,
}

impl Bucket {
    /// A full bucket.
    pub(crate) fn new(per_s: u32) -> Self {
        let per_s = i64::from(per_s);
        Self { per_s, level: per_s * BURST_S * MICRO }
    }

    /// Time has passed.
    pub(crate) fn refill(&mut self, passed: Duration) {
        let micros = i64::try_from(passed.as_micros()).unwrap_or(i64::MAX);
        let full = self.per_s * BURST_S * MICRO;
        self.level = self.level.saturating_add(micros.saturating_mul(self.per_s)).min(full);
    }

    /// Takes so many tokens. What is refused costs as much, so that going on does not pay.
    pub(crate) fn take(&mut self, count: usize) -> Rate {
        let cost = i64::try_from(count).unwrap_or(i64::MAX).saturating_mul(MICRO);
        let within = self.level >= cost;
        self.level = self.level.saturating_sub(cost);
        match within {
            true => Rate::Within,
            false if self.level > -self.per_s * BURST_S * MICRO => Rate::Over,
            false => Rate::Hopeless,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate_then_debt_then_the_end() {
        let mut bucket = Bucket::new(10);
        assert!((0..50).all(|_| bucket.take(1) == Rate::Within));
        assert_eq!(bucket.take(1), Rate::Over);
        bucket.refill(Duration::from_millis(200));
        assert_eq!((bucket.take(1), bucket.take(1)), (Rate::Within, Rate::Over));
        let over = (0..).take_while(|_| bucket.take(1) == Rate::Over).count();
        assert!((40..50).contains(&over), "{over}");
    }

    #[test]
    fn waiting_fills_it_no_further_than_the_burst() {
        let mut bucket = Bucket::new(10);
        bucket.refill(Duration::MAX);
        assert_eq!((bucket.take(50), bucket.take(1)), (Rate::Within, Rate::Over));
    }
}
