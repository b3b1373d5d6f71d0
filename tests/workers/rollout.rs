//! Versions side by side, and which of them new rooms are of.

use std::time::Duration;

use clap::Parser as _;
use parlor::broker::cli::RolloutArgs;
use parlor_client::{Options, Parlor, Room};
use parlor_tests::http::with_key;
use parlor_tests::ledger::KIND;
use parlor_tests::wait::until;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::herd::{Quality, Stand, Way};
use crate::play::Crowd;

pub(crate) async fn kind(stand: &Stand) -> Value {
    let answer = with_key(stand.broker.addr(), "GET", &format!("/v1/kinds/{KIND}"), &Value::Null).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

pub(crate) async fn roll_out(stand: &Stand, to: Value) -> Value {
    let path = format!("/v1/kinds/{KIND}/rollout");
    let answer = with_key(stand.broker.addr(), "PUT", &path, &to).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Open rooms of each version.
pub(crate) fn rooms(kind: &Value) -> Vec<(String, u64)> {
    let versions = kind["versions"].as_array().unwrap().iter();
    versions.map(|version| (version["version"].as_str().unwrap().into(), version["rooms"].as_u64().unwrap())).collect()
}

pub(crate) fn are(kind: &Value, expected: &[(&str, u64)]) {
    let expected: Vec<_> = expected.iter().map(|(version, rooms)| ((*version).to_owned(), *rooms)).collect();
    assert_eq!(rooms(kind), expected, "{kind}");
}

/// `parlor rollout`.
pub(crate) async fn command(stand: &Stand, flags: &[&str]) -> Result<String, String> {
    let url = format!("http://{}", stand.broker.addr());
    let words = ["parlor rollout", KIND, "--url", &url, "--server-key", "test-key"];
    RolloutArgs::try_parse_from(words.iter().chain(flags)).unwrap().run().await
}

pub(crate) async fn client(stand: &Stand) -> Parlor {
    Parlor::connect(&format!("ws://{}", stand.broker.addr()), Options::new()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_rooms_end_on_the_version_that_opened_them_and_new_ones_start_on_the_next() {
    let stand = Stand::start(Way::Tcp, |_| {}).await;
    let _first = stand.version("1", Quality::Good);
    stand.workers(1).await;
    let url = format!("ws://{}", stand.broker.addr());
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let pause = Duration::from_millis(20);
    let before = Crowd::gather(&url, 5, 2, pause, &mut rng).await;
    let _second = stand.version("2", Quality::Good);
    stand.workers(2).await;
    let between = Crowd::gather(&url, 2, 2, pause, &mut rng).await;
    are(&kind(&stand).await, &[("1", 7), ("2", 0)]);
    let rolled = roll_out(&stand, json!({"to": "2"})).await;
    assert_eq!((&rolled["to"], &rolled["weight"]), (&json!("2"), &json!(100)));
    let after = Crowd::gather(&url, 3, 2, pause, &mut rng).await;
    are(&kind(&stand).await, &[("1", 7), ("2", 3)]);
    // Who looks for a room gets one of the new version, although the old ones have seats.
    let table = client(&stand).await.join_or_create(KIND, &()).await.unwrap();
    are(&kind(&stand).await, &[("1", 7), ("2", 3)]);
    drop(table);
    // And back.
    roll_out(&stand, json!({"to": "1"})).await;
    let back = Crowd::gather(&url, 1, 2, pause, &mut rng).await;
    are(&kind(&stand).await, &[("1", 8), ("2", 3)]);
    for crowd in [before, between, after, back] {
        let (wrong, _) = crowd.end().await;
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
    let metrics = stand.broker.metrics();
    assert_eq!((metrics.sessions_resumed.get(), metrics.rooms_restored.get()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_panics_is_left_by_itself() {
    let stand = Stand::start(Way::Unix, |_| {}).await;
    let _first = stand.version("1", Quality::Good);
    stand.workers(1).await;
    let _second = stand.version("2", Quality::Bad);
    stand.workers(2).await;
    roll_out(&stand, json!({"to": "2", "weight": 100})).await;
    let mut tables: Vec<Room> = Vec::new();
    for room in 1..=3 {
        let table = client(&stand).await.create(KIND, &()).await.unwrap();
        table.request::<u64>("say", &13).await.unwrap_err();
        // The room itself goes on.
        table.request::<u64>("say", &1).await.unwrap();
        tables.push(table);
        assert_eq!(kind(&stand).await["to"], if room < 3 { "2" } else { "1" });
    }
    let left = kind(&stand).await["left"].clone();
    assert_eq!(
        (&left["version"], &left["why"]),
        (&json!("2"), &json!("3 of the 3 rooms that were opened since have failed"))
    );
    assert_eq!(stand.broker.metrics().rollouts_left.get(), 1);
    tables.push(client(&stand).await.create(KIND, &()).await.unwrap());
    are(&kind(&stand).await, &[("1", 1), ("2", 3)]);
    let shown = command(&stand, &[]).await.unwrap();
    assert_eq!(
        shown.lines().skip(1).collect::<Vec<_>>(),
        [
            "1                              1       1        1        0   100%",
            "2                              1       3        3        3",
            "left 2: 3 of the 3 rooms that were opened since have failed",
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_rolled_out_is_refused_and_so_are_those_without_the_key() {
    let stand = Stand::start(Way::Unix, |_| {}).await;
    let _first = stand.version("1", Quality::Good);
    stand.workers(1).await;
    let put = async |path: &str, body: Value| {
        let answer = with_key(stand.broker.addr(), "PUT", path, &body).await;
        (answer.status, answer.problem())
    };
    let rollout = format!("/v1/kinds/{KIND}/rollout");
    assert_eq!(put(&rollout, json!({"to": "7"})).await, (400, "bad_request".into()));
    assert_eq!(put(&rollout, json!({"to": "1", "weight": 101})).await, (400, "bad_request".into()));
    let some = json!({"to": "1", "weight": 50, "move": true});
    assert_eq!(put(&rollout, some).await, (400, "bad_request".into()), "all or none of the open rooms");
    assert_eq!(put("/v1/kinds/chess/rollout", json!({"to": "1"})).await, (404, "unknown_kind".into()));
    let refused = command(&stand, &["--to", "7"]).await.unwrap_err();
    assert_eq!(refused, "version `7` was never offered; known are `1` (bad_request)");
    let rolled = command(&stand, &["--to", "1", "--weight", "50%"]).await.unwrap();
    assert!(rolled.ends_with("   50%\n"), "{rolled}");
    let without = parlor_tests::http::get(stand.broker.addr(), "/v1/kinds").await;
    assert_eq!((without.status, without.problem()), (401, "unauthorized".into()));
    let kinds = with_key(stand.broker.addr(), "GET", "/v1/kinds", &Value::Null).await.json();
    let names: Vec<_> = kinds["kinds"].as_array().unwrap().iter().map(|kind| &kind["kind"]).collect();
    assert_eq!(names, ["ledger", "quiet"]);
}

/// A worker whose program says otherwise than those before it what a version is, is not that version.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_is_drained_leaves_its_rooms_waiting_for_their_like() {
    let stand = Stand::start(Way::Unix, |_| {}).await;
    let mut first = stand.version("1", Quality::Good);
    stand.workers(1).await;
    let table = client(&stand).await.create(KIND, &()).await.unwrap();
    assert_eq!(table.request::<u64>("say", &1).await.unwrap(), 2);
    let _second = stand.version("2", Quality::Good);
    stand.workers(2).await;
    first.signal("-TERM");
    until("it ends", || first.ended().is_some()).await;
    let asked = tokio::spawn(async move { table.request::<u64>("say", &2).await });
    // Version 2 does not take it.
    let _third = stand.version("1", Quality::Good);
    assert!(asked.await.unwrap().unwrap() >= 3);
    are(&kind(&stand).await, &[("1", 1), ("2", 0)]);
}
