//! Too much of what would be fine in small amounts.

use std::time::{Duration, Instant};

use futures_util::SinkExt;
use parlor::broker::config::RelayConfig;
use parlor::{App, Policy};
use parlor_client::{Codec, ErrorCode};
use parlor_protocol::CloseCode;
use parlor_tests::{config, connect};
use serde_json::json;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::raw::{Raw, until};
use crate::stage::{start, start_with};

/// Says frames until the connection is closed: what it was told, by code, and the close code.
async fn insist(raw: &mut Raw, frame: serde_json::Value, at_once: usize) -> (u64, u64, u16) {
    let (mut served, mut limited) = (0, 0);
    let frames = vec![frame; at_once];
    raw.say_all(&frames).await;
    loop {
        let next = crate::raw::soon(futures_util::StreamExt::next(&mut raw.socket)).await;
        match next.expect("a goodbye").expect("a goodbye") {
            Message::Text(text) if text.contains("rate_limited") => limited += 1,
            Message::Text(_) => served += 1,
            Message::Close(close) => return (served, limited, close.unwrap().code.into()),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn who_goes_on_beyond_the_rate_is_closed() {
    let broker = start_with(|config| config.limits.messages_per_s = 10).await;
    let (mut raw, mut neighbour) = (Raw::hello(&broker, Codec::Json).await, Raw::hello(&broker, Codec::Json).await);
    // Five seconds' worth are served, as many refused, and then that is that.
    let (served, limited, code) = insist(&mut raw, json!([8, 1]), 150).await;
    assert_eq!(code, CloseCode::RateLimited.number());
    assert!((45..=60).contains(&served) && (50..=60).contains(&limited), "{served} served, {limited} refused");
    assert_eq!(broker.metrics().errors(ErrorCode::RateLimited), limited);
    until(|| broker.metrics().closes(Some(CloseCode::RateLimited)) == 1).await;
    neighbour.is_alive().await;
}

#[tokio::test]
async fn bytes_count_as_messages_do() {
    let broker = start_with(|config| config.limits.bytes_per_s = 10_000).await;
    let (mut raw, _) = Raw::join(&broker, Codec::Json, "stage").await;
    let padded = format!("[8, 1{}]", " ".repeat(995));
    for _ in 0..150 {
        raw.socket.feed(Message::text(padded.clone())).await.unwrap();
    }
    let (served, limited, code) = insist(&mut raw, json!([8, 1]), 0).await;
    assert_eq!(code, CloseCode::RateLimited.number());
    assert!((45..=60).contains(&served) && (45..=60).contains(&limited), "{served} served, {limited} refused");
    until(|| broker.metrics().closes(Some(CloseCode::RateLimited)) == 1).await;
}

#[tokio::test]
async fn who_slows_down_goes_on() {
    let broker = start_with(|config| config.limits.messages_per_s = 20).await;
    let (mut raw, room) = Raw::join(&broker, Codec::Json, "stage").await;
    // Again and again a little too much, and then a pause.
    for count in [130, 60] {
        raw.say_all(&vec![json!([8, 1]); count]).await;
        let (mut served, mut limited) = (0, 0);
        for _ in 0..count {
            if raw.hear().await[0] == 42 { served += 1 } else { limited += 1 }
        }
        assert!(served > 0 && limited > 0, "{served} {limited}");
        tokio::time::sleep(Duration::from_millis(3_500)).await;
    }
    let began = Instant::now();
    let mut number = 0;
    while began.elapsed() < Duration::from_secs(1) {
        number += 1;
        raw.say(json!([5, room, "nested", number, {"path": []}])).await;
        let reply = raw.hear().await;
        assert_eq!((&reply[0], &reply[4]), (&json!(37), &json!(number)), "{reply}");
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    assert_eq!(broker.metrics().closes(Some(CloseCode::RateLimited)), 0);
}

#[tokio::test]
async fn a_flood_of_control_frames_ends_the_connection() {
    let broker = start().await;
    let mut neighbour = Raw::hello(&broker, Codec::Json).await;
    for control in [Message::Ping(Bytes::from_static(b"x")), Message::Pong(Bytes::new())] {
        // A ping or two a second is what libraries do.
        let mut calm = Raw::hello(&broker, Codec::Json).await;
        let mut wild = Raw::hello(&broker, Codec::Json).await;
        for _ in 0..40 {
            calm.socket.feed(control.clone()).await.unwrap();
        }
        calm.socket.flush().await.unwrap();
        for _ in 0..200 {
            wild.socket.feed(control.clone()).await.unwrap();
        }
        wild.socket.flush().await.unwrap();
        assert_eq!(wild.closed().await, (4203, "rate_limited".into()));
        calm.is_alive().await;
    }
    until(|| broker.metrics().closes(Some(CloseCode::RateLimited)) == 2).await;
    neighbour.is_alive().await;
}

/// A room is there even if its maker has no seat in it.
#[tokio::test]
async fn rooms_without_a_seat_for_their_maker_count_as_made() {
    let mut config = config();
    config.limits.rooms_per_session = 2;
    let no_watching = RelayConfig { kind: "played".into(), policy: Policy::default() };
    config.relay.push(no_watching);
    let broker = App::new().start(&config).await.unwrap();
    let mut raw = Raw::hello(&broker, Codec::Json).await;
    let mut codes = Vec::new();
    for id in 0..20 {
        raw.say(json!([2, id, {"mode": "create", "kind": "played", "role": "spectator"}, null])).await;
        codes.push(raw.error().await.1.code);
    }
    assert!(codes[..8].iter().all(|code| code == "room_full"), "{codes:?}");
    assert!(codes[8..].iter().all(|code| code == "too_many_rooms"), "{codes:?}");
    assert_eq!(broker.registry().len(), 8, "four for each that it may be in");
    assert_eq!(broker.metrics().errors(ErrorCode::TooManyRooms), 12);
}

/// What a crowd costs grows with what its members do, not with what the broker makes of it: a room tells its members only what its
/// handler says. A relay room tells of each who comes and goes, with one small frame each; who does so all the time is bounded
/// by the rate of messages.
#[tokio::test]
async fn a_join_costs_each_member_one_small_frame_at_most() {
    const CROWD: u64 = 30;
    let mut config = config();
    let policy = Policy { max_players: CROWD as u32 + 1, ..Policy::default() };
    config.relay.push(RelayConfig { kind: "crowd".into(), policy });
    let broker = App::new().room::<parlor_tests::Echo>().start(&config).await.unwrap();
    for (kind, each) in [("echo", 0), ("crowd", 1)] {
        let mut watcher = Raw::hello(&broker, Codec::Json).await;
        watcher.say(json!([2, 1, {"mode": "create", "kind": kind}, null])).await;
        let joined = watcher.hear().await;
        let (deliveries, sent) = (broker.metrics().deliveries.get(), broker.metrics().bytes_out.get());
        let mut crowd = Vec::new();
        for _ in 0..CROWD {
            let client = connect(&broker).await;
            let member = client.join_by_id(joined[2]["id"].as_str().unwrap(), &()).await.unwrap();
            crowd.push((client, member));
        }
        let told = broker.metrics().deliveries.get() - deliveries;
        // To each joiner its own; to the others so much each, and the name of the type once. Who leaves is told that it has left.
        let others = CROWD * (CROWD + 1) / 2;
        assert!(told <= CROWD + each * (others + CROWD + 1), "{kind}: {told} frames");
        drop(crowd);
        until(|| broker.metrics().members.get() == 1).await;
        let frames = broker.metrics().deliveries.get() - deliveries;
        assert!(frames <= 2 * CROWD + each * 2 * (others + CROWD + 1), "{kind}: {frames} frames");
        // Views of those who are in make up the larger part.
        let bytes = broker.metrics().bytes_out.get() - sent;
        assert!(bytes < 2_000 * CROWD + 100 * each * 2 * others, "{kind}: {bytes} bytes");
        drop(watcher);
        until(|| broker.metrics().members.get() == 0).await;
    }
}
