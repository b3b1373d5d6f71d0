//! `parlor bench` counts what there is to count, and notices what goes wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use parlor::App;
use parlor::broker::Broker;
use parlor::prelude::*;
use parlor_load::{Load, Report, Rooms, Script};
use parlor_tests::wait::until;
use parlor_tests::{Echo, config};

const ROOM: &str = "[room]\nkind = \"echo\"\n";
/// What a player says comes to all, itself included.
const SAY: &str = "[[action]]\nsend = \"say\"\npayload = { text = \"{n} of {index}\" }\nhz = 20\n\
    answered_by = { type = \"said\", where = { from = \"{player}\" } }\n";
const ADD: &str =
    "[[action]]\nsend = \"add\"\npayload = { a = \"{n}\", b = \"{random:0..9}\" }\nhz = 10\nreply = true\n";

async fn echo() -> Broker {
    App::new().room::<Echo>().start(&config()).await.unwrap()
}

fn load(broker: &Broker, script: &str) -> Load {
    Load {
        url: format!("ws://{}", broker.addr()),
        script: Script::parse(script).unwrap(),
        players: 6,
        rooms: Rooms::Made(2),
        ramp: Duration::from_millis(1),
        warmup: Duration::ZERO,
        window: Duration::from_secs(1),
        tokens: Vec::new(),
        fail_p99: None,
    }
}

fn codes<const N: usize>(codes: [(&str, u64); N]) -> BTreeMap<String, u64> {
    codes.map(|(code, times)| (code.to_owned(), times)).into()
}

#[track_caller]
fn fine(report: &Report) {
    assert!(report.is_fine(), "{report}");
}

#[tokio::test]
async fn everything_is_counted_once() {
    let broker = echo().await;
    let report = load(&broker, &format!("{ROOM}{SAY}{ADD}")).run().await;
    fine(&report);
    assert_eq!((report.joined, report.rooms, report.join.count), (6, 2, 6));
    let [say, add] = report.actions.as_slice() else { panic!() };
    assert_eq!((say.sent, say.delivery.count, say.round_trip.count), (120, 120, 0));
    assert_eq!((add.sent, add.delivery.count, add.round_trip.count), (60, 0, 60));
    assert_eq!((report.sent, report.unanswered), (180, 0));
    // To each of the three in a room.
    assert_eq!(report.received, 360);
    assert!(say.delivery.p50 > 0.0 && say.delivery.p50 <= say.delivery.p99 && say.delivery.p99 <= say.delivery.max);
    assert_eq!(broker.metrics().members.get(), 0, "all have left");
}

#[tokio::test]
async fn what_is_played_to_warm_up_is_not_counted() {
    let broker = echo().await;
    let rate = format!("{ROOM}{SAY}[[action]]\nsend = \"deny\"\nhz = 10\nstop = \"200ms\"\n");
    let report = Load { warmup: Duration::from_millis(500), ..load(&broker, &rate) }.run().await;
    // Each player says ten things before, and is refused five times.
    assert_eq!((report.actions[0].sent, report.actions[0].delivery.count), (120, 120));
    assert_eq!((report.actions[1].sent, &report.refused), (12, &codes([("app.denied", 12)])));
}

#[tokio::test]
async fn refusals_are_counted_however_they_come() {
    let broker = echo().await;
    let deny = "[[action]]\nsend = \"deny\"\nhz = 10\nanswered_by = \"said\"\n\
        [[action]]\nname = \"ask\"\nsend = \"deny\"\nhz = 5\nreply = true\nanswered_by = \"said\"\n\
        [[action]]\nsend = \"nothing\"\nhz = 2\n";
    let report = load(&broker, &format!("{ROOM}{deny}")).run().await;
    assert_eq!((report.sent, report.unanswered), (60 + 30 + 12, 0), "a refusal is an answer");
    assert_eq!(report.refused, codes([("app.denied", 90), ("unknown_type", 12)]));
    assert_eq!(report.failures, ["refused: 90 app.denied, 12 unknown_type"]);
    let report = load(&broker, &format!("may_refuse = [\"app.denied\", \"unknown_type\"]\n{ROOM}{deny}")).run().await;
    assert_eq!(report.refused.values().sum::<u64>(), 102);
    fine(&report);
}

