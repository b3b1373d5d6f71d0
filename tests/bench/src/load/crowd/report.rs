//! The figures of the scenarios with crowds, each as one line of JSON.

use super::super::report::{Quantiles, thousandths};
use super::tally::Tally;
use hdrhistogram::Histogram;
use serde::Serialize;

/// The figures of any scenario.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum CrowdReport {
    /// Of `idle`.
    Idle(Idle),
    /// Of `stalled`.
    Stalled(Stalled),
    /// Of `storm`.
    Storm(Storm),
    /// Of `crash`.
    Crash(Crash),
}

/// What sessions cost that do nothing.
#[derive(Debug, Clone, Serialize)]
pub struct Idle {
    /// Whether they are such as outlive their connections.
    pub kept: bool,
    /// How many.
    pub sessions: u32,
    /// In how many rooms.
    pub rooms: u32,
    /// Resident memory of the server without them.
    pub rss_before_kib: u64,
    /// Resident memory with them.
    pub rss_kib: u64,
    /// The difference, divided.
    pub kib_per_session: f64,
    /// The same in bytes.
    pub bytes_per_session: f64,
    /// How long it took until all were in their rooms.
    pub enter_s: f64,
    /// What was wrong.
    pub violations: Vec<String>,
}

/// What readers cost that stop reading.
#[derive(Debug, Clone, Serialize)]
pub struct Stalled {
    /// All clients, senders included.
    pub clients: u32,
    /// Those who stop reading.
    pub stalled: u32,
    /// Latency of the others before, and meanwhile.
    pub before_us: Quantiles,
    /// The same while those do not read.
    pub during_us: Quantiles,
    /// The 99th percentile meanwhile, as a multiple of that before.
    pub p99_ratio: f64,
    /// Resident memory before.
    pub rss_before_kib: u64,
    /// The most that it has grown by meanwhile.
    pub growth_kib: u64,
    /// The same for each of those who do not read.
    pub growth_kib_per_stalled: f64,
    /// Connections that the server has ended for it.
    pub cut: u64,
    /// Views that they were sent when they read again.
    pub views: u64,
    /// How many were up to date again.
    pub back: u32,
    /// What was wrong.
    pub violations: Vec<String>,
}

/// What happens when everybody comes back at once.
#[derive(Debug, Clone, Serialize)]
pub struct Storm {
    /// Those whose connections were cut.
    pub dropped: u32,
    /// How many were up to date again.
    pub back: u32,
    /// When the last of them was.
    pub back_s: f64,
    /// Attempts that failed, and the last one in words.
    pub failed_attempts: u64,
    /// What the last one failed of.
    pub failure: String,
    /// Who was told that everything follows.
    pub recovered: u64,
    /// Who was sent a view.
    pub views: u64,
    /// Who had lost its session or its room.
    pub lost: u64,
    /// Latency in a room that nothing happens to, before.
    pub before_us: Quantiles,
    /// The same until the last is back.
    pub during_us: Quantiles,
    /// The 99th percentile during, as a multiple of that before.
    pub p99_ratio: f64,
    /// What was wrong.
    pub violations: Vec<String>,
}

/// What rooms go through when the process of their handlers dies.
#[derive(Debug, Clone, Serialize)]
pub struct Crash {
    /// Nearly all of them in the process that is killed, each time: those that find its successor sooner have a shorter pause.
    pub rooms: u32,
    /// Clients in each, its sender among them.
    pub members: u32,
    /// Worker processes of the server.
    pub processes: usize,
    /// How often one was killed that counts.
    pub kills: u32,
    /// From the kill to the first arrival, at a member of a room, of a message sent after it: one for each room and kill.
    pub pause_us: Quantiles,
    /// Latency before the first kill.
    pub before_us: Quantiles,
    /// Connections that have ended. Nobody is to notice more than a pause.
    pub disconnected: u64,
    /// Views that were sent because a room was not what it had been.
    pub views: u64,
    /// What was wrong.
    pub violations: Vec<String>,
}

impl CrowdReport {
    /// Whether nothing was wrong, and everybody is where it should be.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        match self {
            Self::Idle(report) => report.violations.is_empty(),
            Self::Stalled(report) => report.violations.is_empty() && report.back == report.clients,
            Self::Storm(report) => report.violations.is_empty() && report.lost == 0 && report.back == report.dropped,
            Self::Crash(report) => report.violations.is_empty() && report.disconnected == 0 && report.views == 0,
        }
    }
}

/// The latencies of a crowd: before, during, and the ratio of their 99th percentiles.
pub(super) fn latencies(tally: &Tally) -> (Quantiles, Quantiles, f64) {
    let (before, during) = (tally.before(), tally.during());
    (Quantiles::of(before), Quantiles::of(during), ratio(before, during))
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn ratio(before: &Histogram<u64>, during: &Histogram<u64>) -> f64 {
    let p99 = |histogram: &Histogram<u64>| histogram.value_at_quantile(0.99) as f64;
    thousandths(p99(during) / p99(before).max(1.0))
}
