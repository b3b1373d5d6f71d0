//! Hundreds of clients come, go, are cut off and come back, for as long as one likes: nothing is lost, nothing stays behind, and
//! memory does not grow. Twenty seconds in every test run, with `PARLOR_SOAK` ten minutes (`PARLOR_SOAK_SECONDS`,
//! `PARLOR_SOAK_CLIENTS`), in which the drift of memory is judged too.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod broker;
mod client;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use broker::{Base, Process};
use client::{Shared, Tally};
use tokio::task::JoinSet;

/// Members of a room on average.
const CROWD: usize = 10;
/// How much more memory the last fifth may need than the second one: the first is for warming up.
const DRIFT: f64 = 1.05;
/// How long the last sessions and rooms may take to end: as long as a session without a room is kept, and some more.
const ENDING: Duration = Duration::from_secs(60);

struct Scale {
    clients: usize,
    time: Duration,
    long: bool,
}

impl Scale {
    fn new() -> Self {
        let long = std::env::var_os("PARLOR_SOAK").is_some();
        let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
        let seconds = number("PARLOR_SOAK_SECONDS").unwrap_or(if long { 600 } else { 20 });
        let clients = number("PARLOR_SOAK_CLIENTS").unwrap_or(if long { 1000 } else { 200 });
        Self { clients: usize::try_from(clients).unwrap(), time: Duration::from_secs(seconds), long }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_and_nothing_stays_behind() {
    let scale = Scale::new();
    let mut process = Process::start();
    process.warm_up().await;
    let base = process.base();
    let shared = Arc::new(Shared::new(process.address(), scale.clients / CROWD));
    let mut rng = parlor_tests::seed::seeded();
    let mut clients = JoinSet::new();
    for _ in 0..scale.clients {
        clients.spawn(client::run(shared.clone(), parlor_tests::seed::fork(&mut rng)));
    }

    let memory = watch(&process, scale.time).await;
    shared.stop.store(true, Ordering::Relaxed);
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    let tally = shared.tally();
    println!("{tally:?}");
    assert!(
        tally.said > 0
            && tally.heard > tally.said
            && tally.cut > 0
            && tally.resumed > 0
            && tally.joined > scale.clients as u64,
        "{tally:?}"
    );
    assert!(tally.views <= tally.resumed, "nobody was away long enough for more: {tally:?}");
    back_to(&mut process, base).await;
    conservation(&process, &tally).await;
    let drift = drift(&memory);
    println!(
        "memory: {} KiB in the second fifth, {} KiB in the last: {drift:.3}",
        window(&memory, 1),
        window(&memory, 4)
    );
    assert!(!scale.long || drift <= DRIFT, "memory has grown to {drift:.3} of what it was: {memory:?}");
    process.end();
}

/// Looks at memory once a second.
async fn watch(process: &Process, time: Duration) -> Vec<u64> {
    let (end, mut memory) = (Instant::now() + time, Vec::new());
    while Instant::now() < end {
        tokio::time::sleep(Duration::from_secs(1)).await;
        memory.push(process.rss_kib());
    }
    memory
}

/// Waits until there are no more tasks, files, sessions, members and rooms than before.
async fn back_to(process: &mut Process, base: Base) {
    let deadline = Instant::now() + ENDING;
    loop {
        let now = process.base();
        let metrics = process.metrics().await;
        let left: Vec<_> = ["sessions", "sessions_away", "members", "rooms"].map(|name| metrics.get(name)).to_vec();
        if now.tasks <= base.tasks && now.files <= base.files && left.iter().all(|count| *count == 0) {
            return;
        }
        assert!(Instant::now() < deadline, "{now:?} after {base:?}; sessions, away, members and rooms left: {left:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// What was accepted was handled, or set aside for one of the reasons that there are; and nothing went wrong on the way.
async fn conservation(process: &Process, tally: &Tally) {
    let metrics = process.metrics().await;
    let accepted = metrics.get("messages_accepted_total");
    let ways = ["messages_handled_total", "messages_orphaned_total", "messages_room_closed_total"];
    let ended = ways.map(|name| metrics.get(name));
    assert_eq!(accepted, ended.iter().sum::<u64>(), "{ways:?} are {ended:?}");
    assert!(accepted >= tally.said - tally.refused, "{accepted} accepted, {tally:?}");
    for name in ["handler_panics_total", "handler_faults_total", "sessions_not_kept_total"] {
        assert_eq!(metrics.get(name), 0, "{name}");
    }
    println!("accepted {accepted}: {ways:?} are {ended:?}");
}

/// The memory of the last fifth as a multiple of that of the second, by medians.
fn drift(memory: &[u64]) -> f64 {
    window(memory, 4) as f64 / window(memory, 1).max(1) as f64
}

/// The median of a fifth.
fn window(memory: &[u64], fifth: usize) -> u64 {
    let len = memory.len() / 5;
    let mut part = memory[fifth * len..(fifth + 1) * len].to_vec();
    part.sort_unstable();
    part.get(len / 2).copied().unwrap_or(0)
}
