//! How fast connections are let in: when thousands come back at once, the games that go on must not wait behind all their handshakes.
//! Those who are not let in yet wait in the kernel's queue.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::session::Turn;

/// Newcomers that each core has under way at once, from their connection to the answer to their first message. That takes some 0.2 ms,
/// so that more would only wait for each other, and the rooms of the core for all of them.
const NEWCOMERS: usize = 2;
/// How long each core waits for one of them to end. Clients that take their time hold up the others no longer than that, so that up to
/// 1,000 a second come in on each core, however slow they are; fewer where its rooms keep it busy.
const PATIENCE: Duration = Duration::from_millis(1);

/// Lets the next one in, on one core, when one before it is done, or has had its time.
#[derive(Debug)]
pub(super) struct Pace {
    under_way: Arc<Semaphore>,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { under_way: Arc::new(Semaphore::new(NEWCOMERS)) }
    }

    /// Waits until another one may come.
    pub(super) async fn keep(&self) -> Turn {
        let turn = self.under_way.clone().acquire_owned();
        tokio::time::timeout(PATIENCE, turn).await.ok()?.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn those_who_are_done_make_way_at_once_and_the_others_in_time() {
        let (pace, began) = (Pace::new(), Instant::now());
        for _ in 0..1_000 {
            assert!(pace.keep().await.is_some());
        }
        assert_eq!(began.elapsed(), Duration::ZERO, "each was done when the next came");
        let mut slow = Vec::new();
        for _ in 0..pace.under_way.available_permits() {
            slow.push(pace.keep().await);
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
        assert!(pace.keep().await.is_none(), "in without a place");
        assert!(began.elapsed() >= PATIENCE);
        slow.pop();
        assert!(pace.keep().await.is_some());
    }
}
