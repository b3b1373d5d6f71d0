//! What a load test has found, for people and for programs.

use std::fmt::{self, Display, Formatter};
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;

use crate::cpu;
use crate::crowd::Joins;
use crate::load::Load;
use crate::tally::{ActionTally, Codes, Latency, Tally};

/// A generator that uses so much of the machine measures itself.
const BUSY: f64 = 0.8;
/// Sends that are later than this may be the greater part of what was measured.
const LATE: Duration = Duration::from_millis(1);

/// What a load test has found. Counts are of the measured time, but errors and disconnects are from the beginning.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Where.
    pub url: String,
    /// The kind of the rooms.
    pub kind: String,
    /// Players that should have come.
    pub players: usize,
    /// Players that came in.
    pub joined: u64,
    /// Rooms that they were in.
    pub rooms: usize,
    /// Players that did not come in, by the reason.
    pub not_joined: Codes,
    /// From the first one's coming to the last one's being in.
    pub join_seconds: f64,
    /// From connecting to being in.
    pub join: Quantiles,
    /// The measured time.
    pub seconds: f64,
    /// Messages sent.
    pub sent: u64,
    /// The same in each second.
    pub sent_per_s: f64,
    /// Messages received, to the last answer.
    pub received: u64,
    /// Messages received in each second of the measured time.
    pub received_per_s: f64,
    /// Messages that were refused, by code.
    pub refused: Codes,
    /// What else went wrong, by code.
    pub errors: Codes,
    /// Messages to which no answer came.
    pub unanswered: u64,
    /// Connections lost, by close code and reason.
    pub disconnects: Codes,
    /// From the time when a request should have been sent to its reply.
    pub round_trip: Quantiles,
    /// From the time when a message should have been sent to the arrival of the message that answers it.
    pub delivery: Quantiles,
    /// The same for each action.
    pub actions: Vec<ActionReport>,
    /// What the load test itself cost.
    pub generator: Generator,
    /// Why the test has failed; empty if it has not.
    pub failures: Vec<String>,
}

/// What is known of one action.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ActionReport {
    /// Its name.
    pub name: String,
    /// Times that it was sent.
    pub sent: u64,
    /// Times that no answer came.
    pub unanswered: u64,
    /// As in [`Report::round_trip`].
    pub round_trip: Quantiles,
    /// As in [`Report::delivery`].
    pub delivery: Quantiles,
}

/// What the load test itself cost, in the measured time.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Generator {
    /// Its CPU time, where the system tells.
    pub cpu_s: Option<f64>,
    /// Which part that is of all the cores that it may use.
    pub cpu_share: Option<f64>,
    /// Those cores.
    pub cores: usize,
    /// How much later than they should have been messages were sent.
    pub late: Quantiles,
    /// Why the figures say more of the load test than of the game; none if they do not.
    pub bottleneck: Option<String>,
}

/// A distribution, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Quantiles {
    /// How many there are.
    pub count: u64,
    /// Half of them are at most so long.
    pub p50: f64,
    /// Nine tenths.
    pub p90: f64,
    /// All but a hundredth.
    pub p99: f64,
    /// All but a thousandth.
    pub p999: f64,
    /// The longest.
    pub max: f64,
}

/// What the measured time cost this process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    pub(crate) cpu: Option<Duration>,
    pub(crate) time: Duration,
}

