//! Health, metrics, and the game's own routes on the same port.

use std::collections::BTreeMap;

use parlor::axum::Router;
use parlor::axum::routing::{any, get as route};
use parlor_tests::http::{get, request};
use parlor_tests::{config, connect};
use serde_json::json;

use super::hall::{Hall, start};
use crate::raw::Raw;

#[tokio::test]
async fn health_says_how_it_is() {
    let broker = start().await;
    let client = connect(&broker).await;
    let _room = client.create("hall", &()).await.unwrap();
    let health = get(broker.addr(), "/health").await;
    assert_eq!((health.status, health.header("content-type")), (200, Some("application/json")));
    let health = health.json();
    assert_eq!((&health["status"], &health["rooms"], &health["sessions"]), (&json!("ok"), &json!(1), &json!(1)));
    assert!(health["version"].is_string() && health["uptime_s"].is_u64());
}

#[tokio::test]
async fn metrics_can_be_read_and_say_what_happened() {
    let broker = start().await;
    let client = connect(&broker).await;
    let room = client.create("hall", &()).await.unwrap();
    room.request::<()>("nonsense", &()).await.unwrap_err();
    room.request::<()>("lock", &()).await.unwrap();
    let mut raw = Raw::hello(&broker, parlor_client::Codec::Json).await;
    raw.say(json!([99])).await;
    raw.error().await;
    let answer = get(broker.addr(), "/metrics").await;
    assert!(answer.header("content-type").unwrap().starts_with("application/openmetrics-text; version=1.0.0"));
    let metrics = parsed(&answer.body);
    let expected = [
        ("parlor_sessions", 2.0),
        ("parlor_rooms", 1.0),
        ("parlor_members", 1.0),
        ("parlor_inputs_total", 3.0),
        ("parlor_messages_accepted_total", 1.0),
        ("parlor_messages_handled_total", 1.0),
        ("parlor_outputs_total", 3.0),
        ("parlor_queue_full_total", 0.0),
        ("parlor_errors_total{code=\"unknown_type\"}", 1.0),
        ("parlor_errors_total{code=\"unknown_op\"}", 1.0),
    ];
    for (name, value) in expected {
        assert_eq!(metrics.get(name), Some(&value), "{name} in {}", answer.body);
    }
    for name in ["parlor_in_bytes_total", "parlor_out_bytes_total", "parlor_frames_in_total"] {
        assert!(metrics.get(name).is_some_and(|value| *value > 10.0 || name.contains("frames")), "{name}");
    }
}

/// The text as an OpenMetrics reader takes it, which is strict about the last line.
fn parsed(text: &str) -> BTreeMap<String, f64> {
    let body = text.strip_suffix("# EOF\n").expect("the end is marked");
    let samples = body.lines().filter(|line| !line.starts_with("# "));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').expect("name and value");
        (name.to_owned(), value.parse().expect("a number"))
    };
    samples.map(sample).collect()
}

#[tokio::test]
async fn the_games_routes_are_served_and_cannot_stand_before_the_brokers() {
    let own = || async { "the game's own" };
    let routes = Router::new()
        .route("/items", route(own))
        .route("/ws", any(own))
        .route("/health", any(own))
        .route("/v1/rooms", any(own))
        .route("/v1/rooms/{id}", any(own))
        .route("/v1/mine", route(own))
        .fallback(|| async { (parlor::axum::http::StatusCode::NOT_FOUND, "the game's page is not there") });
    let broker = parlor::App::new().room::<Hall>().http(routes).start(&config()).await.unwrap();
    let addr = broker.addr();
    for path in ["/items", "/v1/mine"] {
        assert_eq!(get(addr, path).await.body, "the game's own", "{path}");
    }
    assert_eq!(get(addr, "/nothing").await.body, "the game's page is not there");
    for path in ["/ws", "/health", "/v1/rooms", "/v1/rooms/x"] {
        for method in ["GET", "POST", "PUT", "DELETE"] {
            let answer = request(addr, method, path, "", "").await;
            assert_ne!(answer.body, "the game's own", "{method} {path}");
        }
    }
    let client = connect(&broker).await;
    client.create("hall", &()).await.expect("the broker's /ws is there");
}
