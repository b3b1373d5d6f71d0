//! When a client that has lost its connection tries again: the rules of the client libraries, "full jitter" under a ceiling that
//! doubles.

/// The first ceiling and the last.
const FIRST_NS: u64 = 200_000_000;
const MAX_NS: u64 = 10_000_000_000;

/// The pauses of one client.
#[derive(Debug)]
pub(super) struct Backoff {
    ceiling: u64,
    random: u64,
}

impl Backoff {
    pub(super) fn new(seed: u64) -> Self {
        Self { ceiling: FIRST_NS, random: seed }
    }

    /// The next pause, in nanoseconds.
    pub(super) fn pause_ns(&mut self) -> u64 {
        let pause = self.next_random() % self.ceiling;
        self.ceiling = (self.ceiling * 2).min(MAX_NS);
        pause
    }

    /// A connection held for so long: the pauses are short again, unless that was shorter than the next one might be.
    pub(super) fn held(&mut self, lived_ns: u64) {
        if lived_ns >= self.ceiling {
            self.ceiling = FIRST_NS;
        }
    }

    /// SplitMix64.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_lie_under_a_ceiling_that_doubles_until_a_connection_has_held() {
        let mut backoff = Backoff::new(7);
        for attempt in 0..12 {
            assert!(backoff.pause_ns() < (FIRST_NS << attempt).min(MAX_NS));
        }
        backoff.held(MAX_NS - 1);
        assert_eq!(backoff.ceiling, MAX_NS);
        backoff.held(MAX_NS);
        assert_eq!(backoff.ceiling, FIRST_NS);
    }
}
