//! A room's clockwork: timers and ticks, in microseconds since the room opened. Knows no clock.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use parlor_protocol::Policy;
use parlor_protocol::policy::TickWhen;
use parlor_protocol::room::TimerId;

/// Timers by due time, then by the order in which they were set.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    due: BTreeMap<(u64, TimerId), (Cow<'static, str>, Bytes)>,
    ids: BTreeMap<TimerId, u64>,
}

impl Timers {
    pub(crate) fn set(&mut self, id: TimerId, at_us: u64, event: Cow<'static, str>, payload: Bytes) {
        self.due.insert((at_us, id), (event, payload));
        self.ids.insert(id, at_us);
    }

    pub(crate) fn cancel(&mut self, id: TimerId) {
        if let Some(at) = self.ids.remove(&id) {
            self.due.remove(&(at, id));
        }
    }

    pub(crate) fn next_us(&self) -> Option<u64> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// The first timer that is due.
    pub(crate) fn take_due(&mut self, now_us: u64) -> Option<(TimerId, Cow<'static, str>, Bytes)> {
        let entry = self.due.first_entry().filter(|entry| entry.key().0 <= now_us)?;
        let ((_, id), (event, payload)) = entry.remove_entry();
        self.ids.remove(&id);
        Some((id, event, payload))
    }
}

/// When the room ticks next. At most one tick waits, and carries the time that has passed.
#[derive(Debug)]
pub(crate) struct Ticker {
    period_us: Option<u64>,
    when: TickWhen,
    running: Option<Running>,
    count: u64,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    last_us: u64,
    next_us: u64,
}

impl Ticker {
    pub(crate) fn new(policy: &Policy) -> Self {
        Self { period_us: period_us(policy), when: policy.tick_when, running: None, count: 0 }
    }

    /// Ticks as another policy says from now on. The numbers go on, and what has passed since the last tick counts.
    pub(crate) fn change(&mut self, policy: &Policy, now_us: u64, players: usize) {
        let before = self.running.take();
        (self.period_us, self.when) = (period_us(policy), policy.tick_when);
        self.occupied(now_us, players);
        if let (Some(running), Some(before)) = (&mut self.running, before) {
            running.last_us = before.last_us;
        }
    }

    /// Starts or stops as players come and go.
    pub(crate) fn occupied(&mut self, now_us: u64, players: usize) {
        let Some(period) = self.period_us else { return };
        let runs = players > 0 || self.when == TickWhen::Always;
        match (runs, self.running) {
            (true, None) => self.running = Some(Running { last_us: now_us, next_us: now_us + period }),
            (false, Some(_)) => self.running = None,
            _ => {}
        }
    }

    pub(crate) fn next_us(&self) -> Option<u64> {
        self.running.map(|running| running.next_us)
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The tick that is due: its number, and the microseconds since the one before.
    pub(crate) fn take_due(&mut self, now_us: u64) -> Option<(u64, u64)> {
        let (period, running) = (self.period_us?, self.running.filter(|running| running.next_us <= now_us)?);
        // Ticks that were missed are not made up for; the grid is kept, so that the rate holds on average.
        let missed = (now_us - running.next_us) / period;
        self.running = Some(Running { last_us: now_us, next_us: running.next_us + (missed + 1) * period });
        self.count += 1;
        Some((self.count, now_us - running.last_us))
    }
}

fn period_us(policy: &Policy) -> Option<u64> {
    (policy.tick_hz > 0).then(|| 1_000_000 / u64::from(policy.tick_hz.min(1000)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use parlor_protocol::{Place, Seq};

    fn id(seq: u64) -> TimerId {
        TimerId(Place { seq: Seq(seq), index: 0 })
    }

    #[test]
    fn timers_fire_once_in_due_order() {
        let mut timers = Timers::default();
        timers.set(id(2), 50, "b".into(), Bytes::new());
        timers.set(id(1), 50, "a".into(), Bytes::new());
        timers.set(id(3), 10, "c".into(), Bytes::new());
        timers.set(id(4), 20, "never".into(), Bytes::new());
        timers.cancel(id(4));
        assert_eq!(timers.next_us(), Some(10));
        assert!(timers.take_due(9).is_none());
        let fired: Vec<_> = std::iter::from_fn(|| timers.take_due(60)).map(|(_, event, _)| event).collect();
        assert_eq!(fired, ["c", "a", "b"]);
    }

    #[test]
    fn another_rate_goes_on_from_the_last_tick() {
        let of = |tick_hz| Policy { tick_hz, ..Policy::default() };
        let mut ticker = Ticker::new(&of(10));
        ticker.occupied(0, 1);
        assert_eq!(ticker.take_due(100_000), Some((1, 100_000)));
        ticker.change(&of(50), 130_000, 1);
        assert_eq!(ticker.next_us(), Some(150_000));
        assert_eq!(ticker.take_due(150_000), Some((2, 50_000)), "no time is left out");
        ticker.change(&of(0), 160_000, 1);
        assert_eq!(ticker.next_us(), None);
        ticker.change(&of(10), 200_000, 1);
        assert_eq!(ticker.take_due(300_000), Some((3, 100_000)), "the numbers go on");
        ticker.change(&of(10), 350_000, 0);
        assert_eq!(ticker.next_us(), None, "an empty room does not tick");
    }

    #[test]
    fn a_late_tick_carries_the_time_and_keeps_the_grid() {
        let mut ticker = Ticker::new(&Policy { tick_hz: 10, ..Policy::default() });
        ticker.occupied(0, 0);
        assert_eq!(ticker.next_us(), None, "an empty room does not tick");
        ticker.occupied(0, 1);
        assert_eq!(ticker.take_due(99_999), None);
        assert_eq!(ticker.take_due(100_000), Some((1, 100_000)));
        assert_eq!(ticker.take_due(450_000), Some((2, 350_000)));
        assert_eq!(ticker.take_due(450_000), None, "missed ticks are not made up for");
        assert_eq!(ticker.next_us(), Some(500_000));
        ticker.occupied(460_000, 0);
        assert_eq!(ticker.next_us(), None);
    }
}
