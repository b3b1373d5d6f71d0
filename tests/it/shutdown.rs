//! A broker that shuts down under load: rooms end in their own way, members are told, and all is over in time.

use std::time::{Duration, Instant};

use parlor::broker::room::CreateRoom;
use parlor::broker::{Broker, Config};
use parlor::prelude::*;
use parlor_client::{ClientError, End, LifecycleEvent, Options, Parlor, Room as Membership, RoomEvent};
use parlor_protocol::frame::Hello;
use parlor_protocol::{BrokerFrame, ClientFrame, CloseCode};
use parlor_tests::raw::Raw;
use parlor_tests::wait::soon;
use parlor_tests::{config, connect_with};
use tokio::task::JoinSet;

/// Says goodbye when it is told to close, and ends itself a little later with a result.
#[derive(Default, Serialize, Deserialize)]
struct Polite {
    said: u64,
}

#[derive(Serialize, Deserialize, Message)]
struct Farewell {}

#[derive(Serialize, Deserialize, Message)]
struct Said {
    number: u64,
}

#[room(kind = "polite", close_grace = "5s")]
impl Polite {
    #[msg::route("say")]
    fn say(&mut self, ctx: &mut Ctx, _: PlayerId) {
        self.said += 1;
        ctx.broadcast(&Said { number: self.said });
    }

    #[msg::close]
    fn closing(&mut self, ctx: &mut Ctx, why: CloseWhy, grace: Duration) {
        assert_eq!((why, grace), (CloseWhy::ShuttingDown, Duration::from_secs(5)));
        ctx.broadcast(&Farewell {});
        ctx.after(Duration::from_millis(100), Farewell {});
    }

    #[msg::event("farewell")]
    fn farewell(&mut self, ctx: &mut Ctx, _: Farewell) {
        ctx.close(&self.said);
    }
}

/// Never ends by itself, however long it is given.
#[derive(Default, Serialize, Deserialize)]
struct Stubborn {}

#[room(kind = "stubborn", close_grace = "10m")]
impl Stubborn {
    #[msg::route("say")]
    fn say(&mut self, _: &mut Ctx, _: PlayerId) {}

    #[msg::close]
    fn closing(&mut self, ctx: &mut Ctx) {
        ctx.broadcast(&Farewell {});
    }
}

/// Ends at once.
#[derive(Default, Serialize, Deserialize)]
struct Plain {}

#[room(kind = "plain")]
impl Plain {
    #[msg::route("say")]
    fn say(&mut self, _: &mut Ctx, _: PlayerId) {}
}

async fn start(config: &Config) -> Broker {
    parlor::App::new().room::<Polite>().room::<Stubborn>().room::<Plain>().start(config).await.unwrap()
}

/// What a member heard of the end.
#[derive(Debug)]
struct Ending {
    farewell: bool,
    /// Numbers of what was said before, and the result.
    said: Vec<u64>,
    code: String,
    result: Option<u64>,
    end: End,
}

