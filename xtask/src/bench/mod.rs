//! `cargo xtask bench`: the same load on a plain WebSocket server and on Parlor, run by run in turn.
//!
//! Figures of different minutes cannot be compared on a shared machine, so runs alternate, ratios are taken within a
//! pair, and medians over the pairs. `idle`, `stalled` and `storm` are about Parlor alone: they compare with before, within a run.

mod calibrate;
mod hold;
mod run;
mod table;
mod trace;

use crate::proc::{self, Failure};
use clap::{ArgAction, Args, ValueEnum};
use hold::Held;
use run::{Bench, KEPT, SERVERS, Shape};
use std::fs;
use table::Results;

/// CPU per delivery in `rooms` may be this much of the plain server's.
const CPU_BOUND: f64 = 1.3;

#[derive(Args)]
pub(crate) struct Options {
    /// One short pair: enough to see that everything works, not enough to trust a figure.
    #[arg(long)]
    quick: bool,
    /// Only this workload.
    #[arg(long, value_enum)]
    workload: Option<Workload>,
    /// How many runs of each server [default: 5, or 1 with --quick]; of the workloads about Parlor alone 3 at most.
    #[arg(long)]
    pairs: Option<usize>,
    /// Server on core 0 and load generator on core 1; `--pin false` lets the scheduler choose.
    #[arg(long, action = ArgAction::Set, default_value_t = true, value_name = "BOOL")]
    pin: bool,
    /// Messages per client and second in `rooms`. On a slow machine take less, or the latencies are those of a full core's queue.
    #[arg(long, default_value_t = 20.0)]
    hz: f64,
    /// Fail when Parlor needs more than 1.3 times the plain server's CPU per delivery in `rooms`, or a figure of `idle`,
    /// `stalled` or `storm` is over its bound.
    #[arg(long)]
    check: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Workload {
    /// One client waits for its own message.
    Pingpong,
    /// 50 rooms of 10 clients that send all the time.
    Rooms,
    /// 10,000 kept sessions in rooms of 10 that do nothing: memory.
    Idle,
    /// 10 rooms of 10, in each of which one reader stops reading.
    Stalled,
    /// 2,000 clients that lose their connections at once and come back.
    Storm,
}

/// Those in which Parlor is compared with a plain server, and those that are about Parlor alone.
const COMPARED: [Workload; 2] = [Workload::Pingpong, Workload::Rooms];
const HELD: [Workload; 3] = [Workload::Idle, Workload::Stalled, Workload::Storm];
/// Runs of a workload about Parlor alone: each brings its own measure, and takes long.
const HELD_RUNS: usize = 3;

impl Workload {
    fn name(self) -> &'static str {
        match self {
            Workload::Pingpong => "pingpong",
            Workload::Rooms => "rooms",
            Workload::Idle => "idle",
            Workload::Stalled => "stalled",
            Workload::Storm => "storm",
        }
    }
}

/// Whether the comparison was made and, with `--check`, is within its bound.
pub(crate) fn run(options: &Options) -> Result<bool, Failure> {
    let chosen = |workload: &Workload| options.workload.is_none_or(|only| only == *workload);
    let pairs = options.pairs.unwrap_or(if options.quick { 1 } else { 5 }).max(1);
    let seconds = if options.quick { 2.0 } else { 8.0 };
    let shape = Shape { seconds, hz: options.hz, pin: options.pin && can_pin() };
    let binaries = proc::build_binaries(&["--release", "--package", "parlor-bench", "--bins"])?;
    let bench = Bench::new(&binaries, shape)?;

    let send_us = calibrate::loopback_send_us()?;
    println!("one 80-byte loopback send costs {send_us:.1} us on this machine now");
    let mut results = Results::default();
    for workload in COMPARED.into_iter().filter(chosen) {
        measure(&bench, workload, pairs, &mut results)?;
    }
    let mut held = Held::default();
    for workload in HELD.into_iter().filter(chosen) {
        for run in 0..pairs.min(HELD_RUNS) {
            println!("\n{}: run {} of {}", workload.name(), run + 1, pairs.min(HELD_RUNS));
            held.add(workload, bench.hold(workload)?);
        }
    }

    let tables = [results.to_markdown(), held.to_markdown()];
    let tables: Vec<_> = tables.into_iter().filter(|table| !table.is_empty()).collect();
    let report = format!("{}\n{}", heading(&bench, pairs, send_us), tables.join("\n"));
    println!("\n{report}");
    let file = proc::target_dir().join("bench.md");
    fs::create_dir_all(proc::target_dir())?;
    fs::write(&file, report)?;
    println!("written to {}", file.display());
    if !options.check {
        return Ok(true);
    }
    let compared = !chosen(&Workload::Rooms) || check(&results)?;
    Ok(held.check() && compared)
}

fn can_pin() -> bool {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let possible = proc::find_program("taskset").is_some() && cores >= 2;
    if !possible {
        println!("not pinned: taskset is missing or there is one core only");
    }
    possible
}

fn measure(bench: &Bench, workload: Workload, pairs: usize, results: &mut Results) -> Result<(), Failure> {
    for pair in 0..pairs {
        println!("\n{}: pair {} of {pairs}", workload.name(), pair + 1);
        let mut servers: Vec<_> = SERVERS.into_iter().filter(|server| bench.has(server)).collect();
        // Whoever always comes second would meet a machine that is always warmer.
        if pair % 2 == 1 {
            servers.reverse();
        }
        for server in servers {
            results.add(workload, server, bench.measure(server, workload)?);
        }
        if workload == Workload::Rooms {
            results.add(workload, KEPT, bench.measure(KEPT, workload)?);
        }
    }
    for server in SERVERS.into_iter().filter(|server| bench.has(server)) {
        if let Some(calls) = trace::count(bench, server, workload) {
            results.add_calls(workload, server, calls);
        }
    }
    Ok(())
}

fn heading(bench: &Bench, pairs: usize, send_us: f64) -> String {
    let Shape { seconds, hz, pin } = bench.shape();
    let pinned = if pin { "server on core 0, load on core 1" } else { "not pinned" };
    format!(
        "# Benchmark\n\n\
         Medians of {pairs} runs of {seconds} s per server, in turn; ratios within a pair, their median (lowest to highest).\n\
         {pinned}; a loopback send of 80 bytes cost {send_us:.1} us. `pingpong`: 1 client, closed loop. `rooms`: 50 rooms\n\
         of 10 clients at {hz} Hz, latency from the intended send time. Differences under 30 % are noise. Sessions end with their\n\
         connections, as the plain server's do, unless a row says that they are kept; in `idle`, `stalled` and `storm` they are.\n"
    )
}

fn check(results: &Results) -> Result<bool, Failure> {
    let ratio = results.cpu_ratio().ok_or("--check needs figures of both servers in the workload rooms")?;
    let within = ratio <= CPU_BOUND;
    let verdict = if within { "within" } else { "over" };
    println!("CPU per delivery in rooms: {ratio:.2} of the plain server's, {verdict} the bound of {CPU_BOUND}");
    Ok(within)
}
