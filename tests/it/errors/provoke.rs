//! One way to each error that a client can be told, through the Rust client wherever it can say what is wrong.

use parlor_client::{ClientError, Failure, Parlor, Room};
use parlor_client::{Codec, JoinRequest, LifecycleEvent, Options, Role, RoomEvent};
use parlor_tests::{connect, connect_with};
use serde_json::json;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use crate::raw::{Raw, garbage, soon};
use crate::stage::{Told, gate, start, start_with, told};

/// What was refused.
pub(super) fn refusal<T>(result: Result<T, ClientError>) -> Failure {
    match result {
        Err(ClientError::Refused(failure)) => failure,
        Err(other) => panic!("{other:?} instead of a refusal"),
        Ok(_) => panic!("should have been refused"),
    }
}

/// The next refusal of a send.
pub(super) async fn refused(room: &mut Room) -> (u64, Failure) {
    match soon(room.recv()).await {
        Some(RoomEvent::Refused { no, error, .. }) => (no, error),
        other => panic!("{other:?} instead of a refusal"),
    }
}

pub(super) async fn bad_frame() -> Told {
    let broker = start().await;
    let mut raw = Raw::hello(&broker, Codec::MsgPack).await;
    raw.send(Message::Binary(garbage())).await;
    let (id, failure) = raw.error().await;
    assert_eq!(id, None);
    raw.is_alive().await;
    told(&broker, failure)
}

pub(super) async fn unknown_op() -> Told {
    let broker = start().await;
    let mut raw = Raw::hello(&broker, Codec::Json).await;
    raw.say(json!([99, 1, 2])).await;
    let (_, failure) = raw.error().await;
    assert_eq!(failure.params["op"], 99);
    raw.is_alive().await;
    told(&broker, failure)
}

pub(super) async fn hello_expected() -> Told {
    let broker = start().await;
    let mut raw = Raw::open(&broker, Codec::MsgPack).await;
    raw.say(json!([8, 1])).await;
    let (_, failure) = raw.error().await;
    assert_eq!(raw.closed().await, (4202, "hello_expected".into()));
    told(&broker, failure)
}

pub(super) async fn hello_repeated() -> Told {
    let broker = start().await;
    let mut raw = Raw::hello(&broker, Codec::MsgPack).await;
    raw.say(json!([1, {"client": "raw"}])).await;
    let (_, failure) = raw.error().await;
    raw.is_alive().await;
    told(&broker, failure)
}

pub(super) async fn auth_unavailable() -> Told {
    let broker = start().await;
    let mut raw = Raw::open(&broker, Codec::MsgPack).await;
    raw.say(json!([1, {"client": "raw", "token": "secret"}])).await;
    raw.error().await;
    assert_eq!(raw.closed().await, (4101, "auth_unavailable".into()));
    let url = format!("ws://{}", broker.addr());
    let failure = refusal(Parlor::connect(&url, Options::new().token("secret")).await);
    told(&broker, failure)
}

pub(super) async fn frame_too_large() -> Told {
    let broker = start_with(|config| config.limits.max_frame_bytes = 1_000).await;
    let (mut raw, room) = Raw::join(&broker, Codec::Json, "stage").await;
    raw.say(json!([4, room, "say", {"text": "x".repeat(1_000)}])).await;
    let (id, failure) = raw.error().await;
    assert_eq!((id, &failure.params["limit"]), (None, &json!(1_000)));
    assert!(failure.params["size"].as_u64().unwrap() > 1_000);
    // It was not counted, so the next message is the first.
    raw.say(json!([4, room, "nonsense", null])).await;
    assert_eq!(raw.error().await.1.no, Some(1));
    let client = connect(&broker).await;
    let joined = client.join_or_create("stage", &()).await.unwrap();
    let own = refusal(joined.send("say", &json!({"text": "x".repeat(1_000)})));
    assert_eq!(own.code, "frame_too_large", "the client does not even send it");
    told(&broker, failure)
}

