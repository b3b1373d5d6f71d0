//! How long to wait before connecting again: longer each time, and never the same for two clients.
//!
//! Knows neither clock nor source of randomness but its own seed.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use crate::options::Options;

/// Pauses between attempts: the ceiling doubles, and the pause is anything below it ("full jitter"), so that the clients of
/// a broker that was gone for a moment do not come back all at once.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    max: Duration,
    ceiling: Duration,
    random: u64,
}

impl Backoff {
    pub(crate) fn new(options: &Options) -> Self {
        // The standard library's hashers are seeded by the system; nothing here has to be secret.
        let random = options.seed.unwrap_or_else(|| RandomState::new().hash_one(0));
        let first = options.backoff_first.min(options.backoff_max);
        Self { first, max: options.backoff_max, ceiling: first, random }
    }

    /// The next pause.
    pub(crate) fn pause(&mut self) -> Duration {
        let pause = self.ceiling.mul_f64(self.fraction());
        self.ceiling = self.ceiling.saturating_mul(2).min(self.max);
        pause
    }

    /// A connection held for so long. The pauses are short again, unless it was shorter than the next one might be: a broker that
    /// throws everybody out at once is not helped by those who come back at once.
    pub(crate) fn held(&mut self, lived: Duration) {
        if lived >= self.ceiling {
            self.ceiling = self.first;
        }
    }

    /// A number from 0 to 1, by SplitMix64.
    fn fraction(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        // The upper 53 bits are what a float can hold.
        (z >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backoff(seed: u64) -> Backoff {
        let (first, max) = (Duration::from_millis(200), Duration::from_secs(10));
        Backoff::new(&Options::default().backoff(first, max).seed(seed))
    }

    #[test]
    fn pauses_stay_below_a_ceiling_that_doubles() {
        let mut largest = [Duration::ZERO; 9];
        for seed in 0..200 {
            let mut backoff = backoff(seed);
            for (n, largest) in largest.iter_mut().enumerate() {
                let ceiling = Duration::from_millis(200 << n).min(Duration::from_secs(10));
                let pause = backoff.pause();
                assert!(pause <= ceiling, "{pause:?} is more than {ceiling:?}");
                *largest = (*largest).max(pause);
            }
        }
        // The whole range is used.
        assert!(largest[0] > Duration::from_millis(190) && largest[8] > Duration::from_secs(9), "{largest:?}");
    }

    #[test]
    fn a_seed_makes_it_the_same_again() {
        let pauses = |seed| {
            let mut backoff = backoff(seed);
            [(); 5].map(|()| backoff.pause())
        };
        assert_eq!(pauses(7), pauses(7));
        assert_ne!(pauses(7), pauses(8));
    }

    #[test]
    fn only_a_connection_that_held_makes_pauses_short_again() {
        let mut backoff = backoff(1);
        let _ = [(); 4].map(|()| backoff.pause());
        assert_eq!(backoff.ceiling, Duration::from_millis(3200));
        backoff.held(Duration::from_secs(3));
        assert_eq!(backoff.ceiling, Duration::from_millis(3200));
        backoff.held(Duration::from_secs(4));
        assert_eq!(backoff.ceiling, Duration::from_millis(200));
    }
}
