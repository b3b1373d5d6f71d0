//! What a token allows, for each way into a room.

use parlor_client::ErrorCode;
use parlor_tests::http::with_key;
use serde_json::{Value, json};

use super::sign::token_with;
use super::{ask, enter, enter_with, join, kept_out, start};
use crate::raw::Raw;
use parlor::broker::Broker;

async fn allowed(broker: &Broker, rights: Value) -> Raw {
    enter_with(broker, json!({"token": token_with("ann", json!({"parlor": rights}))})).await.0
}

async fn make(broker: &Broker, kind: &str, id: &str) -> Value {
    let made = with_key(broker.addr(), "POST", "/v1/rooms", &json!({"kind": kind, "id": id})).await;
    assert_eq!(made.status, 201, "{made:?}");
    made.json()
}

async fn ticket(broker: &Broker, room: &str, role: &str) -> Value {
    let path = format!("/v1/rooms/{room}/tickets");
    with_key(broker.addr(), "POST", &path, &json!({"account": "ann", "role": role})).await.json()["ticket"].clone()
}

#[tokio::test]
async fn kinds() {
    let broker = start().await;
    let club = make(&broker, "club", "club-1").await;
    make(&broker, "yard", "yard-1").await;
    make(&broker, "court", "court-1").await;
    let mut ann = allowed(&broker, json!({"kinds": ["yard"]})).await;
    for (mode, kind) in [("create", "allowing"), ("find_or_create", "allowing"), ("create", "club")] {
        kept_out(&broker, &mut ann, json!({"mode": mode, "kind": kind}), ErrorCode::Forbidden).await;
    }
    kept_out(&broker, &mut ann, json!({"mode": "invite", "invite": club["invite"]}), ErrorCode::Forbidden).await;
    let ticket = ticket(&broker, "court-1", "player").await;
    kept_out(&broker, &mut ann, json!({"mode": "ticket", "ticket": ticket}), ErrorCode::Forbidden).await;
    kept_out(&broker, &mut ann, json!({"mode": "create", "kind": "chess"}), ErrorCode::UnknownKind).await;
    let watching = json!({"mode": "id", "room": "club-1", "role": "spectator"});
    kept_out(&broker, &mut ann, watching, ErrorCode::Forbidden).await;
    for how in [
        json!({"mode": "id", "room": "yard-1"}),
        json!({"mode": "create", "kind": "yard"}),
        json!({"mode": "find_or_create", "kind": "yard", "role": "spectator"}),
    ] {
        join(&mut ann, how).await;
        ann = allowed(&broker, json!({"kinds": ["yard"]})).await;
    }
    let rooms = broker.registry().list().len();
    let mut nothing = allowed(&broker, json!({"kinds": []})).await;
    kept_out(&broker, &mut nothing, json!({"mode": "create", "kind": "yard"}), ErrorCode::Forbidden).await;
    assert_eq!(broker.registry().list().len(), rooms, "nothing was made for those who may not");
}

#[tokio::test]
async fn rooms() {
    let broker = start().await;
    for room in ["one", "two"] {
        make(&broker, "yard", room).await;
        make(&broker, "court", &format!("court-{room}")).await;
    }
    let mut ann = allowed(&broker, json!({"rooms": ["one", "court-one"]})).await;
    kept_out(&broker, &mut ann, json!({"mode": "id", "room": "two"}), ErrorCode::Forbidden).await;
    for mode in ["create", "find_or_create"] {
        kept_out(&broker, &mut ann, json!({"mode": mode, "kind": "yard"}), ErrorCode::Forbidden).await;
    }
    let other = ticket(&broker, "court-two", "player").await;
    kept_out(&broker, &mut ann, json!({"mode": "ticket", "ticket": other}), ErrorCode::Forbidden).await;
    join(&mut ann, json!({"mode": "id", "room": "one"})).await;
    let own = ticket(&broker, "court-one", "player").await;
    join(&mut ann, json!({"mode": "ticket", "ticket": own})).await;
}

#[tokio::test]
async fn roles() {
    let broker = start().await;
    make(&broker, "yard", "one").await;
    make(&broker, "court", "court").await;
    let mut ann = allowed(&broker, json!({"roles": ["spectator"]})).await;
    for how in [
        json!({"mode": "id", "room": "one"}),
        json!({"mode": "id", "room": "one", "role": "player"}),
        json!({"mode": "create", "kind": "yard"}),
        json!({"mode": "find_or_create", "kind": "yard"}),
        // The ticket's role counts, not the one that is asked for.
        json!({"mode": "ticket", "ticket": ticket(&broker, "court", "player").await, "role": "spectator"}),
    ] {
        kept_out(&broker, &mut ann, how, ErrorCode::Forbidden).await;
    }
    let joined = join(&mut ann, json!({"mode": "id", "room": "one", "role": "spectator"})).await;
    assert_eq!(joined["role"], "spectator");
    assert_eq!(broker.registry().list().iter().map(|room| room.players).sum::<u32>(), 0);
}

#[tokio::test]
async fn topics() {
    let broker = start().await;
    let mut ann = allowed(&broker, json!({"topics": ["news", "secrets"]})).await;
    let room = join(&mut ann, json!({"mode": "create", "kind": "yard"})).await["room"].clone();
    let mut follow = async |id: u64, topic: &str| {
        let answer = ask(&mut ann, json!([6, id, room, topic])).await;
        answer[2]["code"].as_str().unwrap_or("done").to_owned()
    };
    assert_eq!(follow(1, "news").await, "done");
    assert_eq!(follow(2, "chat").await, "forbidden");
    assert_eq!(follow(3, "secrets").await, "topic_denied", "what the room does not let clients choose");
    assert_eq!(broker.metrics().errors(ErrorCode::Forbidden), 1);
    let mut bob = enter(&broker, "bob").await;
    let room = join(&mut bob, json!({"mode": "find_or_create", "kind": "yard"})).await["room"].clone();
    assert_eq!(ask(&mut bob, json!([6, 4, room, "chat"])).await, json!([41, 4]), "no list, no restriction");
}
