//! The room as a state machine without I/O: it numbers what happens, and turns outcomes into frames for members.
//!
//! Whoever drives it (the room actor, the test harness) brings the time, asks for the next [`Input`], has the handler handle it,
//! and gives back the outcome before it asks for another. It knows no clock, no socket and no handler.

mod apply;
mod due;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use parlor_protocol::codec::NIL;
use parlor_protocol::frame::Role;
use parlor_protocol::policy::{Handled, SameAccount};
use parlor_protocol::room::{Cause, CloseWhy, Door, Input, Leave, Origin, Player, Topic, UsedTicket, WorkId};
use parlor_protocol::{BrokerFrame, ErrorCode, Failure, Place, PlayerId, RoomId, RoomNo, Seq};

use super::kind::Kind;
use super::latest::Latest;
use super::members::{Member, Members};
use super::timers::{Ticker, Timers};
use super::types::TypeTable;
use crate::wire::{Run, SharedFrame};

pub use apply::WorkStart;

/// How a member is reached.
pub trait Link {
    /// The member has been let in under this number.
    fn seated(&mut self, player: PlayerId);

    /// Whether the member's codec has a form for the frame.
    fn can_read(&self, frame: &SharedFrame) -> bool;

    /// A frame for the member. Must not block.
    fn deliver(&mut self, frame: &SharedFrame);

    /// Frames that all members get, one behind the other; `_last` if the member gets nothing more of this batch.
    fn deliver_all(&mut self, run: &Run<'_>, _last: bool) {
        run.frames().iter().for_each(|frame| self.deliver(frame));
    }
}

/// Somebody who wants in.
#[derive(Debug)]
pub struct Newcomer<L> {
    /// The client's id of the join, for the answer.
    pub id: u64,
    /// Its account.
    pub account: String,
    /// The name that others may see.
    pub name: String,
    /// Player or spectator.
    pub role: Role,
    /// What it says to the handler.
    pub options: Bytes,
    /// The ticket that shall let it in.
    pub ticket: Option<UsedTicket>,
    /// How it is reached.
    pub link: L,
}

/// What the lobby may know.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// Properties of the room.
    pub properties: BTreeMap<String, serde_json::Value>,
    /// Whether newcomers may come in.
    pub door: Door,
}

/// One room.
#[derive(Debug)]
pub struct RoomState<L> {
    no: RoomNo,
    id: RoomId,
    kind: Arc<Kind>,
    /// How many types, from the first, clients may say by number.
    routes: u32,
    /// The code with which others may join, if that is how this room is joined.
    invite: Option<String>,
    opened_ms: u64,
    now_us: u64,
    seq: Seq,
    next_player: u32,
    members: Members<L>,
    /// Members without a connection, by the time until which their seats are kept.
    away: BTreeSet<(u64, PlayerId)>,
    latest: Latest,
    /// Tickets that have been used, by the second in which they would have expired.
    tickets: BTreeSet<(u64, String)>,
    joining: Option<(u64, L)>,
    departed: Vec<L>,
    /// Members no more, of whose leave the handler has still to hear.
    leaving: VecDeque<(PlayerId, Leave)>,
    /// Members that are to be shown a fresh view, since what they have seen is no more.
    unseen: VecDeque<PlayerId>,
    types: TypeTable,
    timers: Timers,
    ticker: Ticker,
    /// Outside work that has not ended.
    works: BTreeMap<WorkId, (Cow<'static, str>, Bytes)>,
    empty_since_us: Option<u64>,
    phase: Phase,
    shown: Shown,
    shown_changed: bool,
    tally: Tally,
}

/// How far the room's life is.
#[derive(Clone, Debug, PartialEq)]
enum Phase {
    Open,
    /// Asked to close; it may use the time until then.
    Closing {
        until_us: u64,
        why: CloseWhy,
    },
    /// Nothing more happens. The failure is what latecomers are told.
    Ended(Failure),
}

/// What happened since it was last taken, for metrics and logs.
#[derive(Debug, Default)]
pub struct Tally {
    /// Outputs released.
    pub outputs: u64,
    /// Client messages handled.
    pub handled: u64,
    /// Client messages on which the handler panicked.
    pub set_aside: u64,
    /// Client messages whose sender was gone.
    pub orphaned: u64,
    /// Inputs that were refused or failed.
    pub faults: u64,
    /// Panic texts.
    pub panics: Vec<String>,
    /// Faults that no client is told of.
    pub untold: Vec<Failure>,
    /// Codes of errors told to clients.
    pub told: Vec<Cow<'static, str>>,
}

impl<L: Link> RoomState<L> {
    /// A room that has not opened yet. `opened_ms` is the wall clock; all later times are microseconds from then.
    pub fn new(no: RoomNo, id: RoomId, kind: Arc<Kind>, opened_ms: u64, shown: Shown) -> Self {
        Self {
            no,
            id,
            invite: None,
            opened_ms,
            now_us: 0,
            seq: Seq(0),
            next_player: 1,
            members: Members::default(),
            away: BTreeSet::new(),
            latest: Latest::new(kind.policy.max_latest),
            tickets: BTreeSet::new(),
            joining: None,
            departed: Vec::new(),
            leaving: VecDeque::new(),
            unseen: VecDeque::new(),
            types: TypeTable::new(kind.routes()),
            routes: kind.routes().len() as u32,
            timers: Timers::default(),
            ticker: Ticker::new(&kind.policy),
            works: BTreeMap::new(),
            empty_since_us: Some(0),
            phase: Phase::Open,
            shown,
            shown_changed: true,
            tally: Tally::default(),
            kind,
        }
    }

