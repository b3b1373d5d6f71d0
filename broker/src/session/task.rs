//! The task of one session: serves its connection while it has one, and waits for the next while it has none.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use parlor_protocol::{BrokerFrame, CloseCode, Codec, ErrorCode, Failure};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};
use tracing::debug;

use super::connection::{Connection, Due, Heard};
use super::conversation::{Checking, Conversation, Next};
use super::place::{Offer, Place};
use super::{Listed, Sessions};
use crate::outbox::{Frame, Outbox};
use crate::shard::{self, Lodger, ShardNo};
use crate::telemetry::count;
use crate::wire;

/// Frames that one wake-up may read, so that a flood leaves the thread to others in between.
const READS: usize = 64;
/// How often deadlines are looked at.
const HOUSEKEEPING: Duration = Duration::from_secs(1);
/// Frames of the client after which it is told that they were taken.
const ACK_EVERY: u64 = 32;
/// Longer than its rooms wait: who comes back at the last moment is told what they decided.
const SLACK: Duration = Duration::from_secs(1);

/// Runs a session on a shard, and again on another one whenever it moves.
pub(super) fn run(mut session: Session, shard: ShardNo) {
    let runtime = session.sessions.shards.runtime(shard).clone();
    runtime.spawn(async move {
        match session.run(shard).await {
            Step::Move(to) => {
                if let Some(connection) = &mut session.connection {
                    connection.withdraw(&session.outbox);
                    // A socket that cannot be moved is one that is lost; the session finds that out where it arrives.
                    let _ = connection.berth().depart();
                }
                run(session, to);
            }
            Step::End => session.end(),
        }
    });
}

/// One client's stay.
pub(super) struct Session {
    number: u64,
    place: Arc<Place>,
    outbox: Arc<Outbox>,
    talk: Conversation,
    connection: Option<Connection>,
    /// Its connection has broken, and this is when it is dealt with.
    broken: Option<Instant>,
    /// While there is no connection.
    away: Option<Away>,
    /// A token that is being looked at.
    checking: Option<Checking>,
    /// Whether the client has spoken on this connection, and so has had the newest resume token.
    heard: bool,
    /// Frames of the client that it has been told were taken.
    acked: u64,
    sessions: Arc<Sessions>,
    _listed: Listed,
}

/// Waiting for the client to come back.
struct Away {
    until: Instant,
    _permit: OwnedSemaphorePermit,
}

/// What a session does next.
enum Step {
    /// Goes on, on another shard.
    Move(ShardNo),
    /// Ends.
    End,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lost {
    /// By us, for this reason; the client has been told if it could be.
    Closed(CloseCode),
    /// By the client, for good.
    Left,
    /// By the client or the network, without a word that the session is over.
    Broken,
}

impl Session {
    /// A session that has yet to say hello.
    pub(super) fn new(sessions: &Arc<Sessions>, connection: Connection, codec: Codec) -> Self {
        let outbox = Arc::new(Outbox::new(codec, sessions.registry.limits()));
        let (number, place) = sessions.register(outbox.clone());
        Self {
            number,
            place,
            talk: Conversation::new(sessions.clone(), outbox.clone(), number),
            outbox,
            connection: Some(connection),
            broken: None,
            away: None,
            checking: None,
            heard: false,
            acked: 0,
            sessions: sessions.clone(),
            _listed: sessions.list(number),
        }
    }

    async fn run(&mut self, shard: ShardNo) -> Step {
        if let Some(connection) = &mut self.connection
            && connection.arrive(&self.outbox).is_err()
            && self.lose(Lost::Broken) == Fate::End
        {
            return Step::End;
        }
        let mut clock = Box::pin(tokio::time::sleep(HOUSEKEEPING));
        poll_fn(|cx| self.poll(cx, shard, clock.as_mut())).await
    }

