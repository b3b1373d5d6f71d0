//! Frames from a client to the broker.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{FrameError, op};
use crate::codec::{Codec, FrameReader, FrameWriter, NotRepresentable};
use crate::id::RoomNo;
use crate::limits::{MAX_LABEL, MAX_NAME};

/// What a client says. Payloads are MessagePack, whatever the connection's codec.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "PROTOCOL.md describes each frame")]
pub enum ClientFrame {
    Hello(Hello),
    Join { id: u64, join: Join, options: Bytes },
    Leave { room: RoomNo },
    Send { room: RoomNo, type_: TypeRef, payload: Bytes },
    Request { room: RoomNo, type_: TypeRef, id: u64, payload: Bytes },
    Subscribe { id: u64, room: RoomNo, topic: String },
    Unsubscribe { id: u64, room: RoomNo, topic: String },
    Ping { time: f64 },
    Ack { received: u64 },
    Token { id: u64, token: String },
}

/// Who speaks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Library and version.
    pub client: String,
    /// The game's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub game: Option<String>,
    /// The name that other players may see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Proof of who the user is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// That the session shall outlive its connections; the client then acknowledges what it gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<ResumeWish>,
}

/// A session to take up again, or to be kept from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumeWish {
    /// The newest resume token of the session; none for a new session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Counted frames that the client has had in this session; none when it remembers nothing and wants fresh views.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<u64>,
}

/// Which room to join, and as what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// How the room is found.
    pub mode: JoinMode,
    /// The room's kind, for the modes that may make one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The room's invite code, for [`JoinMode::Invite`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invite: Option<String>,
    /// The ticket, for [`JoinMode::Ticket`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// The room's id, for [`JoinMode::Id`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    /// Player or spectator.
    #[serde(default)]
    pub role: Role,
    /// Whether a created room is hidden.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub private: bool,
}

/// How a room is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JoinMode {
    /// An open room of the kind, or a new one.
    FindOrCreate,
    /// Always a new room.
    Create,
    /// The room with this id.
    Id,
    /// The room that has this invite code.
    Invite,
    /// The room that the ticket is for.
    Ticket,
}

/// What a member is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Holds a seat and may send.
    #[default]
    Player,
    /// Sees what is broadcast, holds no seat, sends nothing.
    Spectator,
}

/// A message type as the client names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeRef {
    /// By its place in the room's type table.
    Number(u32),
    /// By its name.
    Name(String),
}

impl ClientFrame {
    /// Reads one frame.
    ///
    /// # Errors
    /// [`FrameError`], for any bytes whatever.
    pub fn decode(codec: Codec, frame: &Bytes) -> Result<Self, FrameError> {
        let mut fields = FrameReader::open(codec, frame)?;
        let number = fields.uint("op")?;
        Ok(match u8::try_from(number).unwrap_or(0) {
            op::SEND => Self::Send {
                room: RoomNo(fields.uint32("room")?),
                type_: named(&mut fields)?,
                payload: fields.payload()?,
            },
            op::REQUEST => Self::Request {
                room: RoomNo(fields.uint32("room")?),
                type_: named(&mut fields)?,
                id: fields.uint("id")?,
                payload: fields.payload()?,
            },
            op::PING => Self::Ping { time: fields.value("time")? },
            op::HELLO => Self::Hello(fields.value::<Hello>("hello")?.checked()?),
            op::JOIN => Self::Join {
                id: fields.uint("id")?,
                join: fields.value::<Join>("join")?.checked()?,
                options: fields.payload()?,
            },
            op::LEAVE => Self::Leave { room: RoomNo(fields.uint32("room")?) },
            op::SUBSCRIBE => {
                let (id, room, topic) = topic(&mut fields)?;
                Self::Subscribe { id, room, topic }
            }
            op::UNSUBSCRIBE => {
                let (id, room, topic) = topic(&mut fields)?;
                Self::Unsubscribe { id, room, topic }
            }
            op::ACK => Self::Ack { received: fields.uint("received")? },
            op::TOKEN => Self::Token { id: fields.uint("id")?, token: fields.value("token")? },
            _ => return Err(FrameError::UnknownOp(number)),
        })
    }

    /// Writes the frame.
    ///
    /// # Errors
    /// [`NotRepresentable`] when a payload has no JSON form.
    pub fn encode(&self, codec: Codec) -> Result<Vec<u8>, NotRepresentable> {
        let mut out = Vec::with_capacity(64);
        let frame = FrameWriter::new(codec, &mut out);
        match self {
            Self::Hello(hello) => frame.begin(2, op::HELLO).value(hello),
            Self::Join { id, join, options } => frame.begin(4, op::JOIN).uint(*id).value(join).payload(options),
            Self::Leave { room } => frame.begin(2, op::LEAVE).uint(room.0),
            Self::Send { room, type_, payload } => frame.begin(4, op::SEND).uint(room.0).value(type_).payload(payload),
            Self::Request { room, type_, id, payload } => {
                frame.begin(5, op::REQUEST).uint(room.0).value(type_).uint(*id).payload(payload)
            }
            Self::Subscribe { id, room, topic } => frame.begin(4, op::SUBSCRIBE).uint(*id).uint(room.0).value(topic),
            Self::Unsubscribe { id, room, topic } => {
                frame.begin(4, op::UNSUBSCRIBE).uint(*id).uint(room.0).value(topic)
            }
            Self::Ping { time } => frame.begin(2, op::PING).value(time),
            Self::Ack { received } => frame.begin(2, op::ACK).uint(*received),
            Self::Token { id, token } => frame.begin(3, op::TOKEN).uint(*id).value(token),
        }
        .finish()?;
        Ok(out)
    }
}

impl Hello {
    fn checked(self) -> Result<Self, FrameError> {
        short("client", Some(&self.client), MAX_LABEL)?;
        short("game", self.game.as_ref(), MAX_LABEL)?;
        short("name", self.name.as_ref(), MAX_LABEL)?;
        Ok(self)
    }
}

impl Join {
    fn checked(self) -> Result<Self, FrameError> {
        short("kind", self.kind.as_ref(), MAX_NAME)?;
        short("room", self.room.as_ref(), MAX_NAME)?;
        short("invite", self.invite.as_ref(), MAX_NAME)?;
        Ok(self)
    }
}

impl Serialize for TypeRef {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(n) => out.serialize_u32(*n),
            Self::Name(name) => out.serialize_str(name),
        }
    }
}

fn named(fields: &mut FrameReader<'_>) -> Result<TypeRef, FrameError> {
    let type_ = fields.type_ref()?;
    if let TypeRef::Name(name) = &type_ {
        short("type", Some(name), MAX_NAME)?;
    }
    Ok(type_)
}

fn topic(fields: &mut FrameReader<'_>) -> Result<(u64, RoomNo, String), FrameError> {
    let (id, room) = (fields.uint("id")?, RoomNo(fields.uint32("room")?));
    let topic: String = fields.value("topic")?;
    short("topic", Some(&topic), MAX_NAME)?;
    Ok((id, room, topic))
}

fn short(name: &'static str, text: Option<&String>, max: usize) -> Result<(), FrameError> {
    if text.is_none_or(|text| text.len() <= max) { Ok(()) } else { Err(FrameError::TooLong(name)) }
}
