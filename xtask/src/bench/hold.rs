//! What Parlor must hold by itself, with nobody to compare it with: memory, and the others' latency when something goes wrong.

use super::table::{cell, median};
use super::{Workload, run::number};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;

/// A figure that must not be exceeded.
struct Line {
    workload: Workload,
    label: &'static str,
    pointer: &'static str,
    target: f64,
    /// Beyond this `--check` fails: the target, and room for the noise of a machine that others use.
    bound: f64,
}

const LINES: [Line; 5] = [
    Line { workload: Workload::Idle, label: "KiB per session", pointer: "/kib_per_session", target: 8.0, bound: 12.0 },
    Line {
        workload: Workload::Stalled,
        label: "p99 of the others, against before",
        pointer: "/p99_ratio",
        target: 2.0,
        bound: 3.0,
    },
    Line {
        workload: Workload::Stalled,
        label: "KiB grown per stalled reader",
        pointer: "/growth_kib_per_stalled",
        // An outbox's 256 KiB and a tenth.
        target: 281.6,
        bound: 281.6,
    },
    Line { workload: Workload::Storm, label: "s until all are back", pointer: "/back_s", target: 10.0, bound: 15.0 },
    Line {
        workload: Workload::Storm,
        label: "p99 of another room, against before",
        pointer: "/p99_ratio",
        target: 3.0,
        bound: 4.5,
    },
];

/// The figures of all runs.
#[derive(Default)]
pub(super) struct Held {
    runs: BTreeMap<Workload, Vec<Value>>,
}

impl Held {
    pub(super) fn add(&mut self, workload: Workload, figures: Value) {
        self.runs.entry(workload).or_default().push(figures);
    }

    pub(super) fn to_markdown(&self) -> String {
        if self.runs.is_empty() {
            return String::new();
        }
        let mut out =
            "| workload | figure | median (lowest to highest) | target | bound |\n|---|---|--:|--:|--:|\n".to_owned();
        for line in &LINES {
            let series = self.series(line);
            let Some(middle) = median(&series) else { continue };
            let lowest = series.iter().copied().fold(f64::INFINITY, f64::min);
            let highest = series.iter().copied().fold(0.0, f64::max);
            let _ = writeln!(
                out,
                "| {} | {} | {} ({} to {}) | {} | {} |",
                line.workload.name(),
                line.label,
                cell(Some(middle)),
                cell(Some(lowest)),
                cell(Some(highest)),
                line.target,
                line.bound
            );
        }
        out
    }

    /// Whether every figure is within its bound, each told.
    pub(super) fn check(&self) -> bool {
        let mut all = true;
        for line in &LINES {
            let Some(middle) = median(&self.series(line)) else { continue };
            let within = middle <= line.bound;
            all &= within;
            let verdict = if within { "within" } else { "over" };
            println!("{}: {}: {middle:.2}, {verdict} the bound of {}", line.workload.name(), line.label, line.bound);
        }
        all
    }

    fn series(&self, line: &Line) -> Vec<f64> {
        let runs = self.runs.get(&line.workload).map_or(&[][..], Vec::as_slice);
        runs.iter().filter_map(|run| run.pointer(line.pointer)?.as_f64()).collect()
    }
}

/// One run in words.
pub(super) fn summary(workload: Workload, figures: &Value) -> String {
    let of = |pointer: &str| number(figures, pointer);
    match workload {
        Workload::Idle => format!(
            "{} kept sessions in {} rooms, {:.2} KiB each, in after {} s",
            of("/sessions"),
            of("/rooms"),
            of("/kib_per_session"),
            of("/enter_s"),
        ),
        Workload::Stalled => format!(
            "{} of {} clients did not read; the others' p99 {} us, before {} us; {} KiB grown, {} connections ended, \
             {} views, {} clients up to date at the end",
            of("/stalled"),
            of("/clients"),
            of("/during_us/p99"),
            of("/before_us/p99"),
            of("/growth_kib"),
            of("/cut"),
            of("/views"),
            of("/back"),
        ),
        _ => format!(
            "{} of {} dropped clients back after {} s ({} recovered, {} views, {} attempts failed); another room's p99 \
             {} us, before {} us",
            of("/back"),
            of("/dropped"),
            of("/back_s"),
            of("/recovered"),
            of("/views"),
            of("/failed_attempts"),
            of("/during_us/p99"),
            of("/before_us/p99"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_median_decides() {
        let mut held = Held::default();
        for kib in [11.0, 40.0, 9.0] {
            held.add(Workload::Idle, json!({"kib_per_session": kib}));
        }
        assert!(held.check());
        let expected = "| idle | KiB per session | 11.00 (9.00 to 40.00) | 8 | 12 |";
        assert!(held.to_markdown().contains(expected), "{}", held.to_markdown());
        held.add(Workload::Storm, json!({"back_s": 16.0, "p99_ratio": 1.0}));
        assert!(!held.check());
    }

    #[test]
    fn nothing_measured_is_no_table() {
        assert!(Held::default().to_markdown().is_empty() && Held::default().check());
    }
}
