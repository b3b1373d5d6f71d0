//! What a client says and what it is answered, without the socket. Knows rooms by their handles only.

mod entry;
mod rooms;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use parlor_protocol::frame::Role;
use parlor_protocol::room::Leave;
use parlor_protocol::{BrokerFrame, ClientFrame, CloseCode, Codec, ErrorCode, Failure, FrameError, RoomNo};
use tokio::time::Instant;

use super::Sessions;
use super::rate::{Bucket, Rate};
use crate::auth::Identity;
use crate::config::Limits;
use crate::outbox::Outbox;
use crate::room::{Arrival, MemberSlot, Membership, Registry, RoomHandle};
use crate::shard::ShardNo;
use crate::wire;

pub(super) use entry::{Checking, Entrance, Target};

/// How long a session that is in no room is kept for its client to come back.
const ROOMLESS: Duration = Duration::from_secs(30);

/// One client's side of the talk.
pub(super) struct Conversation {
    sessions: Arc<Sessions>,
    outbox: Arc<Outbox>,
    number: u64,
    who: Option<Who>,
    rooms: BTreeMap<RoomNo, InRoom>,
    /// Memberships that it has asked to end, until their rooms have let it go: so nobody joins and leaves faster than rooms can follow.
    leaving: Vec<Arc<MemberSlot>>,
    /// Rooms that this session may have made, as long as they live.
    made: Vec<Weak<RoomHandle>>,
    bad_frames: u32,
    /// Counted frames of the client.
    taken: u64,
    rates: Rates,
    read: Read,
}

/// What has been read and taken since it was last counted. Counters are shared by all threads, so they are not for every frame.
#[derive(Debug, Default)]
struct Read {
    frames: u64,
    bytes: u64,
    accepted: u64,
}

/// Known from hello on.
struct Who {
    identity: Identity,
    name: String,
    /// Let in without a token.
    guest: bool,
    /// Whether the session outlives its connections.
    kept: bool,
    /// Rooms have been told that there is no connection.
    away: bool,
}

struct InRoom {
    room: Arc<RoomHandle>,
    slot: Arc<MemberSlot>,
    role: Role,
    /// Number of the last message, refused ones included.
    no: u64,
    /// Topics of its own choice.
    topics: HashSet<String>,
}

/// How much it may send.
struct Rates {
    messages: Bucket,
    bytes: Bucket,
    filled: Instant,
    /// Whether time has been added since the last wake-up: one reading of the clock serves all frames of one.
    fresh: bool,
}

/// What follows from a frame.
pub(super) enum Next {
    /// More frames.
    Listen,
    /// The end, for this reason.
    Close(CloseCode),
    /// A token has to be looked at.
    Check(Checking),
    /// Somebody has been identified and wants in.
    Enter(Box<Entrance>),
    /// The connection belongs to a session that was there before.
    HandOver(Box<Target>),
}

impl Conversation {
    pub(super) fn new(sessions: Arc<Sessions>, outbox: Arc<Outbox>, number: u64) -> Self {
        let rates = Rates::new(sessions.registry.limits());
        Self {
            sessions,
            outbox,
            number,
            who: None,
            rooms: BTreeMap::new(),
            leaving: Vec::new(),
            made: Vec::new(),
            bad_frames: 0,
            taken: 0,
            rates,
            read: Read::default(),
        }
    }

    pub(super) fn said_hello(&self) -> bool {
        self.who.is_some()
    }

    /// Whether the session outlives its connections.
    pub(super) fn is_kept(&self) -> bool {
        self.who.as_ref().is_some_and(|who| who.kept)
    }

    /// Whether the session outlives a connection that is closed for this reason.
    pub(super) fn may_be_kept(&self, code: CloseCode) -> bool {
        let resumable = code.kind() == parlor_protocol::code::CloseKind::Resumable;
        self.is_kept() && resumable && code != CloseCode::ShuttingDown && !self.outbox.is_over()
    }

