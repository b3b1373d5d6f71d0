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
    Welcome(Box<Welcome>),
    Joined { id: u64, joined: Box<Joined>, view: Bytes },
    Types { room: RoomNo, first: u32, names: Vec<String> },
    Publish { room: RoomNo, place: Place, type_: u32, payload: Bytes },
    Reply { room: RoomNo, place: Place, id: u64, payload: Bytes },
    Refused { room: RoomNo, place: Place, no: u64, id: Option<u64>, error: Box<Failure> },
    Closed { room: RoomNo, place: Place, code: String, result: Bytes },
    Error { id: Option<u64>, error: Box<Failure> },
    Done { id: u64 },
    Pong { time: f64, server_time: u64 },
    Handled { room: RoomNo, no: u64, tick: u64 },
    Acked { received: u64 },
    Resumed { welcome: Box<Welcome>, received: u64, rooms: Vec<Recovery> },
    View { joined: Box<Joined>, handled: u64, view: Bytes },
    Latest { room: RoomNo, place: Place, type_: u32, key: String, payload: Bytes },
}

impl BrokerFrame {
    /// Whether the frame counts for the position that a client acknowledges and resumes from.
    pub fn is_counted(&self) -> bool {
        !matches!(
            self,
            Self::Welcome(_) | Self::Pong { .. } | Self::Acked { .. } | Self::Resumed { .. } | Self::Latest { .. }
        )
    }
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
    /// Milliseconds since 1970 after which the token no longer holds, if it has an end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// How the session can be taken up again, if the client asked for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<ResumeTerms>,
    /// Why the session that was to be taken up is not there any more; this one is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<String>,
}

/// What a client needs to come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumeTerms {
    /// To be shown on the next connection.
    pub token: String,
    /// The client acknowledges at the latest after so many counted frames …
    pub ack_frames: u64,
    /// … or so many bytes of them.
    pub ack_bytes: u64,
}

/// What became of one room while the client was away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// The room.
    pub room: RoomNo,
    /// How many of the client's messages to it the broker has counted.
    pub no: u64,
    /// What comes now.
    pub outcome: Recovered,
    /// With [`Recovered::Frames`]: how many frames of the room were missed and follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames: Option<u64>,
    /// With [`Recovered::Lost`]: the code of the `closed` frame that ended the membership.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The outcome of a resume for one room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Recovered {
    /// Everything that was missed follows, in order.
    #[serde(rename = "recovered")]
    Frames,
    /// A fresh view follows.
    #[serde(rename = "view")]
    View,
    /// The membership has ended.
    #[serde(rename = "lost")]
    Lost,
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
    /// The code with which others may join, in rooms that are joined that way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invite: Option<String>,
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
            Self::Acked { received } => frame.begin(2, op::ACKED).uint(*received),
            Self::Resumed { welcome, received, rooms } => {
                frame.begin(4, op::RESUMED).value(welcome).uint(*received).value(rooms)
            }
            Self::View { joined, handled, view } => frame.begin(4, op::VIEW).value(joined).uint(*handled).payload(view),
            Self::Latest { room, place, type_, key, payload } => {
                placed(frame.begin(7, op::LATEST), *room, *place).uint(*type_).value(key).payload(payload)
            }
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
            op::ACKED => Self::Acked { received: f.uint("received")? },
            op::RESUMED => {
                Self::Resumed { welcome: f.value("welcome")?, received: f.uint("received")?, rooms: f.value("rooms")? }
            }
            op::VIEW => Self::View { joined: f.value("joined")?, handled: f.uint("handled")?, view: f.payload()? },
            op::LATEST => {
                let (room, place) = place(f)?;
                let (type_, key) = (f.uint32("type")?, f.value("key")?);
                Self::Latest { room, place, type_, key, payload: f.payload()? }
            }
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
