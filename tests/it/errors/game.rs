//! Refusals of the game's own, and what the room can do to itself.

use parlor_client::{ClientError, Codec, ErrorCode, JoinRequest, Options, RoomEvent};
use parlor_tests::{connect, connect_with};
use serde_json::json;

use super::provoke::{refusal, refused};
use crate::raw::{Raw, soon, until};
use crate::stage::{Said, start};

#[tokio::test]
async fn a_routes_refusal_arrives_with_its_parameters_and_without_outputs() {
    let broker = start().await;
    let client = connect(&broker).await;
    let mut room = client.create("stage", &()).await.unwrap();
    let failure = refusal(room.request::<()>("buy", &()).await);
    assert_eq!((&*failure.code, &*failure.text), ("app.too_expensive", "not enough coins"));
    assert_eq!((&failure.params["coins"], &failure.params["price"]), (&json!(3), &json!(10)));
    assert!(!failure.retryable);
    assert!(refusal(room.request::<()>("wait", &()).await).retryable);
    room.send("buy", &()).unwrap();
    let (no, sent) = refused(&mut room).await;
    assert_eq!((no, sent.code), (3, failure.code));
    let text = broker.metrics().render();
    assert!(text.contains("parlor_errors_total{code=\"app\"} 3"), "{text}");
    assert_eq!(broker.metrics().handler_faults.get(), 3);
}

#[tokio::test]
async fn a_join_that_is_refused_leaves_no_member_and_no_seat() {
    let broker = start().await;
    let (ann, bob) = (connect(&broker).await, connect(&broker).await);
    let mut room = ann.create("stage", &()).await.unwrap();
    for _ in 0..3 {
        let failure = refusal(bob.join_by_id(room.id(), &json!({"refuse_join": true})).await);
        assert_eq!((&*failure.code, &failure.params["price"]), ("app.too_expensive", &json!(10)));
    }
    let bobs = bob.join_by_id(room.id(), &()).await.expect("the seat is free, and he is not in");
    assert_eq!(bobs.player().0, 5, "a number is not given twice");
    bobs.send("say", &json!({"text": "in"})).unwrap();
    let first = soon(room.recv()).await.unwrap().decode::<Said>().unwrap();
    assert_eq!(first.text, "in", "nobody was seen to leave");
}

#[tokio::test]
async fn a_room_that_does_not_open_takes_nobody_and_says_why() {
    let broker = start().await;
    let client = connect(&broker).await;
    for request in [JoinRequest::create("stage"), JoinRequest::find_or_create("stage")] {
        let failure = refusal(client.join(request.options(&json!({"refuse_open": true}))).await);
        assert_eq!((&*failure.code, &failure.params["map"]), ("app.no_map", &json!("ice")));
    }
    client.join_or_create("stage", &()).await.expect("another room can be had");
    until(|| broker.registry().len() <= 1).await;
}

#[tokio::test]
async fn a_view_that_nobody_could_read_fails_the_join() {
    let broker = start().await;
    let client = connect(&broker).await;
    let failure = refusal(client.create("stage", &json!({"deep_view": true})).await);
    assert_eq!(failure.code, "output_failed");
}

#[tokio::test]
async fn a_view_that_json_cannot_say_fails_the_join_of_json_clients_only() {
    let broker = start().await;
    let json = connect_with(&broker, Options::new().codec(Codec::Json)).await;
    let msgpack = connect(&broker).await;
    let strange = json!({"strange_view": true});
    let mut room = msgpack.create("stage", &strange).await.unwrap();
    assert_eq!(refusal(json.join_by_id(room.id(), &strange).await).code, "not_representable");
    let left = soon(room.recv()).await.unwrap().decode::<Said>().unwrap();
    assert_eq!((left.from.0, &*left.text), (2, "Disconnected"));
    json.create("stage", &()).await.expect("the connection goes on");
    assert_eq!(broker.metrics().errors(ErrorCode::NotRepresentable), 1);
}

#[tokio::test]
async fn a_result_that_json_cannot_say_does_not_hide_the_end() {
    let broker = start().await;
    let json = connect_with(&broker, Options::new().codec(Codec::Json)).await;
    let mut room = json.create("stage", &()).await.unwrap();
    room.send("close_strangely", &()).unwrap();
    let closed = soon(room.recv()).await.unwrap();
    assert!(matches!(&closed, RoomEvent::Closed { code, .. } if code == "closed"), "{closed:?}");
    assert_eq!(closed.decode::<Option<u8>>().unwrap(), None);
    let error = room.send("say", &()).unwrap_err();
    assert!(matches!(error, ClientError::Refused(failure) if failure.code == "not_a_member"));
}

/// The room's own bound, which is the same for all its members.
#[tokio::test]
async fn a_full_room_queue_refuses_messages_and_never_a_leave() {
    let broker = start().await;
    let (mut raw, room) = Raw::join(&broker, Codec::MsgPack, "brittle").await;
    let mut frames: Vec<_> = (1..=10).map(|n| json!([5, room, "say", n, {"text": "x"}])).collect();
    frames.push(json!([6, 11, room, "news"]));
    frames.push(json!([3, room]));
    raw.say_all(&frames).await;
    for n in 5..=10 {
        let (id, failure) = raw.error().await;
        assert_eq!((&*failure.code, id, failure.no, failure.retryable), ("queue_full", Some(n), Some(n), true));
    }
    let (id, failure) = raw.error().await;
    assert_eq!((id, &*failure.code), (Some(11), "queue_full"), "a subscription waits in the same queue");
    for _ in 1..=4 {
        raw.hear().await;
        raw.hear().await;
    }
    assert_eq!(raw.hear().await[4], 4, "the type `said` came once, and the last reply is here");
    assert_eq!(raw.hear().await[4], "left");
    assert_eq!(broker.metrics().queue_full.get(), 7);
    assert_eq!(broker.metrics().errors(ErrorCode::QueueFull), 7);
}
