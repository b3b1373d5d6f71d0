//! The same account a second time in one room.

use parlor_client::ErrorCode;
use serde_json::{Value, json};

use super::{alive, enter, hear, join, kept_out, knock, start, start_with};
use crate::raw::{Raw, until};

/// What happens to members, as somebody in the room hears it: types are 0 say, then by first use.
async fn news(raw: &mut Raw, field: &str) -> Value {
    loop {
        let heard = raw.hear().await;
        if heard[0] == 36 && heard[5].get(field).is_some() {
            return heard[5].clone();
        }
    }
}

fn by_id(joined: &Value) -> Value {
    json!({"mode": "id", "room": joined["id"]})
}

#[tokio::test]
async fn the_second_replaces_the_first_which_leaves_before_it() {
    let broker = start().await;
    let (mut bob, mut old) = (enter(&broker, "bob").await, enter(&broker, "ann").await);
    let room = join(&mut bob, json!({"mode": "create", "kind": "yard"})).await;
    let first = join(&mut old, by_id(&room)).await;
    let mut new = enter(&broker, "ann").await;
    // The room is full; the seat is her own.
    let second = join(&mut new, by_id(&room)).await;
    assert!(second["player"].as_u64() > first["player"].as_u64());
    let closed = hear(&mut old, 39).await;
    assert_eq!((&closed[1], &closed[4], &closed[5]), (&first["room"], &json!("replaced"), &Value::Null));
    assert_eq!(news(&mut bob, "account").await["player"], first["player"]);
    assert_eq!(news(&mut bob, "player").await, json!({"player": first["player"], "why": "Replaced"}));
    assert_eq!(news(&mut bob, "account").await["player"], second["player"]);
    // The session itself goes on, and may come in again, which replaces the other.
    alive(&mut old).await;
    join(&mut old, by_id(&room)).await;
    assert_eq!(hear(&mut new, 39).await[4], "replaced");
    assert_eq!(broker.metrics().members.get(), 2);
    let info = broker.registry().list().pop().unwrap();
    assert_eq!((info.players, info.free), (2, 0));
}

#[tokio::test]
async fn a_full_room_is_full_for_everybody_else() {
    let broker = start_with(|config| config.auth.guests = true).await;
    let (mut ann, mut bob) = (enter(&broker, "ann").await, enter(&broker, "bob").await);
    let room = join(&mut ann, json!({"mode": "create", "kind": "yard"})).await;
    join(&mut bob, by_id(&room)).await;
    let mut cid = enter(&broker, "cid").await;
    let (mut guest, _) = knock(&broker, json!({"name": "ann"})).await;
    for other in [&mut cid, &mut guest] {
        kept_out(&broker, other, by_id(&room), ErrorCode::RoomFull).await;
    }
    // Her own seat, but not another kind of seat for somebody else.
    let mut watching = by_id(&room);
    watching["role"] = "spectator".into();
    join(&mut cid, watching.clone()).await;
    kept_out(&broker, &mut guest, watching, ErrorCode::RoomFull).await;
    alive(&mut ann).await;
    // As often as she likes, and the seats are counted right.
    let mut windows = vec![ann];
    for _ in 0..5 {
        let mut window = enter(&broker, "ann").await;
        join(&mut window, by_id(&room)).await;
        windows.push(window);
    }
    until(|| broker.metrics().members.get() == 3).await;
    kept_out(&broker, &mut guest, by_id(&room), ErrorCode::RoomFull).await;
    drop(windows);
    until(|| broker.metrics().members.get() == 2).await;
    join(&mut guest, by_id(&room)).await;
}

#[tokio::test]
async fn a_room_may_refuse_the_second() {
    let broker = start().await;
    let (mut ann, mut again) = (enter(&broker, "ann").await, enter(&broker, "ann").await);
    let room = join(&mut ann, json!({"mode": "create", "kind": "refusing"})).await;
    kept_out(&broker, &mut again, by_id(&room), ErrorCode::AlreadyJoined).await;
    let mut watching = by_id(&room);
    watching["role"] = "spectator".into();
    kept_out(&broker, &mut again, watching, ErrorCode::AlreadyJoined).await;
    ann.say(json!([3, room["room"]])).await;
    assert_eq!(hear(&mut ann, 39).await[4], "left");
    join(&mut again, by_id(&room)).await;
    assert_eq!(broker.metrics().members.get(), 1);
}

#[tokio::test]
async fn a_room_may_allow_it_up_to_its_seats() {
    let broker = start().await;
    let mut windows = Vec::new();
    for _ in 0..4 {
        windows.push(enter(&broker, "ann").await);
    }
    let room = join(&mut windows[0], json!({"mode": "create", "kind": "allowing"})).await;
    for window in &mut windows[1..3] {
        join(window, by_id(&room)).await;
    }
    kept_out(&broker, &mut windows[3], by_id(&room), ErrorCode::RoomFull).await;
    for window in &mut windows {
        window.say(json!([8, 1])).await;
        hear(window, 42).await;
    }
    assert_eq!(broker.metrics().members.get(), 3);
    // Not twice in one session.
    kept_out(&broker, &mut windows[0], by_id(&room), ErrorCode::AlreadyJoined).await;
}
