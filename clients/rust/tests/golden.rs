//! The golden frames, through a real client: what it says is compared with them byte by byte, and what it hears is them.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod fake;

use std::collections::BTreeMap;

use bytes::Bytes;
use fake::{ROOM, arena, assert_code, door, kept_in_room, kept_welcome, payload, quiet, session, wish};
use parlor_client::{Codec, LifecycleEvent, Parlor, Place, Room, RoomEvent, ViewReason};
use parlor_protocol::codec::to_payload;
use parlor_protocol::frame::{Joined, TypeRef};
use parlor_protocol::{BrokerFrame, ClientFrame};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Golden {
    name: String,
    direction: Direction,
    json: Box<RawValue>,
    msgpack: String,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Direction {
    ToBroker,
    FromBroker,
}

impl Golden {
    fn wire(&self, codec: Codec) -> Bytes {
        match codec {
            Codec::Json => Bytes::copy_from_slice(self.json.get().as_bytes()),
            Codec::MsgPack => {
                let pairs = self.msgpack.as_bytes().chunks(2);
                pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
            }
        }
    }

    /// The last element, as MessagePack.
    fn payload(&self) -> Bytes {
        let fields: Vec<Value> = serde_json::from_str(self.json.get()).unwrap();
        payload(fields.last().unwrap())
    }
}

fn golden(direction: Direction) -> Vec<Golden> {
    let all: Vec<Golden> = serde_json::from_str(include_str!("../../../protocol/fixtures/frames.json")).unwrap();
    all.into_iter().filter(|golden| golden.direction == direction).collect()
}

/// A type table in which the numbers of all golden publishes and sends are names.
fn large_table() -> Joined {
    let types: Vec<String> = (0..301).map(|n| format!("t{n}")).collect();
    Joined { routes: types.len() as u32, types, ..arena() }
}

async fn in_large_room(codec: Codec) -> (Parlor, Room, fake::Fake) {
    let (parlor, mut fake) = session(quiet().codec(codec)).await;
    let (room, _) = tokio::join!(parlor.join_or_create("arena", &()), fake.admit_to(large_table()));
    let room = room.unwrap();
    (parlor, room, fake)
}

#[tokio::test(start_paused = true)]
async fn golden_sends_are_what_the_client_writes() {
    let (_parlor, room, mut fake) = in_large_room(Codec::MsgPack).await;
    let mut sent = 0;
    for golden in golden(Direction::ToBroker) {
        let wire = golden.wire(Codec::MsgPack);
        let name = match ClientFrame::decode(Codec::MsgPack, &wire).unwrap() {
            ClientFrame::Send { type_: TypeRef::Number(n), .. } if n < 301 => format!("t{n}"),
            ClientFrame::Send { type_: TypeRef::Name(name), .. } => name,
            _ => continue,
        };
        let fields: Vec<Value> = serde_json::from_str(golden.json.get()).unwrap();
        sent += 1;
        assert_eq!(room.send(&name, fields.last().unwrap()).unwrap(), sent);
        assert_eq!(fake.heard_raw().await, wire, "{}", golden.name);
    }
    assert!(sent > 10);
}

#[test]
fn golden_client_frames_are_what_the_encoder_writes() {
    for golden in golden(Direction::ToBroker) {
        for codec in Codec::ALL {
            let frame = ClientFrame::decode(codec, &golden.wire(codec)).unwrap();
            assert_eq!(frame.encode(Codec::MsgPack).unwrap(), golden.wire(Codec::MsgPack), "{}", golden.name);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn golden_room_frames_become_events() {
    for codec in Codec::ALL {
        let (parlor, mut room, mut fake) = in_large_room(codec).await;
        let mut events = 0;
        for golden in golden(Direction::FromBroker) {
            let wire = golden.wire(codec);
            let frame = BrokerFrame::decode(codec, &wire).unwrap();
            let Some(expected) = event(&golden, frame) else { continue };
            fake.say_raw(wire.to_vec()).await;
            let got = room.recv().await;
            assert_eq!(got, Some(expected), "{} {codec:?}", golden.name);
            events += 1;
            if matches!(got, Some(RoomEvent::Closed { .. })) {
                let (again, _) = tokio::join!(parlor.join_or_create("arena", &()), fake.admit_to(large_table()));
                room = again.unwrap();
            }
        }
        assert!(events > 10);
    }
}

/// What the application should see of a frame of [`ROOM`].
fn event(golden: &Golden, frame: BrokerFrame) -> Option<RoomEvent> {
    Some(match frame {
        BrokerFrame::Publish { room: ROOM, place, type_, .. } => {
            let name = format!("t{type_}").into();
            RoomEvent::Message { place, name, key: None, payload: golden.payload() }
        }
        BrokerFrame::Latest { room: ROOM, place, type_, key, .. } => {
            let name = format!("t{type_}").into();
            RoomEvent::Message { place, name, key: Some(key), payload: golden.payload() }
        }
        BrokerFrame::Refused { room: ROOM, place, no, id: None, error } => {
            RoomEvent::Refused { place: Some(place), no, error: *error }
        }
        BrokerFrame::Error { id: None, error } if error.room == Some(ROOM) => {
            RoomEvent::Refused { place: None, no: error.no?, error: *error }
        }
        BrokerFrame::Closed { code, .. } => RoomEvent::Closed { code, result: golden.payload() },
        BrokerFrame::Handled { room: ROOM, no, tick } => RoomEvent::Handled { no, tick },
        _ => return None,
    })
}

#[tokio::test(start_paused = true)]
async fn golden_answers_reach_their_callers() {
    for codec in Codec::ALL {
        for golden in golden(Direction::FromBroker) {
            let wire = golden.wire(codec);
            let (parlor, room, mut fake) = in_large_room(codec).await;
            // Its id is the client's to choose, so the frame is written anew with that id.
            let answer = BrokerFrame::decode(codec, &wire).unwrap();
            let request = room.request::<Value>("t0", &());
            let (reply, answered) = tokio::join!(biased; request, async {
                let id = fake.heard_request().await;
                let (frame, answered) = with_id(answer.clone(), id);
                if answered {
                    fake.say(frame).await;
                } else {
                    drop(fake);
                }
                answered
            });
            match (answer, answered) {
                (BrokerFrame::Reply { .. }, _) => {
                    assert_eq!(to_payload(&reply.unwrap()).unwrap(), golden.payload(), "{}", golden.name);
                }
                (BrokerFrame::Refused { error, .. } | BrokerFrame::Error { error, .. }, true) => {
                    assert_eq!(reply.unwrap_err().failure(), Some(&*error), "{}", golden.name);
                }
                _ => assert_code(reply, "outcome_unknown"),
            }
            drop(parlor);
        }
    }
}

fn with_id(frame: BrokerFrame, id: u64) -> (BrokerFrame, bool) {
    match frame {
        BrokerFrame::Reply { room, place, payload, .. } => (BrokerFrame::Reply { room, place, id, payload }, true),
        BrokerFrame::Refused { room, place, no, id: Some(_), error } => {
            (BrokerFrame::Refused { room, place, no, id: Some(id), error }, true)
        }
        BrokerFrame::Error { id: Some(_), error } => (BrokerFrame::Error { id: Some(id), error }, true),
        other => (other, false),
    }
}

#[tokio::test(start_paused = true)]
async fn golden_joins_open_rooms() {
    for codec in Codec::ALL {
        for golden in golden(Direction::FromBroker) {
            let BrokerFrame::Joined { joined, .. } = BrokerFrame::decode(codec, &golden.wire(codec)).unwrap() else {
                continue;
            };
            let (parlor, mut fake) = session(quiet().codec(codec)).await;
            let (room, _) = tokio::join!(parlor.join_or_create("arena", &()), fake.admit_to(*joined.clone()));
            let room = room.unwrap();
            assert_eq!((room.id(), room.number(), room.role()), (&joined.id, joined.room, joined.role));
            assert_eq!((room.place().seq, room.place().index), (joined.seq, joined.index));
            let properties: &BTreeMap<_, _> = room.properties();
            assert_eq!(*properties, joined.properties, "{}", golden.name);
            assert_eq!(room.invite(), joined.invite.as_deref());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn golden_views_become_events() {
    for codec in Codec::ALL {
        for golden in golden(Direction::FromBroker) {
            let wire = golden.wire(codec);
            let BrokerFrame::View { joined, handled, .. } = BrokerFrame::decode(codec, &wire).unwrap() else {
                continue;
            };
            let (_parlor, mut room, mut fake) = in_large_room(codec).await;
            fake.say_raw(wire.to_vec()).await;
            let place = Place { seq: joined.seq, index: joined.index };
            let (view, why) = (golden.payload(), ViewReason::FellBehind);
            assert_eq!(room.recv().await, Some(RoomEvent::View { place, view, handled, why }), "{}", golden.name);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn golden_welcomes_begin_sessions() {
    for codec in Codec::ALL {
        for golden in golden(Direction::FromBroker) {
            let wire = golden.wire(codec);
            let BrokerFrame::Welcome(welcome) = BrokerFrame::decode(codec, &wire).unwrap() else { continue };
            let (connector, mut door) = door();
            let (parlor, _fake) = tokio::join!(Parlor::through(connector, quiet().codec(codec)), async {
                let (mut fake, _) = door.accept().await;
                fake.say_raw(wire.to_vec()).await;
                fake
            });
            let parlor = parlor.unwrap();
            let said = [welcome.session, welcome.account, welcome.server];
            assert_eq!([parlor.session(), parlor.account(), parlor.server()], said, "{}", golden.name);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn golden_resumptions_are_taken_up() {
    const MOST: u64 = 100;
    for golden in golden(Direction::FromBroker) {
        let wire = golden.wire(Codec::MsgPack);
        let BrokerFrame::Resumed { received, rooms, .. } = BrokerFrame::decode(Codec::MsgPack, &wire).unwrap() else {
            continue;
        };
        let (parlor, room, mut fake, mut door) = kept_in_room(quiet()).await;
        // As many frames as the broker will say it has.
        for n in 1..received.min(MOST) {
            room.send("move", &n).unwrap();
            fake.heard().await;
        }
        let mut lifecycle = parlor.lifecycle();
        drop(fake);
        let (mut fake, _) = door.accept_again().await;
        fake.say_raw(wire.to_vec()).await;
        assert!(matches!(lifecycle.recv().await, Some(LifecycleEvent::Disconnected { .. })));
        match lifecycle.recv().await.unwrap() {
            LifecycleEvent::Resumed { rooms: told } => assert_eq!(told, rooms, "{}", golden.name),
            // So many were never written.
            LifecycleEvent::Closed(end) => assert!(received > MOST && end.code == 1002, "{}", golden.name),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_client_comes_back_with_golden_frames() {
    let golden = golden(Direction::ToBroker);
    let wire = |name: &str| golden.iter().find(|golden| golden.name == name).unwrap().wire(Codec::MsgPack);
    let (_parlor, mut room, mut fake, mut door) = kept_in_room(quiet()).await;
    for n in 0..16 {
        fake.publish(2, &n).await;
        room.recv().await.unwrap();
    }
    drop(fake);
    let (mut fake, asked) = door.accept_again().await;
    assert_eq!(asked, wish("t1", 17));
    let welcome = kept_welcome("AAAAAAAAAAE");
    fake.say(BrokerFrame::Resumed { welcome: Box::new(welcome), received: 1, rooms: vec![] }).await;
    assert_eq!(fake.heard_raw().await, wire("ack"));
    drop(fake);
    let (_, asked) = door.accept_again().await;
    let ClientFrame::Hello(hello) = ClientFrame::decode(Codec::MsgPack, &wire("hello_resume")).unwrap() else {
        panic!()
    };
    assert_eq!(Some(asked), hello.resume);
}
