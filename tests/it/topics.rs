//! Who hears what: topics that clients choose, topics that the room chooses for them, and single members.

use parlor::prelude::*;
use parlor_client::{Parlor, RoomEvent};
use parlor_tests::serve::{Anywhere, Served};
use parlor_tests::{config, connect};
use serde_json::json;

use crate::raw::soon;

/// Says a number to whom it is told to.
#[derive(Default, Serialize, Deserialize)]
struct Town {}

#[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
struct Cry {
    n: u32,
}

#[derive(Serialize, Deserialize)]
enum To {
    All,
    Except(Vec<PlayerId>),
    One(PlayerId),
    Topic(String),
    Cell(i32, i32),
}

#[derive(Serialize, Deserialize)]
struct Order {
    to: To,
    n: u32,
}

#[derive(Serialize, Deserialize)]
struct Place {
    who: PlayerId,
    cells: Vec<(i32, i32)>,
}

#[room(kind = "town", client_topics = ["news", "trade"])]
impl Town {
    #[msg::route("cry")]
    fn cry(&mut self, ctx: &mut Ctx, _from: PlayerId, order: Order) {
        let cry = Cry { n: order.n };
        match order.to {
            To::All => ctx.broadcast(&cry),
            To::Except(but) => ctx.broadcast_except(&but, &cry),
            To::One(one) => ctx.send(one, &cry),
            To::Topic(topic) => ctx.publish(topic, &cry),
            To::Cell(x, y) => ctx.publish((x, y), &cry),
        }
    }

    #[msg::route("place")]
    fn place(&mut self, ctx: &mut Ctx, _from: PlayerId, place: Place) {
        ctx.set_topics(place.who, place.cells);
    }
}

async fn members<const N: usize>() -> (Served, [(Parlor, parlor_client::Room); N]) {
    let broker = parlor::App::new().room::<Town>().anywhere(&config()).await;
    let mut members = Vec::new();
    for _ in 0..N {
        let client = connect(&broker).await;
        let room = client.join_or_create("town", &()).await.unwrap();
        members.push((client, room));
    }
    (broker, members.try_into().unwrap_or_else(|_| unreachable!()))
}

/// The numbers that a member hears up to the one that ends it all.
async fn heard(room: &mut parlor_client::Room) -> Vec<u32> {
    const LAST: u32 = 0;
    let mut numbers = Vec::new();
    loop {
        let event = soon(room.recv()).await.unwrap();
        assert!(matches!(event, RoomEvent::Message { .. }), "{event:?}");
        match event.decode::<Cry>().unwrap().n {
            LAST => return numbers,
            n => numbers.push(n),
        }
    }
}

fn cry(room: &parlor_client::Room, n: u32, to: To) {
    room.send("cry", &Order { to, n }).unwrap();
}

fn topic(name: &str) -> To {
    To::Topic(name.into())
}

#[tokio::test]
async fn a_message_is_heard_by_those_whom_it_is_for() {
    let (_broker, [(_, mut ann), (_, mut bob), (_, mut cid)]) = members().await;
    let (a, b) = (ann.player(), bob.player());
    cry(&ann, 1, To::All);
    cry(&bob, 2, To::One(b));
    cry(&bob, 3, To::Except(vec![a, b]));
    cry(&bob, 4, To::Except(Vec::new()));
    cry(&bob, 5, To::One(PlayerId(99)));
    bob.request::<()>("cry", &Order { to: To::All, n: 0 }).await.unwrap();
    let numbers = |mut numbers: Vec<u32>| {
        numbers.sort_unstable();
        numbers
    };
    assert_eq!(numbers(heard(&mut ann).await), [1, 4]);
    assert_eq!(numbers(heard(&mut bob).await), [1, 2, 4]);
    assert_eq!(numbers(heard(&mut cid).await), [1, 3, 4]);
}

#[tokio::test]
async fn a_chosen_topic_is_heard_from_subscribing_to_unsubscribing() {
    let (_broker, [(_, mut ann), (_, mut bob)]) = members().await;
    let speaker = ann.sender().clone();
    let say = async |n, to| speaker.request::<()>("cry", &Order { to, n }).await.unwrap();
    bob.subscribe("news").await.unwrap();
    bob.subscribe("news").await.expect("twice is once");
    say(1, topic("news")).await;
    say(2, topic("trade")).await;
    bob.subscribe("trade").await.unwrap();
    say(3, topic("trade")).await;
    bob.unsubscribe("news").await.unwrap();
    bob.unsubscribe("news").await.expect("and so is this");
    say(4, topic("news")).await;
    say(5, topic("trade")).await;
    say(0, To::All).await;
    assert_eq!(heard(&mut bob).await, [1, 3, 5]);
    assert_eq!(heard(&mut ann).await, [0; 0]);
}

#[tokio::test]
async fn interest_is_set_by_the_room_and_does_not_disturb_what_was_chosen() {
    let (_broker, [(_, mut ann), (_, mut bob)]) = members().await;
    let who = bob.player();
    bob.subscribe("news").await.unwrap();
    ann.request::<()>("place", &Place { who, cells: vec![(0, 0), (0, 1), (0, 1)] }).await.unwrap();
    for (n, to) in [(1, To::Cell(0, 0)), (2, To::Cell(0, 1)), (3, To::Cell(5, 5)), (4, topic("news"))] {
        ann.request::<()>("cry", &Order { to, n }).await.unwrap();
    }
    ann.request::<()>("place", &Place { who, cells: vec![(5, 5)] }).await.unwrap();
    for (n, to) in [(5, To::Cell(0, 0)), (6, To::Cell(5, 5)), (7, topic("news")), (0, To::All)] {
        ann.request::<()>("cry", &Order { to, n }).await.unwrap();
    }
    assert_eq!(heard(&mut bob).await, [1, 2, 4, 6, 7]);
    assert_eq!(heard(&mut ann).await, [0; 0]);
    let denied = bob.subscribe("0,0").await.unwrap_err();
    assert_eq!(denied.code(), "topic_denied", "a client cannot choose what the room chooses");
}

#[tokio::test]
async fn topics_end_with_the_membership() {
    let (_broker, [(_, ann), (client, mut bob)]) = members().await;
    bob.subscribe("news").await.unwrap();
    let id = bob.id().clone();
    bob.leave().await.unwrap();
    let mut again = client.join_by_id(&id, &()).await.unwrap();
    ann.request::<()>("cry", &Order { to: topic("news"), n: 1 }).await.unwrap();
    ann.request::<()>("cry", &Order { to: To::All, n: 0 }).await.unwrap();
    assert_eq!(heard(&mut again).await, [0; 0]);
    assert_eq!(json!(again.player()), json!(3));
}