pub(super) async fn unknown_kind() -> Told {
    let broker = start().await;
    let client = connect(&broker).await;
    let failure = refusal(client.create("chess", &()).await);
    assert_eq!(failure.params["kind"], "chess");
    assert_eq!(refusal(client.join_or_create("chess", &()).await), failure);
    told(&broker, failure)
}

pub(super) async fn no_worker() -> Told {
    let broker = start_with(|config| config.workers.token = Some("nobody knows this one".into())).await;
    let client = connect(&broker).await;
    let failure = refusal(client.create("chess", &()).await);
    assert_eq!(failure.params["kind"], "chess");
    assert_eq!(refusal(client.join_or_create("chess", &()).await), failure);
    told(&broker, failure)
}

pub(super) async fn unknown_room() -> Told {
    let broker = start().await;
    let client = connect(&broker).await;
    for id in ["nowhere", "not an id"] {
        let failure = refusal(client.join_by_id(id, &()).await);
        assert_eq!((&*failure.code, &failure.params["room"]), ("unknown_room", &json!(id)));
    }
    let nothing_to_watch = JoinRequest::find_or_create("stage").role(Role::Spectator);
    let failure = refusal(client.join(nothing_to_watch).await);
    told(&broker, failure)
}

pub(super) async fn room_full() -> Told {
    let broker = start().await;
    let (ann, bob, cid) = (connect(&broker).await, connect(&broker).await, connect(&broker).await);
    let room = ann.create("stage", &()).await.unwrap();
    let mut bobs = bob.join_by_id(room.id(), &()).await.unwrap();
    let failure = refusal(cid.join_by_id(room.id(), &()).await);
    bobs.leave().await.unwrap();
    cid.join_by_id(room.id(), &()).await.expect("a seat is free again");
    told(&broker, failure)
}

pub(super) async fn room_locked() -> Told {
    let broker = start().await;
    let (ann, bob) = (connect(&broker).await, connect(&broker).await);
    let room = ann.create("stage", &()).await.unwrap();
    room.request::<()>("lock", &()).await.unwrap();
    let failure = refusal(bob.join_by_id(room.id(), &()).await);
    told(&broker, failure)
}

/// A message that was under way when the room closed.
pub(super) async fn room_closed() -> Told {
    let broker = start().await;
    let (mut raw, room) = Raw::join(&broker, Codec::MsgPack, "stage").await;
    raw.say_all(&[json!([4, room, "close", null]), json!([5, room, "say", 70, {"text": "too late"}])]).await;
    let closed = raw.hear().await;
    assert_eq!((&closed[0], &closed[4], &closed[5]), (&json!(39), &json!("closed"), &json!("over")));
    let (id, failure) = raw.error().await;
    assert_eq!((id, failure.no), (Some(70), Some(2)));
    raw.is_alive().await;
    told(&broker, failure)
}

/// A join that waited while the handler was about to panic.
pub(super) async fn room_failed() -> Told {
    let broker = start_with(|config| config.shards = 2).await;
    let (arrived, open) = gate("room_failed");
    let (mut raw, room) = Raw::join(&broker, Codec::MsgPack, "brittle").await;
    // So many that not all are on the room's thread; one that answers while that stands still is the one to use.
    let mut clients = Vec::new();
    for _ in 0..24 {
        clients.push(Raw::hello(&broker, Codec::MsgPack).await);
    }
    raw.say(json!([4, room, "panic_at", {"name": "room_failed"}])).await;
    soon(arrived).await.unwrap();
    let mut answering = JoinSet::new();
    for mut client in clients {
        answering.spawn(async move {
            client.is_alive().await;
            client
        });
    }
    let mut free = soon(answering.join_next()).await.unwrap().unwrap();
    // Both in one write: once it has joined, its connection moves to the room's thread, and is not heard of until that goes on.
    free.say_all(&[json!([2, 9, {"mode": "find_or_create", "kind": "brittle"}, null]), json!([8, 0])]).await;
    assert_eq!(free.hear().await[0], 42);
    drop(open);
    let (id, failure) = free.error().await;
    assert_eq!(id, Some(9));
    assert_eq!(raw.hear().await[6]["code"], "handler_panicked");
    assert_eq!(raw.hear().await[4], "room_failed");
    told(&broker, failure)
}

