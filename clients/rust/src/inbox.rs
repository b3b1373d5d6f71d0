//! Where a frame from the broker goes: to the room it belongs to, to the caller who waits for it, or to the lifecycle.
//!
//! No I/O. Whatever the broker says, the worst that comes of it is [`Violation`].

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use parlor_protocol::codec::NIL;
use parlor_protocol::frame::{Joined, Recovered, Recovery};
use parlor_protocol::{BrokerFrame, Codec, Failure, FrameError, Place, RoomNo};

use crate::error::ClientError;
use crate::event::{RoomEvent, ViewReason};
use crate::lifecycle::LifecycleEvent;
use crate::link::{Answer, Shared};
use crate::member::{Member, Seat};
use crate::positions::BadPosition;
use crate::queue;

/// The code with which rooms close when their session is lost. The broker has no such code.
const LOST: &str = "lost";

/// The rooms of a session, by number. Owned by the client's task alone.
#[derive(Debug)]
pub(crate) struct Inbox {
    shared: Arc<Shared>,
    rooms: BTreeMap<RoomNo, Entry>,
}

#[derive(Debug)]
struct Entry {
    member: Arc<Member>,
    types: Vec<Arc<str>>,
    /// Why the next view comes.
    why: ViewReason,
}

/// The broker said something that makes no sense here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Violation {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("a frame for room {0}, which was not joined")]
    NotJoined(RoomNo),
    #[error("room {0} was joined twice")]
    JoinedTwice(RoomNo),
    #[error("type number {1} is not in the table of room {0}")]
    UnknownType(RoomNo, u32),
    #[error("the type table of room {0} is extended from {1} on, which leaves a gap")]
    TypeGap(RoomNo, u32),
    #[error("a second answer to hello")]
    SecondWelcome,
    #[error(transparent)]
    Position(#[from] BadPosition),
}

/// A room whose queue is full: the connection must wait for it.
pub(crate) type Full = Option<Arc<Member>>;

