//! Who gets into which room: matching, seats, doors.

use std::collections::BTreeMap;

use parlor::broker::Broker;
use parlor_client::{ClientError, JoinRequest, Parlor, Role, Room, RoomId};
use parlor_tests::connect;
use parlor_tests::http::{get, with_key};
use serde_json::{Value, json};

use super::hall::{start, start_with};
use crate::raw::until;

/// Joins by many clients at once, and what became of each.
async fn rush<F>(broker: &Broker, count: usize, request: F) -> Vec<(Parlor, Result<Room, ClientError>)>
where
    F: Fn(usize) -> JoinRequest,
{
    let mut clients = Vec::new();
    for _ in 0..count {
        clients.push(connect(broker).await);
    }
    let join = |(n, client): (usize, Parlor)| {
        let request = request(n);
        tokio::spawn(async move {
            let joined = client.join(request).await;
            (client, joined)
        })
    };
    let joining: Vec<_> = clients.into_iter().enumerate().map(join).collect();
    let mut joined = Vec::new();
    for one in joining {
        joined.push(one.await.unwrap());
    }
    joined
}

async fn shown(broker: &Broker, id: &RoomId) -> Value {
    get(broker.addr(), &format!("/v1/rooms/{id}")).await.json()
}

#[tokio::test]
async fn as_few_rooms_are_made_as_hold_those_who_come_at_once() {
    let broker = start_with(|config| config.shards = 2).await;
    let joined = rush(&broker, 50, |_| JoinRequest::find_or_create("hall")).await;
    let mut rooms = BTreeMap::<RoomId, u32>::new();
    for (_, room) in &joined {
        *rooms.entry(room.as_ref().unwrap().id().clone()).or_default() += 1;
    }
    assert_eq!(rooms.len(), 13, "{rooms:?}");
    assert!(rooms.values().all(|players| *players <= 4));
    assert_eq!(broker.metrics().rooms_opened.get(), 13);
}

#[tokio::test]
async fn only_rooms_that_agree_are_found() {
    let broker = start_with(|config| config.shards = 2).await;
    let maps = ["ice", "dust", "lava"];
    let wish = |n: usize| JoinRequest::find_or_create("hall").options(&json!({"map": maps[n % 3], "n": n}));
    let joined = rush(&broker, 30, wish).await;
    for (n, (_, room)) in joined.iter().enumerate() {
        assert_eq!(room.as_ref().unwrap().properties()["map"], maps[n % 3]);
    }
    assert_eq!(broker.metrics().rooms_opened.get(), 9, "three of each, for ten players of four");
}

#[tokio::test]
async fn of_many_who_want_the_last_seat_one_gets_it() {
    let broker = start_with(|config| config.shards = 2).await;
    let host = connect(&broker).await;
    let room = host.create("hall", &()).await.unwrap();
    let id = room.id().clone();
    let others = [connect(&broker).await, connect(&broker).await];
    let mut seated = Vec::new();
    for other in &others {
        seated.push(other.join_by_id(&id, &()).await.unwrap());
    }
    let joined = rush(&broker, 200, |_| JoinRequest::by_id(&id)).await;
    assert_eq!(joined.iter().filter(|(_, room)| room.is_ok()).count(), 1);
    let full = |error: &ClientError| error.code() == "room_full" && error.failure().unwrap().retryable;
    assert!(joined.iter().filter_map(|(_, room)| room.as_ref().err()).all(full));
    assert_eq!(shown(&broker, &id).await["free"], 0);
}

#[tokio::test]
async fn a_seat_is_free_again_however_it_was_given_up() {
    let broker = start().await;
    let (ann, bob) = (connect(&broker).await, connect(&broker).await);
    let room = ann.create("hall", &()).await.unwrap();
    let id = room.id().clone();
    bob.join_by_id(&id, &json!({"refuse_join": true})).await.unwrap_err();
    assert_eq!(shown(&broker, &id).await["free"], 3, "refused");
    let mut bobs = bob.join_by_id(&id, &()).await.unwrap();
    assert_eq!(shown(&broker, &id).await["free"], 2);
    bobs.leave().await.unwrap();
    assert_eq!(shown(&broker, &id).await["free"], 3, "left");
    let watching = bob.join(JoinRequest::by_id(&id).role(Role::Spectator)).await.unwrap();
    let seen = shown(&broker, &id).await;
    assert_eq!((&seen["free"], &seen["spectators"]), (&json!(3), &json!(1)), "a spectator holds no seat");
    drop(watching);
    let _again = bob.join(JoinRequest::by_id(&id)).await;
    bob.close().await;
    until(|| broker.metrics().members.get() == 1).await;
    let seen = shown(&broker, &id).await;
    assert_eq!((&seen["free"], &seen["spectators"]), (&json!(3), &json!(0)), "disconnected");
}

#[tokio::test]
async fn private_and_locked_rooms_are_not_found_but_can_be_named() {
    let broker = start().await;
    let (ann, bob) = (connect(&broker).await, connect(&broker).await);
    let hidden = ann.join(JoinRequest::create("hall").private()).await.unwrap();
    let found = bob.join_or_create("hall", &()).await.unwrap();
    assert_ne!(found.id(), hidden.id());
    bob.join_by_id(hidden.id(), &()).await.expect("who knows the id comes in");
    found.request::<()>("lock", &()).await.unwrap();
    let other = ann.join_or_create("hall", &()).await.unwrap();
    assert_ne!(other.id(), found.id(), "a locked room is passed over");
    assert_eq!(shown(&broker, found.id()).await["locked"], true);
    found.request::<()>("unlock", &()).await.unwrap();
    drop(other);
    let cid = connect(&broker).await;
    let third = cid.join_or_create("hall", &()).await.unwrap();
    assert_eq!(third.id(), found.id(), "open again, and the oldest");
}

#[tokio::test]
async fn a_room_is_found_under_the_properties_that_it_has_now() {
    let broker = start().await;
    let (ann, bob) = (connect(&broker).await, connect(&broker).await);
    let room = ann.create("hall", &json!({"map": "ice"})).await.unwrap();
    room.request::<()>("set", &json!({"name": "map", "value": "dust"})).await.unwrap();
    room.request::<()>("set", &json!({"name": "level", "value": 4})).await.unwrap();
    assert_eq!(shown(&broker, room.id()).await["properties"]["level"], 4);
    let dust = bob.join_or_create("hall", &json!({"map": "dust"})).await.unwrap();
    assert_eq!(dust.id(), room.id());
    let ice = bob.join_or_create("hall", &json!({"map": "ice"})).await.unwrap();
    assert_ne!(ice.id(), room.id());
}

#[tokio::test]
async fn of_two_rooms_that_want_one_id_the_second_is_refused() {
    let broker = start().await;
    let wish = json!({"kind": "hall", "id": "one"});
    let create = || async { with_key(broker.addr(), "POST", "/v1/rooms", &wish).await.status };
    let (first, second, third) = tokio::join!(create(), create(), create());
    let mut statuses = [first, second, third];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 400, 400]);
}