    fn poll(&mut self, cx: &mut Context<'_>, shard: ShardNo, mut clock: Pin<&mut Sleep>) -> Poll<Step> {
        loop {
            let (offer, ended) = self.place.poll(cx);
            if let Some(offer) = offer {
                self.adopt(*offer);
                clock.as_mut().reset(Instant::now() + HOUSEKEEPING);
            }
            if ended && self.connection.is_none() {
                return Poll::Ready(Step::End);
            }
            let lost = match (&self.connection, &self.away) {
                (Some(_), _) => match self.poll_broken(cx, clock.as_mut()) {
                    Poll::Ready(lost) => lost,
                    Poll::Pending => break,
                },
                (None, Some(away)) => {
                    clock.as_mut().reset(away.until);
                    return clock.poll(cx).map(|()| Step::End);
                }
                // It has handed its connection over to the session that it belongs to.
                (None, None) => return Poll::Ready(Step::End),
            };
            if self.lose(lost) == Fate::End {
                return Poll::Ready(Step::End);
            }
        }
        // Only between frames, so that the socket can change hands.
        let blocked = self.connection.as_ref().is_some_and(|connection| connection.writer.blocked());
        match self.talk.home().filter(|to| *to != shard && !blocked && self.checking.is_none()) {
            Some(to) => Poll::Ready(Step::Move(to)),
            None => Poll::Pending,
        }
    }

    /// A connection that has broken is dealt with in its turn.
    fn poll_broken(&mut self, cx: &mut Context<'_>, mut clock: Pin<&mut Sleep>) -> Poll<Lost> {
        if self.broken.is_none() {
            match self.poll_connection(cx, clock.as_mut()) {
                Poll::Ready(Lost::Broken) => {}
                other => return other,
            }
        }
        let turn = *self.broken.get_or_insert_with(|| self.sessions.partings.turn());
        if turn > Instant::now() {
            clock.as_mut().reset(turn);
            ready!(clock.poll(cx));
        }
        self.broken = None;
        Poll::Ready(Lost::Broken)
    }

    /// One wake-up: looks at the clock, reads what is there, writes what is owed.
    fn poll_connection(&mut self, cx: &mut Context<'_>, clock: Pin<&mut Sleep>) -> Poll<Lost> {
        if let Poll::Ready(lost) = self.poll_clock(cx, clock) {
            return Poll::Ready(lost);
        }
        self.poll_check(cx);
        loop {
            let choked = self.connection.as_ref().is_some_and(Connection::choked);
            if !choked && let Poll::Ready(lost) = self.poll_read(cx) {
                // What is owed goes out as far as the socket takes it.
                let _ = self.poll_owed(cx);
                return Poll::Ready(lost);
            }
            self.talk.count();
            self.tell_taken(ACK_EVERY);
            let owed = self.poll_owed(cx);
            // What was not read for that reason has to be read now: no wake-up will come for it.
            if !choked || self.connection.as_ref().is_none_or(Connection::choked) || owed.is_ready() {
                return owed;
            }
        }
    }

    /// Reads until the socket has no more, or this turn's share is used up.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Lost> {
        self.talk.wake_up();
        for _ in 0..READS {
            // Who is being looked at is not listened to.
            if self.checking.as_ref().is_some_and(Checking::is_hello) {
                return Poll::Pending;
            }
            let Some(connection) = self.connection.as_mut().filter(|connection| !connection.deaf) else {
                return Poll::Pending;
            };
            let Poll::Ready(heard) = connection.poll_next(cx) else { return Poll::Pending };
            match heard {
                Heard::Frame(frame, codec) => self.handle_frame(&frame, codec),
                Heard::Nothing => {}
                Heard::TooLarge(size) => {
                    self.talk.frame_too_large(size);
                    self.close(CloseCode::FrameTooLarge);
                }
                Heard::Nonsense(why) => {
                    self.talk.unreadable(why);
                    self.close(CloseCode::BadFrames);
                }
                Heard::Goodbye { for_good } => return Poll::Ready(if for_good { Lost::Left } else { Lost::Broken }),
                Heard::Lost => return Poll::Ready(Lost::Broken),
            }
            let limits = self.sessions.registry.limits();
            if self.connection.as_ref().is_some_and(|connection| !connection.deaf && connection.in_shreds(limits)) {
                self.talk.unreadable("a message in too many fragments".to_owned());
                self.close(CloseCode::BadFrames);
            }
        }
        shard::again(cx);
        Poll::Pending
    }

    fn handle_frame(&mut self, frame: &Bytes, codec: Codec) {
        if !std::mem::replace(&mut self.heard, true) {
            self.place.prove();
        }
        let next = self.talk.handle(frame, codec);
        self.follow(next);
        self.connection.iter_mut().for_each(Connection::end_turn);
    }

