//! Sessions that outlive their connections, seen frame by frame.

mod ends;
mod returns;
mod slow;

use std::collections::BTreeMap;

use bytes::Bytes;
use parlor::broker::{Broker, Config};
use parlor::prelude::*;
use parlor_client::Recovered;
use parlor_protocol::frame::{JoinMode, Joined, Recovery, ResumeWish};
use parlor_protocol::{BrokerFrame, Codec, RoomNo};
use parlor_tests::config;
use parlor_tests::raw::{Heard, Raw, request};
use parlor_tests::serve::{Anywhere, Served};
use tokio::io::DuplexStream;

/// A room that writes down who comes and goes, and says aloud what it is told.
#[derive(Default, Serialize, Deserialize)]
struct Diary {
    story: Vec<String>,
    said: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
struct Line {
    number: u64,
    text: String,
}

#[derive(Serialize, Deserialize, Message)]
struct Gauge {
    value: u64,
}

#[derive(Serialize, Deserialize)]
struct Say {
    text: String,
}

#[derive(Serialize, Deserialize)]
struct Shown {
    said: u64,
}

#[room(kind = "diary", resume = "30s", latest_topics = ["gauges"], close_grace = "1s")]
impl Diary {
    #[msg::join]
    fn joined(&mut self, ctx: &mut Ctx, player: &Player) {
        self.story.push(format!("{} joined", player.id));
        ctx.set_topics(player.id, ["gauges"]);
    }

    #[msg::drop]
    fn dropped(&mut self, _: &mut Ctx, player: &Player) {
        self.story.push(format!("{} dropped", player.id));
    }

    #[msg::resume]
    fn resumed(&mut self, _: &mut Ctx, player: &Player) {
        self.story.push(format!("{} resumed", player.id));
    }

    #[msg::leave]
    fn left(&mut self, _: &mut Ctx, player: &Player, why: Leave) {
        self.story.push(format!("{} {why:?}", player.id));
    }

    #[msg::view]
    fn view(&self, _: &Player) -> Shown {
        Shown { said: self.said }
    }

    #[msg::route("say")]
    fn say(&mut self, ctx: &mut Ctx, _: PlayerId, say: Say) -> u64 {
        self.said += 1;
        ctx.broadcast(&Line { number: self.said, text: say.text });
        self.said
    }

    #[msg::route("gauge")]
    fn gauge(&mut self, ctx: &mut Ctx, _: PlayerId, gauge: Gauge) -> u64 {
        ctx.publish_latest("gauges", "pressure", &gauge);
        gauge.value
    }

    #[msg::route("story")]
    fn story(&mut self, _: &mut Ctx, _: PlayerId) -> Vec<String> {
        self.story.clone()
    }

    #[msg::route("end")]
    fn end(&mut self, ctx: &mut Ctx, _: PlayerId) {
        ctx.close(&self.said);
    }
}

/// The same, but nobody is waited for longer than a moment.
#[derive(Default, Serialize, Deserialize)]
struct Hasty {}

#[room(kind = "hasty", resume = "200ms", empty_ttl = "1m")]
impl Hasty {}

async fn broker(change: impl FnOnce(&mut Config)) -> Served {
    let mut config = config();
    config.shards = 2;
    change(&mut config);
    parlor::App::new().room::<Diary>().room::<Hasty>().anywhere(&config).await
}

/// A kept session, and what it counts.
struct Kept {
    raw: Raw<DuplexStream>,
    token: String,
    received: u64,
}

impl Kept {
    async fn begin(broker: &Broker) -> Self {
        Self::begin_as(broker, Codec::MsgPack).await
    }

    async fn begin_as(broker: &Broker, codec: Codec) -> Self {
        let raw = Raw::over(broker.connector().connect(), codec).await;
        let (raw, answer) = raw.resume(ResumeWish::default()).await;
        let BrokerFrame::Welcome(welcome) = answer else { panic!("{answer:?}") };
        Self { raw, token: welcome.resume.expect("it was asked for").token, received: 0 }
    }

    async fn join(&mut self, mode: JoinMode, name: &str) -> Joined {
        self.received += 1;
        self.raw.join(mode, name).await
    }

    /// The next frame, counted if it counts.
    async fn hear(&mut self) -> BrokerFrame {
        loop {
            let Heard::Frame(frame) = self.raw.hear().await else { panic!("closed") };
            self.received += u64::from(frame.is_counted());
            if !matches!(frame, BrokerFrame::Acked { .. } | BrokerFrame::Types { .. }) {
                return frame;
            }
        }
    }

    /// Has the room say something, and hears it and the reply.
    async fn says(&mut self, room: RoomNo, text: &str) {
        self.raw.say(&request(room, 90, "say", &Say { text: text.into() })).await;
        assert_eq!(line(&self.hear().await).text, text);
        assert!(matches!(self.hear().await, BrokerFrame::Reply { id: 90, .. }));
    }

    async fn asks(&mut self, room: RoomNo, what: &str) -> BTreeMap<u64, serde_json::Value> {
        self.raw.say(&request(room, 91, what, &())).await;
        loop {
            if let BrokerFrame::Reply { id, payload, .. } = self.hear().await {
                return BTreeMap::from([(id, decoded(&payload))]);
            }
        }
    }

    async fn story(&mut self, room: RoomNo) -> Vec<String> {
        serde_json::from_value(self.asks(room, "story").await.remove(&91).unwrap()).unwrap()
    }

    /// Cuts the connection without a word.
    fn cut(self) -> Gone {
        Gone { token: self.token, received: self.received }
    }
}

/// A client without a connection.
#[derive(Clone)]
struct Gone {
    token: String,
    received: u64,
}

impl Gone {
    async fn back(self, broker: &Broker) -> (Kept, u64, Vec<Recovery>) {
        let received = self.received;
        let (mut kept, taken, rooms) = self.back_with(broker, Some(received)).await;
        kept.received = received;
        (kept, taken, rooms)
    }

    async fn back_with(self, broker: &Broker, received: Option<u64>) -> (Kept, u64, Vec<Recovery>) {
        match self.tries(broker, received).await {
            (raw, BrokerFrame::Resumed { welcome, received, rooms }) => {
                (Kept { raw, token: welcome.resume.unwrap().token, received: 0 }, received, rooms)
            }
            (_, other) => panic!("not resumed but {other:?}"),
        }
    }

    async fn tries(self, broker: &Broker, received: Option<u64>) -> (Raw<DuplexStream>, BrokerFrame) {
        let raw = Raw::over(broker.connector().connect(), Codec::MsgPack).await;
        raw.resume(ResumeWish { token: Some(self.token), received }).await
    }

    async fn finds_it_lost(self, broker: &Broker) -> String {
        match self.tries(broker, Some(0)).await {
            (_, BrokerFrame::Welcome(welcome)) => welcome.lost.expect("a reason"),
            (_, other) => panic!("{other:?}"),
        }
    }
}

fn line(frame: &BrokerFrame) -> Line {
    let BrokerFrame::Publish { payload, .. } = frame else { panic!("no line but {frame:?}") };
    decoded(payload)
}

fn decoded<T: serde::de::DeserializeOwned>(payload: &Bytes) -> T {
    parlor::Payload(payload.clone()).decode().unwrap()
}

fn outcome(rooms: &[Recovery]) -> (Recovered, Option<u64>, Option<&str>) {
    let [room] = rooms else { panic!("{rooms:?}") };
    (room.outcome, room.frames, room.reason.as_deref())
}