pub(super) async fn already_joined() -> Told {
    let broker = start().await;
    let client = connect(&broker).await;
    let mut room = client.create("stage", &()).await.unwrap();
    let failure = refusal(client.join_by_id(room.id(), &()).await);
    assert_eq!(failure.params["room"], room.id().as_str());
    let id = room.id().clone();
    room.leave().await.unwrap();
    client.join_by_id(&id, &()).await.expect("it may come back once it has left");
    told(&broker, failure)
}

pub(super) async fn too_many_rooms() -> Told {
    let broker = start_with(|config| config.limits.rooms_per_session = 2).await;
    let client = connect(&broker).await;
    let _one = client.create("stage", &()).await.unwrap();
    let mut two = client.create("stage", &()).await.unwrap();
    let failure = refusal(client.create("stage", &()).await);
    assert_eq!(failure.params["limit"], 2);
    two.leave().await.unwrap();
    client.create("stage", &()).await.expect("there is a place again");
    told(&broker, failure)
}

pub(super) async fn server_full() -> Told {
    let broker = start_with(|config| config.limits.rooms = 1).await;
    let client = connect(&broker).await;
    let room = client.create("stage", &()).await.unwrap();
    let failure = refusal(client.create("stage", &()).await);
    assert_eq!(refusal(client.join_or_create("brittle", &()).await), failure);
    let other = connect(&broker).await;
    other.join_or_create("stage", &()).await.expect("the room that there is can be joined");
    drop(room);
    told(&broker, failure)
}

pub(super) async fn not_a_member() -> Told {
    let broker = start().await;
    let (mut raw, room) = Raw::join(&broker, Codec::MsgPack, "stage").await;
    raw.say_all(&[json!([3, room]), json!([5, room, "say", 6, {"text": "x"}])]).await;
    let mut frames = [raw.hear().await, raw.hear().await];
    frames.sort_by_key(|frame| frame[0].as_u64());
    assert_eq!((&frames[0][0], &frames[0][4], &frames[1][0]), (&json!(39), &json!("left"), &json!(40)));
    for frame in [json!([3, 999]), json!([4, 999, "say", null]), json!([6, 5, 999, "news"])] {
        raw.say(frame.clone()).await;
        let (id, failure) = raw.error().await;
        assert_eq!((&*failure.code, failure.room.map(|room| room.0)), ("not_a_member", Some(999)));
        assert_eq!((id.is_some(), failure.no), (frame[0] == 6, None));
    }
    raw.is_alive().await;
    let failure = serde_json::from_value(frames[1][2].clone()).unwrap();
    told(&broker, failure)
}

pub(super) async fn spectator() -> Told {
    let broker = start().await;
    let (ann, bob) = (connect(&broker).await, connect(&broker).await);
    let room = ann.create("stage", &()).await.unwrap();
    let mut watching = bob.join(JoinRequest::by_id(room.id()).role(Role::Spectator)).await.unwrap();
    assert_eq!(watching.send("say", &json!({"text": "psst"})).unwrap(), 1);
    let (no, sent) = refused(&mut watching).await;
    let failure = refusal(watching.request::<()>("say", &json!({"text": "psst"})).await);
    assert_eq!((no, &*sent.code, failure.no), (1, "spectator", Some(2)));
    room.send("say", &json!({"text": "hi"})).unwrap();
    let heard = soon(watching.recv()).await.unwrap();
    assert_eq!(heard.decode::<crate::stage::Said>().unwrap().text, "hi");
    told(&broker, failure)
}

pub(super) async fn unknown_type() -> Told {
    let broker = start().await;
    let client = connect(&broker).await;
    let mut room = client.create("stage", &()).await.unwrap();
    room.send("nonsense", &()).unwrap();
    let (no, failure) = refused(&mut room).await;
    assert_eq!((no, &failure.params["type"]), (1, &json!("nonsense")));
    let (mut raw, room) = Raw::join(&broker, Codec::Json, "stage").await;
    raw.say(json!([5, room, 99, 3, null])).await;
    let (id, by_number) = raw.error().await;
    assert_eq!((id, &by_number.params["type"], by_number.no), (Some(3), &json!(99), Some(1)));
    told(&broker, failure)
}

