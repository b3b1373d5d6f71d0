//! From the figures of all runs to one Markdown table.

use super::run::{KEPT, SERVERS};
use super::{COMPARED, Workload};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;

/// A row: what it says, and where the figure is in a run's JSON.
const ROWS: [(Workload, &str, &str); 9] = [
    (Workload::Pingpong, "round trip p50, us", "/latency_us/p50"),
    (Workload::Pingpong, "round trip p99, us", "/latency_us/p99"),
    (Workload::Pingpong, "CPU us per delivery", CPU),
    (Workload::Pingpong, "context switches per delivery", SWITCHES),
    (Workload::Rooms, "latency p50, us", "/latency_us/p50"),
    (Workload::Rooms, "latency p99, us", "/latency_us/p99"),
    (Workload::Rooms, "CPU us per delivery", CPU),
    (Workload::Rooms, "context switches per delivery", SWITCHES),
    (Workload::Rooms, "resident KiB", "/server/rss_kib"),
];
const CPU: &str = "/server/cpu_us_per_delivery";
const SWITCHES: &str = "/server/context_switches_per_delivery";

/// Everything that was measured.
#[derive(Default)]
pub(super) struct Results {
    /// In the order of the pairs.
    runs: BTreeMap<(Workload, &'static str), Vec<Value>>,
    calls: BTreeMap<(Workload, &'static str), f64>,
}

impl Results {
    pub(super) fn add(&mut self, workload: Workload, server: &'static str, figures: Value) {
        self.runs.entry((workload, server)).or_default().push(figures);
    }

    pub(super) fn add_calls(&mut self, workload: Workload, server: &'static str, calls: f64) {
        self.calls.insert((workload, server), calls);
    }

    /// Parlor's CPU per delivery in `rooms`, as a multiple of the plain server's.
    pub(super) fn cpu_ratio(&self) -> Option<f64> {
        median(&self.ratios(Workload::Rooms, CPU, SERVERS))
    }

    pub(super) fn to_markdown(&self) -> String {
        let [first, second] = SERVERS;
        let mut out =
            format!("| workload | figure | {first} | {second} | {second} / {first} |\n|---|---|--:|--:|--:|\n");
        for workload in COMPARED {
            for (_, label, pointer) in ROWS.into_iter().filter(|row| row.0 == workload) {
                self.write_row(&mut out, workload, (label, pointer), SERVERS);
            }
            self.write_calls(&mut out, workload);
        }
        if self.runs.contains_key(&(Workload::Rooms, KEPT)) {
            out.push_str(
                "\n| workload | figure | ends with its connection | kept | kept / not |\n|---|---|--:|--:|--:|\n",
            );
            for (_, label, pointer) in ROWS.into_iter().filter(|row| row.0 == Workload::Rooms) {
                self.write_row(&mut out, Workload::Rooms, (label, pointer), ["parlor", KEPT]);
            }
        }
        if self.runs.is_empty() { String::new() } else { out }
    }

    fn write_row(&self, out: &mut String, workload: Workload, (label, pointer): (&str, &str), of: [&'static str; 2]) {
        let [first, second] = of.map(|server| median(&self.series(workload, server, pointer)));
        if first.is_none() && second.is_none() {
            return;
        }
        let ratios = self.ratios(workload, pointer, of);
        let ratio = median(&ratios).map_or("-".to_owned(), |middle| {
            let lowest = ratios.iter().copied().fold(f64::INFINITY, f64::min);
            let highest = ratios.iter().copied().fold(0.0, f64::max);
            format!("{middle:.2} ({lowest:.2} to {highest:.2})")
        });
        let _ = writeln!(out, "| {} | {label} | {} | {} | {ratio} |", workload.name(), cell(first), cell(second));
    }

    fn write_calls(&self, out: &mut String, workload: Workload) {
        let [first, second] = SERVERS.map(|server| self.calls.get(&(workload, server)).copied());
        if first.is_none() && second.is_none() {
            return;
        }
        let ratio = first.zip(second).map_or("-".to_owned(), |(first, second)| format!("{:.2}", second / first));
        let row = format!(
            "| {} | system calls per delivery | {} | {} | {ratio} |",
            workload.name(),
            cell(first),
            cell(second)
        );
        let _ = writeln!(out, "{row}");
    }

    /// One figure of one server, over the pairs.
    fn series(&self, workload: Workload, server: &'static str, pointer: &str) -> Vec<f64> {
        let runs = self.runs.get(&(workload, server)).map_or(&[][..], Vec::as_slice);
        runs.iter().filter_map(|run| run.pointer(pointer)?.as_f64()).collect()
    }

    fn ratios(&self, workload: Workload, pointer: &str, of: [&'static str; 2]) -> Vec<f64> {
        let [first, second] = of.map(|server| self.series(workload, server, pointer));
        first.iter().zip(&second).filter(|(first, _)| **first > 0.0).map(|(first, second)| second / first).collect()
    }
}

pub(super) fn cell(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value >= 100.0 => format!("{value:.0}"),
        Some(value) if value >= 1.0 => format!("{value:.2}"),
        Some(value) => format!("{value:.4}"),
    }
}

/// The middle value, or the mean of the middle two.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        len if len % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run(p50: f64, cpu: f64) -> Value {
        json!({"latency_us": {"p50": p50}, "server": {"cpu_us_per_delivery": cpu}})
    }

    #[test]
    fn ratios_are_taken_within_a_pair() {
        let mut results = Results::default();
        for (plain, parlor) in [(1.0, 2.0), (10.0, 12.0), (4.0, 4.0)] {
            results.add(Workload::Rooms, "plain", run(1.0, plain));
            results.add(Workload::Rooms, "parlor", run(1.0, parlor));
        }
        assert_eq!(results.cpu_ratio(), Some(1.2));
        let expected = "| rooms | CPU us per delivery | 4.00 | 4.00 | 1.20 (1.00 to 2.00) |";
        assert!(results.to_markdown().contains(expected), "{}", results.to_markdown());
    }

    #[test]
    fn one_server_alone_has_no_ratio() {
        let mut results = Results::default();
        results.add(Workload::Pingpong, "plain", run(50.0, 4.0));
        results.add_calls(Workload::Pingpong, "plain", 1.0);
        assert_eq!(results.cpu_ratio(), None);
        let table = results.to_markdown();
        assert!(table.contains("| pingpong | round trip p50, us | 50.00 | - | - |"), "{table}");
        assert!(table.contains("| pingpong | system calls per delivery | 1.00 | - | - |"), "{table}");
        assert!(!table.contains("rooms"), "{table}");
    }

    #[test]
    fn keeping_sessions_is_a_table_of_its_own() {
        let mut results = Results::default();
        results.add(Workload::Rooms, "parlor", run(1.0, 4.0));
        results.add(Workload::Rooms, KEPT, run(1.0, 5.0));
        let table = results.to_markdown();
        assert!(table.contains("| rooms | CPU us per delivery | 4.00 | 5.00 | 1.25 (1.25 to 1.25) |"), "{table}");
    }

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0]), Some(2.5));
    }
}