    /// Counted frames of the client so far.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Where this session would best live: with the room that it is in, if it is the only one and no large crowd. Rooms that have
    /// ended are forgotten here, so that the connections that were in them do not keep them in memory.
    pub(super) fn home(&mut self) -> Option<ShardNo> {
        self.rooms.retain(|_, room| room.slot.status() != Membership::Over);
        let mut rooms = self.rooms.values();
        let (Some(only), None) = (rooms.next(), rooms.next()) else { return None };
        (only.room.members() <= self.limits().gather_members).then(|| only.room.shard())
    }

    /// A new wake-up: the clock may be read again.
    pub(super) fn wake_up(&mut self) {
        self.rates.fresh = false;
    }

    /// Takes one message of the connection; `codec` is what its WebSocket type stands for.
    pub(super) fn handle(&mut self, frame: &Bytes, codec: Codec) -> Next {
        self.read.frames += 1;
        self.read.bytes += frame.len() as u64;
        let rate = self.rates.take(frame.len());
        if rate == Rate::Hopeless {
            self.complain(None, ErrorCode::RateLimited.into());
            return Next::Close(CloseCode::RateLimited);
        }
        let decoded = self.decode(frame, codec);
        let counted =
            !matches!(decoded, Ok(ClientFrame::Hello(_) | ClientFrame::Ping { .. } | ClientFrame::Ack { .. }));
        self.taken += u64::from(counted && self.who.is_some());
        match decoded {
            Ok(frame) if self.who.is_none() && !matches!(frame, ClientFrame::Hello(_)) => {
                self.complain(None, ErrorCode::HelloExpected.into());
                Next::Close(CloseCode::HelloExpected)
            }
            Ok(frame) if rate == Rate::Over => self.limit(frame),
            Ok(frame) => self.handle_frame(frame),
            Err(failure) => self.bad_frame(failure),
        }
    }

    fn decode(&self, frame: &Bytes, codec: Codec) -> Result<ClientFrame, Failure> {
        if frame.len() > self.limits().max_frame_bytes {
            return Err(self.too_large(frame.len()));
        }
        if codec != self.outbox.codec() {
            let text = format!("this connection speaks {}", self.outbox.codec().subprotocol());
            return Err(Failure::from(ErrorCode::BadFrame).because(text));
        }
        ClientFrame::decode(codec, frame).map_err(|error| match error {
            FrameError::UnknownOp(op) => Failure::from(ErrorCode::UnknownOp).with("op", op),
            error => Failure::from(ErrorCode::BadFrame).because(error.to_string()),
        })
    }

    fn handle_frame(&mut self, frame: ClientFrame) -> Next {
        match frame {
            ClientFrame::Send { room, type_, payload } => self.message(room, &type_, None, payload),
            ClientFrame::Request { room, type_, id, payload } => self.message(room, &type_, Some(id), payload),
            ClientFrame::Join { id, join, options } => {
                if let Err(failure) = self.join(id, &join, options) {
                    self.complain(Some(id), failure);
                }
            }
            ClientFrame::Leave { room } => self.leave(room),
            ClientFrame::Subscribe { id, room, topic } => self.follow(id, room, topic, true),
            ClientFrame::Unsubscribe { id, room, topic } => self.follow(id, room, topic, false),
            ClientFrame::Ping { time } => self.say(&BrokerFrame::Pong { time, server_time: now_ms() }),
            ClientFrame::Ack { received } => return self.ack(received),
            ClientFrame::Token { id, token } => return self.fresh_token(id, &token),
            ClientFrame::Hello(hello) => return self.hello(hello),
        }
        Next::Listen
    }

    /// Too much in too short a time: refused, except what makes less of it.
    fn limit(&mut self, frame: ClientFrame) -> Next {
        let limited = Failure::from(ErrorCode::RateLimited);
        match frame {
            ClientFrame::Send { room, .. } => self.refuse_message(room, None, limited),
            ClientFrame::Request { room, id, .. } => self.refuse_message(room, Some(id), limited),
            ClientFrame::Join { id, .. }
            | ClientFrame::Subscribe { id, .. }
            | ClientFrame::Unsubscribe { id, .. }
            | ClientFrame::Token { id, .. } => self.complain(Some(id), limited),
            ClientFrame::Ping { .. } => self.complain(None, limited),
            frame @ (ClientFrame::Leave { .. } | ClientFrame::Ack { .. } | ClientFrame::Hello(_)) => {
                return self.handle_frame(frame);
            }
        }
        Next::Listen
    }

