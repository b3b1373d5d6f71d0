//! Coming in, and coming back: hello, tokens, and what a client that was away is told.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use parlor_protocol::frame::{Hello, Recovered, Recovery, ResumeTerms, Welcome};
use parlor_protocol::{BrokerFrame, CloseCode, ErrorCode, Failure, RoomNo};

use super::{Conversation, Next, ROOMLESS, Who, now_ms};
use crate::auth::{Identity, Pending, Verdict};
use crate::outbox::{OVERHEAD, Resumed};
use crate::room::{Arrival, Membership};
use crate::session::Sabotage;
use crate::session::connection::Connection;
use crate::session::place::{Offer, Owner, Place};

/// A client acknowledges after this part of what is kept for it.
const ACK_SHARE: u64 = 4;

/// A token that is being looked at.
pub(in crate::session) struct Checking {
    what: What,
    answer: Pending,
}

/// What the token was for.
enum What {
    Hello(Box<Hello>),
    /// To go on with; answered under this id.
    Fresh {
        id: u64,
    },
}

/// Somebody who is known and wants in.
#[derive(Clone, Debug)]
pub(in crate::session) struct Entrance {
    pub(in crate::session) hello: Hello,
    pub(in crate::session) identity: Identity,
    /// Let in without a token.
    pub(in crate::session) guest: bool,
}

/// The session that a connection belongs to.
pub(in crate::session) struct Target {
    place: Arc<Place>,
    entrance: Entrance,
}

impl Checking {
    pub(in crate::session) fn is_hello(&self) -> bool {
        matches!(self.what, What::Hello(_))
    }

    /// The id under which a fresh token is answered.
    pub(in crate::session) fn answers(&self) -> Option<u64> {
        match self.what {
            What::Fresh { id } => Some(id),
            What::Hello(_) => None,
        }
    }

    pub(in crate::session) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Identity, Failure>> {
        self.answer.as_mut().poll(cx)
    }
}

impl Target {
    pub(in crate::session) fn with(self, connection: Connection) -> (Arc<Place>, Box<Offer>) {
        (self.place, Box::new(Offer { connection, entrance: self.entrance }))
    }
}

impl Who {
    /// What a newer token of the same account says. Rooms that it is in already know it by its old name.
    fn go_on_as(&mut self, identity: Identity) {
        if let Some(name) = &identity.name {
            self.name.clone_from(name);
        }
        self.identity = identity;
    }
}

impl Conversation {
    pub(super) fn hello(&mut self, hello: Hello) -> Next {
        if self.who.is_some() {
            self.complain(None, ErrorCode::HelloRepeated.into());
            return Next::Listen;
        }
        if self.sessions.draining() {
            self.complain(None, ErrorCode::ShuttingDown.into());
            return Next::Close(CloseCode::ShuttingDown);
        }
        let Some(token) = &hello.token else {
            return match self.sessions.auth.guest(self.number) {
                Some(identity) => Next::Enter(Box::new(Entrance { hello, identity, guest: true })),
                None => self.not_let_in(ErrorCode::TokenRequired.into()),
            };
        };
        match self.sessions.auth.verify(token) {
            Verdict::Ready(found) => self.identified(hello, found),
            Verdict::Later(answer) => Next::Check(Checking { what: What::Hello(Box::new(hello)), answer }),
        }
    }

    /// A fresh token, before the one in force ends.
    pub(super) fn fresh_token(&mut self, id: u64, token: &str) -> Next {
        match self.sessions.auth.verify(token) {
            Verdict::Ready(found) => self.refreshed(id, found),
            Verdict::Later(answer) => Next::Check(Checking { what: What::Fresh { id }, answer }),
        }
    }

    /// What has been found out about a token.
    pub(in crate::session) fn checked(&mut self, checking: Checking, found: Result<Identity, Failure>) -> Next {
        match checking.what {
            What::Hello(hello) => self.identified(*hello, found),
            What::Fresh { id } => self.refreshed(id, found),
        }
    }

    fn identified(&mut self, hello: Hello, found: Result<Identity, Failure>) -> Next {
        match found {
            Ok(identity) => Next::Enter(Box::new(Entrance { hello, identity, guest: false })),
            Err(failure) => self.not_let_in(failure),
        }
    }

