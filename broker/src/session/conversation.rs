//! What a client says and what it is answered, without the socket: hello, joining, leaving, sending.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use parlor_protocol::frame::{Hello, Join, JoinMode, Role, TypeRef, Welcome};
use parlor_protocol::room::Leave;
use parlor_protocol::{BrokerFrame, ClientFrame, CloseCode, Codec, ErrorCode, Failure, FrameError, RoomId, RoomNo};

use crate::outbox::Outbox;
use crate::room::{
    Arrival, CreateRoom, JoinArrival, MemberLink, MemberSlot, Membership, PushError, Registry, RoomHandle, Seat,
};
use crate::shard::ShardNo;
use crate::wire;

/// Payloads up to this size are copied out of the read buffer, which a slice would keep alive as a whole.
const COPY_BELOW: usize = 4 << 10;

/// Rooms that a session may have made and that still live, whether it is in them or not, for each that it may be in.
const MADE: usize = 4;

/// One client's side of the talk.
pub(crate) struct Conversation {
    registry: Arc<Registry>,
    outbox: Arc<Outbox>,
    number: u64,
    who: Option<Who>,
    rooms: HashMap<RoomNo, InRoom>,
    /// Memberships that it has asked to end, until their rooms have let it go: so nobody joins and leaves faster than rooms can follow.
    leaving: Vec<Arc<MemberSlot>>,
    /// Rooms that this session may have made, as long as they live.
    made: Vec<Weak<RoomHandle>>,
    bad_frames: u32,
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
    account: String,
    name: String,
}

struct InRoom {
    room: Arc<RoomHandle>,
    slot: Arc<MemberSlot>,
    role: Role,
    /// Number of the last message, refused ones included.
    no: u64,
}

/// What follows from a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// More frames.
    Listen,
    /// The end, for this reason.
    Close(CloseCode),
}

impl Conversation {
    pub(crate) fn new(registry: Arc<Registry>, outbox: Arc<Outbox>, number: u64) -> Self {
        Self {
            registry,
            outbox,
            number,
            who: None,
            rooms: HashMap::new(),
            leaving: Vec::new(),
            made: Vec::new(),
            bad_frames: 0,
            read: Read::default(),
        }
    }

    pub(crate) fn said_hello(&self) -> bool {
        self.who.is_some()
    }

    /// Where this session would best live: with the room that it is in, if it is the only one and no large crowd. Rooms that have
    /// ended are forgotten here, so that the connections that were in them do not keep them in memory.
    pub(crate) fn home(&mut self) -> Option<ShardNo> {
        self.rooms.retain(|_, room| room.slot.status() != Membership::Over);
        let mut rooms = self.rooms.values();
        let (Some(only), None) = (rooms.next(), rooms.next()) else { return None };
        (only.room.members() <= self.registry.limits().gather_members).then(|| only.room.shard())
    }

    /// Takes one message of the connection; `codec` is what its WebSocket type stands for.
    pub(crate) fn handle(&mut self, frame: &Bytes, codec: Codec, draining: bool) -> Next {
        self.read.frames += 1;
        self.read.bytes += frame.len() as u64;
        if frame.len() > self.registry.limits().max_frame_bytes {
            return self.bad_frame(self.too_large(frame.len()));
        }
        if codec != self.outbox.codec() {
            let text = format!("this connection speaks {}", self.outbox.codec().subprotocol());
            return self.bad_frame(Failure::from(ErrorCode::BadFrame).because(text));
        }
        match ClientFrame::decode(codec, frame) {
            Ok(ClientFrame::Hello(hello)) => self.hello(hello, draining),
            Ok(_) if self.who.is_none() => {
                self.error(None, ErrorCode::HelloExpected.into());
                Next::Close(CloseCode::HelloExpected)
            }
            Ok(frame) => {
                self.handle_frame(frame);
                Next::Listen
            }
            Err(FrameError::UnknownOp(op)) => self.bad_frame(Failure::from(ErrorCode::UnknownOp).with("op", op)),
            Err(error) => self.bad_frame(Failure::from(ErrorCode::BadFrame).because(error.to_string())),
        }
    }

    /// Counts what was read. To be called before anything is written, so that nobody is answered before it is counted.
    pub(crate) fn count(&mut self) {
        let read = std::mem::take(&mut self.read);
        if read.frames > 0 {
            let metrics = self.registry.metrics();
            metrics.frames_in.inc_by(read.frames);
            metrics.bytes_in.inc_by(read.bytes);
            metrics.messages_accepted.inc_by(read.accepted);
        }
    }

    /// Says that a frame was too large to be looked at.
    pub(crate) fn frame_too_large(&self, size: usize) {
        self.error(None, self.too_large(size));
    }

    fn too_large(&self, size: usize) -> Failure {
        let limit = self.registry.limits().max_frame_bytes;
        Failure::from(ErrorCode::FrameTooLarge).with("size", size).with("limit", limit)
    }

    /// Leaves all rooms: the connection is as good as gone.
    pub(crate) fn hang_up(&mut self) {
        for (_, InRoom { room, slot, .. }) in self.rooms.drain() {
            let _ = room.push(Arrival::Leave { slot, why: Leave::Disconnected });
        }
    }

