//! Clients that come back in time.

use parlor_client::Recovered;
use parlor_protocol::frame::{JoinMode, ResumeWish};
use parlor_protocol::{BrokerFrame, ClientFrame, CloseCode, Codec};
use parlor_tests::raw::{Heard, Raw, request, send};
use parlor_tests::wait::until;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_missed_follows_and_what_was_not_taken_can_be_said_again() {
    let broker = broker(|_| {}).await;
    let (mut ann, mut bob) = (Kept::begin(&broker).await, Kept::begin(&broker).await);
    let room = ann.join(JoinMode::Create, "diary").await;
    bob.join(JoinMode::Id, room.id.as_str()).await;
    ann.says(room.room, "one").await;
    assert_eq!(line(&bob.hear().await).text, "one");
    // Bob's frame is taken, and what answers it is never read.
    bob.raw.say(&request(room.room, 5, "say", &Say { text: "two".into() })).await;
    assert_eq!(line(&ann.hear().await).text, "two");
    let bob = bob.cut();
    until("bob is away", || broker.metrics().sessions_away.get() == 1).await;
    for text in ["three", "four"] {
        ann.says(room.room, text).await;
    }
    let (mut bob, taken, rooms) = bob.back(&broker).await;
    // A join and a request.
    assert_eq!((taken, rooms[0].no), (2, 1));
    assert_eq!(outcome(&rooms), (Recovered::Frames, Some(4), None));
    assert_eq!(line(&bob.hear().await).text, "two");
    assert!(matches!(bob.hear().await, BrokerFrame::Reply { id: 5, .. }), "the answer from before");
    assert_eq!((line(&bob.hear().await).text, line(&bob.hear().await).text), ("three".into(), "four".into()));
    bob.says(room.room, "five").await;
    let story = ann.story(room.room).await;
    assert_eq!(story, ["1 joined", "2 joined", "2 dropped", "2 resumed"]);
    assert_eq!((broker.metrics().sessions_resumed.get(), broker.metrics().resumes("recovered")), (1, 1));
    assert_eq!(broker.metrics().sessions_away.get(), 0);
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_was_loaded_again_is_shown_its_rooms() {
    let broker = broker(|_| {}).await;
    let mut ann = Kept::begin(&broker).await;
    let room = ann.join(JoinMode::Create, "diary").await;
    ann.says(room.room, "one").await;
    let going = CloseFrame { code: 1001.into(), reason: "".into() };
    ann.raw.ws.close(Some(going)).await.unwrap();
    let (mut again, taken, rooms) = ann.cut().back_with(&broker, None).await;
    assert_eq!((taken, outcome(&rooms).0, rooms[0].no), (2, Recovered::View, 1));
    let BrokerFrame::View { joined, handled, view } = again.hear().await else { panic!("no view") };
    assert_eq!((joined.player, joined.id, handled), (room.player, room.id, 1));
    assert_eq!(decoded::<Shown>(&view).said, 1);
    again.says(room.room, "two").await;
    // Its count began anew, with the view.
    let (mut again, _, rooms) = again.cut().back(&broker).await;
    assert_eq!(outcome(&rooms), (Recovered::Frames, Some(0), None));
    again.says(room.room, "three").await;
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_older_connection_is_heard_no_more_and_told_so() {
    let broker = broker(|_| {}).await;
    let mut ann = Kept::begin(&broker).await;
    let room = ann.join(JoinMode::Create, "diary").await;
    ann.says(room.room, "one").await;
    let gone = Gone { token: ann.token.clone(), received: ann.received };
    let (mut again, taken, rooms) = gone.back(&broker).await;
    assert_eq!((taken, outcome(&rooms)), (2, (Recovered::Frames, Some(0), None)));
    // The pipe takes it still, or does not; either way nobody listens.
    let late = send(room.room, "say", &Say { text: "from the past".into() }).encode(Codec::MsgPack).unwrap();
    let _ = futures_util::SinkExt::send(&mut ann.raw.ws, Message::Binary(late.into())).await;
    let (frames, code) = ann.raw.hear_out().await;
    assert_eq!((frames.iter().filter(|frame| frame.is_counted()).count(), code), (0, Some(4100)));
    again.says(room.room, "two").await;
    assert_eq!(again.story(room.room).await, ["1 joined"], "the room has not noticed");
    assert_eq!(broker.metrics().closes(Some(CloseCode::Replaced)), 1);
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_holds_until_the_next_one_has_arrived() {
    let broker = broker(|_| {}).await;
    let mut ann = Kept::begin(&broker).await;
    ann.join(JoinMode::Create, "diary").await;
    let first = Gone { token: ann.token.clone(), received: 1 };
    drop(ann);
    // Twice the answer gets lost on the way.
    let (second, ..) = first.clone().back(&broker).await;
    drop(second);
    let (third, ..) = first.clone().back(&broker).await;
    let newest = third.cut();
    let (mut fourth, ..) = newest.back(&broker).await;
    // Now the client speaks, and older tokens are void.
    fourth.raw.say(&ClientFrame::Ack { received: 1 }).await;
    fourth.raw.say(&ClientFrame::Ping { time: 1.0 }).await;
    fourth.hear().await;
    assert_eq!(first.finds_it_lost(&broker).await, "unknown");
    let (fifth, ..) = fourth.cut().back(&broker).await;
    drop(fifth);
    assert_eq!(broker.metrics().resumes("lost"), 1);
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_broker_says_what_it_has_taken_and_lets_go_of_what_was_received() {
    let broker = broker(|_| {}).await;
    let mut ann = Kept::begin(&broker).await;
    let room = ann.join(JoinMode::Create, "diary").await;
    for number in 1..=31 {
        ann.raw.say(&send(room.room, "say", &Say { text: format!("{number}") })).await;
    }
    let (mut acked, mut said) = (0, 0);
    while acked < 32 || said < 31 {
        // At once after so many, or a second after the last.
        let Heard::Frame(frame) = ann.raw.hear().await else { panic!("closed") };
        ann.received += u64::from(frame.is_counted());
        if let BrokerFrame::Acked { received } = frame {
            assert!(received > acked);
            acked = received;
        } else if let BrokerFrame::Publish { .. } = frame {
            said += 1;
        }
    }
    ann.raw.say(&ClientFrame::Ack { received: 1_000 }).await;
    let error = loop {
        match ann.hear().await {
            BrokerFrame::Publish { .. } => {}
            other => break other,
        }
    };
    assert!(matches!(&error, BrokerFrame::Error { error, .. } if error.code == "bad_frame"), "{error:?}");
    ann.raw.say(&ClientFrame::Ack { received: ann.received }).await;
    ann.says(room.room, "after").await;
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_other_codec_cannot_take_a_session_up() {
    let broker = broker(|_| {}).await;
    let mut ann = Kept::begin_as(&broker, Codec::Json).await;
    ann.join(JoinMode::Create, "diary").await;
    let raw = Raw::over(broker.connector().connect(), Codec::MsgPack).await;
    let (_, answer) = raw.resume(ResumeWish { token: Some(ann.token.clone()), received: Some(1) }).await;
    let BrokerFrame::Welcome(welcome) = answer else { panic!("{answer:?}") };
    assert_eq!(welcome.lost.as_deref(), Some("codec"));
    broker.shutdown().await;
}