    fn not_let_in(&mut self, failure: Failure) -> Next {
        let code = match &*failure.code {
            code if code == ErrorCode::TokenExpired.as_str() => CloseCode::TokenExpired,
            code if code == ErrorCode::AuthUnavailable.as_str() && !failure.retryable => CloseCode::AuthUnavailable,
            // It cannot be told at present; later it may.
            code if code == ErrorCode::AuthUnavailable.as_str() || failure.retryable => CloseCode::Internal,
            _ => CloseCode::Unauthorized,
        };
        self.complain(None, failure);
        Next::Close(code)
    }

    fn refreshed(&mut self, id: u64, found: Result<Identity, Failure>) -> Next {
        let Some(who) = &mut self.who else { return Next::Listen };
        match found {
            Ok(identity) if identity.account == who.identity.account => {
                who.go_on_as(identity);
                self.say(&BrokerFrame::Done { id });
            }
            Ok(_) => {
                let why = "the token is another account's";
                self.complain(Some(id), Failure::from(ErrorCode::TokenInvalid).because(why));
            }
            Err(failure) => self.complain(Some(id), failure),
        }
        Next::Listen
    }

    /// Lets somebody in, or back to the session that it names.
    pub(in crate::session) fn enter(&mut self, entrance: Entrance, place: &Arc<Place>) -> Next {
        let wanted = entrance.hello.resume.as_ref().and_then(|wish| wish.token.as_deref());
        let Some(token) = wanted else {
            self.welcome(entrance, place, None);
            return Next::Listen;
        };
        match self.find(token, &entrance) {
            Ok(target) => Next::HandOver(Box::new(Target { place: target, entrance })),
            Err(lost) => {
                self.welcome(entrance, place, Some(lost));
                Next::Listen
            }
        }
    }

