//! When messages are due. No clock: times are nanoseconds since the load began.

use crate::check::Layout;

/// How the clients send.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pacing {
    /// Each client that sends does so again when a message of its own has come to all who should hear it: no server gains by
    /// letting some of them wait.
    Closed {
        /// How many of its messages are on their way at once.
        flight: u32,
    },
    /// Each client that sends does so many times a second, whatever comes back.
    Open {
        /// Messages per client and second.
        hz: f64,
    },
}

/// The phases of a run and its pace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// How the clients send.
    pub pacing: Pacing,
    /// Load before the measured window.
    pub warmup_ns: u64,
    /// The measured window.
    pub window_ns: u64,
}

impl Plan {
    /// When the last message may be sent.
    #[must_use]
    pub fn end_ns(&self) -> u64 {
        self.warmup_ns + self.window_ns
    }

    /// Whether a message due at `time_ns` counts.
    #[must_use]
    pub fn in_window(&self, time_ns: u64) -> bool {
        (self.warmup_ns..self.end_ns()).contains(&time_ns)
    }
}

/// The send times of an open loop, evenly staggered over all clients, so that no two are due at once and the members of
/// a room are spread over the whole period.
#[derive(Debug)]
pub(super) struct Schedule {
    clients: u64,
    period_ns: u64,
    end_ns: u64,
    next: u64,
}

impl Schedule {
    /// The schedule of a plan, for those who send; `None` for a closed loop, which has none.
    pub(super) fn new(plan: &Plan, senders: Layout) -> Option<Self> {
        let Pacing::Open { hz } = plan.pacing else { return None };
        let period_ns = std::time::Duration::from_secs_f64(1.0 / hz).as_nanos();
        let period_ns = u64::try_from(period_ns).unwrap_or(u64::MAX);
        Some(Self { clients: u64::from(senders.clients()), period_ns, end_ns: plan.end_ns(), next: 0 })
    }

    /// When the next message is due; `None` after the last.
    pub(super) fn next_due(&self) -> Option<u64> {
        let round = self.next / self.clients * self.period_ns;
        let due = round + self.next % self.clients * self.period_ns / self.clients;
        (due < self.end_ns).then_some(due)
    }

    /// The client that must send now, with the time at which it should have.
    pub(super) fn take_due(&mut self, now_ns: u64) -> Option<(u32, u64)> {
        let due = self.next_due().filter(|&due| due <= now_ns)?;
        let client = u32::try_from(self.next % self.clients).expect("clients are counted in 32 bits");
        self.next += 1;
        Some((client, due))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sends_are_evenly_staggered_and_end_with_the_plan() {
        let plan = Plan { pacing: Pacing::Open { hz: 20.0 }, warmup_ns: 50_000_000, window_ns: 50_000_000 };
        let mut schedule = Schedule::new(&plan, Layout { rooms: 5, members: 2 }).unwrap();
        let mut all = Vec::new();
        assert_eq!(schedule.take_due(0), Some((0, 0)));
        assert_eq!(schedule.take_due(0), None);
        while let Some(due) = schedule.next_due() {
            all.push(schedule.take_due(due).unwrap());
        }
        assert_eq!(all.len(), 19);
        assert_eq!(all[0], (1, 5_000_000));
        assert_eq!(all[9], (0, 50_000_000));
        assert!(plan.in_window(50_000_000) && !plan.in_window(49_999_999) && !plan.in_window(100_000_000));
    }
}
