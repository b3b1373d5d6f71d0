//! Clients that mean harm: floods, frames beyond every limit, pings without end. Their neighbours do not notice.

use std::time::Instant;

use futures_util::SinkExt;
use parlor::broker::{Broker, Config};
use parlor::prelude::*;
use parlor_client::{ErrorCode, Room as Membership};
use parlor_protocol::frame::JoinMode;
use parlor_protocol::{BrokerFrame, ClientFrame, CloseCode, Codec};
use parlor_tests::raw::{Heard, Raw, request, send};
use parlor_tests::wait::{soon, until};
use parlor_tests::{config, connect};
use tokio_tungstenite::tungstenite::{Bytes, Message as WsMessage};

/// Counts what each member says, slowly.
#[derive(Default, Serialize, Deserialize)]
struct Counter {
    counts: BTreeMap<PlayerId, u64>,
}

#[room(kind = "counter", queue_len = 64, member_queue_len = 16)]
impl Counter {
    #[msg::route("count")]
    fn count(&mut self, _: &mut Ctx, from: PlayerId, pad: String) -> u64 {
        let began = Instant::now();
        while began.elapsed() < Duration::from_micros(20) {
            std::hint::spin_loop();
        }
        drop(pad);
        let count = self.counts.entry(from).or_default();
        *count += 1;
        *count
    }
}

/// A broker with one room of two quiet members, and another room with one.
struct Town {
    broker: Broker,
    quiet: Vec<Membership>,
}

impl Town {
    async fn new(config: &Config) -> Self {
        let broker = parlor::App::new().room::<Counter>().start(config).await.unwrap();
        let first = connect(&broker).await.create("counter", &()).await.unwrap();
        let second = connect(&broker).await.join_by_id(first.id(), &()).await.unwrap();
        let elsewhere = connect(&broker).await.create("counter", &()).await.unwrap();
        Self { broker, quiet: vec![first, second, elsewhere] }
    }

    fn room(&self) -> String {
        self.quiet[0].id().to_string()
    }

    async fn troublemaker(&self) -> Raw {
        Raw::connect(&self.broker).await.hello().await
    }