impl Inbox {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, rooms: BTreeMap::new() }
    }

    pub(crate) fn codec(&self) -> Codec {
        self.shared.options.codec
    }

    /// Takes one frame.
    pub(crate) fn handle(&mut self, bytes: &Bytes) -> Result<Full, Violation> {
        let frame = match BrokerFrame::decode(self.shared.options.codec, bytes) {
            // The protocol grows by new ops; old clients do not mind. They count them, though.
            Err(FrameError::UnknownOp(_)) => {
                self.count(bytes);
                return Ok(None);
            }
            frame => frame?,
        };
        if frame.is_counted() {
            self.count(bytes);
        }
        match frame {
            BrokerFrame::Publish { room, place, type_, payload } => self.message(room, place, type_, None, payload),
            BrokerFrame::Latest { room, place, type_, key, payload } => {
                self.message(room, place, type_, Some(key), payload)
            }
            BrokerFrame::View { joined, handled, view } => self.view(*joined, handled, view),
            BrokerFrame::Handled { room, no, tick } => self.event(room, RoomEvent::Handled { no, tick }),
            BrokerFrame::Refused { room, place, no, id: None, error } => {
                self.event(room, RoomEvent::Refused { place: Some(place), no, error: *error })
            }
            BrokerFrame::Error { id: None, error } => Ok(self.complaint(*error)),
            BrokerFrame::Closed { room, place: _, code, result } => self.closed(room, code, result),
            BrokerFrame::Types { room, first, names } => self.types(room, first, &names),
            BrokerFrame::Joined { id, joined, view } => self.joined(id, *joined, view),
            BrokerFrame::Reply { id, payload, .. } => Ok(self.answer(id, Ok(Answer::Reply(payload)))),
            BrokerFrame::Refused { id: Some(id), error, .. } | BrokerFrame::Error { id: Some(id), error } => {
                Ok(self.answer(id, Err(ClientError::Refused(*error))))
            }
            BrokerFrame::Done { id } => Ok(self.answer(id, Ok(Answer::Done))),
            BrokerFrame::Pong { time, server_time } => {
                self.shared.clock.lock().pong(time, server_time, self.shared.now());
                Ok(None)
            }
            BrokerFrame::Acked { received } => {
                self.shared.positions(|positions| positions.acked(received))?;
                Ok(None)
            }
            BrokerFrame::Welcome(_) | BrokerFrame::Resumed { .. } => Err(Violation::SecondWelcome),
        }
    }

    fn count(&self, bytes: &Bytes) {
        if self.shared.positions(|positions| positions.heard(bytes.len())) {
            self.shared.wake.notify_one();
        }
    }

    /// The session goes on: the rooms of which too much was missed get a view.
    pub(crate) fn resumed(&mut self, rooms: &[Recovery]) {
        for recovery in rooms.iter().filter(|recovery| recovery.outcome == Recovered::View) {
            if let Some(entry) = self.rooms.get_mut(&recovery.room) {
                entry.why = ViewReason::CameBack;
            }
        }
    }

    /// The session is gone, and all its rooms with it.
    pub(crate) fn lose(&mut self, reason: &str) {
        self.shared.lose(reason, self.rooms.values().map(|entry| &*entry.member));
        for (_, entry) in std::mem::take(&mut self.rooms) {
            // Nothing is read at present, so nobody has to wait for a full queue.
            let _ = entry.close(LOST.to_owned(), NIL);
        }
        self.shared.tell(LifecycleEvent::Lost { reason: reason.to_owned() });
    }

    fn message(
        &self,
        room: RoomNo,
        place: Place,
        number: u32,
        key: Option<String>,
        payload: Bytes,
    ) -> Result<Full, Violation> {
        let entry = self.entry(room)?;
        let name = entry.types.get(number as usize).ok_or(Violation::UnknownType(room, number))?;
        Ok(entry.push(RoomEvent::Message { place, name: Arc::clone(name), key, payload }))
    }

    fn event(&self, room: RoomNo, event: RoomEvent) -> Result<Full, Violation> {
        Ok(self.entry(room)?.push(event))
    }

    /// An error that answers nothing: about a message of a room, or about the session.
    fn complaint(&self, error: Failure) -> Full {
        let entry = error.room.and_then(|room| self.rooms.get(&room));
        if let (Some(entry), Some(no)) = (entry, error.no) {
            return entry.push(RoomEvent::Refused { place: None, no, error });
        }
        self.shared.tell(LifecycleEvent::Error(error));
        None
    }

    fn closed(&mut self, room: RoomNo, code: String, result: Bytes) -> Result<Full, Violation> {
        let entry = self.rooms.remove(&room).ok_or(Violation::NotJoined(room))?;
        Ok(entry.close(code, result))
    }

    /// Makes a room anew, but for what was sent to it and is still to be handled.
    fn view(&mut self, joined: Joined, handled: u64, view: Bytes) -> Result<Full, Violation> {
        let entry = self.rooms.get_mut(&joined.room).ok_or(Violation::NotJoined(joined.room))?;
        let place = Place { seq: joined.seq, index: joined.index };
        entry.types = entry.member.renew(joined.types, joined.routes);
        let why = std::mem::replace(&mut entry.why, ViewReason::FellBehind);
        Ok(entry.push(RoomEvent::View { place, view, handled, why }))
    }

    /// Extends a type table. Names that are known already are passed over: they may cross with a join.
    fn types(&mut self, room: RoomNo, first: u32, names: &[String]) -> Result<Full, Violation> {
        let entry = self.rooms.get_mut(&room).ok_or(Violation::NotJoined(room))?;
        let known = entry.types.len().checked_sub(first as usize).ok_or(Violation::TypeGap(room, first))?;
        entry.types.extend(names.iter().skip(known).map(|name| Arc::from(name.as_str())));
        Ok(None)
    }

    fn joined(&mut self, id: u64, joined: Joined, view: Bytes) -> Result<Full, Violation> {
        if self.rooms.contains_key(&joined.room) {
            return Err(Violation::JoinedTwice(joined.room));
        }
        let (member, types) = Member::new(joined, view, &self.shared.options);
        let member = Arc::new(member);
        let why = ViewReason::FellBehind;
        self.rooms.insert(member.no, Entry { member: Arc::clone(&member), types, why });
        // When nobody waits for it any more, the seat is dropped and so given back.
        let seat = Seat { member, shared: Arc::clone(&self.shared) };
        Ok(self.answer(id, Ok(Answer::Joined(seat))))
    }

    fn answer(&self, id: u64, answer: Result<Answer, ClientError>) -> Full {
        self.shared.answer(id, answer);
        None
    }

    fn entry(&self, room: RoomNo) -> Result<&Entry, Violation> {
        self.rooms.get(&room).ok_or(Violation::NotJoined(room))
    }
}

impl Entry {
    fn close(&self, code: String, result: Bytes) -> Full {
        self.member.end_sending();
        let full = self.push(RoomEvent::Closed { code, result });
        self.member.events.finish();
        self.member.end();
        full
    }

    fn push(&self, event: RoomEvent) -> Full {
        match self.member.events.push(event) {
            queue::Room::Left => None,
            queue::Room::Full => Some(Arc::clone(&self.member)),
        }
    }
}

/// The client is over, and so is every room of it.
impl Drop for Inbox {
    fn drop(&mut self) {
        for entry in self.rooms.values() {
            entry.member.end_sending();
            entry.member.events.finish();
        }
    }
}
