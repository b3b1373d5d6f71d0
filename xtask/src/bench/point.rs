//! What is measured: the servers, the points and the figures of each.

use super::record::Run;
use serde_json::Value;

/// The servers by the names under which a record keeps them.
pub(super) const PLAIN: &str = "plain";
pub(super) const PARLOR: &str = "parlor";
pub(super) const BUN: &str = "bun";
/// Parlor again, with sessions that outlive their connections.
pub(super) const KEPT: &str = "kept";

/// Parlor once more, with its handlers in a process of their own.
pub(super) const APART: &str = "apart";
/// The same with two such processes, one of which takes over when the other dies.
pub(super) const SPARE: &str = "spare";

const ALL: &[&str] = &[PLAIN, PARLOR, BUN];
const ALL_AND_APART: &[&str] = &[PLAIN, PARLOR, BUN, APART];
const ALL_WAYS: &[&str] = &[PLAIN, PARLOR, BUN, KEPT, APART];
const OWN: &[&str] = &[PARLOR];

/// Messages of each client that are under way at once in `rooms` at saturation.
const ROOMS_FLIGHT: u32 = 4;
/// The same of the one sender in `fanout`.
const FANOUT_FLIGHT: u32 = 16;
/// The same of each of the 2,000 players in `mmo`.
const MMO_FLIGHT: u32 = 4;

/// Rounds of a point that is long and hardly differs from round to round.
const FEW: usize = 3;
/// The fewest rounds that give an interval.
const SOME: usize = super::stats::ENOUGH;
const EVERY: usize = usize::MAX;

/// How fast messages are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Rate {
    /// As the workload has it.
    Own,
    /// So many times a second, whatever comes back.
    Hz(f64),
    /// As fast as they come back, with so many of each sender under way.
    Saturated(u32),
    /// Half of what a point of the same shape delivers at saturation, the same for all servers.
    HalfOf(&'static str),
}

/// One thing that is measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub(super) name: &'static str,
    /// What the load generator calls it.
    pub(super) workload: &'static str,
    /// Rooms, and clients in each; none leaves it to the workload.
    pub(super) size: Option<(u32, u32)>,
    pub(super) rate: Rate,
    pub(super) servers: &'static [&'static str],
    /// Server and load generator each on a core of its own.
    pub(super) pinned: bool,
    /// Never more rounds than this.
    pub(super) rounds: usize,
    /// Whether the load lasts longer than elsewhere, to see what becomes of it.
    pub(super) long: bool,
    /// Whether system calls are counted too.
    pub(super) counted: bool,
    /// What a run takes beside the load itself, roughly, to tell how long it all will take.
    pub(super) extra_s: f64,
    pub(super) meaning: &'static str,
}

const POINT: Point = Point {
    name: "",
    workload: "",
    size: None,
    rate: Rate::Own,
    servers: ALL,
    pinned: true,
    rounds: EVERY,
    long: false,
    counted: false,
    extra_s: 0.5,
    meaning: "",
};

const fn fanout(name: &'static str, readers: u32, counted: bool, meaning: &'static str) -> Point {
    let (size, rate) = (Some((1, readers)), Rate::Saturated(FANOUT_FLIGHT));
    Point { name, workload: "fanout", size, rate, counted, meaning, ..POINT }
}

