//! One run: a broker, its rooms and clients, all in one thread and in paused time, and a network that gets whole in the end.

use std::io;
use std::sync::Mutex;
use std::time::Duration;

use parlor::broker::broker::{Connector, Setup, Threads};
use parlor::broker::room::CreateRoom;
use parlor::broker::session::Sabotage;
use parlor::broker::{Broker, Config};
use parlor_client::{ClientError, Codec, LifecycleEvent, Options, Parlor, RoomId, RoomNo};
use parlor_protocol::CloseCode;
use parlor_tests::config;
use parlor_tests::seed::fork;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::time::{Instant, sleep};

use crate::game::{self, Game, Record, SharedRecord};
use crate::net::{Fault, Weather, carry};
use crate::player::{Diary, Player, Stay};
use crate::wire::{Minute, Tap};

/// All that is known of a run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) rooms: Vec<RoomReport>,
    pub(crate) clients: Vec<ClientReport>,
    /// Whether the bounds were so low that publishes may be dropped.
    pub(crate) tight: bool,
    /// Whether rooms, sessions and network ran side by side, in real time.
    pub(crate) parallel: bool,
    /// Connections that were still there when their client came back on another.
    pub(crate) replaced: u64,
    pub(crate) restored: u64,
    /// What was wrong already while it ran.
    pub(crate) wrong: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct RoomReport {
    pub(crate) no: RoomNo,
    pub(crate) brief: bool,
    /// When everybody was back and nobody said anything any more.
    pub(crate) quiet: Record,
    /// When the room was gone.
    pub(crate) last: Record,
}

#[derive(Debug)]
pub(crate) struct ClientReport {
    pub(crate) stays: Vec<Stay>,
    pub(crate) lifecycle: Vec<LifecycleEvent>,
    pub(crate) minutes: Vec<Minute>,
    pub(crate) codec: Codec,
}

/// A room in a run.
pub(crate) struct Hall {
    pub(crate) id: RoomId,
    pub(crate) no: RoomNo,
    pub(crate) brief: bool,
    pub(crate) number: u64,
    pub(crate) record: SharedRecord,
}

/// Runs a seed.
pub(crate) fn run(seed: u64, sabotage: Sabotage) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (config, tight) = limits(&mut rng);
        let setup = Setup { threads: Threads::Here, sabotage, ..Setup::default() };
        let broker = start(&config, setup).await;
        let connector = broker.connector();
        let chaos = Duration::from_millis(rng.random_range(1_000..7_000));
        let cast = Cast::random(&broker, &mut rng, chaos, Duration::from_secs(5));
        let report = play(broker, cast, move |weather, options| connect(connector.clone(), weather, options)).await;
        Report { tight, ..report }
    })
}

/// The game.
pub(crate) fn app() -> parlor::App {
    parlor::App::new().room::<Game<false>>().room::<Game<true>>()
}

pub(crate) async fn start(config: &Config, setup: Setup) -> Broker {
    app().start_with(config, setup).await.unwrap()
}

/// Bounds that are sometimes so low that they are met.
pub(crate) fn limits(rng: &mut ChaCha8Rng) -> (Config, bool) {
    let mut config = config();
    let limits = &mut config.limits;
    let tight = rng.random_ratio(1, 2);
    if tight {
        limits.outbox_frames = rng.random_range(12..60);
        limits.outbox_bytes = rng.random_range(3..16) << 10;
    }
    if rng.random() {
        (limits.ping_after_ms, limits.idle_timeout_ms) = (2_000, 4_500);
    }
    (config, tight)
}