    /// The same room, with a code by which it is joined.
    #[must_use]
    pub fn with_invite(mut self, invite: Option<String>) -> Self {
        self.invite = invite;
        self
    }

    /// Brings the time, in microseconds since the room opened. It never goes back.
    pub fn advance(&mut self, now_us: u64) {
        self.now_us = self.now_us.max(now_us);
    }

    /// Input 1.
    pub fn open(&mut self, seed: u64, options: Bytes) -> Input {
        debug_assert_eq!(self.seq, Seq(0), "a room opens once");
        self.ticker.occupied(self.now_us, 0);
        let room = self.id.clone();
        self.number(Cause::Open { room, seed, options })
    }

    /// Ends the memberships of an account that is about to join again, if that is the policy and nothing is in the way of that join. To be
    /// called before [`join`](Self::join); their leaves come next.
    pub fn make_way(&mut self, account: &str, ticket: Option<&UsedTicket>) {
        let replaces = self.kind.policy.same_account == SameAccount::Replace;
        if !replaces || self.refuses().is_some() || ticket.is_some_and(|ticket| self.is_used(ticket)) {
            return;
        }
        for player in self.members.of_account(account) {
            let place = Place { seq: self.seq, index: u32::MAX };
            self.send_away(player, place, "replaced", NIL, Leave::Replaced);
        }
    }

    /// Somebody wants in. `None` when the broker itself refuses, and has said so.
    pub fn join(&mut self, who: Newcomer<L>) -> Option<Input> {
        if let Some(failure) = self.turns_away(&who) {
            self.turn_away(who.id, who.link, failure);
            return None;
        }
        let Newcomer { id, account, name, role, options, ticket, link } = who;
        let player = Player { id: PlayerId(self.next_player), account, name, role };
        self.next_player += 1;
        self.joining = Some((id, link));
        Some(self.number(Cause::Join { player, options, ticket }))
    }

    fn turns_away(&self, who: &Newcomer<L>) -> Option<Failure> {
        if let Some(failure) = self.refuses() {
            return Some(failure);
        }
        let again = || !self.members.of_account(&who.account).is_empty();
        if who.ticket.as_ref().is_some_and(|ticket| self.is_used(ticket)) {
            return Some(ErrorCode::TicketUsed.into());
        }
        if self.kind.policy.same_account == SameAccount::Refuse && again() {
            return Some(ErrorCode::AlreadyJoined.into());
        }
        // Numbers are never used twice; a room that has used all of them takes nobody in any more.
        (self.next_player == u32::MAX).then(|| ErrorCode::RoomClosed.into())
    }

    fn is_used(&self, ticket: &UsedTicket) -> bool {
        self.tickets.contains(&(ticket.expires_s, ticket.id.clone()))
    }