impl Report {
    pub(crate) fn new(load: &Load, tally: &Tally, joins: &Joins, in_time: u64, cost: Cost) -> Self {
        let named = load.script.actions.iter().zip(&tally.actions);
        let actions: Vec<_> = named.map(|(action, tally)| ActionReport::new(&action.name, tally)).collect();
        let all = |of: fn(&ActionTally) -> &parking_lot::Mutex<Latency>| {
            let mut all = Latency::default();
            tally.actions.iter().for_each(|action| all.add(&of(action).lock()));
            Quantiles::of(&all)
        };
        let (round_trip, delivery) = (all(|action| &action.round_trip), all(|action| &action.delivery));
        let sent = actions.iter().map(|action| action.sent).sum();
        let unanswered = actions.iter().map(|action| action.unanswered).sum();
        let per_s = |count: u64| rounded(count as f64 / load.window.as_secs_f64().max(f64::MIN_POSITIVE), 1e1);
        let mut report = Self {
            url: load.url.clone(),
            kind: load.script.room.kind.clone(),
            players: load.players,
            joined: joins.took.count(),
            rooms: joins.rooms.len(),
            not_joined: joins.failed.clone(),
            join_seconds: rounded(joins.all.as_secs_f64(), 1e3),
            join: Quantiles::of(&joins.took),
            seconds: rounded(load.window.as_secs_f64(), 1e3),
            sent,
            sent_per_s: per_s(sent),
            received: tally.received.load(Ordering::Relaxed),
            received_per_s: per_s(in_time),
            refused: tally.refused.lock().clone(),
            errors: tally.errors.lock().clone(),
            unanswered,
            disconnects: tally.disconnects.lock().clone(),
            round_trip,
            delivery,
            actions,
            generator: Generator::new(cost, &tally.late.lock(), round_trip.p99.max(delivery.p99)),
            failures: Vec::new(),
        };
        report.failures = report.judged(&load.script.may_refuse, load.fail_p99);
        report
    }

    /// Everything that should not have been.
    fn judged(&self, may_refuse: &[String], fail_p99: Option<Duration>) -> Vec<String> {
        let mut failures = Vec::new();
        let mut none = |what: &str, codes: &Codes| {
            if !codes.is_empty() {
                failures.push(format!("{what}: {}", listed(codes)));
            }
        };
        none("not joined", &self.not_joined);
        let mut refused = self.refused.clone();
        refused.retain(|code, _| !may_refuse.contains(code));
        none("refused", &refused);
        none("errors", &self.errors);
        none("disconnects", &self.disconnects);
        if self.unanswered > 0 {
            failures.push(format!("unanswered: {}", self.unanswered));
        }
        let Some(bound) = fail_p99.map(|bound| bound.as_secs_f64() * 1e3) else { return failures };
        for (what, found) in [("round trip", self.round_trip), ("delivery", self.delivery)] {
            if found.p99 > bound {
                failures.push(format!("{what}: p99 is {} ms, more than {bound} ms", found.p99));
            }
        }
        if self.round_trip.count + self.delivery.count == 0 {
            failures.push("p99: nothing was measured".to_owned());
        }
        failures
    }

    /// Whether all went as it should.
    pub fn is_fine(&self) -> bool {
        self.failures.is_empty()
    }
}

impl ActionReport {
    fn new(name: &str, tally: &ActionTally) -> Self {
        Self {
            name: name.to_owned(),
            sent: tally.sent.load(Ordering::Relaxed),
            unanswered: tally.unanswered.load(Ordering::Relaxed),
            round_trip: Quantiles::of(&tally.round_trip.lock()),
            delivery: Quantiles::of(&tally.delivery.lock()),
        }
    }
}

impl Generator {
    /// `p99` is the worst that was measured, in milliseconds.
    fn new(cost: Cost, late: &Latency, p99: f64) -> Self {
        let cores = cpu::cores();
        let whole = cost.time.as_secs_f64() * cores as f64;
        let share = cost.cpu.map(|cpu| cpu.as_secs_f64() / whole.max(f64::MIN_POSITIVE));
        let late_p99 = late.at(0.99);
        let bottleneck = if share.is_some_and(|share| share >= BUSY) {
            Some("the load test used most of the machine that it runs on".to_owned())
        } else if late_p99 > LATE && late_p99.as_secs_f64() * 1e3 > p99 / 2.0 {
            Some("the load test sent so late that this is most of what it measured".to_owned())
        } else {
            None
        };
        Self {
            cpu_s: cost.cpu.map(|cpu| rounded(cpu.as_secs_f64(), 1e3)),
            cpu_share: share.map(|share| rounded(share, 1e3)),
            cores,
            late: Quantiles::of(late),
            bottleneck,
        }
    }
}

