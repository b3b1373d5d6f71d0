//! How long rooms say nothing after something was done to the server. No clock: times are nanoseconds since the crowd began.

use super::super::Failure;
use hdrhistogram::Histogram;

/// From a moment to each room's first output for a message that was sent after it.
#[derive(Debug)]
pub(super) struct Pauses {
    since_ns: u64,
    /// By room: the number of the first message sent since, until it or a later one has arrived.
    awaited: Vec<Option<u32>>,
    left: usize,
    all: Histogram<u64>,
}

impl Pauses {
    pub(super) fn new() -> Result<Self, Failure> {
        let all = Histogram::new_with_bounds(1, 600_000_000_000, 3)?;
        Ok(Self { since_ns: 0, awaited: Vec::new(), left: 0, all })
    }

    /// It was done now; `next` is the number of each room's next message.
    pub(super) fn begin(&mut self, since_ns: u64, next: impl Iterator<Item = u32>) {
        self.since_ns = since_ns;
        self.awaited = next.map(Some).collect();
        self.left = self.awaited.len();
    }

    /// A member of a room was told this message.
    pub(super) fn heard(&mut self, room: u32, number: u32, now_ns: u64) {
        if let Some(awaited) = self.awaited.get_mut(room as usize)
            && awaited.is_some_and(|first| number >= first)
        {
            *awaited = None;
            self.left -= 1;
            self.all.saturating_record(now_ns.saturating_sub(self.since_ns));
        }
    }

    /// Whether every room has said something since.
    pub(super) fn are_over(&self) -> bool {
        self.left == 0
    }

    /// Rooms that have not.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// Those so far do not count.
    pub(super) fn forget(&mut self) {
        self.all.reset();
    }

    pub(super) fn all(&self) -> &Histogram<u64> {
        &self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_room_counts_once_and_only_what_was_sent_since() {
        let mut pauses = Pauses::new().unwrap();
        pauses.heard(0, 1, 10);
        assert!(pauses.are_over());
        pauses.begin(1_000, [5, 7].into_iter());
        pauses.heard(0, 4, 1_100);
        assert_eq!(pauses.left(), 2);
        pauses.heard(0, 5, 1_200);
        pauses.heard(0, 6, 1_300);
        assert!(!pauses.are_over());
        pauses.heard(1, 9, 1_400);
        assert!(pauses.are_over());
        assert_eq!((pauses.all().len(), pauses.all().min(), pauses.all().max()), (2, 200, 400));
        pauses.forget();
        assert_eq!(pauses.all().len(), 0);
    }
}
