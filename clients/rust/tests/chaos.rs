//! A connection that is cut again and again, against a small broker that keeps its side of the protocol: everything arrives
//! once and in order, in both directions.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod fake;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fake::{Door, Fake, ROOM, arena, door, idle, kept_welcome, payload, quiet};
use futures_util::{SinkExt, StreamExt};
use parlor_client::{ClientError, Parlor, Place, RoomEvent, Seq};
use parlor_protocol::codec::NIL;
use parlor_protocol::frame::{ResumeTerms, ResumeWish, Welcome};
use parlor_protocol::{BrokerFrame, ClientFrame, Codec};
use tokio_tungstenite::tungstenite::Message;

const MESSAGES: u32 = 300;

/// A session as a broker keeps it. What it says is what it was told: each send is published, each request answered.
struct Session {
    random: u64,
    codec: Codec,
    taken: u64,
    token: u64,
    said: Vec<BrokerFrame>,
    acked: u64,
    cuts: Arc<AtomicU32>,
}

impl Session {
    /// True once in so many times.
    fn chance(&mut self, of: u64) -> bool {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33).is_multiple_of(of)
    }

    /// Takes one connection after the other.
    async fn serve(mut self, mut door: Door) {
        loop {
            let (fake, hello) = door.accept().await;
            if self.talk(fake, hello.resume.unwrap()).await.is_none() {
                self.cuts.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// One connection; none when it was cut.
    async fn talk(&mut self, mut fake: Fake, wish: ResumeWish) -> Option<()> {
        let mut next = wish.received.unwrap_or(0);
        // All that was acknowledged was received, and no more than was said.
        assert!(self.acked <= next && next <= self.said.len() as u64);
        let token = format!("t{}", self.token + 1);
        let terms = ResumeTerms { token, ack_frames: 8, ack_bytes: 65_536 };
        let welcome = Welcome { resume: Some(terms), ..kept_welcome("") };
        let answer = match wish.token {
            None => BrokerFrame::Welcome(Box::new(welcome)),
            Some(shown) => {
                // The newest, or the one before when the newest did not arrive.
                assert!(shown == format!("t{}", self.token) || shown == format!("t{}", self.token - 1), "{shown}");
                BrokerFrame::Resumed { welcome: Box::new(welcome), received: self.taken, rooms: vec![] }
            }
        };
        // Should the client not hear of it, it comes with the old one again.
        let kept = self.token;
        self.write(&mut fake, &answer).await?;
        self.token = kept + 1;
        loop {
            while let Some(frame) = self.said.get(usize::try_from(next).unwrap()).cloned() {
                self.write(&mut fake, &frame).await?;
                next += 1;
            }
            let Some(Ok(Message::Binary(bytes))) = fake.stream.next().await else { return Some(()) };
            self.take(ClientFrame::decode(self.codec, &bytes).unwrap());
            if self.taken.is_multiple_of(8) {
                self.write(&mut fake, &BrokerFrame::Acked { received: self.taken }).await?;
            }
        }
    }

    /// Writes a frame; or only a part of it, or nothing, and then nothing more.
    async fn write(&mut self, fake: &mut Fake, frame: &BrokerFrame) -> Option<()> {
        let mut out = Vec::new();
        frame.encode_into(self.codec, &mut out).unwrap();
        if self.chance(25) {
            if self.chance(2) {
                let _ = fake.sink.feed(Message::Binary(out.into())).await;
            }
            return None;
        }
        // The client may have been cut off while it was written.
        fake.sink.send(Message::Binary(out.into())).await.ok()
    }

    fn take(&mut self, frame: ClientFrame) {
        let place = Place { seq: Seq(self.taken + 5), index: 0 };
        match frame {
            ClientFrame::Ack { received } => {
                assert!(self.acked <= received && received <= self.said.len() as u64);
                self.acked = received;
                return;
            }
            ClientFrame::Ping { .. } => return,
            ClientFrame::Join { id, .. } => {
                self.said.push(BrokerFrame::Joined { id, joined: Box::new(arena()), view: NIL });
            }
            ClientFrame::Send { payload, .. } => {
                self.said.push(BrokerFrame::Publish { room: ROOM, place, type_: 2, payload });
            }
            ClientFrame::Request { id, payload, .. } => {
                self.said.push(BrokerFrame::Reply { room: ROOM, place, id, payload });
            }
            other => panic!("{other:?}"),
        }
        self.taken += 1;
    }
}

#[tokio::test(start_paused = true)]
async fn everything_arrives_once_and_in_order_however_often_it_is_cut() {
    let cuts = Arc::new(AtomicU32::new(0));
    for seed in 0..40 {
        let (connector, door) = door();
        let codec = Codec::MsgPack;
        let cuts = Arc::clone(&cuts);
        let session = Session { random: seed, codec, taken: 0, token: 0, said: vec![], acked: 0, cuts };
        let broker = tokio::spawn(session.serve(door));
        let day = Duration::from_secs(86_400);
        let options = quiet().request_timeout(day).reconnect_for(day).send_frames(64).seed(seed);
        let Ok(parlor) = Parlor::through(connector, options).await else {
            // Cut before there was a session.
            broker.abort();
            continue;
        };
        let mut room = parlor.join_or_create("arena", &()).await.unwrap();
        let sender = room.sender().clone();
        let sending = async {
            let mut n = 0;
            while n < MESSAGES {
                match sender.send("move", &n) {
                    Ok(no) => {
                        n += 1;
                        assert!(no >= u64::from(n));
                    }
                    Err(ClientError::BufferFull) => tokio::time::sleep(Duration::from_millis(300)).await,
                    Err(error) => panic!("{error}"),
                }
                if n % 7 == 0 {
                    idle().await;
                }
            }
        };
        let asking = async {
            for n in 0..MESSAGES / 10 {
                match sender.request::<u32>("buy", &n).await {
                    Ok(reply) => assert_eq!(reply, n),
                    Err(ClientError::BufferFull) => tokio::time::sleep(Duration::from_secs(1)).await,
                    Err(error) => panic!("{error}"),
                }
            }
        };
        let reading = async {
            for n in 0..MESSAGES {
                let Some(RoomEvent::Message { payload: said, .. }) = room.recv().await else { panic!() };
                assert_eq!(said, payload(&n), "seed {seed}");
            }
        };
        tokio::join!(sending, asking, reading);
        idle().await;
        assert_eq!(room.try_recv(), None);
        assert!(!broker.is_finished(), "the broker saw something wrong");
        broker.abort();
    }
    assert!(cuts.load(Ordering::Relaxed) > 500, "{cuts:?} cuts");
}
