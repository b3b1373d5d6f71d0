//! Requests: how they are answered, and what is known when they are not.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod fake;

use fake::{ROOM, assert_code, in_room, quiet};
use parlor_client::{Codec, ErrorCode, Failure};
use parlor_protocol::BrokerFrame;
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Receipt {
    item: u32,
    coins: Option<i64>,
}

#[tokio::test(start_paused = true)]
async fn replies_find_their_requests() {
    for codec in Codec::ALL {
        let (_parlor, room, mut fake) = in_room(quiet().codec(codec)).await;
        let broker = async {
            let (first, second) = (fake.heard_request().await, fake.heard_request().await);
            fake.reply(second, &Receipt { item: 2, coins: None }).await;
            fake.reply(first, &Receipt { item: 1, coins: Some(-3) }).await;
        };
        let (first, second, ()) = tokio::join!(
            room.request::<Receipt>("buy", &Receipt { item: 1, coins: None }),
            room.request::<Receipt>("buy", &Receipt { item: 2, coins: None }),
            broker,
        );
        assert_eq!(first.unwrap(), Receipt { item: 1, coins: Some(-3) });
        assert_eq!(second.unwrap(), Receipt { item: 2, coins: None });
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_keep_their_code_and_parameters() {
    let (_parlor, room, mut fake) = in_room(quiet()).await;
    let broker = async {
        let id = fake.heard_request().await;
        let poor = Failure::app("too_expensive", "you have 3 coins, it costs 10").with("coins", 3);
        fake.refuse(1, Some(id), poor).await;
        let id = fake.heard_request().await;
        let error = Failure::from(ErrorCode::QueueFull).about(ROOM, 2);
        fake.say(BrokerFrame::Error { id: Some(id), error: Box::new(error) }).await;
    };
    let client = async {
        let error = room.request::<()>("buy", &7).await.unwrap_err();
        assert_eq!(error.code(), "app.too_expensive");
        assert_eq!(error.failure().unwrap().params["coins"], 3);
        let error = room.request::<()>("buy", &7).await.unwrap_err();
        assert!(error.code() == "queue_full" && error.failure().unwrap().retryable);
    };
    tokio::join!(client, broker);
}

#[tokio::test(start_paused = true)]
async fn an_unanswered_request_times_out() {
    let (_parlor, room, mut fake) = in_room(quiet()).await;
    let began = tokio::time::Instant::now();
    assert_code(room.request::<()>("buy", &7).await, "timeout");
    assert_eq!(began.elapsed(), quiet().request_timeout);
    // The late answer disturbs nobody.
    let late = fake.heard_request().await;
    fake.reply(late, &"late").await;
    let (reply, ()) = tokio::join!(room.request::<u32>("buy", &8), async {
        let id = fake.heard_request().await;
        fake.reply(id, &9).await;
    });
    assert_eq!(reply.unwrap(), 9);
}

#[tokio::test(start_paused = true)]
async fn a_reply_of_another_form_is_told() {
    let (_parlor, room, mut fake) = in_room(quiet()).await;
    let broker = async {
        let id = fake.heard_request().await;
        fake.reply(id, &"seven").await;
        let id = fake.heard_request().await;
        fake.say(BrokerFrame::Done { id }).await;
    };
    let client = async {
        assert_code(room.request::<u32>("buy", &7).await, "decode");
        assert_code(room.request::<u32>("buy", &7).await, "protocol");
    };
    tokio::join!(client, broker);
}

#[tokio::test(start_paused = true)]
async fn the_outcome_is_unknown_when_the_connection_dies() {
    let (parlor, room, mut fake) = in_room(quiet()).await;
    let broker = async move {
        fake.heard_request().await;
        drop(fake);
    };
    let (reply, ()) = tokio::join!(room.request::<u32>("buy", &7), broker);
    assert_code(reply, "outcome_unknown");
    assert_code(room.request::<u32>("buy", &7).await, "closed");
    assert_code(room.send("move", &7), "closed");
    assert_code(parlor.join_or_create("arena", &()).await, "closed");
}

#[tokio::test(start_paused = true)]
async fn what_a_closed_room_had_not_handled_is_still_answered() {
    let (_parlor, room, mut fake) = in_room(quiet()).await;
    let broker = async {
        let (_, second) = (fake.heard_request().await, fake.heard_request().await);
        fake.close_room("closed").await;
        fake.say(BrokerFrame::Error { id: Some(second), error: ErrorCode::RoomClosed.into() }).await;
    };
    let began = tokio::time::Instant::now();
    let (first, second, ()) = tokio::join!(room.request::<u32>("buy", &7), room.request::<u32>("buy", &8), broker);
    // Handled perhaps, but with its reply still to come.
    assert_code(first, "outcome_unknown");
    assert_code(second, "room_closed");
    assert!(began.elapsed() < quiet().request_timeout);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_is_refused_here() {
    let (_parlor, room, mut fake) = in_room(quiet().codec(Codec::Json)).await;
    let mut deep = serde_json::json!(1);
    for _ in 0..64 {
        deep = serde_json::json!([deep]);
    }
    assert_code(room.send("move", &deep), "invalid");
    // One level less is taken.
    assert_eq!(room.send("move", &deep[0]).unwrap(), 1);
    // A map whose keys are no texts has no JSON form.
    assert_code(
        room.send("move", &[(vec![1], 2)].into_iter().collect::<std::collections::BTreeMap<_, _>>()),
        "invalid",
    );
    fake.heard().await;
}
