//! Clients that speak MessagePack and clients that speak JSON, in one room; relay rooms; and what is told for prediction.

use std::collections::BTreeMap;

use parlor::broker::Broker;
use parlor::prelude::*;
use parlor_client::{Codec, Options, RoomEvent};
use parlor_tests::{config, connect, connect_with};
use serde_json::{Value, json};

use crate::raw::{Raw, soon};

const CODECS: [Codec; 2] = Codec::ALL;

/// Says again what it hears, whatever that is.
#[derive(Default, Serialize, Deserialize)]
struct Mirror {
    sum: u64,
}

#[derive(Serialize, Message)]
struct Again {
    value: Value,
}

#[derive(Serialize, Deserialize, Message)]
struct Sum {
    sum: u64,
}

#[room(kind = "mirror", handled)]
impl Mirror {
    #[msg::route("again")]
    fn again(&mut self, ctx: &mut Ctx, _from: PlayerId, value: Value) -> Value {
        ctx.broadcast(&Again { value: value.clone() });
        value
    }

    #[msg::route("add")]
    fn add(&mut self, ctx: &mut Ctx, _from: PlayerId, n: u64) -> Result {
        if n == 0 {
            return Err(Failure::app("nothing", "zero changes nothing"));
        }
        self.sum += n;
        ctx.broadcast(&Sum { sum: self.sum });
        Ok(())
    }
}

async fn start() -> Broker {
    let app = parlor::App::new().room::<Mirror>().relay("relay", parlor::Policy::default());
    app.start(&config()).await.unwrap()
}