/// Everything there is to measure, in the order of the report.
pub(super) const POINTS: &[Point] = &[
    Point {
        name: "pingpong",
        workload: "pingpong",
        servers: ALL_AND_APART,
        counted: true,
        meaning: "one client sends again when its message has come back",
        ..POINT
    },
    Point {
        name: "pingpong-unpinned",
        workload: "pingpong",
        pinned: false,
        meaning: "the same, the server free to use all cores: how often a round trip changes threads",
        ..POINT
    },
    Point {
        name: "rooms",
        workload: "rooms",
        size: Some((50, 10)),
        rate: Rate::Hz(20.0),
        servers: ALL_WAYS,
        counted: true,
        meaning: "50 rooms of 10 clients, each sends at 20 Hz, all of the room receive",
        ..POINT
    },
    Point {
        name: "rooms-saturated",
        workload: "rooms",
        size: Some((50, 10)),
        rate: Rate::Saturated(ROOMS_FLIGHT),
        counted: true,
        meaning: "the same rooms as fast as they go, 4 messages of each client under way",
        ..POINT
    },
    Point {
        name: "rooms-half",
        workload: "rooms",
        size: Some((50, 10)),
        rate: Rate::HalfOf("rooms-saturated"),
        meaning: "the same rooms at half of what bun delivers at saturation",
        ..POINT
    },
    fanout("fanout-1", 1, false, "one sender, one reader, 16 messages under way"),
    fanout("fanout-10", 10, false, "the same with 10 readers"),
    fanout("fanout-100", 100, false, "the same with 100 readers"),
    fanout("fanout-1000", 1000, true, "the same with 1,000 readers"),
    Point {
        name: "mmo",
        workload: "mmo",
        rate: Rate::Hz(10.0),
        servers: OWN,
        extra_s: 1.5,
        meaning: "one room, 2,000 players at 10 Hz, each message goes to 20 neighbours",
        ..POINT
    },
    Point {
        name: "mmo-saturated",
        workload: "mmo",
        rate: Rate::Saturated(MMO_FLIGHT),
        servers: OWN,
        extra_s: 1.5,
        meaning: "the same as fast as it goes, 4 messages of each player under way",
        ..POINT
    },
    Point {
        name: "churn",
        workload: "churn",
        meaning: "open a room, two dial and join, ten messages to both, close; 16 at a time",
        ..POINT
    },
    Point {
        name: "idle",
        workload: "idle",
        rounds: SOME,
        extra_s: 4.0,
        meaning: "10,000 sessions in rooms of 10 that do nothing; Parlor's are kept",
        ..POINT
    },
    Point {
        name: "empty",
        workload: "empty",
        servers: OWN,
        rounds: FEW,
        extra_s: 15.0,
        meaning: "100,000 rooms that nobody is in",
        ..POINT
    },
    Point {
        name: "stalled",
        workload: "stalled",
        servers: OWN,
        rounds: FEW,
        long: true,
        extra_s: 20.0,
        meaning: "10 rooms of 10, in each of which one reader stops reading",
        ..POINT
    },
    Point {
        name: "storm",
        workload: "storm",
        servers: OWN,
        rounds: FEW,
        long: true,
        extra_s: 20.0,
        meaning: "2,000 clients lose their connections at once and come back",
        ..POINT
    },
    Point {
        name: "crash",
        workload: "crash",
        servers: &[SPARE],
        rounds: FEW,
        long: true,
        extra_s: 12.0,
        meaning: "100 rooms of 5, a sender at 50 Hz in each, whose handlers' process is killed ten times",
        ..POINT
    },
];

/// The point of this name.
pub(super) fn find(name: &str) -> Option<&'static Point> {
    POINTS.iter().find(|point| point.name == name)
}

impl Point {
    /// Messages that one sent by each client makes.
    pub(super) fn deliveries_per_turn(&self) -> Option<f64> {
        self.size.map(|(rooms, clients)| f64::from(rooms) * f64::from(clients) * f64::from(clients))
    }
}

/// A figure of a run.
#[derive(Clone, Copy)]
pub(super) struct Figure {
    pub(super) label: &'static str,
    /// Where it is in what the load generator printed.
    pointer: &'static str,
    /// From its unit to ours.
    factor: f64,
    /// Divided by this, where it is a share of something.
    of: Option<&'static str>,
}

impl Figure {
    const fn new(label: &'static str, pointer: &'static str) -> Self {
        Self { label, pointer, factor: 1.0, of: None }
    }

    const fn times(self, factor: f64) -> Self {
        Self { factor, ..self }
    }

    const fn percent_of_window(self) -> Self {
        Self { factor: 100.0, of: Some("/seconds"), ..self }
    }

    pub(super) fn in_run(&self, run: &Run) -> Option<f64> {
        let number = |pointer| run.figures.pointer(pointer).and_then(Value::as_f64);
        let whole = match self.of {
            Some(pointer) => number(pointer)?,
            None => 1.0,
        };
        Some(number(self.pointer)? * self.factor / whole)
    }
}

