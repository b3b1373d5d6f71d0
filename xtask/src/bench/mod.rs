//! `cargo xtask bench`: the same load on Parlor, on a plain WebSocket server and on bun's, and a report of it.
//!
//! Figures of different minutes cannot be compared on a shared machine, so every server runs in every round, one after
//! the other in an order that rotates; ratios are taken within a round, and medians over the rounds.

mod calibrate;
mod calls;
mod chart;
mod machine;
mod plots;
mod point;
mod record;
mod report;
mod rounds;
mod run;
mod server;
mod stats;
mod target;

use crate::proc::{self, Failure, find_program};
use clap::builder::PossibleValuesParser;
use clap::{ArgAction, Args};
use point::{POINTS, Point};
use record::{Record, Settings};
use run::Bench;
use server::Programs;
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct Options {
    /// One short round: enough to see that everything works, not enough to trust a figure.
    #[arg(long, conflicts_with_all = ["rounds", "write", "from"])]
    quick: bool,
    /// Only this point; may be given more than once.
    #[arg(long, value_name = "POINT", value_parser = PossibleValuesParser::new(POINTS.iter().map(|point| point.name)))]
    only: Vec<String>,
    /// How many rounds [default: 10, or 1 with --quick]; long points make fewer. From 6 on there is a 95 % interval.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: Option<u16>,
    /// Server on core 0 and load generator on core 1; `--pin false` lets the scheduler choose.
    #[arg(long, action = ArgAction::Set, default_value_t = true, value_name = "BOOL")]
    pin: bool,
    /// Fail when a target's interval lies beyond its bound.
    #[arg(long)]
    check: bool,
    /// Write the report to docs/benchmark.md and its plots beside it, instead of the target directory.
    #[arg(long)]
    write: bool,
    /// Measure nothing: make the report from this record, as a run leaves it in the target directory.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["only", "rounds"])]
    from: Option<PathBuf>,
}

/// Whether the comparison was made and, with `--check`, all targets hold.
pub(crate) fn run(options: &Options) -> Result<bool, Failure> {
    let record = match &options.from {
        Some(file) => Record::read(file)?,
        None => measure(options)?,
    };
    let place = if options.write { proc::root().join("docs") } else { proc::target_dir() };
    report::write(&record, &place)?;
    println!("\n{}", report::targets(&record));
    let within = target::check(&record);
    println!("the report is {}", place.join(report::FILE).display());
    Ok(within || !options.check)
}

fn measure(options: &Options) -> Result<Record, Failure> {
    let rounds = options.rounds.map_or(if options.quick { 1 } else { 10 }, usize::from);
    let (seconds, warmup) = if options.quick { (0.5, 0.2) } else { (2.0, 0.5) };
    let settings = Settings { rounds, seconds, warmup, pinned: options.pin && can_pin() };
    let (programs, missing) = Programs::prepare()?;
    let machine = machine::describe(programs.bun_version())?;
    println!("one 80-byte loopback send costs {:.1} us on this machine now", machine.send_us);
    let mut record = Record { machine, settings, ..Record::default() };
    missing.into_iter().for_each(|missing| record.note(missing));
    let chosen = |point: &&Point| options.only.is_empty() || options.only.iter().any(|only| only == point.name);
    let points: Vec<_> = POINTS.iter().filter(chosen).collect();
    rounds::play(&Bench { programs, settings }, &points, &mut record)?;
    Ok(record)
}

fn can_pin() -> bool {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let possible = find_program("taskset").is_some() && cores >= 2;
    if !possible {
        println!("not pinned: taskset is missing or there is one core only");
    }
    possible
}
