//! The figures of a run, as one line of JSON.

use super::sample::Sample;
use hdrhistogram::Histogram;
use serde::Serialize;

/// What a run gave.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Whether sessions were such as outlive their connections.
    pub kept: bool,
    /// Messages a second that each sender meant to send, where a clock said when.
    pub hz: Option<f64>,
    /// Messages of each sender that were on their way at once, where that said when.
    pub flight: Option<u32>,
    /// Length of the measured window.
    pub seconds: f64,
    /// Messages sent, warm-up included.
    pub sent: u64,
    /// Messages received, warm-up and drain included.
    pub delivered: u64,
    /// Messages that had to be received.
    pub expected: u64,
    /// Violations of order or completeness, and faults answered by the server.
    pub errors: u64,
    /// The first of them in words.
    pub violations: Vec<String>,
    /// Messages received within the measured window.
    pub window_deliveries: u64,
    /// The same by the second.
    pub deliveries_per_s: f64,
    /// From the intended send time to the arrival at a member.
    pub latency_us: Quantiles,
    /// How late the generator itself wrote its messages: when this is not small, it was the bottleneck.
    pub send_lag_us: Quantiles,
    /// The generator's own CPU time in the window.
    pub client_cpu_s: f64,
    /// Whether the generator used all of its core: then it may have been the bottleneck.
    pub generator_full: bool,
    /// CPU time of everybody else on the machine in the window: when this is not small, latencies are not the server's.
    pub others_cpu_s: f64,
    /// What the window cost the server, when its process is known.
    pub server: Option<ServerCost>,
}

impl Report {
    /// Whether every message arrived once and in order.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.errors == 0 && self.delivered == self.expected
    }
}

/// A distribution, in microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Quantiles {
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

impl Quantiles {
    pub(super) fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| micros(histogram.value_at_quantile(quantile));
        Self { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: micros(histogram.max()) }
    }
}

/// Differences over the measured window.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ServerCost {
    pub(super) cpu_s: f64,
    context_switches: u64,
    rss_kib: u64,
    cpu_us_per_delivery: f64,
    user_us_per_delivery: f64,
    system_us_per_delivery: f64,
    context_switches_per_delivery: f64,
}

impl ServerCost {
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub(super) fn between(before: Sample, after: Sample, deliveries: u64) -> Self {
        let user_s = after.user_seconds - before.user_seconds;
        let system_s = after.system_seconds - before.system_seconds;
        let cpu_s = user_s + system_s;
        let context_switches = after.context_switches.saturating_sub(before.context_switches);
        let per_delivery = |value: f64| value / deliveries.max(1) as f64;
        Self {
            cpu_s: thousandths(cpu_s),
            context_switches,
            rss_kib: after.rss_kib,
            cpu_us_per_delivery: thousandths(per_delivery(cpu_s * 1e6)),
            user_us_per_delivery: thousandths(per_delivery(user_s * 1e6)),
            system_us_per_delivery: thousandths(per_delivery(system_s * 1e6)),
            context_switches_per_delivery: thousandths(per_delivery(context_switches as f64)),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn micros(nanos: u64) -> f64 {
    (nanos as f64 / 100.0).round() / 10.0
}

/// Rounds away what is not known anyway.
pub(super) fn thousandths(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
