//! A room as its handler sees it: inputs in, an outcome with outputs out.
//!
//! These types are what passes between the broker's room actor and whatever runs the handler, in the same process or not. How they
//! are encoded is part of the worker protocol: PROTOCOL.md describes it, and `fixtures/worker-frames.json` pins it.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::frame::Role;
use crate::id::{Place, PlayerId, RoomId, Seq};

/// One thing that may change a room, at its place in the room's only order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// Position, from 1, without gaps.
    pub seq: Seq,
    /// Milliseconds since 1970 when the broker numbered it; never less than an earlier input's.
    pub now_ms: u64,
    /// What happened.
    pub cause: Cause,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The room begins. Always input 1, never again.
    Open {
        /// The room's public name.
        room: RoomId,
        /// From which all the room's randomness derives. At most 2^53 - 1, as all integers on a wire.
        seed: u64,
        /// What the creator asked for.
        options: Bytes,
    },
    /// Somebody asks to come in.
    Join {
        /// Who.
        player: Player,
        /// What the joiner said.
        options: Bytes,
        /// The ticket that let it in, used up by this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ticket: Option<UsedTicket>,
    },
    /// A member has lost its connection; its seat is kept for the policy's `resume`.
    Drop {
        /// Who.
        player: PlayerId,
    },
    /// A member is back.
    Resume {
        /// Who.
        player: PlayerId,
    },
    /// A member has missed so much that it needs a fresh view. Changes nothing; it has a place in the order, as of which the view is.
    View {
        /// Who.
        player: PlayerId,
    },
    /// A member is gone.
    Leave {
        /// Who.
        player: PlayerId,
        /// Why.
        why: Leave,
    },
    /// A member said something.
    Message {
        /// Whose message it is, and what it asks.
        from: Origin,
        /// Its type.
        name: Arc<str>,
        /// MessagePack.
        payload: Bytes,
    },
    /// A member begins or ceases to follow a topic that clients may choose. The handler does not see this; it is an input
    /// because it changes who gets what is published later.
    Follow {
        /// Who.
        player: PlayerId,
        /// Which.
        topic: Topic,
        /// Whether from now on it follows.
        follows: bool,
    },
    /// The room's clock ticked.
    Tick {
        /// Ticks so far, this one included.
        count: u64,
        /// Microseconds since the tick before, or since ticking began.
        elapsed_us: u64,
    },
    /// A timer of the handler's is due.
    Timer {
        /// Which.
        id: TimerId,
        /// The event that it was set for.
        event: Cow<'static, str>,
        /// The event's payload.
        payload: Bytes,
    },
    /// Outside work that the handler asked for has ended.
    Work {
        /// Which.
        id: WorkId,
        /// The work function's name.
        name: Cow<'static, str>,
        /// What came of it.
        #[serde(with = "Ended")]
        result: Result<Bytes, Box<Failure>>,
    },
    /// The server side says something.
    Event {
        /// The event.
        name: Arc<str>,
        /// Its payload.
        payload: Bytes,
    },
    /// Somebody outside wants the room closed.
    Close {
        /// Why.
        why: CloseWhy,
        /// Milliseconds until it is closed anyway.
        grace_ms: u64,
    },
}

/// A ticket that has let somebody in: the room remembers it until it would have expired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedTicket {
    /// The ticket's own id.
    pub id: String,
    /// Seconds since 1970 after which it would let nobody in anyway.
    pub expires_s: u64,
}

/// A member of a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Player {
    /// Its number in this room.
    pub id: PlayerId,
    /// The account that it belongs to.
    pub account: String,
    /// The name that others may see.
    pub name: String,
    /// Player or spectator.
    pub role: Role,
}

/// Where a client message came from, and where its answer goes. Serializable, so that a deferred reply can be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// The sender.
    pub player: PlayerId,
    /// The sender's number of the message.
    pub no: u64,
    /// The id to answer to, when it is a request.
    pub request: Option<u64>,
}

/// Why a member is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leave {
    /// It asked to leave.
    Left,
    /// Its connection ended, and it did not come back in time.
    Disconnected,
    /// Another session of the same account has joined.
    Replaced,
    /// The handler sent it away.
    Kicked,
}

/// Why a room is to be closed from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseWhy {
    /// An operator or the game's backend asked for it.
    Requested,
    /// Nobody has been in it for the policy's `empty_ttl`.
    Empty,
    /// The broker is shutting down.
    ShuttingDown,
}

/// A timer: the place of the output that set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TimerId(pub Place);

/// A piece of outside work: the place of the output that asked for it, which makes a good idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WorkId(pub Place);

