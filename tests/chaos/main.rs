//! Sessions that outlive their connections, over a network that cuts, delays and swallows: thousands of runs by seed, in paused time,
//! and some over real sockets. `PARLOR_SEED` runs one of them, `PARLOR_SEEDS` so many.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod check;
mod game;
mod met;
mod minutes;
mod net;
mod player;
mod run;
mod sockets;
mod storm;
mod trace;
mod wire;

use std::sync::Arc;

use parlor::broker::session::Sabotage;
use tokio::sync::Semaphore;

use check::check;
use met::Met;
use run::{Report, each, run};

/// Seeds of the normal run.
const SEEDS: u64 = 2_000;
/// Seeds that found something once: publishes behind a gap, in a room that was being left.
const FOUND: &[u64] = &[460, 569, 603];

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let failures = each(0..20, |seed| {
        let [first, second] = [(); 2].map(|()| trace::of(&run(seed, Sabotage::None)));
        let differs = first.iter().zip(&second).position(|(a, b)| a != b);
        match differs {
            Some(at) => vec![format!("line {at}: {} or {}", first[at], second[at])],
            None if first.len() != second.len() => vec![format!("{} or {} lines", first.len(), second.len())],
            None => Vec::new(),
        }
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_promise_holds_however_often_connections_break() {
    parlor_tests::panics::hush();
    if let Some(seed) = number("PARLOR_SEED") {
        let report = run(seed, Sabotage::None);
        trace::of(&report).iter().for_each(|line| println!("{line}"));
        let wrong = check(&report);
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        return;
    }
    let count = number("PARLOR_SEEDS").unwrap_or(SEEDS);
    let seeds = FOUND.iter().copied().filter(|seed| *seed >= count).chain(0..count);
    let met = Met::default();
    let failures = each(seeds, |seed| {
        let report = run(seed, Sabotage::None);
        met.count(&report);
        check(&report)
    });
    assert!(failures.is_empty(), "{} fail\n{}", failures.len(), failures[..failures.len().min(20)].join("\n"));
    println!("{met:?}");
    assert!(count < SEEDS || met.missing().is_empty(), "what never happened: {:?}", met.missing());
}

/// A test that cannot fail shows nothing: a resume that does not keep its promises is noticed.
#[test]
fn a_broken_resume_is_found_out() {
    const WITHIN: u64 = 60;
    for sabotage in [Sabotage::RepeatOne, Sabotage::ForgetOne] {
        let found = (0..WITHIN).find(|seed| !check(&run(*seed, sabotage)).is_empty());
        println!("{sabotage:?} is found by seed {found:?}");
        assert!(found.is_some(), "{sabotage:?} is not found by any of {WITHIN} seeds");
    }
}

#[test]
fn every_promise_holds_over_real_sockets() {
    in_real_time(20, 20, sockets::run);
}

#[test]
fn every_promise_holds_while_workers_die() {
    // Few at a time, so that workers are there again soon enough to die often.
    let restored = in_real_time(12, 6, sockets::run_with_workers);
    assert!(restored > 10 || number("PARLOR_SEED").is_some(), "only {restored} handlers were made anew");
}

/// Runs seeds, so many at a time; how many handlers were made anew.
fn in_real_time<F>(count: u64, at_once: usize, run: impl Fn(u64) -> F) -> u64
where
    F: Future<Output = Report> + Send + 'static,
{
    parlor_tests::panics::hush();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let seeds = number("PARLOR_SEED").map_or(0..count, |seed| seed..seed + 1);
    let turns = Arc::new(Semaphore::new(at_once));
    let take_turn = |seed, turns: Arc<Semaphore>| {
        let run = run(seed);
        async move {
            let _turn = turns.acquire().await;
            run.await
        }
    };
    let runs: Vec<_> = seeds.map(|seed| (seed, runtime.spawn(take_turn(seed, turns.clone())))).collect();
    let (mut failures, mut restored) = (Vec::new(), 0);
    for (seed, run) in runs {
        let report = runtime.block_on(run).unwrap();
        restored += report.restored;
        let wrong = check(&report);
        if !wrong.is_empty() {
            failures.push(format!("PARLOR_SEED={seed}: {}", wrong.join("\n    ")));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    println!("{restored} handlers made anew");
    restored
}

#[test]
fn two_thousand_dropped_at_once_come_back() {
    let wrong = storm::run(1);
    assert!(wrong.is_empty(), "{}: {}", wrong.len(), wrong[..wrong.len().min(10)].join("\n"));
}