impl Quantiles {
    fn of(latency: &Latency) -> Self {
        let ms = |time: Duration| rounded(time.as_secs_f64() * 1e3, 1e3);
        let at = |quantile| ms(latency.at(quantile));
        Self {
            count: latency.count(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: ms(latency.max()),
        }
    }
}

fn rounded(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}

fn listed(codes: &Codes) -> String {
    codes.iter().map(|(code, times)| format!("{times} {code}")).collect::<Vec<_>>().join(", ")
}

/// The report for people.
impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { joined, players, rooms, kind, .. } = self;
        let line = |f: &mut Formatter<'_>, name: &str, text: &str| writeln!(f, "{name:<14}{}", text.trim_end());
        let codes = |codes: &Codes| format!("{}  {}", codes.values().sum::<u64>(), listed(codes));
        writeln!(f, "{players} players in {rooms} rooms of {kind}, {} s, at {}\n", self.seconds, self.url)?;
        let Self { join, join_seconds, .. } = self;
        line(
            f,
            "joined",
            &format!("{joined} in {join_seconds:.1} s, p99 {:.1} ms  {}", join.p99, listed(&self.not_joined)),
        )?;
        line(f, "sent", &format!("{}, {:.1}/s", self.sent, self.sent_per_s))?;
        line(f, "received", &format!("{}, {:.1}/s", self.received, self.received_per_s))?;
        line(f, "refused", &codes(&self.refused))?;
        line(f, "unanswered", &self.unanswered.to_string())?;
        line(f, "errors", &codes(&self.errors))?;
        line(f, "disconnects", &codes(&self.disconnects))?;
        let measured = self.measured();
        if !measured.is_empty() {
            let width = measured.iter().map(|(_, name, _)| name.chars().count()).max().unwrap_or_default().max(5);
            writeln!(
                f,
                "\n{:<14}{:<width$}{:>9}{:>10}{:>10}{:>10}{:>10}{:>10}",
                "ms", "", "count", "p50", "p90", "p99", "p99.9", "max"
            )?;
            for (what, name, Quantiles { count, p50, p90, p99, p999, max }) in measured {
                writeln!(
                    f,
                    "{what:<14}{name:<width$}{count:>9}{p50:>10.3}{p90:>10.3}{p99:>10.3}{p999:>10.3}{max:>10.3}"
                )?;
            }
        }
        writeln!(f, "\nload test     {}", self.generator)?;
        match self.failures.as_slice() {
            [] => write!(f, "fine"),
            failures => write!(f, "FAILED        {}", failures.join("; ")),
        }
    }
}

impl Report {
    /// The distributions worth a line: of each action, and of all together where there are several.
    fn measured(&self) -> Vec<(&'static str, &str, Quantiles)> {
        let mut lines = Vec::new();
        let mut add = |what, of: fn(&ActionReport) -> Quantiles, all: Quantiles| {
            let each = self.actions.iter().map(|action| (what, action.name.as_str(), of(action)));
            let each: Vec<_> = each.filter(|(_, _, found)| found.count > 0).collect();
            let several = each.len() > 1;
            lines.extend(each);
            lines.extend(several.then_some((what, "all", all)));
        };
        add("round trip", |action| action.round_trip, self.round_trip);
        add("delivery", |action| action.delivery, self.delivery);
        lines
    }
}

