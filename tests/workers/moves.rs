//! Open rooms that go on in another version of the game, whose state has another shape, while people play in them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use parlor_client::ClientError;
use parlor_tests::ledger::{KIND, MIGRATION};
use parlor_tests::wait::until;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::herd::{Stand, Way, Worker};
use crate::play::Crowd;
use crate::rollout::{are, client, command, kind, roll_out, rooms};

const ROOMS: usize = 100;
/// So that there are a thousand messages a second.
const PAUSE: Duration = Duration::from_millis(200);
/// Rooms besides that are asked all the time.
const PROBES: usize = 4;
/// There and back.
const ROUNDS: usize = 10;
/// Processes killed while rooms move.
const KILLS: usize = 16;

/// Both versions, of which the first is the one of new rooms.
async fn versions(stand: &Stand, second: &[(&str, &str)]) -> [Worker; 2] {
    let first = stand.shaped("1", &[]);
    stand.workers(1).await;
    let second = stand.shaped("2", second);
    stand.workers(2).await;
    [first, second]
}

async fn move_all(stand: &Stand, to: &str) -> Value {
    roll_out(stand, json!({"to": to, "move": true})).await
}

async fn gather(stand: &Stand, rooms: usize, pause: Duration, seed: u64) -> Crowd {
    let url = format!("ws://{}", stand.broker.addr());
    Crowd::gather(&url, rooms, 2, pause, &mut ChaCha8Rng::seed_from_u64(seed)).await
}

/// A room in which somebody asks one thing after the other, so that it shows for how long it does not answer.
struct Probe {
    longest: Arc<Mutex<Duration>>,
    asking: tokio::task::JoinHandle<()>,
}

impl Probe {
    /// Between two questions, so that asking does not take the machine.
    const PACE: Duration = Duration::from_millis(1);

    async fn start(stand: &Stand) -> Self {
        let (client, longest) = (client(stand).await, Arc::new(Mutex::new(Duration::ZERO)));
        let table = client.create(KIND, &()).await.unwrap();
        let seen = longest.clone();
        let asking = tokio::spawn(async move {
            loop {
                let asked = Instant::now();
                table.request::<u64>("say", &1).await.unwrap();
                keep_longest(&seen, asked.elapsed());
                tokio::time::sleep(Self::PACE).await;
            }
        });
        Self { longest, asking }
    }

    /// The longest that an answer took since this was last asked.
    fn take(&self) -> Duration {
        std::mem::take(&mut self.longest.lock().unwrap())
    }
}

fn keep_longest(longest: &Mutex<Duration>, took: Duration) {
    let mut longest = longest.lock().unwrap();
    *longest = longest.max(took);
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.asking.abort();
    }
}

