//! A session's rooms: joining, leaving, saying something, choosing topics.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use parlor_protocol::frame::{Join, JoinMode, Role, TypeRef};
use parlor_protocol::policy::Admission;
use parlor_protocol::room::{Leave, UsedTicket};
use parlor_protocol::{ErrorCode, Failure, RoomId, RoomNo};

use super::{Conversation, InRoom, now_ms};
use crate::auth::TicketError;
use crate::room::{
    Arrival, CreateRoom, JoinArrival, Kind, MemberLink, MemberSlot, Membership, PushError, RoomHandle, Seat,
};

/// Payloads up to this size are copied out of the read buffer, which a slice would keep alive as a whole.
const COPY_BELOW: usize = 4 << 10;
/// Rooms that a session may have made and that still live, whether it is in them or not, for each that it may be in.
const MADE: usize = 4;

/// A seat, and the ticket that it was given for.
struct Admitted {
    seat: Seat,
    ticket: Option<UsedTicket>,
}

impl Conversation {
    pub(super) fn join(&mut self, id: u64, join: &Join, options: Bytes) -> Result<(), Failure> {
        self.rooms.retain(|_, room| room.slot.status() != Membership::Over);
        self.leaving.retain(|slot| slot.status() != Membership::Over);
        self.made.retain(|room| room.strong_count() > 0);
        let limits = self.limits();
        let too_many = |limit: usize| Err(Failure::from(ErrorCode::TooManyRooms).with("limit", limit));
        if self.rooms.len() + self.leaving.len() >= limits.rooms_per_session {
            return too_many(limits.rooms_per_session);
        }
        let made = limits.rooms_per_session.saturating_mul(MADE);
        if matches!(join.mode, JoinMode::FindOrCreate | JoinMode::Create) && self.made.len() >= made {
            return too_many(made);
        }
        if self.outbox.owes_views(limits.outbox_bytes) {
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
        let Admitted { mut seat, ticket } = self.admit(join, &options)?;
        let room = seat.room().clone();
        if self.rooms.contains_key(&room.no()) {
            return Err(Failure::from(ErrorCode::AlreadyJoined).with("room", room.id()));
        }
        let Some(who) = &self.who else { return Err(ErrorCode::HelloExpected.into()) };
        if join.mode == JoinMode::FindOrCreate && room.members() == 1 {
            self.made.push(Arc::downgrade(&room));
        }
        if !who.guest {
            seat.hold(&who.identity.account);
        }
        let (slot, role) = (Arc::new(MemberSlot::new(self.outbox.clone())), seat.role());
        let link = MemberLink::new(slot.clone(), seat);
        let (account, name) = (who.identity.account.clone(), who.name.clone());
        let arrival = JoinArrival { id, account, name, options, ticket, link };
        let pushed = room.push(Arrival::Join(Box::new(arrival)));
        if pushed.is_ok() {
            self.rooms.insert(room.no(), InRoom { room, slot, role, no: 0, topics: HashSet::new() });
        }
        Ok(pushed)
    }

    /// Finds a room in the way that the client asks for, if its token and the room's policy let it in that way.
    fn admit(&mut self, join: &Join, options: &Bytes) -> Result<Admitted, Failure> {
        let kind = || join.kind.as_deref().ok_or_else(|| missing("kind"));
        let seat = match join.mode {
            JoinMode::FindOrCreate => {
                self.may_make(kind()?, join)?;
                self.registry().find_or_create(kind()?, join.role, options, self.account())?
            }
            JoinMode::Create => {
                self.may_make(kind()?, join)?;
                let (private, account) = (join.private, Some(self.account().to_owned()));
                let wish = CreateRoom { options: options.clone(), private, account, ..CreateRoom::default() };
                let room = self.registry().create(kind()?, wish)?;
                // Now, since it is there even if nobody can have a seat in it.
                self.made.push(Arc::downgrade(&room));
                self.registry().seat(&room, join.role, self.account())?
            }
            JoinMode::Id => {
                let room = self.room(join.room.as_deref().ok_or_else(|| missing("room"))?)?;
                admitted(admission(&room.kind(), join.role), &[Admission::Open])?;
                self.seat(&room, join.role)?
            }
            JoinMode::Invite => {
                let code = join.invite.as_deref().ok_or_else(|| missing("invite"))?;
                let room = self.registry().invited(code).ok_or_else(|| Failure::from(ErrorCode::UnknownInvite))?;
                admitted(admission(&room.kind(), join.role), &[Admission::Open, Admission::Invite])?;
                self.seat(&room, join.role)?
            }
            JoinMode::Ticket => return self.by_ticket(join.ticket.as_deref().ok_or_else(|| missing("ticket"))?),
        };
        Ok(Admitted { seat, ticket: None })
    }

    /// A ticket is for one player, one room and one role.
    fn by_ticket(&self, text: &str) -> Result<Admitted, Failure> {
        let ticket = self.sessions.keys.read(text, now_ms() / 1000).map_err(|error| match error {
            TicketError::Invalid => ErrorCode::TicketInvalid,
            TicketError::Expired => ErrorCode::TicketExpired,
        })?;
        if self.who.as_ref().is_none_or(|who| who.identity.account != ticket.account) {
            return Err(ErrorCode::TicketInvalid.into());
        }
        let room = self.room(ticket.room.as_str())?;
        let seat = self.seat(&room, ticket.role)?;
        let used = UsedTicket { id: format!("{:032x}", ticket.id), expires_s: ticket.expires_s };
        Ok(Admitted { seat, ticket: Some(used) })
    }

    /// Whether the client may make a room of this kind, or be given any.
    fn may_make(&self, kind: &str, join: &Join) -> Result<(), Failure> {
        let known = self.registry().kind(kind, Some(self.account()))?;
        let invited: &[Admission] = match join.mode {
            // Whoever makes a room knows its code.
            JoinMode::Create => &[Admission::Open, Admission::Invite],
            _ => &[Admission::Open],
        };
        admitted(admission(&known, join.role), invited)?;
        let allowed = self.who.as_ref().is_some_and(|who| who.identity.rights.may_create(kind, join.role));
        if allowed { Ok(()) } else { Err(ErrorCode::Forbidden.into()) }
    }

    fn room(&self, id: &str) -> Result<Arc<RoomHandle>, Failure> {
        let unknown = || Failure::from(ErrorCode::UnknownRoom).with("room", id);
        let id = RoomId::parse(id).map_err(|_| unknown())?;
        self.registry().get(&id).ok_or_else(unknown)
    }

    fn seat(&self, room: &Arc<RoomHandle>, role: Role) -> Result<Seat, Failure> {
        if self.rooms.contains_key(&room.no()) {
            // Said before a seat is asked for, which a full room would not have.
            return Err(Failure::from(ErrorCode::AlreadyJoined).with("room", room.id()));
        }
        let rights = self.who.as_ref().map(|who| &who.identity.rights);
        if !rights.is_some_and(|rights| rights.may_join(&room.kind().name, room.id(), role)) {
            return Err(ErrorCode::Forbidden.into());
        }
        self.registry().seat(room, role, self.account())
    }

    fn account(&self) -> &str {
        self.who.as_ref().map_or("", |who| &who.identity.account)
    }

    pub(super) fn message(&mut self, no: RoomNo, type_: &TypeRef, request: Option<u64>, payload: Bytes) {
        let Some(member) = self.rooms.get_mut(&no).filter(|room| room.is_member()) else {
            self.complain(request, Failure { room: Some(no), ..ErrorCode::NotAMember.into() });
            return;
        };
        member.no += 1;
        let number = member.no;
        if let Err(failure) = member.send(type_, request, payload) {
            if failure.code == ErrorCode::QueueFull.as_str() {
                self.registry().metrics().queue_full.inc();
            }
            self.complain(request, failure.about(no, number));
        } else {
            self.read.accepted += 1;
        }
    }

    /// A message that gets no further than this is counted all the same, since its sender has counted it.
    pub(super) fn refuse_message(&mut self, no: RoomNo, request: Option<u64>, failure: Failure) {
        let failure = match self.rooms.get_mut(&no).filter(|room| room.is_member()) {
            Some(member) => {
                member.no += 1;
                failure.about(no, member.no)
            }
            None => Failure { room: Some(no), ..ErrorCode::NotAMember.into() },
        };
        self.complain(request, failure);
    }

    pub(super) fn leave(&mut self, no: RoomNo) {
        match self.rooms.remove(&no).filter(|room| room.slot.status() != Membership::Over) {
            Some(InRoom { room, slot, .. }) => {
                self.leaving.push(slot.clone());
                // A room that has closed in the meantime has told its members so.
                let _ = room.push(Arrival::Leave { slot, why: Leave::Left });
            }
            None => self.complain(None, Failure { room: Some(no), ..ErrorCode::NotAMember.into() }),
        }
    }

    pub(super) fn follow(&mut self, id: u64, no: RoomNo, topic: String, follows: bool) {
        let others: usize = self.rooms.values().map(|room| room.topics.len()).sum();
        let Some(who) = &self.who else { return };
        let Some(member) = self.rooms.get_mut(&no).filter(|room| room.is_member()) else {
            self.complain(Some(id), Failure { room: Some(no), ..ErrorCode::NotAMember.into() });
            return;
        };
        let limit = self.sessions.registry.limits().subscriptions;
        let refused = if !member.room.kind().policy.client_topics.contains(&topic) {
            Some(Failure::from(ErrorCode::TopicDenied).with("topic", topic.as_str()))
        } else if !who.identity.rights.may_follow(&topic) {
            Some(Failure::from(ErrorCode::Forbidden).with("topic", topic.as_str()))
        } else if follows && others >= limit && !member.topics.contains(&topic) {
            Some(Failure::from(ErrorCode::TooManySubscriptions).with("limit", limit))
        } else {
            None
        };
        let refused = match refused {
            Some(failure) => Err(failure),
            None => member.follow(id, topic, follows).map_err(|error| self.refused(error)),
        };
        if let Err(failure) = refused {
            self.complain(Some(id), failure);
        }
    }

    fn refused(&self, error: PushError) -> Failure {
        if error == PushError::Full {
            self.registry().metrics().queue_full.inc();
        }
        failure(error)
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
        let (name, waiting) = self.room.resolve(type_).map_err(|code| Failure::from(code).with("type", type_))?;
        if !self.slot.try_enqueue(waiting) {
            return Err(ErrorCode::QueueFull.into());
        }
        let slot = self.slot.clone();
        let arrival = Arrival::Message { slot, no: self.no, request, name, payload: own(payload) };
        self.room.push(arrival).map_err(|error| {
            self.slot.dequeued();
            failure(error)
        })
    }

    fn follow(&mut self, id: u64, topic: String, follows: bool) -> Result<(), PushError> {
        if !self.slot.try_enqueue(self.room.kind().policy.member_queue_len) {
            return Err(PushError::Full);
        }
        match follows {
            true => self.topics.insert(topic.clone()),
            false => self.topics.remove(&topic),
        };
        let slot = self.slot.clone();
        self.room.push(Arrival::Follow { slot, id, topic, follows }).inspect_err(|_| self.slot.dequeued())
    }
}

/// Who is let into rooms of a kind in this role.
fn admission(kind: &Kind, role: Role) -> Admission {
    match role {
        Role::Player => kind.policy.join,
        Role::Spectator => kind.policy.watch,
    }
}

fn admitted(asked: Admission, ways: &[Admission]) -> Result<(), Failure> {
    match asked {
        way if ways.contains(&way) => Ok(()),
        Admission::Invite => Err(ErrorCode::InviteRequired.into()),
        Admission::Ticket | Admission::Open => Err(ErrorCode::TicketRequired.into()),
    }
}

fn missing(field: &str) -> Failure {
    let text = format!("this mode needs `{field}`");
    Failure::from(ErrorCode::BadFrame).because(text).with("field", field)
}

fn failure(error: PushError) -> Failure {
    ErrorCode::from(error).into()
}

fn own(payload: Bytes) -> Bytes {
    if payload.len() < COPY_BELOW { Bytes::copy_from_slice(&payload) } else { payload }
}