pub(super) async fn event_only() -> Told {
    let broker = start().await;
    let client = connect(&broker).await;
    let room = client.create("stage", &()).await.unwrap();
    let failure = refusal(room.request::<()>("bell", &json!({"text": "ding"})).await);
    told(&broker, failure)
}

pub(super) async fn bad_payload() -> Told {
    let broker = start().await;
    let client = connect(&broker).await;
    let room = client.create("stage", &()).await.unwrap();
    let cases = [
        ("nested", json!({}), "path"),
        ("nested", json!({"path": 5}), "path"),
        ("nested", json!({"path": [{"x": 1}, {"x": "no"}]}), "path[1].x"),
        ("nested", json!({"path": [{"y": 1}]}), "path[0].x"),
        ("say", json!({"text": 5}), "text"),
    ];
    for (type_, payload, field) in cases {
        let failure = refusal(room.request::<()>(type_, &payload).await);
        assert_eq!((&*failure.code, &failure.params["field"]), ("bad_payload", &json!(field)), "{payload}");
        assert!(failure.text.contains(field), "{failure}");
    }
    let failure = refusal(room.request::<()>("say", &()).await);
    told(&broker, failure)
}

/// More at once than one member may have waiting.
pub(super) async fn queue_full() -> Told {
    let broker = start().await;
    let client = connect(&broker).await;
    let mut room = client.create("stage", &()).await.unwrap();
    for n in 1..=20 {
        assert_eq!(room.send("say", &json!({"text": n.to_string()})).unwrap(), n);
    }
    let (mut said, mut refused, mut last) = (Vec::new(), Vec::new(), None);
    while said.len() + refused.len() < 20 {
        match soon(room.recv()).await.unwrap() {
            RoomEvent::Refused { place: None, no, error } => {
                refused.push(no);
                last = Some(error);
            }
            event => said.push(event.decode::<crate::stage::Said>().unwrap().text.parse::<u64>().unwrap()),
        }
    }
    assert_eq!(said, (1..=8).collect::<Vec<_>>(), "those that found room, in order");
    assert_eq!(refused, (9..=20).collect::<Vec<_>>(), "the others, by number");
    assert_eq!(broker.metrics().queue_full.get(), 12);
    room.request::<()>("say", &json!({"text": "99"})).await.expect("there is room again");
    told(&broker, last.unwrap())
}

pub(super) async fn snapshot_overdue() -> Told {
    let broker = start().await;
    let (ann, bob) = (connect(&broker).await, connect(&broker).await);
    let mut room = ann.create("stubborn", &()).await.unwrap();
    let mut other = bob.join_by_id(room.id(), &()).await.unwrap();
    room.request::<()>("harden", &()).await.unwrap();
    let text = json!({"text": "x".repeat(500)});
    let failure = loop {
        if let Err(ClientError::Refused(failure)) = room.request::<()>("say", &text).await {
            break failure;
        }
    };
    assert_eq!(refusal(bob.join_by_id(room.id(), &()).await).code, "already_joined");
    assert_eq!(refusal(connect(&broker).await.join_by_id(room.id(), &()).await).code, failure.code);
    room.send("say", &text).unwrap();
    assert_eq!(refused(&mut room).await.1.code, failure.code);
    assert!(broker.metrics().snapshots_failed.get() > 0);
    // Who is in may leave, and what the room owes itself comes. Once the state can be saved, all is well again.
    other.leave().await.unwrap();
    while let Err(error) = room.request::<()>("say", &text).await {
        assert_eq!(error.code(), failure.code);
    }
    told(&broker, failure)
}

pub(super) async fn topic_denied() -> Told {
    let broker = start().await;
    let client = connect(&broker).await;
    let room = client.create("stage", &()).await.unwrap();
    room.subscribe("news").await.unwrap();
    let failure = refusal(room.subscribe("secrets").await);
    assert_eq!(failure.params["topic"], "secrets");
    assert_eq!(refusal(room.unsubscribe("secrets").await), failure);
    told(&broker, failure)
}

