//! What the players count together.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use parlor_client::ClientError;

/// How many times something happened, by its code.
pub(crate) type Codes = BTreeMap<String, u64>;

/// The counts of a run. Only what belongs to the measured time is counted, but errors and disconnects are from the beginning.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Whether the measured time has begun.
    measuring: AtomicBool,
    pub(crate) received: AtomicU64,
    pub(crate) actions: Vec<ActionTally>,
    pub(crate) refused: Mutex<Codes>,
    pub(crate) errors: Mutex<Codes>,
    pub(crate) disconnects: Mutex<Codes>,
    /// How long after its time a message was sent.
    pub(crate) late: Mutex<Latency>,
}

/// The counts of one action.
#[derive(Debug, Default)]
pub(crate) struct ActionTally {
    pub(crate) sent: AtomicU64,
    /// Sent, and waited for in vain.
    pub(crate) unanswered: AtomicU64,
    /// Up to the reply.
    pub(crate) round_trip: Mutex<Latency>,
    /// Up to the message of the room that answers it.
    pub(crate) delivery: Mutex<Latency>,
}

impl Tally {
    pub(crate) fn new(actions: usize) -> Self {
        Self {
            measuring: AtomicBool::new(false),
            received: AtomicU64::new(0),
            actions: (0..actions).map(|_| ActionTally::default()).collect(),
            refused: Mutex::default(),
            errors: Mutex::default(),
            disconnects: Mutex::default(),
            late: Mutex::default(),
        }
    }

    pub(crate) fn measure(&self) {
        self.measuring.store(true, Ordering::Relaxed);
    }

    /// A message came from a room.
    pub(crate) fn received(&self) {
        if self.measuring.load(Ordering::Relaxed) {
            self.received.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Something that was sent in the measured time was refused.
    pub(crate) fn refused(&self, code: &str) {
        count(&mut self.refused.lock(), code);
    }

    pub(crate) fn error(&self, code: &str) {
        count(&mut self.errors.lock(), code);
    }

    pub(crate) fn disconnect(&self, code: u16, reason: &str) {
        count(&mut self.disconnects.lock(), &format!("{code} {reason}"));
    }

    /// A message, measured or not, was not sent, or not answered as it should be.
    pub(crate) fn failed(&self, error: &ClientError, measured: bool) {
        match error {
            ClientError::Refused(failure) if measured => self.refused(&failure.code),
            ClientError::Refused(_) => {}
            other => self.error(other.code()),
        }
    }
}

pub(crate) fn count(codes: &mut Codes, code: &str) {
    match codes.get_mut(code) {
        Some(times) => *times += 1,
        None => drop(codes.insert(code.to_owned(), 1)),
    }
}

/// A distribution of times, exact to a thousandth, from a microsecond to ten minutes.
#[derive(Clone, Debug)]
pub(crate) struct Latency(Histogram<u64>);

impl Default for Latency {
    fn default() -> Self {
        const SHORTEST: u64 = 1_000;
        const LONGEST: u64 = 600_000_000_000;
        Self(Histogram::new_with_bounds(SHORTEST, LONGEST, 3).expect("bounds that go together"))
    }
}

impl Latency {
    pub(crate) fn record(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn add(&mut self, other: &Self) {
        // All have the same bounds.
        let _ = self.0.add(&other.0);
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    pub(crate) fn at(&self, quantile: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_quantile(quantile))
    }

    pub(crate) fn max(&self) -> Duration {
        Duration::from_nanos(self.0.max())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_measured_time_counts() {
        let tally = Tally::new(1);
        let refused = ClientError::Refused(parlor_client::ErrorCode::RateLimited.into());
        tally.received();
        tally.failed(&refused, false);
        tally.failed(&ClientError::Timeout, false);
        tally.measure();
        tally.received();
        tally.failed(&refused, true);
        tally.failed(&refused, true);
        assert_eq!(tally.received.load(Ordering::Relaxed), 1);
        assert_eq!(*tally.refused.lock(), Codes::from([("rate_limited".to_owned(), 2)]));
        assert_eq!(*tally.errors.lock(), Codes::from([("timeout".to_owned(), 1)]));
    }

    #[test]
    fn times_keep_three_digits() {
        let mut latency = Latency::default();
        for ms in 1..=1_000 {
            latency.record(Duration::from_millis(ms));
        }
        latency.record(Duration::from_secs(3_600));
        let near = |quantile, ms: f64| (latency.at(quantile).as_secs_f64() * 1e3 / ms - 1.0).abs() < 0.002;
        assert!(near(0.5, 501.0) && near(0.99, 991.0), "{:?} {:?}", latency.at(0.5), latency.at(0.99));
        // Beyond the bound it is the bound.
        assert!(latency.max() >= Duration::from_secs(600) && latency.max() < Duration::from_secs(900));
        let mut both = Latency::default();
        both.add(&latency);
        both.add(&latency);
        assert_eq!((both.count(), both.at(0.5)), (2_002, latency.at(0.5)));
    }
}
