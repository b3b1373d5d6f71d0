//! Clients that come back too late, and what ended while they were away.

use parlor_client::Recovered;
use parlor_protocol::frame::JoinMode;
use parlor_protocol::{BrokerFrame, ClientFrame};
use parlor_tests::raw::{Heard, Raw, send};
use parlor_tests::wait::{soon, until};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_ended_meanwhile_still_tells_its_result() {
    let broker = broker(|_| {}).await;
    let (mut ann, mut bob) = (Kept::begin(&broker).await, Kept::begin(&broker).await);
    let room = ann.join(JoinMode::Create, "diary").await;
    bob.join(JoinMode::Id, room.id.as_str()).await;
    let bob = bob.cut();
    until("bob is away", || broker.metrics().sessions_away.get() == 1).await;
    ann.says(room.room, "one").await;
    ann.raw.say(&send(room.room, "end", &())).await;
    assert!(matches!(ann.hear().await, BrokerFrame::Closed { .. }));
    until("nothing is left of the room", || broker.metrics().rooms.get() == 0).await;
    let (mut bob, _, rooms) = bob.back(&broker).await;
    assert_eq!(outcome(&rooms), (Recovered::Lost, None, Some("closed")));
    assert_eq!(line(&bob.hear().await).text, "one");
    let BrokerFrame::Closed { code, result, .. } = bob.hear().await else { panic!("no end") };
    assert_eq!((code.as_str(), decoded::<u64>(&result)), ("closed", 1));
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_after_the_window_is_told_that_the_seat_is_gone() {
    let broker = broker(|_| {}).await;
    let mut ann = Kept::begin(&broker).await;
    // Two rooms: the longer window keeps the session.
    ann.join(JoinMode::Create, "diary").await;
    let hasty = ann.join(JoinMode::Create, "hasty").await;
    let ann = ann.cut();
    until("the hasty room waits no longer", || broker.metrics().members.get() == 1).await;
    let (mut ann, _, rooms) = ann.back(&broker).await;
    let found: Vec<_> = rooms.iter().map(|room| (room.outcome, room.reason.as_deref())).collect();
    assert_eq!(found, [(Recovered::Frames, None), (Recovered::Lost, Some("expired"))]);
    let BrokerFrame::Closed { room, code, .. } = ann.hear().await else { panic!("no end") };
    assert_eq!((room, code.as_str()), (hasty.room, "expired"));
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_nobody_comes_back_to_leaves_nothing_behind() {
    let broker = broker(|_| {}).await;
    let mut ann = Kept::begin(&broker).await;
    ann.join(JoinMode::Create, "hasty").await;
    let ann = ann.cut();
    until("the session is over", || broker.metrics().sessions.get() == 0).await;
    until("and counted out", || broker.metrics().sessions_away.get() == 0 && broker.metrics().members.get() == 0).await;
    assert_eq!(ann.finds_it_lost(&broker).await, "expired");
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goodbye_is_for_good_and_so_is_a_session_that_nobody_asked_to_keep() {
    let broker = broker(|_| {}).await;
    let mut ann = Kept::begin(&broker).await;
    ann.join(JoinMode::Create, "diary").await;
    ann.raw.ws.close(Some(CloseFrame { code: 1000.into(), reason: "".into() })).await.unwrap();
    until("her seat is free", || broker.metrics().members.get() == 0).await;
    assert_eq!(ann.cut().finds_it_lost(&broker).await, "expired");
    let mut raw = Raw::over(broker.connector().connect(), Codec::MsgPack).await.hello().await;
    raw.join(JoinMode::Create, "diary").await;
    raw.say(&ClientFrame::Ack { received: 1 }).await;
    let heard = raw.hear().await;
    assert!(matches!(&heard, Heard::Frame(BrokerFrame::Error { error, .. }) if error.code == "bad_frame"), "{heard:?}");
    drop(raw);
    until("its seat is free", || broker.metrics().members.get() == 0).await;
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_sessions_are_kept_than_may_be() {
    let broker = broker(|config| config.limits.sessions_away = 1).await;
    let (mut ann, mut bob) = (Kept::begin(&broker).await, Kept::begin(&broker).await);
    ann.join(JoinMode::Create, "diary").await;
    bob.join(JoinMode::Create, "diary").await;
    let ann = ann.cut();
    until("ann is away", || broker.metrics().sessions_away.get() == 1).await;
    let bob = bob.cut();
    until("bob is not kept", || broker.metrics().sessions_not_kept.get() == 1).await;
    assert_eq!(bob.finds_it_lost(&broker).await, "expired");
    let (ann, ..) = ann.back(&broker).await;
    drop(ann);
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_ends_waits_for_nobody() {
    let broker = broker(|_| {}).await;
    let mut ann = Kept::begin(&broker).await;
    ann.join(JoinMode::Create, "diary").await;
    drop(ann.cut());
    until("ann is away", || broker.metrics().sessions_away.get() == 1).await;
    let metrics = broker.metrics().clone();
    soon("the end", broker.shutdown()).await;
    assert_eq!((metrics.sessions.get(), metrics.rooms.get()), (0, 0));
}
