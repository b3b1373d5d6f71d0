//! The server's clock and the round trip, from pings. Knows no clock of its own: local times are arguments.

use std::collections::VecDeque;
use std::time::Duration;

/// Samples among which the best one is used: half a minute's at the default period.
const WINDOW: usize = 16;

/// Pings that may be under way at the same time; older ones are forgotten.
const UNDER_WAY: usize = 16;

/// Estimates. Local times are milliseconds since the connection began.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    under_way: VecDeque<f64>,
    samples: VecDeque<Sample>,
    smoothed: Option<f64>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    rtt: f64,
    /// Server time minus local time.
    offset: f64,
}

impl Clock {
    /// A new connection, perhaps to another machine: the clock is learned anew, and no ping is under way.
    pub(crate) fn restart(&mut self) {
        self.under_way.clear();
        self.samples.clear();
    }

    /// Remembers that a ping was sent.
    pub(crate) fn ping(&mut self, now: f64) {
        if self.under_way.len() == UNDER_WAY {
            self.under_way.pop_front();
        }
        self.under_way.push_back(now);
    }

    /// Learns from a pong. One that answers no ping is ignored: it would say nothing about the round trip.
    pub(crate) fn pong(&mut self, sent: f64, server: u64, now: f64) {
        // JSON may change the last bit of a number.
        let Some(at) = self.under_way.iter().position(|ping| (*ping - sent).abs() < 0.001) else { return };
        self.under_way.drain(..=at);
        let rtt = (now - sent).max(0.0);
        // The usual smoothing, as in TCP.
        self.smoothed = Some(self.smoothed.map_or(rtt, |old| old + (rtt - old) / 8.0));
        self.sample(rtt, server, now);
    }

    /// Learns from any exchange that gave the server's time and took `rtt`.
    pub(crate) fn sample(&mut self, rtt: f64, server: u64, now: f64) {
        if self.samples.len() == WINDOW {
            self.samples.pop_front();
        }
        // Taken to be read halfway through the exchange.
        self.samples.push_back(Sample { rtt, offset: server as f64 + rtt / 2.0 - now });
    }

    /// The smoothed round trip, once a ping was answered.
    pub(crate) fn rtt(&self) -> Option<Duration> {
        self.smoothed.and_then(|ms| Duration::try_from_secs_f64(ms / 1000.0).ok())
    }

    /// The server's time by the sample that had the least room for error: the one with the shortest round trip.
    pub(crate) fn server_now(&self, now: f64) -> u64 {
        let best = self.samples.iter().min_by(|a, b| a.rtt.total_cmp(&b.rtt));
        best.map_or(0.0, |sample| now + sample.offset).max(0.0).round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_round_trip_decides() {
        let mut clock = Clock::default();
        clock.ping(0.0);
        clock.pong(0.0, 1_000_010, 20.0);
        assert_eq!(clock.server_now(20.0), 1_000_020);
        clock.ping(100.0);
        clock.pong(100.0, 1_000_101, 500.0);
        assert_eq!(clock.server_now(500.0), 1_000_500, "a slow exchange changes nothing");
        clock.ping(600.0);
        clock.pong(600.0, 1_000_703, 606.0);
        assert_eq!(clock.server_now(606.0), 1_000_706, "a faster one does");
    }

    #[test]
    fn old_samples_are_forgotten() {
        let mut clock = Clock::default();
        clock.sample(1.0, 5_000, 0.0);
        for _ in 0..WINDOW {
            clock.sample(10.0, 9_000, 0.0);
        }
        assert_eq!(clock.server_now(0.0), 9_005);
    }

    #[test]
    fn the_round_trip_is_smoothed() {
        let mut clock = Clock::default();
        assert_eq!(clock.rtt(), None);
        clock.ping(0.0);
        clock.pong(0.0, 0, 8.0);
        clock.ping(10.0);
        clock.pong(10.0, 0, 26.0);
        assert_eq!(clock.rtt(), Some(Duration::from_millis(9)));
    }

    #[test]
    fn what_answers_no_ping_is_ignored() {
        let mut clock = Clock::default();
        for sent in [f64::NAN, f64::INFINITY, -1.0, 3.0] {
            clock.pong(sent, u64::MAX, 0.0);
        }
        assert_eq!((clock.rtt(), clock.server_now(7.0)), (None, 0));
    }
}