/// Ends the game, in which nothing may have been wrong, and nobody been disconnected.
async fn all_is_well(stand: &Stand, crowd: Crowd, rooms: usize, what: &str) {
    let (wrong, entries) = crowd.end().await;
    assert!(wrong.is_empty(), "{what}: {} of {entries}: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);
    let metrics = stand.broker.metrics();
    assert_eq!((metrics.sessions_resumed.get(), metrics.closes(None)), (0, 2 * rooms as u64), "{what}");
    assert_eq!((metrics.replays_diverged.get(), metrics.messages_set_aside.get()), (0, 0), "{what}");
}

fn shown(mut pauses: Vec<Duration>) -> String {
    pauses.sort_unstable();
    let at = |percent: usize| pauses[(pauses.len() - 1) * percent / 100];
    format!("p50 {:?}, p99 {:?}, most {:?}", at(50), at(99), at(100))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_move_to_the_next_version_and_back_and_nobody_notices() {
    let stand = Stand::start(Way::Unix, |_| {}).await;
    let _workers = versions(&stand, &[]).await;
    let crowd = gather(&stand, ROOMS, PAUSE, 6).await;
    let metrics = stand.broker.metrics();
    let mut probes = Vec::new();
    for _ in 0..PROBES {
        probes.push(Probe::start(&stand).await);
    }
    let rooms = ROOMS + PROBES;
    let (mut usual, mut answers, mut entries) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=2 * ROUNDS {
        for probe in &probes {
            let _ = probe.take();
        }
        crowd.pulse.pauses(Instant::now()).await;
        usual.extend(probes.iter().map(Probe::take));
        let to = if round % 2 == 1 { "2" } else { "1" };
        let asked = Instant::now();
        move_all(&stand, to).await;
        entries.extend(crowd.pulse.pauses(asked).await);
        until("all have moved", || metrics.rooms_moved.get() == (round * rooms) as u64).await;
        answers.extend(probes.iter().map(Probe::take));
        let (first, second) = if to == "2" { (0, rooms) } else { (rooms, 0) };
        are(&kind(&stand).await, &[("1", first as u64), ("2", second as u64)]);
    }
    assert_eq!((metrics.moves_failed.get(), metrics.rooms_restored.get()), (0, 0));
    println!("{} moves; from asking to the room's next entry: {}", 2 * ROUNDS * rooms, shown(entries));
    println!("longest wait for an answer while rooms move: {}; while none does: {}", shown(answers), shown(usual));
    all_is_well(&stand, crowd, ROOMS, "moved").await;
    drop(probes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_whose_migration_fails_stay_where_they_are() {
    for mistake in ["refuses", "panics"] {
        let stand = Stand::start(Way::Tcp, |_| {}).await;
        let _workers = versions(&stand, &[(MIGRATION, mistake)]).await;
        let crowd = gather(&stand, 10, Duration::from_millis(20), 7).await;
        let metrics = stand.broker.metrics();
        move_all(&stand, "2").await;
        until("all have tried", || metrics.moves_failed.get() == 10).await;
        crowd.pulse.pauses(Instant::now()).await;
        are(&kind(&stand).await, &[("1", 10), ("2", 0)]);
        assert_eq!((metrics.rooms_moved.get(), metrics.rooms_restored.get()), (0, 0), "{mistake}");
        all_is_well(&stand, crowd, 10, mistake).await;
    }
}

/// The one that is left when it saves a state, the other when it has made a room from one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_dies_in_the_middle_of_moves_loses_nothing() {
    for (dies, left) in [("snapshot:4", true), ("restored:4", false)] {
        let stand = Stand::start(Way::Tcp, |_| {}).await;
        let armed = std::env::temp_dir().join(format!("parlor-armed-{}-{left}", std::process::id()));
        let env = [("LEDGER_DIES", dies), ("LEDGER_ARMED", armed.to_str().unwrap())];
        let of = |dying: bool| if dying { &env[..] } else { &[] };
        let first = stand.shaped("1", of(left));
        stand.workers(1).await;
        let second = stand.shaped("2", of(!left));
        stand.workers(2).await;
        let mut dying = if left { first } else { second };
        let crowd = gather(&stand, 10, PAUSE, 8).await;
        std::fs::write(&armed, "").unwrap();
        move_all(&stand, "2").await;
        until(dies, || dying.ended().is_some()).await;
        std::fs::remove_file(&armed).unwrap();
        let _third = stand.shaped(if left { "1" } else { "2" }, &[]);
        crowd.pulse.pauses(Instant::now()).await;
        stand.workers(2).await;
        // Those that have stayed, since there was nobody to take them.
        while rooms(&move_all(&stand, "2").await) != [("1".to_owned(), 0), ("2".to_owned(), 10)] {
            crowd.pulse.pauses(Instant::now()).await;
        }
        all_is_well(&stand, crowd, 10, dies).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_are_killed_while_rooms_move_and_nothing_is_lost_doubled_or_reordered() {
    let seed = std::env::var("PARLOR_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("PARLOR_SEED={seed}");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let stand = Stand::start(Way::Unix, |_| {}).await;
    let mut workers = versions(&stand, &[]).await;
    let crowd = gather(&stand, 30, PAUSE / 4, seed).await;
    for round in 1..=KILLS {
        move_all(&stand, if round % 2 == 1 { "2" } else { "1" }).await;
        tokio::time::sleep(Duration::from_micros(rng.random_range(0..20_000))).await;
        let victim = rng.random_range(0..2);
        let killed = Instant::now();
        workers[victim].kill();
        workers[victim] = stand.shaped(["1", "2"][victim], &[]);
        crowd.pulse.pauses(killed).await;
        stand.workers(2).await;
    }
    let metrics = stand.broker.metrics();
    println!("{KILLS} killed, {} moved, {} stayed", metrics.rooms_moved.get(), metrics.moves_failed.get());
    all_is_well(&stand, crowd, 30, &format!("PARLOR_SEED={seed}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_that_were_moved_come_back_from_a_version_that_is_left() {
    let stand = Stand::start(Way::Unix, |_| {}).await;
    let _workers = versions(&stand, &[("LEDGER_IS_BAD", "yes")]).await;
    let mut tables = Vec::new();
    for _ in 0..5 {
        tables.push(client(&stand).await.create(KIND, &()).await.unwrap());
    }
    let metrics = stand.broker.metrics();
    move_all(&stand, "2").await;
    until("they are there", || metrics.rooms_moved.get() == 5).await;
    for table in &tables[..3] {
        table.request::<u64>("say", &13).await.unwrap_err();
    }
    until("they are back", || metrics.rooms_moved.get() == 10).await;
    let kind = kind(&stand).await;
    are(&kind, &[("1", 5), ("2", 0)]);
    assert_eq!((&kind["to"], &kind["left"]["version"]), (&json!("1"), &json!("2")));
    let opened = |version: usize| kind["versions"][version]["opened"].clone();
    assert_eq!((opened(0), opened(1)), (json!(10), json!(5)), "{kind}");
    for table in &tables {
        table.request::<u64>("say", &13).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_is_found_in_the_version_to_which_it_has_moved_and_takes_its_work_along() {
    let stand = Stand::start(Way::Unix, |_| {}).await;
    let _workers = versions(&stand, &[]).await;
    let mut table = client(&stand).await.join_or_create(KIND, &()).await.unwrap();
    for n in 1..=5_u64 {
        table.send("work", &n).unwrap();
    }
    // Behind those messages.
    table.request::<u64>("say", &1).await.unwrap();
    move_all(&stand, "2").await;
    until("it is there", || stand.broker.metrics().rooms_moved.get() == 1).await;
    let other = client(&stand).await;
    let found = other.join_or_create(KIND, &()).await.unwrap();
    assert_eq!(found.id(), table.id());
    let mut done = 0;
    while done < 5 {
        let event = parlor_tests::wait::soon("work is done", table.recv()).await.unwrap();
        let entry = event.decode::<parlor_tests::ledger::Entry>();
        done += u64::from(entry.is_ok_and(|entry| matches!(entry.what, parlor_tests::ledger::What::Worked(..))));
    }
    // One that is there already has nothing to do.
    command(&stand, &["--to", "2", "--move"]).await.unwrap();
    found.request::<u64>("say", &2).await.unwrap();
    assert_eq!(stand.broker.metrics().rooms_moved.get(), 1);
    command(&stand, &["--to", "1", "--move"]).await.unwrap();
    until("it is back", || stand.broker.metrics().rooms_moved.get() == 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_do_not_leave_for_a_version_that_nobody_runs_any_more() {
    let stand = Stand::start(Way::Unix, |_| {}).await;
    let [_first, mut second] = versions(&stand, &[]).await;
    let table = client(&stand).await.create(KIND, &()).await.unwrap();
    second.kill();
    stand.workers(1).await;
    move_all(&stand, "2").await;
    until("it has tried", || stand.broker.metrics().moves_failed.get() == 1).await;
    table.request::<u64>("say", &1).await.unwrap();
    are(&kind(&stand).await, &[("1", 1), ("2", 0)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_without_a_place_takes_no_room_until_it_has_one() {
    let stand = Stand::start(Way::Unix, |config| config.workers.wait_ms = 200).await;
    let _first = stand.shaped("1", &[]);
    stand.workers(1).await;
    let crowd = gather(&stand, 10, Duration::from_millis(20), 11).await;
    let mut small = stand.small("2", 4);
    stand.workers(2).await;
    let metrics = stand.broker.metrics();
    move_all(&stand, "2").await;
    until("all have tried", || metrics.rooms_moved.get() + metrics.moves_failed.get() == 10).await;
    assert_eq!((metrics.rooms_moved.get(), metrics.moves_failed.get()), (4, 6));
    are(&kind(&stand).await, &[("1", 6), ("2", 4)]);
    // Nor for one that is new.
    let newcomer = client(&stand).await;
    let ClientError::Refused(failure) = newcomer.create(KIND, &()).await.unwrap_err() else { panic!() };
    assert!(failure.code == "no_worker" && failure.retryable, "{failure:?}");
    let _large = stand.shaped("2", &[]);
    stand.workers(3).await;
    move_all(&stand, "2").await;
    until("all have moved", || metrics.rooms_moved.get() == 10).await;
    small.kill();
    crowd.pulse.pauses(Instant::now()).await;
    all_is_well(&stand, crowd, 10, "with places").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_that_open_while_others_move_are_not_forgotten() {
    let stand = Stand::start(Way::Unix, |_| {}).await;
    let _workers = versions(&stand, &[]).await;
    let crowd = gather(&stand, 40, PAUSE, 12).await;
    let mut newcomers = Vec::new();
    for round in 1..=4 {
        let to = if round % 2 == 1 { "2" } else { "1" };
        let opener = client(&stand).await;
        let opening = tokio::spawn(async move {
            let mut tables = Vec::new();
            for _ in 0..10 {
                tables.push(opener.create(KIND, &()).await.unwrap());
            }
            (opener, tables)
        });
        move_all(&stand, to).await;
        newcomers.push(opening.await.unwrap());
        // Those that were still opened in the version before have been asked, too.
        let all = 40 + 10 * round;
        let there = || stand.broker.registry().find(|room| *room.kind().version == *to).len();
        until("all are in it", || there() == all).await;
        for (_, tables) in &newcomers {
            for table in tables {
                table.request::<u64>("say", &1).await.unwrap();
            }
        }
    }
    assert_eq!(stand.broker.metrics().moves_failed.get(), 0);
    all_is_well(&stand, crowd, 40, "with newcomers").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_that_still_wait_for_their_turn_stay_when_it_is_decided_otherwise() {
    let stand = Stand::start(Way::Unix, |_| {}).await;
    let _workers = versions(&stand, &[(MIGRATION, "slow")]).await;
    let crowd = gather(&stand, 60, PAUSE, 13).await;
    let metrics = stand.broker.metrics();
    move_all(&stand, "2").await;
    until("the first have moved", || metrics.rooms_moved.get() >= 4).await;
    roll_out(&stand, json!({"to": "1"})).await;
    // Those that had begun by then.
    let most = metrics.rooms_moved.get() + 16;
    for _ in 0..10 {
        crowd.pulse.pauses(Instant::now()).await;
    }
    let moved = metrics.rooms_moved.get();
    assert!(moved <= most, "{moved} of 60, {most} at most");
    are(&kind(&stand).await, &[("1", 60 - moved), ("2", moved)]);
    all_is_well(&stand, crowd, 60, "decided otherwise").await;
}
