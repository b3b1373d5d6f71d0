//! Readers that fall behind: a view in place of what they missed, the newest of what only counts now, and never more than the bound.

use parlor_client::Recovered;
use parlor_protocol::frame::JoinMode;
use parlor_protocol::{BrokerFrame, CloseCode};
use parlor_tests::raw::request;
use parlor_tests::wait::until;

use super::*;

/// What the broker's end of a pipe in memory holds in each direction.
const PIPE: usize = 64 << 10;
const OUTBOX: usize = 32 << 10;

/// More text than pipe and outbox hold.
async fn flood(crier: &mut Kept, room: RoomNo) -> u64 {
    let lines = (3 * (PIPE + OUTBOX)) >> 10;
    for _ in 0..lines {
        crier.raw.say(&request(room, 90, "say", &Say { text: "x".repeat(1 << 10) })).await;
        while !matches!(crier.hear().await, BrokerFrame::Reply { .. }) {}
        let received = crier.received;
        crier.raw.say(&parlor_protocol::ClientFrame::Ack { received }).await;
    }
    lines as u64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_fell_behind_is_shown_the_room_when_it_has_read_the_rest() {
    let broker = broker(|config| {
        config.limits.outbox_bytes = OUTBOX;
        config.limits.write_deadline_ms = 60_000;
    })
    .await;
    let (mut ann, mut bob) = (Kept::begin(&broker).await, Kept::begin(&broker).await);
    let room = ann.join(JoinMode::Create, "diary").await;
    bob.join(JoinMode::Id, room.id.as_str()).await;
    let said = flood(&mut ann, room.room).await;
    assert!(broker.metrics().publishes_dropped.get() > 0 || said > 0);
    let (mut last, mut shown) = (0, None);
    while shown.is_none() {
        match bob.hear().await {
            BrokerFrame::View { view, .. } => shown = Some(decoded::<Shown>(&view).said),
            frame => {
                let number = line(&frame).number;
                assert_eq!(number, last + 1, "before the view there is no gap");
                last = number;
            }
        }
    }
    assert!(last < said, "{last} of {said} fitted");
    assert_eq!(shown, Some(said));
    ann.says(room.room, "next").await;
    assert_eq!(line(&bob.hear().await).number, said + 1, "behind the view there is no gap either");
    assert_eq!(broker.metrics().views_sent.get(), 1);
    assert_eq!(ann.story(room.room).await.len(), 2, "nobody dropped out");
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_takes_nothing_is_let_go_and_can_come_back() {
    let broker = broker(|config| {
        config.limits.outbox_bytes = OUTBOX;
        config.limits.write_deadline_ms = 200;
    })
    .await;
    let (mut ann, mut bob) = (Kept::begin(&broker).await, Kept::begin(&broker).await);
    let room = ann.join(JoinMode::Create, "diary").await;
    bob.join(JoinMode::Id, room.id.as_str()).await;
    let said = flood(&mut ann, room.room).await;
    until("bob is let go", || broker.metrics().closes(Some(CloseCode::SlowConsumer)) == 1).await;
    until("and waited for", || broker.metrics().sessions_away.get() == 1).await;
    let (mut bob, _, rooms) = bob.cut().back(&broker).await;
    assert_eq!(outcome(&rooms), (Recovered::View, None, None));
    let BrokerFrame::View { view, .. } = bob.hear().await else { panic!("nothing before the view but answers") };
    assert_eq!(decoded::<Shown>(&view).said, said);
    ann.says(room.room, "next").await;
    assert_eq!(line(&bob.hear().await).number, said + 1);
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_latest_value_a_slow_reader_gets_the_newest_and_so_does_who_comes_back() {
    const VALUES: u64 = 5_000;
    let broker = broker(|config| config.limits.write_deadline_ms = 60_000).await;
    let (mut ann, mut bob) = (Kept::begin(&broker).await, Kept::begin(&broker).await);
    let room = ann.join(JoinMode::Create, "diary").await;
    bob.join(JoinMode::Id, room.id.as_str()).await;
    for value in 1..=VALUES {
        ann.raw.say(&request(room.room, 90, "gauge", &Gauge { value })).await;
        while !matches!(ann.hear().await, BrokerFrame::Reply { .. }) {}
        let received = ann.received;
        ann.raw.say(&parlor_protocol::ClientFrame::Ack { received }).await;
    }
    let gauge = |frame: &BrokerFrame| match frame {
        BrokerFrame::Latest { key, payload, .. } if key == "pressure" => Some(decoded::<Gauge>(payload).value),
        _ => None,
    };
    let (mut heard, mut last) = (0, 0);
    while last < VALUES {
        let value = gauge(&bob.hear().await).expect("nothing else is said");
        assert!(value > last, "a subsequence");
        (heard, last) = (heard + 1, value);
    }
    assert!(heard < VALUES, "what nobody had read yet was replaced");
    let (mut bob, _, rooms) = bob.cut().back(&broker).await;
    assert_eq!(outcome(&rooms), (Recovered::Frames, Some(0), None), "they do not count");
    assert_eq!(gauge(&bob.hear().await), Some(VALUES), "the present value");
    broker.shutdown().await;
}