/// Connects over a pipe in memory, with the weather in between.
pub(crate) async fn connect(connector: Connector, weather: Weather, options: Options) -> Result<Parlor, ClientError> {
    let connector = move || {
        let (plan, connector) = (weather.next(), connector.clone());
        async move {
            if plan.fault == Fault::Refused {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let (near, far) = tokio::io::duplex(8 << 10);
            tokio::spawn(carry(far, connector.connect(), plan));
            Ok(near)
        }
    };
    Parlor::through(connector, options).await
}

/// Rooms, and who is going to play in them.
pub(crate) struct Cast {
    pub(crate) halls: Vec<Hall>,
    pub(crate) seats: Vec<Seat>,
}

/// A client before it has connected.
pub(crate) struct Seat {
    pub(crate) player: Player,
    pub(crate) weather: Weather,
    pub(crate) options: Options,
    pub(crate) tap: Tap,
}

impl Cast {
    /// A few rooms and clients of all kinds.
    pub(crate) fn random(broker: &Broker, rng: &mut ChaCha8Rng, chaos: Duration, quiet: Duration) -> Self {
        let halls: Vec<_> = (0..[1, 1, 2, 3][rng.random_range(0..4)]).map(|_| open(broker, rng.random())).collect();
        let heal = Instant::now() + chaos;
        let (pad, cruel) = ([0, 0, 40, 40, 40, 2_000][rng.random_range(0..6)], rng.random_ratio(1, 3));
        let looks_away = Duration::from_millis([0, 0, 500, 6_000][rng.random_range(0..4)]);
        // Large words come so fast that a reader can fall behind.
        let pause = if pad > 1_000 { 80..250 } else { 150..1_500 };
        let pause = Duration::from_millis(rng.random_range(pause));
        let count = [2, 2, 3, 3, 4, 6][rng.random_range(0..6)];
        let seat = |number| {
            let codec = if rng.random() { Codec::Json } else { Codec::MsgPack };
            let tap = Tap::new(codec, halls.iter().map(|hall| hall.record.clone()).collect());
            let weather = Weather::new(fork(rng), heal, tap.clone());
            let options = Player::options(rng, codec);
            let rooms = halls.iter().map(|hall| hall.id.clone()).enumerate().collect();
            let player = Player { number, rng: fork(rng), rooms, heal, pad, pause, looks_away, cruel, quiet };
            Seat { player, weather, options, tap }
        };
        let seats = (0..count).map(seat).collect();
        Self { halls, seats }
    }
}

/// Lets clients play, and looks on until all is over.
pub(crate) async fn play<C, F>(broker: Broker, cast: Cast, connect: C) -> Report
where
    C: Fn(Weather, Options) -> F + Clone + Send + 'static,
    F: Future<Output = Result<Parlor, ClientError>> + Send + 'static,
{
    let tasks = broker.tasks();
    let (mut report, mut playing, mut taps) = (Report::default(), Vec::new(), Vec::new());
    for Seat { player, weather, options, tap } in cast.seats {
        taps.push((tap, options.codec));
        playing.push(tokio::spawn(begin(player, weather, options, connect.clone())));
    }
    let mut played = Vec::new();
    for player in playing {
        played.push(player.await.expect("a player does not panic"));
    }
    let (diaries, parlors): (Vec<Diary>, Vec<Parlor>) = played.into_iter().unzip();
    let quiet: Vec<_> = cast.halls.iter().map(|hall| hall.record.lock().unwrap().clone()).collect();
    for (diary, (tap, codec)) in diaries.into_iter().zip(taps) {
        let stays = diary.stays.iter().map(|stay| stay.lock().unwrap().clone()).collect();
        let lifecycle = diary.lifecycle.lock().unwrap().clone();
        report.clients.push(ClientReport { stays, lifecycle, minutes: tap.minutes(), codec });
        report.wrong.extend(diary.wrong);
    }
    for parlor in &parlors {
        parlor.close().await;
    }
    drop(parlors);
    report.wrong.extend(clears_up(&broker, tasks).await);
    report.restored = broker.metrics().rooms_restored.get();
    report.replaced = broker.metrics().closes(Some(CloseCode::Replaced));
    for (hall, quiet) in cast.halls.into_iter().zip(quiet) {
        game::forget(hall.number);
        let last = hall.record.lock().unwrap().clone();
        report.wrong.extend(last.wrong.iter().cloned());
        report.rooms.push(RoomReport { no: hall.no, brief: hall.brief, quiet, last });
    }
    report
}

pub(crate) fn open(broker: &Broker, brief: bool) -> Hall {
    let (number, record) = game::record();
    let wish = CreateRoom { options: game::options(number), ..CreateRoom::default() };
    let room = broker.registry().create(if brief { "brief" } else { "lasting" }, wish).unwrap();
    Hall { id: room.id().clone(), no: room.no(), brief, number, record }
}

async fn begin<C, F>(player: Player, weather: Weather, options: Options, connect: C) -> (Diary, Parlor)
where
    C: Fn(Weather, Options) -> F,
    F: Future<Output = Result<Parlor, ClientError>>,
{
    loop {
        // The library tries the first connection once.
        match connect(weather.clone(), options.clone()).await {
            Ok(parlor) => return player.play(parlor).await,
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Waits until nothing is left; tells what is, and whether the books are right.
#[allow(clippy::redundant_closure_for_method_calls, reason = "the types of metrics are another crate's")]
pub(crate) async fn clears_up(broker: &Broker, tasks: usize) -> Vec<String> {
    let metrics = broker.metrics();
    let left = || {
        let gauges =
            [&metrics.sessions, &metrics.rooms, &metrics.members, &metrics.sessions_away, &metrics.connections];
        let gauges = gauges.map(|gauge| gauge.get());
        (gauges, broker.tasks().saturating_sub(tasks), broker.registry().len())
    };
    for _ in 0..600 {
        if left() == ([0; 5], 0, 0) {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    let mut wrong = Vec::new();
    if left() != ([0; 5], 0, 0) {
        wrong.push(format!("sessions, rooms, members, away, connections; tasks; listed are left: {:?}", left()));
    }
    let [accepted, handled, aside, orphaned, closed] = [
        &metrics.messages_accepted,
        &metrics.messages_handled,
        &metrics.messages_set_aside,
        &metrics.messages_orphaned,
        &metrics.messages_room_closed,
    ]
    .map(|counter| counter.get());
    if accepted != handled + aside + orphaned + closed {
        wrong.push(format!(
            "{accepted} accepted, but {handled} handled, {aside} set aside, {orphaned} orphaned, {closed} told room_closed"
        ));
    }
    let [panics, restored, diverged] =
        [&metrics.handler_panics, &metrics.rooms_restored, &metrics.replays_diverged].map(|counter| counter.get());
    let died = metrics.workers_lost("closed") + metrics.workers_lost("broken") > 0;
    if (!died && restored != panics) || restored < panics || diverged != 0 {
        wrong.push(format!("{panics} panics, {restored} restored, {diverged} diverged"));
    }
    wrong
}

/// Runs many seeds on all cores; the texts of those that fail.
pub(crate) fn each(seeds: impl Iterator<Item = u64> + Send, check: impl Fn(u64) -> Vec<String> + Sync) -> Vec<String> {
    let (seeds, failures) = (Mutex::new(seeds), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let Some(seed) = seeds.lock().unwrap().next() else { return };
                    let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(seed)));
                    let wrong = checked.unwrap_or_else(|_| vec!["panicked".to_owned()]);
                    if !wrong.is_empty() {
                        let shown = wrong.iter().take(8).map(|what| format!("\n    {what}")).collect::<String>();
                        failures.lock().unwrap().push(format!("PARLOR_SEED={seed}: {}{shown}", wrong.len()));
                    }
                }
            });
        }
    });
    failures.into_inner().unwrap()
}
