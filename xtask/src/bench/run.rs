//! One run: a fresh server, a load generator, one line of figures.

use super::point::{FIGURES, GENERATOR, KEPT, OTHERS, PARLOR, Point, Rate};
use super::record::{Run, Settings};
use super::report::number;
use super::server::{Programs, on_core};
use crate::proc::{Failure, Server};
use serde_json::Value;
use std::process::{Command, Stdio};

/// The load before and within the window of a point that is to show what becomes of it.
const LONG_S: f64 = 8.0;

/// Beyond this share of a core for everybody else, in percent, the run was disturbed.
const DISTURBED: f64 = 20.0;

/// The programs, and what all runs have in common.
pub(super) struct Bench {
    pub(super) programs: Programs,
    pub(super) settings: Settings,
}

impl Bench {
    /// Starts a fresh server on its core.
    pub(super) fn start(&self, point: &Point, server: &str) -> Result<Server, Failure> {
        Server::start(&mut self.programs.server(server, self.core(point, 0))?)
    }

    /// The load generator on its core, aimed at `running`. `half_hz` is the rate of points at half of saturation.
    pub(super) fn load(&self, running: &Server, point: &Point, server: &str, half_hz: Option<f64>) -> Command {
        let mut load = on_core(self.core(point, 1), &self.programs.load);
        load.args(["--address", running.address(), "--server-pid", &running.pid().to_string()]);
        load.args(["--workload", point.workload, "--seconds", &self.seconds(point).to_string()]);
        load.args(["--warmup", &self.settings.warmup.to_string()]);
        load.args(arguments(point, server, half_hz));
        load
    }

    /// Runs once; the figures. A violation of order or completeness is a failure: wrong answers have no speed.
    pub(super) fn measure(&self, point: &Point, server: &str, half_hz: Option<f64>) -> Result<Value, Failure> {
        let running = self.start(point, server)?;
        let output = self.load(&running, point, server, half_hz).stderr(Stdio::inherit()).output()?;
        let line = String::from_utf8(output.stdout)?;
        if !output.status.success() {
            return Err(format!("the load generator ended with {}: {}", output.status, line.trim()).into());
        }
        Ok(serde_json::from_str(&line)?)
    }

    /// How long the load of a point lasts.
    pub(super) fn seconds(&self, point: &Point) -> f64 {
        if point.long { LONG_S.min(self.settings.seconds * 4.0) } else { self.settings.seconds }
    }

    fn core(&self, point: &Point, core: u8) -> Option<u8> {
        (self.settings.pinned && point.pinned).then_some(core)
    }
}

/// What makes a point of a workload.
fn arguments(point: &Point, server: &str, half_hz: Option<f64>) -> Vec<String> {
    let mut words = Vec::new();
    let mut option = |name: &str, value: String| words.extend([name.to_owned(), value]);
    if let Some((rooms, clients)) = point.size {
        option("--rooms", rooms.to_string());
        option("--clients", clients.to_string());
    }
    match point.rate {
        Rate::Own => {}
        Rate::Hz(hz) => option("--hz", hz.to_string()),
        Rate::Saturated(flight) => option("--flight", flight.to_string()),
        Rate::HalfOf(_) => option("--hz", half_hz.unwrap_or_default().to_string()),
    }
    if server == KEPT {
        words.push("--keep".to_owned());
    }
    // Elsewhere there is nothing that could keep a session.
    if point.workload == "idle" && server != PARLOR {
        words.push("--no-keep".to_owned());
    }
    words
}

/// A run in words, and a warning when its figures are not what they seem.
pub(super) fn summary(run: &Run) -> String {
    let mut words = Vec::new();
    for figure in FIGURES {
        if let Some(value) = figure.in_run(run) {
            words.push(format!("{} {}", number(value), figure.label));
        }
    }
    if was_disturbed(run) {
        words.push("other programs were at work".to_owned());
    }
    if generator_was_full(run) {
        words.push("the load generator had no core left".to_owned());
    }
    words.join("; ")
}

/// Whether other programs were at work, so that latencies are partly theirs.
pub(super) fn was_disturbed(run: &Run) -> bool {
    OTHERS.in_run(run) > Some(DISTURBED)
}

/// Whether the load generator was the bottleneck: the server could have done more.
pub(super) fn generator_was_full(run: &Run) -> bool {
    run.figures["generator_full"].as_bool().unwrap_or_else(|| GENERATOR.in_run(run) >= Some(95.0))
}

#[cfg(test)]
mod tests {
    use super::super::point::{BUN, find};
    use super::*;
    use serde_json::json;

    fn words(point: &str, server: &str) -> String {
        arguments(find(point).unwrap(), server, Some(12.5)).join(" ")
    }

    #[test]
    fn points_become_arguments() {
        assert_eq!(words("pingpong", PARLOR), "");
        assert_eq!(words("rooms", KEPT), "--rooms 50 --clients 10 --hz 20 --keep");
        assert_eq!(words("rooms-saturated", BUN), "--rooms 50 --clients 10 --flight 4");
        assert_eq!(words("rooms-half", BUN), "--rooms 50 --clients 10 --hz 12.5");
        assert_eq!(words("fanout-100", BUN), "--rooms 1 --clients 100 --flight 16");
        assert_eq!((words("idle", PARLOR), words("idle", BUN)), (String::new(), "--no-keep".to_owned()));
    }

    #[test]
    fn a_run_tells_when_it_is_not_what_it_seems() {
        let figures = json!({"seconds": 2.0, "client_cpu_s": 1.98, "others_cpu_s": 0.5, "deliveries_per_s": 1000.4});
        let run = Run { point: "rooms".into(), server: BUN.into(), round: 0, figures };
        let expected = "1,000 deliveries/s; 99.0 load generator, % of a core; other programs were at work; \
                        the load generator had no core left";
        assert_eq!(summary(&run), expected);
    }
}