/// The next message: its place, its type and what it says.
async fn message(room: &mut parlor_client::Room) -> (u64, u32, String, Value) {
    loop {
        match soon(room.recv()).await.unwrap() {
            RoomEvent::Handled { .. } => {}
            event @ RoomEvent::Message { .. } => {
                let value = event.decode().unwrap();
                let RoomEvent::Message { place, name, .. } = event else { unreachable!() };
                return (place.seq.0, place.index, name.to_string(), value);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn both_codecs_see_the_same_messages_at_the_same_places() {
    let broker = start().await;
    let mut rooms = Vec::new();
    for codec in CODECS {
        let client = connect_with(&broker, Options::new().codec(codec)).await;
        rooms.push(client.join_or_create("mirror", &()).await.unwrap());
    }
    let values = [
        json!(null),
        json!(-3),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(0.5),
        json!(3.0),
        json!("ünïcödé \u{1f600} \"quoted\" \u{0}"),
        json!({"a": {"b": [1, [2, {"c": true}]]}, "": ""}),
        json!([]),
        json!({}),
    ];
    for value in &values {
        for sender in 0..2 {
            let reply: Value = rooms[sender].request("again", value).await.unwrap();
            assert_eq!(&reply, value);
            let (one, other) = (message(&mut rooms[0]).await, message(&mut rooms[1]).await);
            assert_eq!(one, other, "place, type and payload");
            assert_eq!((&*one.2, &one.3["value"]), ("again", value));
        }
    }
}

#[tokio::test]
async fn handled_tells_how_far_the_publishes_before_it_reflect_a_client() {
    for codec in CODECS {
        let broker = start().await;
        let client = connect_with(&broker, Options::new().codec(codec)).await;
        let mut room = client.create("mirror", &()).await.unwrap();
        const LAST: u64 = 60;
        for no in 1..=LAST {
            // Every third changes nothing and is refused, which is handled too.
            assert_eq!(room.send("add", &u64::from(no % 3 != 0)).unwrap(), no);
        }
        let (mut sum, mut refused, mut told) = (0, 0, 0);
        while told < LAST {
            match soon(room.recv()).await.unwrap() {
                RoomEvent::Handled { no, .. } => {
                    assert!(no > told, "it grows");
                    assert_eq!(sum + refused, no, "all up to {no} is there, and nothing beyond");
                    told = no;
                }
                RoomEvent::Refused { no, .. } => {
                    refused += 1;
                    assert_eq!(no, refused * 3);
                }
                event => sum = event.decode::<Sum>().unwrap().sum,
            }
        }
        assert_eq!((sum, refused), (40, 20));
    }
}

#[tokio::test]
async fn handled_is_each_members_own() {
    let broker = start().await;
    let (ann, bob) = (connect(&broker).await, connect(&broker).await);
    let anns = ann.join_or_create("mirror", &()).await.unwrap();
    let mut bobs = bob.join_or_create("mirror", &()).await.unwrap();
    for _ in 0..3 {
        anns.request::<()>("add", &1).await.unwrap();
    }
    bobs.request::<()>("add", &1).await.unwrap();
    let mut events = Vec::new();
    while !matches!(events.last(), Some(RoomEvent::Handled { .. })) {
        events.push(soon(bobs.recv()).await.unwrap());
    }
    assert!(matches!(events.last(), Some(RoomEvent::Handled { no: 1, .. })), "{events:?}");
    assert_eq!(events.len(), 5, "four sums before it, none of Ann's `handled` among them: {events:?}");
}

#[tokio::test]
async fn a_relay_passes_on_keeps_what_is_set_and_tells_who_is_there() {
    let broker = start().await;
    let named = |name: &str, codec| Options::new().name(name).codec(codec);
    let ann = connect_with(&broker, named("Ann", Codec::MsgPack)).await;
    let mut anns = ann.join_or_create("relay", &()).await.unwrap();
    assert_eq!(anns.view::<Value>().unwrap(), json!({"members": {"1": "Ann"}, "values": {}}));
    anns.send("set", &json!({"key": "flag", "value": {"x": 1}})).unwrap();
    anns.send("set", &json!({"key": "gone", "value": [1, 2]})).unwrap();
    anns.send("set", &json!({"key": "gone", "value": null})).unwrap();
    anns.request::<()>("chat", &json!({"text": "hi"})).await.expect("the reply is nil");
    let bob = connect_with(&broker, named("Bob", Codec::Json)).await;
    let mut bobs = bob.join_or_create("relay", &()).await.unwrap();
    assert_eq!(bobs.id(), anns.id());
    let view = json!({"members": {"1": "Ann", "2": "Bob"}, "values": {"flag": {"x": 1}}});
    assert_eq!(bobs.view::<Value>().unwrap(), view, "what came before him");
    bobs.send("chat", &json!({"from": 1, "text": "I am Ann"})).unwrap();
    bobs.send("chat", &json!([1, 2])).unwrap();
    let expected = [
        ("set", json!({"from": 1, "key": "flag", "value": {"x": 1}})),
        ("set", json!({"from": 1, "key": "gone", "value": [1, 2]})),
        ("set", json!({"from": 1, "key": "gone", "value": null})),
        ("chat", json!({"from": 1, "data": {"text": "hi"}})),
        ("joined", json!({"player": 2, "name": "Bob"})),
        ("chat", json!({"from": 2, "data": {"from": 1, "text": "I am Ann"}})),
        ("chat", json!({"from": 2, "data": [1, 2]})),
    ];
    for (n, (name, value)) in expected.into_iter().enumerate() {
        let heard = message(&mut anns).await;
        assert_eq!((&*heard.2, &heard.3), (name, &value));
        if n >= 5 {
            assert_eq!(message(&mut bobs).await, heard, "the sender hears it as all do");
        }
    }
    bobs.leave().await.unwrap();
    let left = message(&mut anns).await;
    assert_eq!((&*left.2, &left.3), ("left", &json!({"player": 2})));
}

#[tokio::test]
async fn a_relay_refuses_what_it_cannot_pass_on() {
    let broker = start().await;
    for codec in CODECS {
        let (mut raw, room) = Raw::join(&broker, codec, "relay").await;
        let deep = |levels: usize| {
            let text = "[".repeat(levels) + &"]".repeat(levels);
            serde_json::from_str::<Value>(&text).unwrap()
        };
        let cases = [
            (json!([5, room, "joined", 10, {"player": 1}]), "unknown_type", false),
            (json!([5, room, "left", 11, {"player": 1}]), "unknown_type", false),
            (json!([5, room, "set", 12, {"value": 1}]), "bad_payload", false),
            (json!([5, room, "set", 13, {"key": "k"}]), "bad_payload", false),
            (json!([5, room, "set", 14, {"key": 5, "value": 1}]), "bad_payload", false),
            (json!([5, room, "chat", 15, deep(64)]), "bad_payload", false),
            (json!([5, room, "set", 16, {"key": "k", "value": deep(63)}]), "bad_payload", false),
        ];
        for (frame, code, retryable) in cases {
            raw.say(frame.clone()).await;
            let refused = loop {
                let heard = raw.hear().await;
                if heard[0] == 38 {
                    break heard;
                }
                assert_eq!(heard[0], 35, "{heard}");
            };
            assert_eq!(refused[5], frame[3]);
            assert_eq!((&refused[6]["code"], &refused[6]["retryable"]), (&json!(code), &json!(retryable)), "{frame}");
        }
        raw.say(json!([3, room])).await;
        while raw.hear().await[0] != 39 {}
    }
}

#[tokio::test]
async fn all_of_a_relay_hear_one_order() {
    let broker = start().await;
    let mut rooms = Vec::new();
    for n in 0..4 {
        let client = connect_with(&broker, Options::new().codec(CODECS[n % 2])).await;
        rooms.push(client.join_or_create("relay", &()).await.unwrap());
    }
    for n in 0..50 {
        for room in &rooms {
            room.send("say", &n).unwrap();
        }
    }
    let mut histories = BTreeMap::new();
    for (n, room) in rooms.iter_mut().enumerate() {
        let mut heard = Vec::new();
        while heard.len() < 200 {
            let message = message(room).await;
            if message.2 == "say" {
                heard.push(message);
            }
        }
        histories.insert(n, heard);
    }
    assert!(histories.values().all(|history| *history == histories[&0]));
    for from in 1..=4 {
        let own = histories[&0].iter().filter(|said| said.3["from"] == from).map(|said| said.3["data"].clone());
        assert_eq!(own.collect::<Vec<_>>(), (0..50).map(Value::from).collect::<Vec<_>>(), "first in, first out");
    }
}
