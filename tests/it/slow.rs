//! A reader that stalls slows nobody else, and what waits for it is bounded.

use parlor::broker::{Broker, Config};
use parlor::prelude::*;
use parlor_client::{Room as Membership, RoomEvent};
use parlor_protocol::frame::JoinMode;
use parlor_protocol::{BrokerFrame, CloseCode, Codec, Place};
use parlor_tests::raw::{Heard, Raw};
use parlor_tests::wait::{soon, until};
use parlor_tests::{config, connect};

const TEXT: usize = 1 << 10;
/// What the broker's end of a pipe in memory holds in each direction.
const PIPE: usize = 64 << 10;
const OUTBOX: usize = 32 << 10;

/// A room in which much is said.
#[derive(Default, Serialize, Deserialize)]
struct Market {
    said: u64,
}

#[derive(Debug, Serialize, Deserialize, Message)]
struct Cry {
    number: u64,
    text: String,
}

#[room(kind = "market")]
impl Market {
    #[msg::route("cry")]
    fn cry(&mut self, ctx: &mut Ctx, _: PlayerId) -> u64 {
        self.said += 1;
        ctx.broadcast(&Cry { number: self.said, text: "x".repeat(TEXT) });
        self.said
    }
}

fn narrow_outboxes() -> Config {
    let mut config = config();
    config.shards = 2;
    config.limits.outbox_bytes = OUTBOX;
    config
}

async fn market(config: &Config) -> Broker {
    parlor::App::new().room::<Market>().start(config).await.unwrap()
}

/// Has the room say something, and waits until it has.
async fn cry(crier: &Membership) {
    crier.request::<u64>("cry", &()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stalled_sockets_are_closed_and_all_others_get_everything_in_order() {
    const STALLED: usize = 8;
    const CRIES: u64 = 6_000;
    let mut config = narrow_outboxes();
    config.limits.write_deadline_ms = 200;
    let broker = market(&config).await;
    let crier = connect(&broker).await;
    let mut criers = crier.create("market", &()).await.unwrap();
    let listener = connect(&broker).await;
    let mut listeners = listener.join_by_id(criers.id(), &()).await.unwrap();
    let mut stalled = Vec::new();
    for _ in 0..STALLED {
        let mut raw = Raw::narrow(&broker, 4 << 10).await.hello().await;
        raw.join(JoinMode::Id, criers.id().as_str()).await;
        stalled.push(raw);
    }
    for number in 1..=CRIES {
        cry(&criers).await;
        // Both read along, so that they are no slow readers themselves.
        for room in [&mut criers, &mut listeners] {
            hear(room, number).await;
        }
    }
    let closed = || broker.metrics().closes(Some(CloseCode::SlowConsumer)) == STALLED as u64;
    until("the stalled ones are closed as slow consumers", closed).await;
    until("their seats are free", || broker.metrics().members.get() == 2).await;
    cry(&criers).await;
    hear(&mut listeners, CRIES + 1).await;
    broker.shutdown().await;
}

async fn hear(room: &mut Membership, number: u64) {
    let event = soon("a cry", room.recv()).await.expect("healthy readers stay");
    assert!(matches!(event, RoomEvent::Message { .. }));
    assert_eq!(event.decode::<Cry>().unwrap().number, number);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_stalled_reader_is_bounded_and_the_rest_is_not_scattered() {
    let mut config = narrow_outboxes();
    // Only the outbox's own bound shall end it.
    config.limits.write_deadline_ms = 60_000;
    let broker = market(&config).await;
    let crier = connect(&broker).await;
    let criers = crier.create("market", &()).await.unwrap();
    let mut raw = Raw::over(broker.connector().connect(), Codec::MsgPack).await.hello().await;
    raw.join(JoinMode::Id, criers.id().as_str()).await;
    let cries = 4 * (PIPE + OUTBOX) / TEXT;
    for _ in 0..cries {
        cry(&criers).await;
    }
    // Only now does it read: what it gets is a beginning of the history, no longer than the bounds, and the reason.
    let (frames, code) = raw.hear_out().await;
    assert_eq!(code, Some(CloseCode::SlowConsumer.number()));
    let numbers: Vec<u64> = frames.iter().filter_map(number).map(|(_, number)| number).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    let most = (PIPE + OUTBOX) / TEXT;
    assert!(numbers.len() <= most, "{} of {cries} waited, {most} are allowed", numbers.len());
    assert!(numbers.len() >= PIPE / (TEXT + 64), "what was written stays written");
    until("its seat is free", || broker.metrics().members.get() == 1).await;
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_only_pauses_loses_nothing() {
    let broker = market(&narrow_outboxes()).await;
    let crier = connect(&broker).await;
    let criers = crier.create("market", &()).await.unwrap();
    let mut raw = Raw::over(broker.connector().connect(), Codec::Json).await.hello().await;
    raw.join(JoinMode::Id, criers.id().as_str()).await;
    let within_bounds = (PIPE + OUTBOX / 2) / (TEXT + 64);
    for round in 0..3 {
        for _ in 0..within_bounds {
            cry(&criers).await;
        }
        for k in 1..=within_bounds {
            let Heard::Frame(frame) = raw.hear().await else { panic!("closed in round {round}") };
            // The first frame that is read may be the name of the message type.
            let frame = if number(&frame).is_some() { Heard::Frame(frame) } else { raw.hear().await };
            let Heard::Frame(frame) = frame else { panic!("closed in round {round}") };
            assert_eq!(number(&frame).unwrap().1, (round * within_bounds + k) as u64);
        }
    }
    broker.shutdown().await;
}

fn number(frame: &BrokerFrame) -> Option<(Place, u64)> {
    let BrokerFrame::Publish { place, payload, .. } = frame else { return None };
    Some((*place, parlor::Payload(payload.clone()).decode::<Cry>().unwrap().number))
}
