//! Processes that die at any moment.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::time::Instant;

use crate::herd::{Stand, Way, Worker};
use crate::play::Crowd;

/// Processes killed in the normal run.
const KILLS: usize = 30;
/// In a long one.
const LONG_KILLS: usize = 300;
const ROOMS: usize = 100;
/// So that there are a thousand messages a second.
const PAUSE: Duration = Duration::from_millis(200);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_are_killed_in_a_loop_and_nothing_is_lost_doubled_or_reordered() {
    let seed = number("PARLOR_SEED").unwrap_or_else(rand::random);
    let kills = if std::env::var_os("PARLOR_LONG").is_some() { LONG_KILLS } else { KILLS };
    println!("PARLOR_SEED={seed}");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let stand = Stand::start(Way::Unix, |_| {}).await;
    let mut workers: Vec<Worker> = (0..3).map(|_| stand.worker()).collect();
    stand.workers(3).await;
    let url = format!("ws://{}", stand.broker.addr());
    let crowd = Crowd::gather(&url, ROOMS, 2, PAUSE, &mut rng).await;
    let mut pauses = Vec::new();
    for _ in 0..kills {
        let victim = rng.random_range(0..workers.len());
        let killed = Instant::now();
        workers[victim].kill();
        workers[victim] = stand.worker();
        pauses.extend(crowd.pulse.pauses(killed).await);
        stand.workers(3).await;
    }
    let (wrong, entries) = crowd.end().await;
    assert!(wrong.is_empty(), "PARLOR_SEED={seed}: {} of {entries}: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);
    let metrics = stand.broker.metrics();
    assert_eq!(
        (metrics.sessions_resumed.get(), metrics.closes(None)),
        (0, 2 * ROOMS as u64),
        "nobody was disconnected"
    );
    assert_eq!((metrics.replays_diverged.get(), metrics.messages_set_aside.get()), (0, 0));
    pauses.sort_unstable();
    let at = |percent: usize| pauses[(pauses.len() - 1) * percent / 100];
    println!("{kills} killed, {} handlers made anew, {entries} entries", metrics.rooms_restored.get());
    println!("from the kill to the room's next entry: p50 {:?}, p99 {:?}, most {:?}", at(50), at(99), at(100));
}

/// Whether a process is about to end anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drains {
    Yes,
    No,
}

/// At each point at which it matters what the process has done, and what the broker knows of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_dies_at_the_worst_moments_is_replaced() {
    for (dies, drains) in [
        ("received:40", Drains::No),
        ("handled:40", Drains::No),
        ("halfsent:40", Drains::No),
        ("snapshot:3", Drains::No),
        ("snapshot:3", Drains::Yes),
        ("replay:10", Drains::No),
        ("work:5", Drains::No),
    ] {
        let stand = Stand::start(Way::Tcp, |_| {}).await;
        // Of a replay it dies that has another's rooms to replay.
        let replays = dies.starts_with("replay");
        let armed = std::env::temp_dir().join(format!("parlor-armed-{}-{dies}", std::process::id()));
        let mut host = if replays { stand.worker() } else { stand.dying(dies, &armed) };
        stand.workers(1).await;
        let url = format!("ws://{}", stand.broker.addr());
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let crowd = Crowd::gather(&url, 4, 2, Duration::from_millis(20), &mut rng).await;
        let mut first = if replays {
            let first = stand.dying(dies, &armed);
            stand.workers(2).await;
            std::fs::write(&armed, "").unwrap();
            host.kill();
            first
        } else {
            std::fs::write(&armed, "").unwrap();
            host
        };
        if drains == Drains::Yes {
            // It hands over some of its rooms, and dies with the others.
            first.signal("-TERM");
        }
        parlor_tests::wait::until(dies, || first.ended().is_some()).await;
        let killed = Instant::now();
        let _second = stand.worker();
        crowd.pulse.pauses(killed).await;
        let (wrong, entries) = crowd.end().await;
        assert!(wrong.is_empty(), "{dies}: {} of {entries}: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);
        // Those that were handed over had nothing to be made anew from.
        let least = if drains == Drains::Yes { 1 } else { 4 };
        assert!(stand.broker.metrics().rooms_restored.get() >= least, "{dies} {drains:?}");
        std::fs::remove_file(&armed).unwrap();
    }
}