impl Display for Generator {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let (Some(cpu_s), Some(share)) = (self.cpu_s, self.cpu_share) {
            write!(f, "CPU {cpu_s:.2} s, {:.0} % of {} cores; ", share * 100.0, self.cores)?;
        }
        write!(f, "sent late by p99 {:.3} ms, at most {:.3} ms", self.late.p99, self.late.max)?;
        match &self.bottleneck {
            Some(why) => write!(f, "\n              NOT TO BE TRUSTED: {why}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Rooms;
    use crate::script::Script;
    use crate::tally::count;

    const SCRIPT: &str =
        "may_refuse = [\"app.cooling\"]\n[room]\nkind = \"arena\"\n[[action]]\nsend = \"dash\"\nhz = 1\nreply = true";

    fn report(fail_p99: Option<u64>, change: impl FnOnce(&Tally, &mut Joins)) -> Report {
        let load = Load {
            url: "ws://here".into(),
            script: Script::parse(SCRIPT).unwrap(),
            players: 2,
            rooms: Rooms::Made(1),
            ramp: Duration::ZERO,
            warmup: Duration::ZERO,
            window: Duration::from_secs(10),
            tokens: Vec::new(),
            fail_p99: fail_p99.map(Duration::from_millis),
        };
        let (tally, mut joins) = (Tally::new(1), Joins::default());
        tally.actions[0].sent.store(100, Ordering::Relaxed);
        (1..=100).for_each(|ms| tally.actions[0].round_trip.lock().record(Duration::from_millis(ms)));
        change(&tally, &mut joins);
        Report::new(
            &load,
            &tally,
            &joins,
            50,
            Cost { cpu: Some(Duration::from_secs(1)), time: Duration::from_secs(10) },
        )
    }

    #[test]
    fn refusals_of_the_game_are_no_failure() {
        let fine = report(None, |tally, _| tally.refused("app.cooling"));
        assert!(fine.is_fine(), "{:?}", fine.failures);
        assert_eq!((fine.sent, fine.sent_per_s, fine.received_per_s), (100, 10.0, 5.0));
        assert_eq!(fine.refused["app.cooling"], 1);
        let shown = fine.to_string();
        assert!(shown.contains("\nrefused       1  1 app.cooling\n") && shown.ends_with("\nfine"), "{shown}");
        assert!(shown.contains("round trip    dash       100    50.0"), "{shown}");
    }

    #[test]
    fn everything_else_is() {
        let failed = report(None, |tally, joins| {
            tally.refused("app.cooling");
            tally.refused("rate_limited");
            tally.error("timeout");
            tally.disconnect(4203, "rate_limited");
            tally.actions[0].unanswered.store(3, Ordering::Relaxed);
            count(&mut joins.failed, "http 429");
        });
        let expected = [
            "not joined: 1 http 429",
            "refused: 1 rate_limited",
            "errors: 1 timeout",
            "disconnects: 1 4203 rate_limited",
            "unanswered: 3",
        ];
        assert_eq!(failed.failures, expected);
        assert!(failed.to_string().contains("\nFAILED        not joined: 1 http 429; refused: "));
    }

    #[test]
    fn a_bound_is_kept_or_not() {
        assert!(report(Some(100), |_, _| {}).is_fine());
        let failed = report(Some(90), |_, _| {});
        assert!(failed.failures[0].starts_with("round trip: p99 is 99."), "{:?}", failed.failures);
        let nothing = report(Some(90), |tally, _| *tally.actions[0].round_trip.lock() = Latency::default());
        assert_eq!(nothing.failures, ["p99: nothing was measured"]);
    }

    #[test]
    fn a_generator_that_is_the_bottleneck_says_so() {
        let cost = |cpu| Cost { cpu: Some(Duration::from_secs(cpu)), time: Duration::from_secs(1) };
        let late = |us| {
            let mut late = Latency::default();
            late.record(Duration::from_micros(us));
            late
        };
        let cores = cpu::cores() as u64;
        assert!(Generator::new(cost(0), &late(900), 1.0).bottleneck.is_none());
        assert!(Generator::new(cost(0), &late(20_000), 100.0).bottleneck.is_none());
        for busy in [Generator::new(cost(cores), &late(900), 1.0), Generator::new(cost(0), &late(20_000), 30.0)] {
            assert!(busy.to_string().contains("NOT TO BE TRUSTED"), "{busy}");
        }
        assert_eq!(Generator::new(cost(cores), &late(900), 1.0).cpu_share, Some(1.0));
    }
}
