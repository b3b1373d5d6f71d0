//! Frames from the broker to a client.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::client::Role;
use super::{FrameError, op};
use crate::codec::{Codec, FrameReader, FrameWriter, NotRepresentable};
use crate::failure::Failure;
use crate::id::{Place, PlayerId, RoomId, RoomNo, Seq};

/// What the broker says. Payloads are MessagePack, whatever the connection's codec.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "PROTOCOL.md describes each frame")]
pub enum BrokerFrame {
    Welcome(Welcome),
    Joined { id: u64, joined: Joined, view: Bytes },
    Types { room: RoomNo, first: u32, names: Vec<String> },
    Publish { room: RoomNo, place: Place, type_: u32, payload: Bytes },
    Reply { room: RoomNo, place: Place, id: u64, payload: Bytes },
    Refused { room: RoomNo, place: Place, no: u64, id: Option<u64>, error: Failure },
    Closed { room: RoomNo, place: Place, code: String, result: Bytes },
    Error { id: Option<u64>, error: Failure },
    Done { id: u64 },
    Pong { time: f64, server_time: u64 },
    Handled { room: RoomNo, no: u64, tick: u64 },
}

/// The answer to hello.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The session's name.
    pub session: String,
    /// The user's account.
    pub account: String,
    /// Broker and version.
    pub server: String,
    /// The server's clock in milliseconds since 1970.
    pub time: u64,
    /// The largest frame in bytes that the broker takes.
    pub max_frame: u64,
}

/// What a new member learns about its room.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Joined {
    /// The room's number in all later frames.
    pub room: RoomNo,
    /// The room's public name.
    pub id: RoomId,
    /// The room's kind.
    pub kind: String,
    /// The joiner's own number.
    pub player: PlayerId,
    /// Player or spectator.
    pub role: Role,
    /// The place as of which the view is: its input …
    pub seq: Seq,
    /// … and its index.
    pub index: u32,
    /// How many of `types` may be sent by number.
    pub routes: u32,
    /// The room's type table.
    pub types: Vec<String>,
    /// What the lobby shows of the room.
    pub properties: BTreeMap<String, serde_json::Value>,
}

impl BrokerFrame {
    /// Writes the frame behind whatever `out` holds already.
    ///
    /// # Errors
    /// [`NotRepresentable`] when a payload has no JSON form; what was appended is then to be thrown away.
    pub fn encode_into(&self, codec: Codec, out: &mut Vec<u8>) -> Result<(), NotRepresentable> {
        let frame = FrameWriter::new(codec, out);
        match self {
            Self::Publish { room, place, type_, payload } => {
                placed(frame.begin(6, op::PUBLISH), *room, *place).uint(*type_).payload(payload)
            }
            Self::Reply { room, place, id, payload } => {
                placed(frame.begin(6, op::REPLY), *room, *place).uint(*id).payload(payload)
            }
            Self::Refused { room, place, no, id, error } => {
                placed(frame.begin(7, op::REFUSED), *room, *place).uint(*no).value(id).value(error)
            }
            Self::Closed { room, place, code, result } => {
                placed(frame.begin(6, op::CLOSED), *room, *place).value(code).payload(result)
            }
            Self::Welcome(welcome) => frame.begin(2, op::WELCOME).value(welcome),
            Self::Joined { id, joined, view } => frame.begin(4, op::JOINED).uint(*id).value(joined).payload(view),
            Self::Types { room, first, names } => frame.begin(4, op::TYPES).uint(room.0).uint(*first).value(names),
            Self::Error { id, error } => frame.begin(3, op::ERROR).value(id).value(error),
            Self::Done { id } => frame.begin(2, op::DONE).uint(*id),
            Self::Pong { time, server_time } => frame.begin(3, op::PONG).value(time).uint(*server_time),
            Self::Handled { room, no, tick } => frame.begin(4, op::HANDLED).uint(room.0).uint(*no).uint(*tick),
        }
        .finish()
    }

    /// Reads one frame.
    ///
    /// # Errors
    /// [`FrameError`], for any bytes whatever.
    pub fn decode(codec: Codec, frame: &Bytes) -> Result<Self, FrameError> {
        let mut fields = FrameReader::open(codec, frame)?;
        let f = &mut fields;
        let number = f.uint("op")?;
        Ok(match u8::try_from(number).unwrap_or(0) {
            op::PUBLISH => {
                let (room, place) = place(f)?;
                Self::Publish { room, place, type_: f.uint32("type")?, payload: f.payload()? }
            }
            op::REPLY => {
                let (room, place) = place(f)?;
                Self::Reply { room, place, id: f.uint("id")?, payload: f.payload()? }
            }
            op::REFUSED => {
                let (room, place) = place(f)?;
                Self::Refused { room, place, no: f.uint("no")?, id: f.value("id")?, error: f.value("error")? }
            }
            op::CLOSED => {
                let (room, place) = place(f)?;
                Self::Closed { room, place, code: f.value("code")?, result: f.payload()? }
            }
            op::WELCOME => Self::Welcome(f.value("welcome")?),
            op::JOINED => Self::Joined { id: f.uint("id")?, joined: f.value("joined")?, view: f.payload()? },
            op::TYPES => {
                Self::Types { room: RoomNo(f.uint32("room")?), first: f.uint32("first")?, names: f.value("names")? }
            }
            op::ERROR => Self::Error { id: f.value("id")?, error: f.value("error")? },
            op::DONE => Self::Done { id: f.uint("id")? },
            op::PONG => Self::Pong { time: f.value("time")?, server_time: f.uint("server_time")? },
            op::HANDLED => Self::Handled { room: RoomNo(f.uint32("room")?), no: f.uint("no")?, tick: f.uint("tick")? },
            _ => return Err(FrameError::UnknownOp(number)),
        })
    }
}

fn placed<'a>(frame: FrameWriter<'a>, room: RoomNo, place: Place) -> FrameWriter<'a> {
    frame.uint(room.0).uint(place.seq.0).uint(place.index)
}

fn place(fields: &mut FrameReader<'_>) -> Result<(RoomNo, Place), FrameError> {
    let room = RoomNo(fields.uint32("room")?);
    let place = Place { seq: Seq(fields.uint("seq")?), index: fields.uint32("index")? };
    Ok((room, place))
}