    fn follow(&mut self, next: Next) {
        match next {
            Next::Listen => {}
            Next::Close(code) => self.close(code),
            Next::Check(checking) => match (&self.checking, checking.answers()) {
                // One after the other: a game's own check may take its time.
                (Some(_), Some(id)) => self.talk.complain(Some(id), ErrorCode::RateLimited.into()),
                _ => self.checking = Some(checking),
            },
            Next::Enter(entrance) => {
                let next = self.talk.enter(*entrance, &self.place);
                self.follow(next);
            }
            Next::HandOver(target) => {
                let Some(connection) = self.take_connection() else { return };
                let (place, offer) = target.with(connection);
                if let Err(offer) = hand_over(&place, offer) {
                    // The session ended in this very moment.
                    let Offer { mut connection, entrance } = *offer;
                    let _ = connection.arrive(&self.outbox);
                    self.connection = Some(connection);
                    self.talk.welcome(entrance, &self.place, Some("expired"));
                }
            }
        }
    }

    /// Goes on with what a token's check has found.
    fn poll_check(&mut self, cx: &mut Context<'_>) {
        let Some(checking) = &mut self.checking else { return };
        let Poll::Ready(found) = checking.poll(cx) else { return };
        let Some(checking) = self.checking.take() else { return };
        let next = self.talk.checked(checking, found);
        self.follow(next);
    }

    fn poll_owed(&mut self, cx: &mut Context<'_>) -> Poll<Lost> {
        let Some(connection) = &mut self.connection else { return Poll::Pending };
        let owed = connection.poll_owed(cx, &self.outbox);
        let wrote = std::mem::take(&mut connection.writer.wrote);
        connection.note_progress(wrote.calls);
        let caught_up = !connection.writer.blocked();
        let metrics = self.sessions.registry.metrics();
        count(&metrics.writes, wrote.calls);
        count(&metrics.bytes_out, wrote.bytes);
        match owed {
            Poll::Ready(Ok(Some(code))) => Poll::Ready(Lost::Closed(code)),
            Poll::Ready(Ok(None) | Err(_)) => Poll::Ready(Lost::Broken),
            Poll::Pending => {
                if caught_up && self.talk.is_kept() {
                    self.talk.ask_for_views(&self.outbox.ask_when_read());
                }
                Poll::Pending
            }
        }
    }

    /// Tells the client how many of its frames were taken, once there are enough.
    fn tell_taken(&mut self, enough: u64) {
        let taken = self.talk.taken();
        if self.talk.is_kept() && taken - self.acked >= enough {
            self.acked = taken;
            self.say(&BrokerFrame::Acked { received: taken });
        }
    }

