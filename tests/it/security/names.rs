//! Names that would mean something else to whoever comes after us: wildcards, paths, line ends.

use parlor::RoomId;
use parlor_client::{Codec, ErrorCode};
use parlor_tests::http::{get, with_key};
use serde_json::json;

use crate::raw::Raw;
use crate::stage::start;

const STRANGE: [&str; 16] =
    ["", " ", ".", "..", "a.b", "*", ">", "a*", "a b", "a/b", "../rooms", "a\nb", "a\0", "ä", "\u{202e}", "a%2e"];

#[tokio::test]
async fn rooms_have_plain_ids() {
    let broker = start().await;
    let mut raw = Raw::hello(&broker, Codec::Json).await;
    let long = "x".repeat(65);
    let mut refused = 0;
    for id in STRANGE.into_iter().chain([long.as_str()]) {
        assert!(RoomId::parse(id).is_err(), "{id:?}");
        let made = with_key(broker.addr(), "POST", "/v1/rooms", &json!({"kind": "stage", "id": id})).await;
        assert_eq!((made.status, &*made.problem()), (400, "bad_request"), "{id:?}");
        raw.say(json!([2, 1, {"mode": "id", "room": id}, null])).await;
        let code = raw.error().await.1.code;
        // What is too long is no frame.
        assert!(code == if id.len() > 64 { "bad_frame" } else { "unknown_room" }, "{id:?}: {code}");
        refused += u64::from(id.len() <= 64);
    }
    assert_eq!(broker.metrics().errors(ErrorCode::UnknownRoom), refused);
    for path in ["/v1/rooms/..%2f..%2fmetrics", "/v1/rooms/%2e", "/v1/rooms/a%00", "/v1/rooms/%ff", "/v1/rooms/*"] {
        let answer = get(broker.addr(), path).await;
        assert!([400, 404].contains(&answer.status), "{path}: {answer:?}");
    }
    assert!(broker.registry().is_empty());
    for good in ["a", "A-Z_0-9", &"x".repeat(64)] {
        let made = with_key(broker.addr(), "POST", "/v1/rooms", &json!({"kind": "stage", "id": good})).await;
        assert_eq!((made.status, made.header("location")), (201, Some(&*format!("/v1/rooms/{good}").to_lowercase())));
    }
}

#[tokio::test]
async fn topics_are_those_of_the_policy() {
    let broker = start().await;
    let (mut raw, room) = Raw::join(&broker, Codec::Json, "stage").await;
    let near = ["news*", "new", "NEWS", "news ", "news\0", "n\u{435}ws", "news.*"];
    let mut refused = 0;
    for topic in STRANGE.into_iter().chain(near) {
        for op in [6, 7] {
            raw.say(json!([op, 1, room, topic])).await;
            let (id, failure) = raw.error().await;
            assert_eq!((id, &*failure.code), (Some(1), "topic_denied"), "{topic:?}");
            refused += 1;
        }
    }
    assert_eq!(broker.metrics().errors(ErrorCode::TopicDenied), refused);
    raw.say(json!([6, 2, room, "x".repeat(65)])).await;
    assert_eq!(raw.error().await.1.code, "bad_frame");
    raw.say(json!([6, 3, room, "news"])).await;
    assert_eq!(raw.hear().await, json!([41, 3]));
}