    fn ack(&mut self, received: u64) -> Next {
        match self.outbox.ack(received) {
            Ok(()) if self.is_kept() => Next::Listen,
            _ => {
                let why = "only what was sent, in a session that is kept, can be acknowledged";
                self.bad_frame(Failure::from(ErrorCode::BadFrame).because(why))
            }
        }
    }

    /// Counts what was read. To be called before anything is written, so that nobody is answered before it is counted.
    pub(super) fn count(&mut self) {
        let read = std::mem::take(&mut self.read);
        if read.frames > 0 {
            let metrics = self.registry().metrics();
            metrics.frames_in.inc_by(read.frames);
            metrics.bytes_in.inc_by(read.bytes);
            metrics.messages_accepted.inc_by(read.accepted);
        }
    }

    /// Says that a frame was too large to be looked at.
    pub(super) fn frame_too_large(&self, size: usize) {
        self.complain(None, self.too_large(size));
    }

    fn too_large(&self, size: usize) -> Failure {
        let limit = self.limits().max_frame_bytes;
        Failure::from(ErrorCode::FrameTooLarge).with("size", size).with("limit", limit)
    }

    /// Says that the WebSocket itself can no longer be read.
    pub(super) fn unreadable(&self, why: String) {
        self.complain(None, Failure::from(ErrorCode::BadFrame).because(why));
    }

    /// Leaves all rooms: the session is as good as gone.
    pub(super) fn hang_up(&mut self) {
        for (_, InRoom { room, slot, .. }) in std::mem::take(&mut self.rooms) {
            let _ = room.push(Arrival::Leave { slot, why: Leave::Disconnected });
        }
    }

    fn bad_frame(&mut self, failure: Failure) -> Next {
        self.complain(None, failure);
        self.bad_frames += 1;
        let enough = self.bad_frames >= self.limits().bad_frames;
        if enough { Next::Close(CloseCode::BadFrames) } else { Next::Listen }
    }

    /// Tells the client what went wrong.
    pub(super) fn complain(&self, id: Option<u64>, error: Failure) {
        self.registry().metrics().failure(&error.code);
        self.say(&BrokerFrame::Error { id, error: error.into() });
    }

    fn say(&self, frame: &BrokerFrame) {
        // An overflow closes the outbox, and with it the session.
        self.outbox.push(wire::outgoing(self.outbox.codec(), frame));
    }

    fn registry(&self) -> &Arc<Registry> {
        &self.sessions.registry
    }

    fn limits(&self) -> &Limits {
        self.sessions.registry.limits()
    }
}

impl Rates {
    fn new(limits: &Limits) -> Self {
        let (messages, bytes) = (Bucket::new(limits.messages_per_s), Bucket::new(limits.bytes_per_s));
        Self { messages, bytes, filled: Instant::now(), fresh: false }
    }

    fn take(&mut self, bytes: usize) -> Rate {
        if !std::mem::replace(&mut self.fresh, true) {
            let now = Instant::now();
            let passed = now.saturating_duration_since(std::mem::replace(&mut self.filled, now));
            self.messages.refill(passed);
            self.bytes.refill(passed);
        }
        match (self.messages.take(1), self.bytes.take(bytes)) {
            (Rate::Hopeless, _) | (_, Rate::Hopeless) => Rate::Hopeless,
            (Rate::Within, Rate::Within) => Rate::Within,
            _ => Rate::Over,
        }
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        self.count();
        self.hang_up();
        let Some(who) = &self.who else { return };
        self.registry().metrics().sessions.dec();
        if who.away {
            self.registry().metrics().sessions_away.dec();
        }
    }
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}