    /// Hello, silence, tokens and the write deadline, once a second.
    fn poll_clock(&mut self, cx: &mut Context<'_>, mut clock: Pin<&mut Sleep>) -> Poll<Lost> {
        const PING: &[u8] = &[0x89, 0];
        while clock.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            clock.as_mut().reset(now + HOUSEKEEPING);
            let Some(connection) = &mut self.connection else { return Poll::Pending };
            let (limits, closing) = (self.sessions.registry.limits(), self.outbox.closing());
            match connection.look_at_clock(now, limits, closing) {
                Due::End(code) => return Poll::Ready(Lost::Closed(code)),
                Due::Close(code) => {
                    if closing.is_some() && !self.talk.may_be_kept(code) {
                        // It is no member any more.
                        self.talk.hang_up();
                    }
                    self.outbox.close(code);
                    continue;
                }
                Due::Ping => {
                    self.outbox.push(Frame::passing(Bytes::from_static(PING)));
                }
                Due::Nothing => {}
            }
            let age = now.saturating_duration_since(connection.since).as_millis() as u64;
            if !self.talk.said_hello() && self.checking.is_none() && age >= limits.hello_timeout_ms {
                self.outbox.close(CloseCode::HelloTimeout);
            } else if self.talk.token_is_over() {
                self.talk.complain(None, ErrorCode::TokenExpired.into());
                self.outbox.close(CloseCode::TokenExpired);
            }
            count(&self.sessions.registry.metrics().publishes_dropped, self.outbox.take_dropped());
            self.tell_taken(1);
        }
        Poll::Pending
    }

    /// Takes a connection over: the client is back, or was never really gone.
    fn adopt(&mut self, offer: Offer) {
        let Offer { mut connection, entrance } = offer;
        self.broken = None;
        if let Some(old) = self.take_connection() {
            // Nothing that it still says is heard from here on.
            self.talk.count();
            self.count_close("replaced");
            tokio::spawn(old.part(CloseCode::Replaced));
        }
        connection.end_turn();
        if connection.arrive(&self.outbox).is_err() {
            if self.away.is_none() {
                self.lose(Lost::Broken);
            }
            return;
        }
        (self.connection, self.away, self.heard) = (Some(connection), None, false);
        self.talk.renew(&entrance);
        let rooms = self.talk.room_numbers();
        let generation = self.place.next_generation();
        let greet = |resumed: &_| {
            let frame = self.talk.resumed(generation, resumed, self.sessions.sabotage);
            wire::encode(self.outbox.codec(), &frame)
        };
        let received = entrance.hello.resume.and_then(|wish| wish.received);
        let received = self.sessions.sabotage.received(received);
        match self.outbox.resume(received, &rooms, greet) {
            Ok(_) => {
                self.acked = self.talk.taken();
                self.talk.come_back();
                self.talk.ask_for_views(&self.outbox.ask());
            }
            Err(_) => {
                let why = "more frames are said to be received than were sent";
                self.talk.complain(None, Failure::from(ErrorCode::BadFrame).because(why));
                self.close(CloseCode::BadFrames);
            }
        }
    }

    /// The connection, to which nobody else writes any more.
    fn take_connection(&mut self) -> Option<Connection> {
        let mut connection = self.connection.take()?;
        connection.withdraw(&self.outbox);
        Some(connection)
    }

    /// What becomes of the session now that its connection is lost.
    fn lose(&mut self, lost: Lost) -> Fate {
        self.talk.count();
        let code = match lost {
            Lost::Closed(code) => Some(code),
            Lost::Left | Lost::Broken => None,
        };
        self.count_close(code.map_or("client", CloseCode::as_str));
        if let Some(connection) = self.take_connection()
            && code.is_some()
            && !connection.writer.blocked()
        {
            let lingering = self.sessions.linger();
            tokio::spawn(async move {
                connection.linger().await;
                drop(lingering);
            });
        }
        let kept = lost != Lost::Left
            && code.is_none_or(|code| self.talk.may_be_kept(code))
            && self.talk.is_kept()
            && !self.sessions.draining()
            && !self.outbox.is_over();
        let Some(window) = self.talk.window().filter(|_| kept) else { return Fate::End };
        let Some(permit) = self.sessions.keep() else {
            self.sessions.registry.metrics().sessions_not_kept.inc();
            return Fate::End;
        };
        debug!(session = self.number, ?lost, ?window, "connection lost, session kept");
        self.outbox.leave();
        self.talk.drop_out();
        self.away = Some(Away { until: Instant::now() + window + SLACK, _permit: permit });
        Fate::Wait
    }

    /// Ends the connection once it has been told everything.
    fn close(&mut self, code: CloseCode) {
        if let Some(connection) = &mut self.connection {
            connection.deaf = true;
        }
        self.outbox.close(code);
    }

    fn say(&self, frame: &BrokerFrame) {
        self.outbox.push(wire::outgoing(self.outbox.codec(), frame));
    }

    fn count_close(&self, cause: &'static str) {
        debug!(session = self.number, cause, "connection ended");
        self.sessions.registry.metrics().close(cause);
    }

    /// The last of it. A connection that came too late gets a session of its own.
    fn end(self) {
        let Some(late) = self.place.close() else { return };
        let Offer { connection, entrance } = *late;
        let mut session = Session::new(&self.sessions, connection, self.outbox.codec());
        session.talk.welcome(entrance, &session.place, Some("expired"));
        let shard = self.sessions.shards.next(Lodger::Connection);
        run(session, shard);
    }
}

/// Whether a session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Wait,
    End,
}

/// Gives a connection to the session that it belongs to, or back.
fn hand_over(place: &Place, mut offer: Box<Offer>) -> Result<(), Box<Offer>> {
    // A socket that cannot be moved is one that is lost, which shows where it arrives.
    let _ = offer.connection.berth().depart();
    place.offer(offer)
}