    /// A member has lost its connection. Its seat is kept for the policy's time, if that gives any.
    pub fn drop_out(&mut self, player: PlayerId) -> Option<Input> {
        let resume_us = self.kind.policy.resume_ms.saturating_mul(1000);
        if resume_us == 0 {
            return self.leave(player, &Leave::Disconnected);
        }
        let until_us = self.now_us.saturating_add(resume_us);
        let member = self.members.get_mut(player).filter(|member| member.away_until_us.is_none())?;
        member.away_until_us = Some(until_us);
        self.away.insert((until_us, player));
        Some(self.number(Cause::Drop { player }))
    }

    /// A member has a connection again. It gets the present values of what it follows, even if the room had not noticed that it was gone.
    pub fn resume(&mut self, player: PlayerId) -> Option<Input> {
        let until_us = self.members.get_mut(player)?.away_until_us.take();
        self.show_latest(player, self.members.topics(player));
        self.away.remove(&(until_us?, player));
        Some(self.number(Cause::Resume { player }))
    }

    /// A member needs a fresh view.
    pub fn view(&mut self, player: PlayerId) -> Option<Input> {
        (self.members.contains(player) && !self.ended()).then(|| self.number(Cause::View { player }))
    }

    /// All members need a fresh view.
    pub fn resync(&mut self) {
        self.unseen = self.members.iter_mut().map(|member| member.player.id).collect();
    }

    /// A member is gone, or wants to go.
    pub fn leave(&mut self, player: PlayerId, why: &Leave) -> Option<Input> {
        let mut member = self.remove(player)?;
        let input = self.number(Cause::Leave { player, why: why.clone() });
        if *why == Leave::Left {
            let place = Place { seq: input.seq, index: 0 };
            member.link.deliver(&self.closed(place, "left", NIL));
        }
        self.departed.push(member.link);
        Some(input)
    }

    /// A member says something. `None` when it is a member no more.
    pub fn message(&mut self, from: Origin, name: Arc<str>, payload: Bytes) -> Option<Input> {
        if !self.members.contains(from.player) || self.ended() {
            self.tally.orphaned += 1;
            return None;
        }
        Some(self.number(Cause::Message { from, name, payload }))
    }

    /// A member begins or ceases to follow a topic. `None` when it may not, and has been told.
    pub fn follow(&mut self, player: PlayerId, id: u64, topic: &str, follows: bool) -> Option<Input> {
        let allowed = self.kind.policy.client_topics.iter().any(|known| known == topic);
        if !self.members.contains(player) {
            return None;
        }
        if !allowed {
            let failure = Failure::from(ErrorCode::TopicDenied).with("topic", topic);
            self.members.tell(player, &SharedFrame::new(BrokerFrame::Error { id: Some(id), error: failure.into() }));
            self.tally.told.push(ErrorCode::TopicDenied.as_str().into());
            return None;
        }
        self.members.tell(player, &SharedFrame::new(BrokerFrame::Done { id }));
        Some(self.number(Cause::Follow { player, topic: Topic::from(topic), follows }))
    }

    /// The server side says something.
    pub fn event(&mut self, name: Arc<str>, payload: Bytes) -> Input {
        self.number(Cause::Event { name, payload })
    }

    /// Outside work has ended. The first result of a piece of work wins.
    pub fn work_done(&mut self, id: WorkId, name: String, result: Result<Bytes, Box<Failure>>) -> Option<Input> {
        let (_, _) = self.works.remove(&id)?;
        Some(self.number(Cause::Work { id, name: name.into(), result }))
    }

    /// Whether there is outside work that has not ended.
    pub fn has_works(&self) -> bool {
        !self.works.is_empty()
    }