    /// The session that a resume token names, if it is this client's.
    fn find(&self, token: &str, entrance: &Entrance) -> Result<Arc<Place>, &'static str> {
        let claim = self.sessions.keys.read_resume_token(token).ok_or("unknown")?;
        let Some(place) = self.sessions.live.get(&claim.session).map(|place| place.clone()) else {
            // What it was signed for is not known any more; whoever wrote it, there is nothing to get.
            return Err("expired");
        };
        let owner = place.owner().ok_or("unknown")?;
        let same = match (owner.guest, entrance.guest) {
            (false, false) => owner.account == entrance.identity.account,
            (true, true) => true,
            _ => false,
        };
        if !same || !self.sessions.keys.check(&claim, &owner.account) || !place.accepts(claim.generation) {
            return Err("unknown");
        }
        if place.outbox.codec() != self.outbox.codec() {
            return Err("codec");
        }
        if place.outbox.is_over() { Err("expired") } else { Ok(place) }
    }

    /// Begins a session.
    pub(in crate::session) fn welcome(&mut self, entrance: Entrance, place: &Arc<Place>, lost: Option<&'static str>) {
        let Entrance { hello, identity, guest } = entrance;
        let metrics = self.registry().metrics();
        metrics.sessions.inc();
        metrics.sessions_opened.inc();
        if let Some(lost) = lost {
            metrics.resumed("lost");
            tracing::debug!(session = self.number, lost, "a session could not be taken up again");
        }
        let shown = identity.name.clone().or(hello.name).filter(|name| !name.trim().is_empty());
        let kept = hello.resume.is_some();
        if kept {
            self.outbox.keep();
            place.own(Owner { account: identity.account.clone(), guest });
        }
        let name = shown.unwrap_or_else(|| identity.account.clone());
        self.who = Some(Who { identity, name, guest, kept, away: false });
        let mut welcome = self.greeting(kept.then(|| place.next_generation()));
        welcome.lost = lost.map(str::to_owned);
        self.say(&BrokerFrame::Welcome(welcome.into()));
    }

    fn greeting(&self, generation: Option<u32>) -> Welcome {
        let account = self.who.as_ref().map(|who| who.identity.account.clone()).unwrap_or_default();
        let limits = self.limits();
        let resume = generation.map(|generation| ResumeTerms {
            token: self.sessions.keys.resume_token(self.number, &account, generation),
            ack_frames: (limits.outbox_frames.min(limits.outbox_bytes / OVERHEAD) as u64 / ACK_SHARE).max(1),
            ack_bytes: (limits.outbox_bytes as u64 / ACK_SHARE).max(1),
        });
        Welcome {
            session: format!("s{}", self.number),
            account,
            server: concat!("parlor/", env!("CARGO_PKG_VERSION")).to_owned(),
            time: now_ms(),
            max_frame: limits.max_frame_bytes as u64,
            expires: self.who.as_ref().and_then(|who| who.identity.expires_ms),
            resume,
            lost: None,
        }
    }

    /// Whether the token in force has ended.
    pub(in crate::session) fn token_is_over(&self) -> bool {
        self.who.as_ref().is_some_and(|who| who.identity.is_over(now_ms()))
    }

    /// How long this session is worth keeping without a connection: as long as its rooms wait. None when they do not.
    pub(in crate::session) fn window(&self) -> Option<Duration> {
        let longest = self.rooms.values().map(|room| room.room.kind().policy.resume_ms).max();
        let window = longest.map_or(ROOMLESS, Duration::from_millis);
        (!window.is_zero()).then_some(window)
    }

    /// Tells the rooms that there is no connection any more.
    pub(in crate::session) fn drop_out(&mut self) {
        self.registry().metrics().sessions_away.inc();
        if let Some(who) = &mut self.who {
            who.away = true;
        }
        for room in self.rooms.values() {
            let _ = room.room.push(Arrival::Drop { slot: room.slot.clone() });
        }
    }

    /// Tells the rooms that there is a connection again. Even those that have not noticed that there was none are told: their
    /// `latest` values may have got lost.
    pub(in crate::session) fn come_back(&mut self) {
        if self.who.as_mut().is_some_and(|who| std::mem::take(&mut who.away)) {
            self.registry().metrics().sessions_away.dec();
        }
        for room in self.rooms.values().filter(|room| room.slot.status() != Membership::Over) {
            let _ = room.room.push(Arrival::Resume { slot: room.slot.clone() });
        }
    }

    /// Goes on under the token that the new connection brought.
    pub(in crate::session) fn renew(&mut self, entrance: &Entrance) {
        if let Some(who) = self.who.as_mut().filter(|_| !entrance.guest) {
            who.go_on_as(entrance.identity.clone());
        }
    }

    /// Asks rooms for the views that they owe.
    pub(in crate::session) fn ask_for_views(&self, rooms: &[RoomNo]) {
        for room in rooms.iter().filter_map(|no| self.rooms.get(no)) {
            self.registry().metrics().views_sent.inc();
            let _ = room.room.push(Arrival::View { slot: room.slot.clone() });
        }
    }

    /// The rooms that it is in, or about to be.
    pub(in crate::session) fn room_numbers(&self) -> Vec<RoomNo> {
        let held = self.rooms.iter().filter(|(_, room)| room.slot.status() == Membership::In);
        held.map(|(no, _)| *no).collect()
    }

    /// What a client that came back is told first.
    pub(in crate::session) fn resumed(&self, generation: u32, resumed: &Resumed, sabotage: Sabotage) -> BrokerFrame {
        let answered = self.rooms.iter().filter(|(_, room)| room.slot.status() != Membership::Joining);
        let rooms = answered.map(|(no, room)| {
            let over = room.slot.status() == Membership::Over;
            let outcome = match over {
                true => Recovered::Lost,
                false if resumed.due.contains(no) => Recovered::View,
                false => Recovered::Frames,
            };
            let missed = resumed.missed.get(no).copied().unwrap_or_default();
            let frames = (outcome == Recovered::Frames).then_some(missed);
            let reason = over.then(|| room.slot.why().unwrap_or("closed").to_owned());
            Recovery { room: *no, no: room.no, outcome, frames, reason }
        });
        let mut rooms: Vec<_> = rooms.collect();
        rooms.sort_unstable_by_key(|room| room.room);
        for room in &rooms {
            self.registry().metrics().resumed(match room.outcome {
                Recovered::Frames => "recovered",
                Recovered::View => "view",
                Recovered::Lost => "lost",
            });
        }
        self.registry().metrics().sessions_resumed.inc();
        let received = sabotage.taken(self.taken);
        BrokerFrame::Resumed { welcome: self.greeting(Some(generation)).into(), received, rooms }
    }
}

impl Sabotage {
    fn taken(self, taken: u64) -> u64 {
        if self == Self::ForgetOne { taken.saturating_sub(1) } else { taken }
    }

    pub(in crate::session) fn received(self, received: Option<u64>) -> Option<u64> {
        if self == Self::RepeatOne { received.map(|received| received.saturating_sub(1)) } else { received }
    }
}
