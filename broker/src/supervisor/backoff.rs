//! When a process that has ended is started again: at once if it had been well, otherwise after pauses that grow, so that a program
//! that cannot run does not take the machine from those that can.

use std::time::Duration;

/// Whoever ran this long was well.
const WELL: Duration = Duration::from_secs(10);
/// A crash now and then goes by unnoticed.
const SHORTEST: Duration = Duration::from_millis(100);
/// A mistake that is mended, say a missing file, is noticed soon.
const LONGEST: Duration = Duration::from_secs(5);

/// The next pause.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(SHORTEST)
    }
}

impl Backoff {
    /// How long to wait after a process has ended that ran for so long.
    pub(super) fn after(&mut self, ran: Duration) -> Duration {
        if ran >= WELL {
            *self = Self::default();
            return Duration::ZERO;
        }
        let pause = self.0;
        self.0 = (pause * 2).min(LONGEST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_while_it_crashes_and_begin_anew_when_it_was_well() {
        let mut backoff = Backoff::default();
        let mut after = |ran_ms| backoff.after(Duration::from_millis(ran_ms)).as_millis();
        let crashes = [0, 1, 50, 9_999, 0, 0, 0, 0].map(&mut after);
        assert_eq!(crashes, [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        assert_eq!([10_000, 0, 0, 3_600_000, 9_999].map(&mut after), [0, 100, 200, 0, 100]);
    }
}
