//! How fast connections are let in: when thousands come back at once, the games that go on must not wait behind all their handshakes.
//! Those who are not let in yet wait in the kernel's queue.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// A slice of time, and how many connections each core takes in one: 1,000 a second. A handshake with hello takes some 0.2 ms, so that
/// a slice is used by half at most.
const SLICE: Duration = Duration::from_millis(2);
const CONNECTIONS: usize = 2;

/// Lets so many through in each slice of time.
#[derive(Debug)]
pub(super) struct Pace {
    most: usize,
    since: Instant,
    count: usize,
}

impl Pace {
    pub(super) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { most: CONNECTIONS * cores, since: Instant::now(), count: 0 }
    }

    /// Waits until another one may come.
    pub(super) async fn keep(&mut self) {
        self.count += 1;
        if self.count <= self.most {
            return;
        }
        // The clock is read once for as many as a slice takes.
        sleep_until(self.since + SLICE).await;
        (self.since, self.count) = (Instant::now(), 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_slice_takes_so_many_and_no_more() {
        let mut pace = Pace::new();
        let began = Instant::now();
        for _ in 0..3 * pace.most {
            pace.keep().await;
        }
        assert_eq!(began.elapsed(), 2 * SLICE);
        tokio::time::advance(10 * SLICE).await;
        for _ in 0..pace.most {
            pace.keep().await;
        }
        assert_eq!(began.elapsed(), 12 * SLICE, "time that was not used is not made up for");
    }
}