    /// Every quiet member is served, and none of its messages has been lost or doubled.
    async fn is_well(&self, rounds: std::ops::RangeInclusive<u64>) {
        for round in rounds {
            for member in &self.quiet {
                assert_eq!(member.request::<u64>("count", "").await.unwrap(), round);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_fills_only_its_senders_share_of_the_queue() {
    const FLOOD: u64 = 20_000;
    let town = Town::new(&config()).await;
    let mut flooder = town.troublemaker().await;
    let joined = flooder.join(JoinMode::Id, &town.room()).await;
    let flood = async {
        let (mut sink, mut stream) = (Vec::new(), (0, 0));
        for number in 1..=FLOOD {
            sink.push(request(joined.room, number, "count", &""));
        }
        for some in sink.chunks(500) {
            for frame in some {
                flooder.feed(frame).await;
            }
            soon("a flush", flooder.ws.flush()).await.unwrap();
            for _ in some {
                match flooder.hear().await {
                    Heard::Frame(BrokerFrame::Reply { .. }) => stream.0 += 1,
                    Heard::Frame(BrokerFrame::Error { id: Some(_), error }) => {
                        assert_eq!((error.code.as_ref(), error.retryable), ("queue_full", true));
                        stream.1 += 1;
                    }
                    other => panic!("unexpected {other:?}"),
                }
            }
        }
        stream
    };
    let ((handled, refused), ()) = tokio::join!(flood, town.is_well(1..=100));
    assert_eq!(handled + refused, FLOOD);
    assert!(handled > 0 && refused > 0, "{handled} handled, {refused} refused");
    assert_eq!(town.broker.metrics().queue_full.get(), refused);
    town.broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_over_the_limit_are_answered_and_far_beyond_it_end_the_connection() {
    let mut config = config();
    config.limits.max_frame_bytes = 1 << 10;
    let town = Town::new(&config).await;
    let mut large = town.troublemaker().await;
    let joined = large.join(JoinMode::Id, &town.room()).await;
    for size in [1_100, 4_000] {
        large.say(&send(joined.room, "count", &"x".repeat(size))).await;
        let Heard::Frame(BrokerFrame::Error { id: None, error }) = large.hear().await else { panic!("no error") };
        assert_eq!(error.code, ErrorCode::FrameTooLarge.as_str());
    }
    // It lives on, and what was too large has counted for nothing.
    large.say(&request(joined.room, 7, "count", &"x".repeat(900))).await;
    let Heard::Frame(BrokerFrame::Reply { id: 7, payload, .. }) = large.hear().await else { panic!("no reply") };
    assert_eq!(payload.as_ref(), [1]);
    large.say(&send(joined.room, "count", &"x".repeat(100_000))).await;
    let (frames, code) = large.hear_out().await;
    assert!(matches!(&frames[..], [BrokerFrame::Error { error, .. }] if error.code == "frame_too_large"), "{frames:?}");
    assert_eq!(code, Some(CloseCode::FrameTooLarge.number()));
    let metrics = town.broker.metrics();
    assert_eq!(metrics.errors(ErrorCode::FrameTooLarge), 3);
    until("it is counted", || metrics.closes(Some(CloseCode::FrameTooLarge)) == 1).await;
    until("its seat is free", || metrics.members.get() == 3).await;
    town.is_well(1..=3).await;
    town.broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_goodbye_reaches_even_who_has_much_to_read_and_more_to_say() {
    const ANSWERS: u64 = 1_000;
    let town = Town::new(&config()).await;
    let mut large = Raw::narrow(&town.broker, 4 << 10).await.hello().await;
    for _ in 0..ANSWERS {
        large.say(&ClientFrame::Ping { time: 1.0 }).await;
    }
    // Far beyond the limit, and never read by the broker: a socket that is closed over it would be reset.
    let payload = "x".repeat(200_000);
    let joined = parlor_client::RoomNo(0);
    large.say(&send(joined, "count", &payload)).await;
    let (frames, code) = large.hear_out().await;
    assert_eq!(code, Some(CloseCode::FrameTooLarge.number()), "after {} frames", frames.len());
    assert_eq!(frames.len() as u64, ANSWERS + 1);
    town.broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_is_answered_a_few_times_and_then_ends_the_connection() {
    let mut config = config();
    config.limits.bad_frames = 5;
    let town = Town::new(&config).await;
    let mut vandal = town.troublemaker().await;
    for _ in 0..5 {
        vandal.ws.send(WsMessage::Binary(Bytes::from_static(&[0xc1, 0xff, 0x00]))).await.unwrap();
    }
    let (frames, code) = vandal.hear_out().await;
    assert_eq!(frames.len(), 5);
    assert_eq!(code, Some(CloseCode::BadFrames.number()));
    town.is_well(1..=3).await;
    town.broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_pings_is_answered_one_by_one() {
    const PINGS: u32 = 20_000;
    let town = Town::new(&config()).await;
    let mut pinger = town.troublemaker().await;
    pinger.join(JoinMode::Id, &town.room()).await;
    let flood = async {
        let mut answered = 0;
        while answered < PINGS {
            for k in 0..500 {
                pinger.feed(&ClientFrame::Ping { time: f64::from(answered + k) }).await;
            }
            soon("a flush", pinger.ws.flush()).await.unwrap();
            for _ in 0..500 {
                let Heard::Frame(BrokerFrame::Pong { time, .. }) = pinger.hear().await else { panic!("no pong") };
                assert_eq!(time, f64::from(answered));
                answered += 1;
            }
        }
    };
    tokio::join!(flood, town.is_well(1..=100));
    town.broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_whose_answers_nobody_reads_end_the_connection() {
    let mut config = config();
    config.limits.outbox_bytes = 8 << 10;
    config.limits.write_deadline_ms = 300;
    let town = Town::new(&config).await;
    for control in [false, true] {
        let mut deaf = Raw::narrow(&town.broker, 4 << 10).await.hello().await;
        deaf.join(JoinMode::Id, &town.room()).await;
        // Until the broker hangs up; both kinds of ping make it owe an answer.
        let flood = async {
            let ping = if control {
                WsMessage::Ping(Bytes::from(vec![7; 125]))
            } else {
                WsMessage::Binary(ClientFrame::Ping { time: 1.0 }.encode(Codec::MsgPack).unwrap().into())
            };
            while deaf.ws.send(ping.clone()).await.is_ok() {}
        };
        soon("the end of the connection", flood).await;
    }
    let metrics = town.broker.metrics();
    until("both are counted", || metrics.closes(Some(CloseCode::SlowConsumer)) == 2).await;
    town.is_well(1..=3).await;
    town.broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_whose_answers_nobody_reads_do_not_pile_up() {
    const PING: usize = 131;
    // Both directions of the pipe in memory, and what the broker may keep on top.
    const BOUND: usize = 2 * (64 << 10) + (128 << 10);
    let mut config = config();
    // Only the bound itself shall stop it.
    config.limits.write_deadline_ms = 60_000;
    let town = Town::new(&config).await;
    let mut deaf = Raw::over(town.broker.connector().connect(), Codec::MsgPack).await.hello().await;
    let ping = WsMessage::Ping(Bytes::from(vec![7; PING - 6]));
    let mut sent = 0;
    // Once a ping is not taken for so long, none is.
    while tokio::time::timeout(Duration::from_millis(500), deaf.ws.send(ping.clone())).await.is_ok() {
        sent += PING;
        assert!(sent < BOUND, "the broker keeps {sent} bytes of answers");
    }
    town.is_well(1..=3).await;
    drop(deaf);
    until("the socket is noticed to be gone", || town.broker.metrics().sessions.get() == 3).await;
    town.broker.shutdown().await;
}
