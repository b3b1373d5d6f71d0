//! What was measured, kept as a file: the report is made from it, now or later.

use super::point::{Figure, Point};
use super::stats::Estimate;
use crate::proc::Failure;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// A whole benchmark.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) machine: Machine,
    pub(super) settings: Settings,
    /// The messages that each client sends a second in points at half of saturation, by the name of the point.
    pub(super) half_hz: Option<f64>,
    pub(super) runs: Vec<Run>,
    /// Runs that gave no figures, in words.
    pub(super) failures: Vec<String>,
    /// What could not be measured here, in words.
    pub(super) notes: Vec<String>,
}

/// Where it was measured, and what.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Machine {
    pub(super) day: String,
    pub(super) cpu: String,
    pub(super) cores: usize,
    pub(super) kernel: String,
    pub(super) memory_gib: f64,
    /// What one small send to a loopback socket costs.
    pub(super) send_us: f64,
    /// What is compared and built with, and its version.
    pub(super) versions: Vec<(String, String)>,
}

/// How it was measured.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Settings {
    pub(super) rounds: usize,
    pub(super) seconds: f64,
    pub(super) warmup: f64,
    pub(super) pinned: bool,
}

/// One run of one server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) point: String,
    pub(super) server: String,
    pub(super) round: usize,
    /// What the load generator printed; under `calls` what was counted in a run of its own.
    pub(super) figures: Value,
}

/// A server at a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Subject {
    pub(super) point: &'static str,
    pub(super) server: &'static str,
}

impl Record {
    pub(super) fn read(file: &Path) -> Result<Self, Failure> {
        let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?)
    }

    pub(super) fn write(&self, file: &Path) -> Result<(), Failure> {
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent)?;
        }
        Ok(fs::write(file, serde_json::to_string_pretty(self)? + "\n")?)
    }

    /// Once, however often it happens.
    pub(super) fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            println!("{note}");
            self.notes.push(note);
        }
    }

    /// The servers that have figures at a point, in the point's order.
    pub(super) fn servers(&self, point: &Point) -> Vec<&'static str> {
        let measured = |server: &&&str| self.runs.iter().any(|run| run.point == point.name && run.server == ***server);
        point.servers.iter().filter(measured).copied().collect()
    }

    /// A figure over the rounds.
    pub(super) fn estimate(&self, subject: Subject, figure: &Figure) -> Option<Estimate> {
        let values: Vec<_> = self.series(subject, figure).map(|(_, value)| value).collect();
        Estimate::of(&values)
    }

    /// A figure as a multiple of another server's, taken within each round.
    pub(super) fn ratio(&self, subject: Subject, against: Subject, figure: &Figure) -> Option<Estimate> {
        let ratios = self.series(subject, figure).filter_map(|(round, value)| {
            let (_, base) = self.series(against, figure).find(|&(other, _)| other == round)?;
            (base > 0.0).then_some(value / base)
        });
        Estimate::of(&ratios.collect::<Vec<_>>())
    }

    fn series(&self, subject: Subject, figure: &Figure) -> impl Iterator<Item = (usize, f64)> {
        self.runs
            .iter()
            .filter(move |run| run.point == subject.point && run.server == subject.server)
            .filter_map(|run| Some((run.round, figure.in_run(run)?)))
    }
}

/// A record of made-up figures, to test what is made of it: round `r` of each series is its value times `1 + r / 100`.
#[cfg(test)]
pub(super) fn made_up(series: &[(&str, &str, Value)], rounds: usize) -> Record {
    let mut record = Record { settings: Settings { rounds, seconds: 2.0, ..Settings::default() }, ..Record::default() };
    for round in 0..rounds {
        for (point, server, figures) in series {
            let mut figures = figures.clone();
            scale(&mut figures, 1.0 + f64::from(u32::try_from(round).unwrap()) / 100.0);
            record.runs.push(Run { point: (*point).into(), server: (*server).into(), round, figures });
        }
    }
    record
}

#[cfg(test)]
fn scale(figures: &mut Value, factor: f64) {
    match figures {
        Value::Number(number) => *figures = (number.as_f64().unwrap() * factor).into(),
        Value::Object(fields) => fields.values_mut().for_each(|field| scale(field, factor)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::point::{BUN, CPU, KEPT, PARLOR, PLAIN, find};
    use super::*;
    use serde_json::json;

    const PARLORS: Subject = Subject { point: "rooms", server: PARLOR };
    const PLAINS: Subject = Subject { point: "rooms", server: PLAIN };

    fn run(server: &str, round: usize, cpu: f64) -> Run {
        let figures = json!({"server": {"cpu_us_per_delivery": cpu}});
        Run { point: "rooms".into(), server: server.into(), round, figures }
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let mut record = Record::default();
        for (round, (plain, parlor)) in [(1.0, 2.0), (10.0, 12.0), (4.0, 4.0)].into_iter().enumerate() {
            record.runs.extend([run(PLAIN, round, plain), run(PARLOR, round, parlor)]);
        }
        // A round in which the other failed has no ratio.
        record.runs.push(run(PARLOR, 3, 100.0));
        let ratio = record.ratio(PARLORS, PLAINS, &CPU).unwrap();
        assert_eq!((ratio.median, ratio.low, ratio.high, ratio.rounds), (1.2, 1.0, 2.0, 3));
        assert_eq!(record.ratio(PARLORS, Subject { server: BUN, ..PLAINS }, &CPU), None);
    }

    #[test]
    fn servers_come_in_the_order_of_the_point() {
        let record = Record { runs: vec![run(KEPT, 0, 1.0), run(PLAIN, 0, 1.0)], ..Record::default() };
        assert_eq!(record.servers(find("rooms").unwrap()), [PLAIN, KEPT]);
        assert!(record.servers(find("churn").unwrap()).is_empty());
    }

    #[test]
    fn a_record_outlives_its_program() {
        let record = made_up(&[("rooms", PARLOR, json!({"deliveries_per_s": 7.0}))], 2);
        let file = std::env::temp_dir().join(format!("bench-record-{}.json", std::process::id()));
        record.write(&file).unwrap();
        let read = Record::read(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), serde_json::to_value(record).unwrap());
        assert!(Record::read(&file).is_err());
    }
}