    /// Says that the WebSocket itself can no longer be read.
    pub(crate) fn unreadable(&self, why: String) {
        self.error(None, Failure::from(ErrorCode::BadFrame).because(why));
    }

    fn handle_frame(&mut self, frame: ClientFrame) {
        match frame {
            ClientFrame::Send { room, type_, payload } => self.message(room, &type_, None, payload),
            ClientFrame::Request { room, type_, id, payload } => self.message(room, &type_, Some(id), payload),
            ClientFrame::Join { id, join, options } => {
                if let Err(failure) = self.join(id, &join, options) {
                    self.error(Some(id), failure);
                }
            }
            ClientFrame::Leave { room } => self.leave(room),
            ClientFrame::Subscribe { id, room, topic } => self.follow(id, room, topic, true),
            ClientFrame::Unsubscribe { id, room, topic } => self.follow(id, room, topic, false),
            ClientFrame::Ping { time } => self.say(&BrokerFrame::Pong { time, server_time: now_ms() }),
            ClientFrame::Hello(_) => unreachable!("taken by handle"),
        }
    }

    fn hello(&mut self, hello: Hello, draining: bool) -> Next {
        if self.who.is_some() {
            self.error(None, ErrorCode::HelloRepeated.into());
            return Next::Listen;
        }
        if draining {
            self.error(None, ErrorCode::ShuttingDown.into());
            return Next::Close(CloseCode::ShuttingDown);
        }
        if hello.token.is_some() {
            self.error(None, ErrorCode::AuthUnavailable.into());
            return Next::Close(CloseCode::AuthUnavailable);
        }
        let account = format!("guest-{}", self.number);
        let name = hello.name.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| account.clone());
        self.say(&BrokerFrame::Welcome(Welcome {
            session: format!("s{}", self.number),
            account: account.clone(),
            server: concat!("parlor/", env!("CARGO_PKG_VERSION")).to_owned(),
            time: now_ms(),
            max_frame: self.registry.limits().max_frame_bytes as u64,
        }));
        let metrics = self.registry.metrics();
        metrics.sessions.inc();
        metrics.sessions_opened.inc();
        self.who = Some(Who { account, name });
        Next::Listen
    }

    fn join(&mut self, id: u64, join: &Join, options: Bytes) -> Result<(), Failure> {
        self.rooms.retain(|_, room| room.slot.status() != Membership::Over);
        self.leaving.retain(|slot| slot.status() != Membership::Over);
        self.made.retain(|room| room.strong_count() > 0);
        let limits = self.registry.limits();
        let too_many = |limit: usize| Err(Failure::from(ErrorCode::TooManyRooms).with("limit", limit));
        if self.rooms.len() + self.leaving.len() >= limits.rooms_per_session {
            return too_many(limits.rooms_per_session);
        }
        let made_limit = limits.rooms_per_session.saturating_mul(MADE);
        if join.mode != JoinMode::Id && self.made.len() >= made_limit {
            return too_many(made_limit);
        }
        if self.outbox.owes_views() {
            let text = "the views of the rooms that were joined before have not been read yet";
            return Err(Failure::from(ErrorCode::TooManyRooms).because(text));
        }
        let options = own(options);
        let mut pushed = self.try_join(id, join, options.clone())?;
        // A room that ends in this moment is no reason to be turned away, when any other will do.
        if pushed == Err(PushError::Closed) && join.mode == JoinMode::FindOrCreate {
            pushed = self.try_join(id, join, options)?;
        }
        pushed.map_err(|error| self.refused(error))
    }

    fn try_join(&mut self, id: u64, join: &Join, options: Bytes) -> Result<Result<(), PushError>, Failure> {
        let seat = self.seat(join, &options)?;
        let room = seat.room().clone();
        if self.rooms.contains_key(&room.no()) {
            return Err(Failure::from(ErrorCode::AlreadyJoined).with("room", room.id()));
        }
        let Some(who) = &self.who else { return Err(ErrorCode::HelloExpected.into()) };
        if join.mode != JoinMode::Id && room.members() == 1 {
            self.made.push(Arc::downgrade(&room));
        }
        let slot = Arc::new(MemberSlot::default());
        let link = MemberLink::new(slot.clone(), self.outbox.clone(), seat);
        let (account, name) = (who.account.clone(), who.name.clone());
        let pushed = room.push(Arrival::Join(Box::new(JoinArrival { id, account, name, options, link })));
        if pushed.is_ok() {
            self.rooms.insert(room.no(), InRoom { room, slot, role: join.role, no: 0 });
        }
        Ok(pushed)
    }

    fn seat(&self, join: &Join, options: &Bytes) -> Result<Seat, Failure> {
        let missing = |field: &str| {
            let text = format!("this mode needs `{field}`");
            Failure::from(ErrorCode::BadFrame).because(text).with("field", field)
        };
        let kind = || join.kind.as_deref().ok_or_else(|| missing("kind"));
        match join.mode {
            JoinMode::FindOrCreate => self.registry.find_or_create(kind()?, join.role, options),
            JoinMode::Create => {
                let wish = CreateRoom { options: options.clone(), private: join.private, ..CreateRoom::default() };
                let room = self.registry.create(kind()?, wish)?;
                self.registry.seat(&room, join.role)
            }
            JoinMode::Id => {
                let wanted = join.room.as_deref().ok_or_else(|| missing("room"))?;
                let unknown = || Failure::from(ErrorCode::UnknownRoom).with("room", wanted);
                let id = RoomId::parse(wanted).map_err(|_| unknown())?;
                let room = self.registry.get(&id).ok_or_else(unknown)?;
                if self.rooms.contains_key(&room.no()) {
                    // Said before a seat is asked for, which a full room would not have.
                    return Err(Failure::from(ErrorCode::AlreadyJoined).with("room", wanted));
                }
                self.registry.seat(&room, join.role)
            }
        }
    }

    fn message(&mut self, no: RoomNo, type_: &TypeRef, request: Option<u64>, payload: Bytes) {
        let Some(member) = self.rooms.get_mut(&no).filter(|room| room.is_member()) else {
            self.error(request, Failure { room: Some(no), ..ErrorCode::NotAMember.into() });
            return;
        };
        member.no += 1;
        let number = member.no;
        if let Err(failure) = member.send(type_, request, payload) {
            if failure.code == ErrorCode::QueueFull.as_str() {
                self.registry.metrics().queue_full.inc();
            }
            self.error(request, failure.about(no, number));
        } else {
            self.read.accepted += 1;
        }
    }

    fn leave(&mut self, no: RoomNo) {
        match self.rooms.remove(&no).filter(|room| room.slot.status() != Membership::Over) {
            Some(InRoom { room, slot, .. }) => {
                self.leaving.push(slot.clone());
                // A room that has closed in the meantime has told its members so.
                let _ = room.push(Arrival::Leave { slot, why: Leave::Left });
            }
            None => self.error(None, Failure { room: Some(no), ..ErrorCode::NotAMember.into() }),
        }
    }

    fn follow(&mut self, id: u64, no: RoomNo, topic: String, follows: bool) {
        let Some(InRoom { room, slot, .. }) = self.rooms.get(&no).filter(|room| room.is_member()) else {
            self.error(Some(id), Failure { room: Some(no), ..ErrorCode::NotAMember.into() });
            return;
        };
        let policy = &room.kind().policy;
        if !policy.client_topics.contains(&topic) {
            self.error(Some(id), Failure::from(ErrorCode::TopicDenied).with("topic", topic));
            return;
        }
        let pushed = if slot.try_enqueue(policy.member_queue_len) {
            let arrival = Arrival::Follow { slot: slot.clone(), id, topic, follows };
            room.push(arrival).inspect_err(|_| slot.dequeued())
        } else {
            Err(PushError::Full)
        };
        if let Err(error) = pushed {
            self.error(Some(id), self.refused(error));
        }
    }

    fn bad_frame(&mut self, failure: Failure) -> Next {
        self.error(None, failure);
        self.bad_frames += 1;
        let enough = self.bad_frames >= self.registry.limits().bad_frames;
        if enough { Next::Close(CloseCode::BadFrames) } else { Next::Listen }
    }

    fn refused(&self, error: PushError) -> Failure {
        if error == PushError::Full {
            self.registry.metrics().queue_full.inc();
        }
        failure(error)
    }

    fn error(&self, id: Option<u64>, error: Failure) {
        self.registry.metrics().failure(&error.code);
        self.say(&BrokerFrame::Error { id, error });
    }

    fn say(&self, frame: &BrokerFrame) {
        // An overflow closes the outbox, and with it the session.
        self.outbox.push(wire::encode(self.outbox.codec(), frame));
    }
}