pub(super) const P50: Figure = Figure::new("p50, us", "/latency_us/p50");
pub(super) const P99: Figure = Figure::new("p99, us", "/latency_us/p99");
pub(super) const RATE: Figure = Figure::new("deliveries/s", "/deliveries_per_s");
pub(super) const CPU: Figure = Figure::new("CPU us per delivery", "/server/cpu_us_per_delivery");
pub(super) const SWITCHES: Figure =
    Figure::new("context switches per delivery", "/server/context_switches_per_delivery");
pub(super) const WRITES: Figure = Figure::new("write calls per delivery", "/calls/write_per_delivery");
pub(super) const CYCLES: Figure = Figure::new("cycles/s", "/cycles_per_s");
pub(super) const SESSION: Figure = Figure::new("KiB per session", "/bytes_per_session").times(1.0 / 1024.0);
pub(super) const ROOMS: Figure =
    Figure::new("GiB for 100,000 rooms", "/bytes_per_room").times(100_000.0 / (1024.0 * 1024.0 * 1024.0));
pub(super) const OTHERS_P99: Figure = Figure::new("p99 of others, against before", "/p99_ratio");
pub(super) const STALLED: Figure = Figure::new("KiB grown per stalled reader", "/growth_kib_per_stalled");
pub(super) const BACK: Figure = Figure::new("s until all are back", "/back_s");
pub(super) const PAUSE: Figure = Figure::new("ms from kill to next output, p99", "/pause_us/p99").times(0.001);
/// How much of its core the load generator used: where that is all of it, the server could do more.
pub(super) const GENERATOR: Figure = Figure::new("load generator, % of a core", "/client_cpu_s").percent_of_window();
/// What everybody else on the machine used.
pub(super) const OTHERS: Figure = Figure::new("others, % of a core", "/others_cpu_s").percent_of_window();

/// All of them, in the order of the report's rows.
pub(super) const FIGURES: &[Figure] = &[
    RATE,
    CYCLES,
    P50,
    P99,
    CPU,
    Figure::new("of it in user mode, us", "/server/user_us_per_delivery"),
    Figure::new("of it in the kernel, us", "/server/system_us_per_delivery"),
    Figure::new("user instructions per delivery", "/calls/user_instructions_per_delivery"),
    Figure::new("system calls per delivery", "/calls/all_per_delivery"),
    WRITES,
    SWITCHES,
    Figure::new("server, % of a core", "/server/cpu_s").percent_of_window(),
    GENERATOR,
    Figure::new("resident MiB", "/server/rss_kib").times(1.0 / 1024.0),
    SESSION,
    Figure::new("KiB per room", "/bytes_per_room").times(1.0 / 1024.0),
    ROOMS,
    OTHERS_P99,
    STALLED,
    BACK,
    Figure::new("ms from kill to next output, p50", "/pause_us/p50").times(0.001),
    PAUSE,
];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeSet;

    #[test]
    fn points_have_names_of_their_own_and_halves_something_to_halve() {
        let names: BTreeSet<_> = POINTS.iter().map(|point| point.name).collect();
        assert_eq!(names.len(), POINTS.len());
        for point in POINTS {
            if let Rate::HalfOf(whole) = point.rate {
                let whole = find(whole).unwrap();
                assert_eq!(whole.size, point.size);
                assert!(matches!(whole.rate, Rate::Saturated(_)) && point.deliveries_per_turn() == Some(5000.0));
            }
        }
    }

    #[test]
    fn figures_are_read_in_their_own_unit() {
        let figures = json!({"seconds": 2.0, "client_cpu_s": 1.0, "bytes_per_session": 4096});
        let run = Run { point: "idle".into(), server: PARLOR.into(), round: 0, figures };
        assert_eq!(GENERATOR.in_run(&run), Some(50.0));
        assert_eq!(SESSION.in_run(&run), Some(4.0));
        assert_eq!(CPU.in_run(&run), None);
    }
}
