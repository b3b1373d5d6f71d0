//! When thousands lose their connections at once, what has to be done for each is spread out, so that the games of those who are still
//! there go on in between.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Time for each, several times what it takes: 2,000 are dealt with in 0.4 s.
const SPACING: Duration = Duration::from_micros(200);

/// When the next one has its turn.
#[derive(Debug)]
pub(super) struct Partings {
    began: Instant,
    /// In nanoseconds from the beginning.
    next: AtomicU64,
}

impl Partings {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), next: AtomicU64::new(0) }
    }

    /// A turn for one that has lost its connection now: at once, unless there are many.
    pub(super) fn turn(&self) -> Instant {
        let now = self.began.elapsed().as_nanos() as u64;
        let after = |next: u64| next.max(now) + SPACING.as_nanos() as u64;
        let before = self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| Some(after(next)));
        self.began + Duration::from_nanos(before.unwrap_or_default().max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_has_its_turn_at_once_and_many_one_after_the_other() {
        let partings = Partings::new();
        for _ in 0..10 {
            assert_eq!(partings.turn(), Instant::now());
            tokio::time::advance(SPACING).await;
        }
        let now = Instant::now();
        let turns: Vec<_> = (0..3).map(|_| partings.turn() - now).collect();
        assert_eq!(turns, [Duration::ZERO, SPACING, 2 * SPACING]);
    }
}