impl InRoom {
    fn is_member(&self) -> bool {
        self.slot.status() == Membership::In
    }

    fn send(&self, type_: &TypeRef, request: Option<u64>, payload: Bytes) -> Result<(), Failure> {
        if self.role == Role::Spectator {
            return Err(ErrorCode::Spectator.into());
        }
        let kind = self.room.kind();
        let name = kind.resolve(type_).map_err(|code| Failure::from(code).with("type", type_))?;
        if !self.slot.try_enqueue(kind.policy.member_queue_len) {
            return Err(ErrorCode::QueueFull.into());
        }
        let slot = self.slot.clone();
        let arrival = Arrival::Message { slot, no: self.no, request, name, payload: own(payload) };
        self.room.push(arrival).map_err(|error| {
            self.slot.dequeued();
            failure(error)
        })
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        self.count();
        self.hang_up();
        if self.who.is_some() {
            self.registry.metrics().sessions.dec();
        }
    }
}

fn failure(error: PushError) -> Failure {
    match error {
        PushError::Full => ErrorCode::QueueFull.into(),
        PushError::Closed => ErrorCode::RoomClosed.into(),
    }
}

fn own(payload: Bytes) -> Bytes {
    if payload.len() < COPY_BELOW { Bytes::copy_from_slice(&payload) } else { payload }
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}