/// What a handler made of one input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Whether it worked.
    #[serde(rename = "fault", default = "fault::none", skip_serializing_if = "Result::is_ok", with = "fault")]
    pub result: Result<(), Fault>,
    /// In order; none when it did not work.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<Output>,
    /// What a member gets to see, after a join or a [`Cause::View`] that worked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<Bytes>,
}

impl Outcome {
    /// An outcome without outputs.
    pub fn failed(fault: Fault) -> Self {
        Self { result: Err(fault), outputs: Vec::new(), view: None }
    }

    /// Whether later inputs must not be handled before this has taken effect: a member is sent away, the room ends, or the handler
    /// panicked, which the policy may answer by ending the room. What is handled behind such an outcome is void.
    pub fn cuts(&self) -> bool {
        matches!(self.result, Err(Fault::Panicked(_)))
            || self.outputs.iter().any(|output| matches!(output, Output::Kick { .. } | Output::Close { .. }))
    }
}

/// How a result travels: as `{ok: …}` or `{error: …}`.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Result", rename_all = "snake_case")]
enum Ended<T, E> {
    Ok(T),
    #[serde(rename = "error")]
    Err(E),
}

/// How an outcome says that it worked: by naming no fault.
mod fault {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Fault;

    pub(super) fn none() -> Result<(), Fault> {
        Ok(())
    }

    pub(super) fn serialize<S: Serializer>(result: &Result<(), Fault>, out: S) -> Result<S::Ok, S::Error> {
        result.as_ref().err().serialize(out)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Result<(), Fault>, D::Error> {
        Ok(Option::deserialize(from)?.map_or(Ok(()), Err))
    }
}

/// Why an input did not work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The handler refused it: the sender's affair.
    Refused(Box<Failure>),
    /// The handler panicked, with this text.
    Panicked(String),
}

/// One thing that a handler wants done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// A message for members.
    Publish {
        /// For whom.
        to: Audience,
        /// The message's type.
        name: Cow<'static, str>,
        /// MessagePack.
        payload: Bytes,
    },
    /// The newest value of a key in a `latest` topic: for those who follow it, now or later.
    Latest {
        /// Which topic.
        topic: Topic,
        /// Which of its values.
        key: String,
        /// The message's type.
        name: Cow<'static, str>,
        /// MessagePack.
        payload: Bytes,
    },
    /// A key of a `latest` topic has no value any more.
    Forget {
        /// Which topic.
        topic: Topic,
        /// Which of its values.
        key: String,
    },
    /// The answer to a request.
    Reply {
        /// Which.
        to: Origin,
        /// MessagePack.
        payload: Bytes,
    },
    /// The refusal of a message after it was handled.
    Refuse {
        /// Which.
        to: Origin,
        /// Why.
        error: Box<Failure>,
    },
    /// From now on the player gets just these topics, beside those that it chose itself.
    SetTopics {
        /// Who.
        player: PlayerId,
        /// Which.
        topics: Vec<Topic>,
    },
    /// Set a timer; its id is this output's place.
    After {
        /// Milliseconds from the input's time.
        delay_ms: u64,
        /// The event to raise.
        event: Cow<'static, str>,
        /// The event's payload.
        payload: Bytes,
    },
    /// Take a timer back.
    Cancel {
        /// Which.
        timer: TimerId,
    },
    /// Do something outside the room; its id is this output's place.
    Run {
        /// The work function.
        name: Cow<'static, str>,
        /// Its arguments.
        arguments: Bytes,
    },
    /// Send a member away.
    Kick {
        /// Who.
        player: PlayerId,
        /// What it is told.
        reason: Bytes,
    },
    /// End the room.
    Close {
        /// What the members are told.
        result: Bytes,
    },
    /// Change what the lobby shows of the room; null removes.
    SetProperty {
        /// Which.
        name: String,
        /// To what.
        value: serde_json::Value,
    },
    /// Whether newcomers may come in.
    Lock(Door),
}

/// For whom a publish is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// All members.
    All,
    /// All members but these.
    AllBut(Vec<PlayerId>),
    /// One member.
    One(PlayerId),
    /// The members that follow a topic.
    Topic(Topic),
}

/// Whether newcomers may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Door {
    /// They may.
    Open,
    /// They may not.
    Locked,
}

/// What a member may be interested in. Names may be offered to clients; cells are for the server's own use.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// A named topic.
    Name(Arc<str>),
    /// A place on a grid, or any pair of numbers.
    Cell(i32, i32),
}

impl From<&str> for Topic {
    fn from(name: &str) -> Self {
        Self::Name(name.into())
    }
}

impl From<String> for Topic {
    fn from(name: String) -> Self {
        Self::Name(name.into())
    }
}

impl From<(i32, i32)> for Topic {
    fn from((x, y): (i32, i32)) -> Self {
        Self::Cell(x, y)
    }
}