pub(super) async fn handler_panicked() -> Told {
    let broker = start().await;
    let client = connect(&broker).await;
    let mut room = client.create("stage", &()).await.unwrap();
    room.send("panic", &()).unwrap();
    let (no, _) = refused(&mut room).await;
    assert_eq!(no, 1);
    let failure = refusal(room.request::<()>("panic", &()).await);
    assert!(!failure.text.contains("on command"), "what went wrong inside is nobody's business");
    room.request::<()>("say", &json!({"text": "goes on"})).await.unwrap();
    assert_eq!(broker.metrics().handler_panics.get(), 2);
    told(&broker, failure)
}

pub(super) async fn output_failed() -> Told {
    let broker = start().await;
    let client = connect(&broker).await;
    let mut room = client.create("stage", &()).await.unwrap();
    let too_large = |bytes, times| json!({"bytes": bytes, "times": times});
    room.request::<()>("large", &too_large(800, 3)).await.expect("within both limits");
    for _ in 0..3 {
        assert!(matches!(soon(room.recv()).await, Some(RoomEvent::Message { .. })));
    }
    let asked = [("large", too_large(1_000, 1)), ("large", too_large(900, 3)), ("kick", too_large(1_000, 1))];
    for (route, payload) in asked {
        let failure = refusal(room.request::<()>(route, &payload).await);
        assert_eq!(failure.code, "output_failed", "{route} {payload}");
    }
    let failure = refusal(room.request::<()>("deep", &()).await);
    assert!(room.try_recv().is_none(), "nothing of it went out");
    told(&broker, failure)
}

pub(super) async fn not_representable() -> Told {
    let broker = start().await;
    let json = connect_with(&broker, Options::new().codec(Codec::Json)).await;
    let msgpack = connect(&broker).await;
    let mut whole = msgpack.create("stage", &()).await.unwrap();
    let mut partly = json.join_by_id(whole.id(), &()).await.unwrap();
    let mut complaints = json.lifecycle();
    whole.send("strange", &()).unwrap();
    assert!(matches!(soon(whole.recv()).await, Some(RoomEvent::Message { .. })), "the others get it");
    let Some(LifecycleEvent::Error(failure)) = soon(complaints.recv()).await else { panic!() };
    assert_eq!((failure.room, failure.no), (Some(whole.number()), None));
    let reply = refusal(partly.request::<serde_json::Value>("strange", &()).await);
    assert_eq!(reply.code, "not_representable");
    partly.request::<()>("say", &json!({"text": "goes on"})).await.unwrap();
    assert_eq!(soon(partly.recv()).await.unwrap().decode::<crate::stage::Said>().unwrap().text, "goes on");
    told(&broker, failure)
}

/// A broker that waits for a room.
pub(super) async fn shutting_down() -> Told {
    let broker = start().await;
    let metrics = broker.metrics().clone();
    let (ann, bob) = (connect(&broker).await, connect(&broker).await);
    let mut late = Raw::open(&broker, Codec::MsgPack).await;
    let mut room = ann.create("brittle", &()).await.unwrap();
    let down = tokio::spawn(broker.shutdown());
    let warned = soon(room.recv()).await.unwrap().decode::<crate::stage::Said>().unwrap();
    assert_eq!(warned.text, "ShuttingDown 8000", "the grace is cut to what there is time for");
    let failure = refusal(bob.join_or_create("brittle", &()).await);
    assert_eq!(refusal(bob.join_by_id(room.id(), &()).await).code, "room_closed");
    late.say(json!([1, {"client": "raw"}])).await;
    assert_eq!(late.error().await.1.code, "shutting_down");
    assert_eq!(late.closed().await, (4000, "shutting_down".into()));
    room.send("close", &()).unwrap();
    assert!(matches!(soon(room.recv()).await, Some(RoomEvent::Closed { code, .. }) if code == "closed"));
    soon(down).await.unwrap();
    Told { failure, metrics }
}
