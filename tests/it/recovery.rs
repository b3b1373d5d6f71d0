//! A handler that panics is made anew as it was; one that cannot be is the end of its room.

use std::sync::atomic::{AtomicU64, Ordering};

use parlor::broker::Broker;
use parlor::prelude::*;
use parlor_client::{Room as Membership, RoomEvent};
use parlor_tests::http::{get, with_key};
use parlor_tests::panics::hush;
use parlor_tests::serve::{Anywhere, Served};
use parlor_tests::wait::soon;
use parlor_tests::{config, connect};
use serde_json::{Value, json};

use crate::stage;

/// Adds up what it is told, and what nobody can know.
#[derive(Default, Serialize, Deserialize)]
struct Sum<const STOP: bool> {
    sum: u64,
    timers: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
struct Summed {
    sum: u64,
}

#[derive(Serialize, Deserialize, Message)]
struct LaterOn {}

/// What makes a handler other than it was.
static ROLLED: AtomicU64 = AtomicU64::new(1_000);

macro_rules! sum {
    ($stop:literal $kind:literal $divergence:literal) => {
        #[room(kind = $kind, on_divergence = $divergence, snapshot_every = 10)]
        impl Sum<$stop> {
            #[msg::route("add")]
            fn add(&mut self, ctx: &mut Ctx, _: PlayerId, n: u64) -> u64 {
                self.sum += n;
                ctx.broadcast(&Summed { sum: self.sum });
                self.sum
            }

            #[msg::route("roll")]
            fn roll(&mut self, ctx: &mut Ctx, _: PlayerId) {
                self.sum += ROLLED.fetch_add(1, Ordering::Relaxed);
                ctx.broadcast(&Summed { sum: self.sum });
            }

            #[msg::route("later")]
            fn later(&mut self, ctx: &mut Ctx, _: PlayerId) {
                ctx.after(Duration::from_millis(100), LaterOn {});
            }

            #[msg::event("later_on")]
            fn now(&mut self, ctx: &mut Ctx, _: LaterOn) {
                self.sum += 1;
                ctx.broadcast(&Summed { sum: self.sum });
            }

            #[msg::route("break")]
            fn broken(&mut self, ctx: &mut Ctx, _: PlayerId, text: String) {
                self.sum = 0;
                ctx.broadcast(&Summed { sum: 0 });
                panic!("on purpose: {text}");
            }

            #[msg::view]
            fn view(&self, _: &Player) -> u64 {
                self.sum
            }
        }
    };
}
sum!(false "sum" "resync");
sum!(true "strict_sum" "stop");

async fn start() -> Served {
    hush();
    parlor::App::new().room::<Sum<false>>().room::<Sum<true>>().anywhere(&config()).await
}

async fn two(broker: &Broker, kind: &str) -> [Membership; 2] {
    let first = connect(broker).await.create(kind, &()).await.unwrap();
    let second = connect(broker).await.join_by_id(first.id(), &()).await.unwrap();
    [first, second]
}

async fn next(room: &mut Membership) -> RoomEvent {
    soon("an event", room.recv()).await.expect("the room lives")
}

async fn summed(room: &mut Membership) -> u64 {
    let event = next(room).await;
    event.decode::<Summed>().unwrap_or_else(|_| panic!("no sum but {event:?}")).sum
}

async fn breaks(room: &Membership) {
    let told = room.request::<()>("break", &"glass").await.unwrap_err();
    assert_eq!(told.code(), "handler_panicked");
}

#[tokio::test]
async fn a_handler_is_what_it_was_however_often_it_panics_and_wherever_its_snapshot_is() {
    let broker = start().await;
    let mut rooms = two(&broker, "sum").await;
    for n in 1..=50 {
        rooms[n as usize % 2].request::<u64>("add", &1).await.unwrap();
        if n % 3 == 0 {
            breaks(&rooms[0]).await;
        }
        for room in &mut rooms {
            assert_eq!(summed(room).await, n, "what the input had changed is gone, and nothing else");
        }
    }
    // What it had asked for before comes after.
    rooms[1].send("later", &()).unwrap();
    breaks(&rooms[1]).await;
    for room in &mut rooms {
        assert_eq!(summed(room).await, 51);
    }
    let metrics = broker.metrics();
    let counted = [metrics.handler_panics.get(), metrics.rooms_restored.get(), metrics.messages_set_aside.get()];
    assert_eq!(counted, [17; 3]);
    assert_eq!(metrics.replays_diverged.get(), 0);
    assert!(metrics.snapshots.get() >= 17, "one after each recovery at least");
    broker.shutdown().await;
}

#[tokio::test]
async fn what_was_set_aside_is_shown_with_its_bytes_to_those_who_may_see_it() {
    let broker = start().await;
    let [room, _other] = two(&broker, "sum").await;
    for _ in 0..20 {
        breaks(&room).await;
    }
    let path = format!("/v1/rooms/{}/set-aside", room.id());
    assert_eq!(get(broker.addr(), &path).await.status, 401);
    let shown = with_key(broker.addr(), "GET", &path, &Value::Null).await.json();
    assert_eq!((&shown["total"], shown["inputs"].as_array().unwrap().len()), (&json!(20), 16));
    let last = &shown["inputs"][15];
    let expected = [("cause", json!("message")), ("name", json!("break")), ("player", json!(1)), ("seq", json!(23))];
    for (key, value) in expected {
        assert_eq!(last[key], value, "{last}");
    }
    // `"glass"` in MessagePack, and then in base64.
    assert_eq!((&last["payload"], &last["panic"]), (&json!("pWdsYXNz"), &json!("on purpose: glass")));
    broker.shutdown().await;
}

#[tokio::test]
async fn members_are_shown_what_a_handler_that_is_not_deterministic_remembers() {
    let broker = start().await;
    let mut rooms = two(&broker, "sum").await;
    rooms[0].send("roll", &()).unwrap();
    let seen = summed(&mut rooms[0]).await;
    assert_eq!(summed(&mut rooms[1]).await, seen);
    breaks(&rooms[0]).await;
    let mut views = Vec::new();
    for room in &mut rooms {
        let event = next(room).await;
        let RoomEvent::View { .. } = &event else { panic!("no view but {event:?}") };
        views.push(event.decode::<u64>().unwrap());
    }
    assert!(views[0] != seen && views[0] == views[1], "{views:?} after {seen}");
    let after = rooms[0].request::<u64>("add", &1).await.unwrap();
    assert_eq!(after, views[0] + 1, "it goes on from what was shown");
    assert_eq!(broker.metrics().replays_diverged.get(), 1);
    // By now its state is saved, and there is nothing to replay that could differ.
    breaks(&rooms[0]).await;
    assert_eq!(broker.metrics().replays_diverged.get(), 1);
    broker.shutdown().await;
}

#[tokio::test]
async fn a_strict_room_ends_when_its_handler_is_not_deterministic() {
    let broker = start().await;
    let mut rooms = two(&broker, "strict_sum").await;
    rooms[0].request::<()>("roll", &()).await.unwrap();
    rooms[1].send("break", &"glass").unwrap();
    for (room, events) in rooms.iter_mut().zip([1, 2]) {
        summed(room).await;
        for _ in 1..events {
            let event = next(room).await;
            assert!(
                matches!(&event, RoomEvent::Refused { error, .. } if error.code == "handler_panicked"),
                "{event:?}"
            );
        }
        let event = next(room).await;
        assert!(matches!(&event, RoomEvent::Closed { code, .. } if code == "room_failed"), "{event:?}");
    }
    broker.shutdown().await;
}

#[tokio::test]
async fn a_room_that_cannot_be_saved_ends_before_it_keeps_more_than_it_may() {
    let broker = stage::start().await;
    let mut room = connect(&broker).await.create("stubborn", &()).await.unwrap();
    room.request::<()>("harden", &()).await.unwrap();
    room.request::<()>("start_spinning", &()).await.unwrap();
    let event = next(&mut room).await;
    assert!(matches!(&event, RoomEvent::Closed { code, .. } if code == "room_failed"), "{event:?}");
    assert!(broker.metrics().snapshots_failed.get() > 0);
}