#[tokio::test]
async fn who_does_not_come_in_is_counted() {
    let broker = echo().await;
    let report = load(&broker, "[room]\nkind = \"eco\"\n").run().await;
    // The first of each room is told, and the others have no room to go to.
    assert_eq!((report.joined, report.not_joined), (0, codes([("no_room", 4), ("unknown_kind", 2)])));
    assert_eq!(report.failures, ["not joined: 4 no_room, 2 unknown_kind"]);
    let spectators = format!("{ROOM}role = \"spectator\"\n");
    let report = Load { players: 12, rooms: Rooms::Made(1), ..load(&broker, &spectators) }.run().await;
    assert_eq!(report.joined + report.not_joined.values().sum::<u64>(), 12);
    assert!(!report.is_fine());
    let mut limited = config();
    limited.limits.connections_per_address = 2;
    let few = App::new().room::<Echo>().start(&limited).await.unwrap();
    let report =
        Load { rooms: Rooms::Found, ..load(&few, &format!("{ROOM}mode = \"find_or_create\"\n{SAY}")) }.run().await;
    assert_eq!((report.joined, report.rooms), (2, 1), "{report}");
    assert_eq!(report.actions[0].delivery.count, 40, "the others play");
    assert_eq!(report.not_joined.values().sum::<u64>(), 4);
}

#[tokio::test]
async fn answers_that_do_not_come_and_connections_that_end_are_counted() {
    let broker = echo().await;
    let never = "[[action]]\nsend = \"say\"\npayload = { text = \"\" }\nhz = 10\nanswered_by = \"never\"\n";
    let report = Load { players: 2, ..load(&broker, &format!("{ROOM}{never}")) }.run().await;
    assert_eq!((report.unanswered, report.delivery.count), (20, 0));
    assert_eq!(report.failures, ["unanswered: 20"]);

    let running = load(&broker, &format!("{ROOM}{SAY}"));
    let running = Load { window: Duration::from_secs(3), ..running };
    let running = tokio::spawn(async move { running.run().await });
    until("they play", || broker.metrics().messages_handled.get() > 100).await;
    broker.shutdown().await;
    let report = running.await.unwrap();
    assert_eq!(report.errors.get("room shutting_down"), Some(&6), "{report}");
    assert!(!report.is_fine());
}

/// Games do without it: they embed the broker, not its program.
#[test]
fn games_are_free_of_the_load_test() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let workspace = std::fs::read_to_string(format!("{root}/Cargo.toml")).unwrap();
    assert!(workspace.contains("\nparlor-broker = { path = \"broker\", default-features = false }\n"));
    let sdk = std::fs::read_to_string(format!("{root}/handler-sdk/Cargo.toml")).unwrap();
    assert!(sdk.contains("\nparlor-broker = { workspace = true, optional = true }\n"), "without features");
}

#[test]
fn the_page_shows_the_script_of_the_arena() {
    let page = include_str!("../../docs/bench.md");
    let arena = include_str!("../../examples/arena/bench.toml");
    assert!(page.contains(&format!("```toml\n{arena}```\n")));
    Script::parse(arena).unwrap();
}

/// A room that takes its time.
#[derive(Default, Serialize, Deserialize)]
struct Slow {}

#[room(kind = "slow")]
impl Slow {
    #[msg::route("work")]
    fn work(&mut self, _ctx: &mut Ctx, _from: PlayerId) -> u8 {
        std::thread::sleep(Duration::from_millis(100));
        0
    }
}

#[tokio::test]
async fn a_slow_game_slows_nothing_that_is_due() {
    let broker = App::new().room::<Slow>().start(&config()).await.unwrap();
    let script = "[room]\nkind = \"slow\"\n[[action]]\nsend = \"work\"\nhz = 50\nstop = \"400ms\"\nreply = true\n";
    let slow =
        Load { players: 1, rooms: Rooms::Made(1), fail_p99: Some(Duration::from_secs(1)), ..load(&broker, script) };
    let report = slow.run().await;
    // Twenty times 100 ms of work come within 400 ms: whoever waited for each reply would see 100 ms each time.
    assert_eq!((report.sent, report.round_trip.count), (20, 20));
    assert!(report.round_trip.p50 > 600.0 && report.round_trip.max > 1_500.0, "{report}");
    assert_eq!(report.failures.len(), 1);
    assert!(report.failures[0].starts_with("round trip: p99 is "), "{report}");
}