/// Sends for as long as it can, and reads to the end.
async fn talk(client: Parlor, mut room: Membership) -> Ending {
    let sender = room.sender().clone();
    let talking = tokio::spawn(async move {
        while sender.request::<()>("say", &()).await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
    let (mut farewell, mut said) = (false, Vec::new());
    let (code, result) = loop {
        let event = soon("the end of the room", room.recv()).await.expect("`closed` comes before the socket ends");
        match &event {
            RoomEvent::Message { name, .. } if name.as_ref() == "farewell" => farewell = true,
            RoomEvent::Message { .. } => said.push(event.decode::<Said>().unwrap().number),
            RoomEvent::Closed { code, .. } => break (code.clone(), event.decode().ok()),
            other => panic!("unexpected {other:?}"),
        }
    };
    let mut lifecycle = client.lifecycle();
    let end = loop {
        match soon("the end of the connection", lifecycle.recv()).await {
            Some(LifecycleEvent::Closed(end)) => break end,
            Some(_) => {}
            None => panic!("no end was told"),
        }
    };
    talking.await.unwrap();
    Ending { farewell, said, code, result, end }
}

async fn talkers(broker: &Broker, kind: &str, count: usize) -> JoinSet<Ending> {
    let room = broker.registry().create(kind, CreateRoom::default()).unwrap();
    let mut talkers = JoinSet::new();
    for _ in 0..count {
        let client = connect_with(broker, Options::new().once()).await;
        let member = client.join_by_id(room.id(), &()).await.unwrap();
        // Once it was answered, it is in the midst of it.
        member.request::<()>("say", &()).await.unwrap();
        talkers.spawn(talk(client, member));
    }
    talkers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_end_in_their_own_way_and_everybody_is_told() {
    const TALKERS: usize = 8;
    let mut config = config();
    config.shards = 2;
    config.limits.drain_ms = 6_000;
    let broker = start(&config).await;
    let polite = talkers(&broker, "polite", TALKERS).await;
    let plain = talkers(&broker, "plain", TALKERS).await;
    let mut late = Raw::connect(&broker).await;
    let (url, began) = (format!("ws://{}", broker.addr()), Instant::now());
    let ending = tokio::spawn(broker.shutdown());
    for ending in polite.join_all().await {
        assert!(ending.farewell && ending.code == "closed", "{ending:?}");
        assert!(ending.said.is_sorted_by(|a, b| a + 1 == *b), "{:?}", ending.said);
        assert_eq!(ending.result, ending.said.last().copied(), "the result counts everything that was said");
        assert_eq!(ending.end.code, CloseCode::ShuttingDown.number());
    }
    for ending in plain.join_all().await {
        assert_eq!((ending.code.as_str(), ending.end.code), ("shutting_down", CloseCode::ShuttingDown.number()));
    }
    assert!(Parlor::connect(&url, Options::new()).await.is_err(), "somebody got in");
    late.hear_out().await;
    ending.await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(4), "took {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_does_not_end_is_cut_when_the_time_is_up() {
    let mut config = config();
    config.limits.drain_ms = 1_000;
    let broker = start(&config).await;
    let stubborn = talkers(&broker, "stubborn", 4).await;
    // Asked to close long before, with all its ten minutes: the shutdown ends that wait, too.
    let asked = talkers(&broker, "stubborn", 4).await;
    let room = broker.registry().list().pop().unwrap();
    broker.registry().get(&room.id).unwrap().close(CloseWhy::Requested);
    let began = Instant::now();
    let ending = tokio::spawn(broker.shutdown());
    for ending in stubborn.join_all().await.into_iter().chain(asked.join_all().await) {
        assert!(ending.farewell, "the hook ran");
        assert_eq!((ending.code.as_str(), ending.end.code), ("shutting_down", CloseCode::ShuttingDown.number()));
    }
    ending.await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(900), "cut after {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(4), "took {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn newcomers_are_refused_while_rooms_still_end() {
    let broker = start(&config()).await;
    let polite = talkers(&broker, "polite", 1).await;
    let client = connect_with(&broker, Options::new().once()).await;
    let mut knocking = Raw::connect(&broker).await;
    let url = format!("ws://{}", broker.addr());
    let ending = tokio::spawn(broker.shutdown());
    // No more sockets are taken; who has one is refused with a reason.
    let refused = async { while Parlor::connect(&url, Options::new()).await.is_ok() {} };
    soon("the refusal of connections", refused).await;
    knocking.say(&ClientFrame::Hello(Hello { client: "late".into(), ..Hello::default() })).await;
    let (frames, code) = knocking.hear_out().await;
    assert!(matches!(&frames[..], [BrokerFrame::Error { error, .. }] if error.code == "shutting_down"), "{frames:?}");
    assert_eq!(code, Some(CloseCode::ShuttingDown.number()));
    let told: ClientError = client.join_or_create("plain", &()).await.unwrap_err();
    assert_eq!(told.code(), "shutting_down");
    polite.join_all().await;
    ending.await.unwrap();
}