    /// All outside work that has not ended, in the order in which it was asked for.
    pub fn pending_works(&self) -> Vec<WorkStart> {
        let start = |(id, (name, arguments)): (&WorkId, &(Cow<'static, str>, Bytes))| WorkStart {
            id: *id,
            name: name.clone(),
            arguments: arguments.clone(),
        };
        self.works.iter().map(start).collect()
    }

    /// Somebody outside wants the room closed. `None` when it is closing already: a shutdown then only shortens the time it has.
    pub fn close(&mut self, why: CloseWhy, max_grace_ms: u64) -> Option<Input> {
        let after = |grace_ms: u64| self.now_us.saturating_add(grace_ms.saturating_mul(1000));
        match &mut self.phase {
            Phase::Open => {
                let grace_ms = self.kind.policy.close_grace_ms.min(max_grace_ms);
                self.phase = Phase::Closing { until_us: after(grace_ms), why };
                self.shown_changed = true;
                Some(self.number(Cause::Close { why, grace_ms }))
            }
            Phase::Closing { until_us, why: before } => {
                if why == CloseWhy::ShuttingDown && *until_us > after(max_grace_ms) {
                    (*until_us, *before) = (after(max_grace_ms), why);
                }
                None
            }
            Phase::Ended(_) => None,
        }
    }

    /// Ends a batch: gives all members what was said to all, tells clients what of theirs has been handled, and gives back the links
    /// of those who are gone.
    pub fn end_batch(&mut self) -> Vec<L> {
        let told = self.kind.policy.handled == Handled::Told;
        self.members.end_batch(|member| !told || member.handled == member.told);
        if told {
            let (room, tick) = (self.no, self.ticker.count());
            for member in self.members.iter_mut().filter(|member| member.handled > member.told) {
                member.told = member.handled;
                member.link.deliver(&SharedFrame::new(BrokerFrame::Handled { room, no: member.told, tick }));
            }
        }
        std::mem::take(&mut self.departed)
    }

    /// Whether nothing more will happen.
    pub fn ended(&self) -> bool {
        matches!(self.phase, Phase::Ended(_))
    }

    /// Tells somebody who came too late why.
    pub fn turn_away(&mut self, id: u64, mut link: L, failure: Failure) {
        self.tally.told.push(failure.code.clone());
        link.deliver(&SharedFrame::new(BrokerFrame::Error { id: Some(id), error: failure.into() }));
        self.departed.push(link);
    }

    /// Why nobody may come in now, if that is so.
    pub fn refuses(&self) -> Option<Failure> {
        match (&self.phase, self.shown.door) {
            (Phase::Ended(failure), _) => Some(failure.clone()),
            (Phase::Closing { .. }, _) => Some(ErrorCode::RoomClosed.into()),
            (Phase::Open, Door::Locked) => Some(ErrorCode::RoomLocked.into()),
            (Phase::Open, Door::Open) => None,
        }
    }

    /// What the lobby may know, if that has changed since it was last asked.
    pub fn take_shown(&mut self) -> Option<Shown> {
        if !std::mem::take(&mut self.shown_changed) {
            return None;
        }
        let door = if self.phase == Phase::Open { self.shown.door } else { Door::Locked };
        Some(Shown { door, ..self.shown.clone() })
    }

    /// What happened since this was last called.
    pub fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// The members' links, in the order in which they came.
    pub fn links(&mut self) -> impl Iterator<Item = &mut L> {
        self.members.iter_mut().map(|member| &mut member.link)
    }

    /// Whether this player is a member.
    pub fn is_member(&self, player: PlayerId) -> bool {
        self.members.contains(player)
    }

    /// Members, spectators included.
    pub fn member_count(&self) -> usize {
        self.members.len()
    }

    /// Ends a membership from this side; its leave comes before any other input.
    fn send_away(&mut self, player: PlayerId, place: Place, code: &str, result: Bytes, why: Leave) {
        if let Some(mut member) = self.remove(player) {
            member.link.deliver(&self.closed(place, code, result));
            self.departed.push(member.link);
            self.leaving.push_back((player, why));
        }
    }

    fn remove(&mut self, player: PlayerId) -> Option<Member<L>> {
        let member = self.members.remove(player)?;
        if let Some(until_us) = member.away_until_us {
            self.away.remove(&(until_us, player));
        }
        Some(member)
    }

    /// The present values of these topics, for one member.
    fn show_latest(&mut self, player: PlayerId, topics: Vec<Topic>) {
        if self.latest.is_empty() {
            return;
        }
        for frame in topics.iter().flat_map(|topic| self.latest.of(topic)) {
            self.members.tell(player, frame);
        }
    }

    fn number(&mut self, cause: Cause) -> Input {
        self.seq.0 += 1;
        Input { seq: self.seq, now_ms: self.opened_ms + self.now_us / 1000, cause }
    }

    fn closed(&self, place: Place, code: &str, result: Bytes) -> SharedFrame {
        SharedFrame::new(BrokerFrame::Closed { room: self.no, place, code: code.to_owned(), result })
    }
}
