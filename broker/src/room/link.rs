//! The two ends of a membership: what the session holds, and what the room holds.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use parlor_protocol::frame::Role;
use parlor_protocol::{BrokerFrame, Codec, ErrorCode, PlayerId};

use super::registry::Seat;
use crate::outbox::{Frame, Outbox, Pushed, Wrote};
use crate::room::state::Link;
use crate::wire::{self, Run, SharedFrame};

/// A membership as both ends see it.
#[derive(Debug)]
pub struct MemberSlot {
    /// The session's, for what is said to somebody who is a member no more.
    outbox: Arc<Outbox>,
    status: AtomicU8,
    player: AtomicU32,
    waiting: AtomicU32,
    /// The code of the `closed` frame that ended it.
    why: OnceLock<String>,
}

/// How far a membership is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// The room has not answered yet.
    Joining,
    /// It holds.
    In,
    /// It is over, or never was.
    Over,
}

impl MemberSlot {
    /// A membership that the room has not answered yet.
    pub(crate) fn new(outbox: Arc<Outbox>) -> Self {
        let (status, player, waiting) = Default::default();
        Self { outbox, status, player, waiting, why: OnceLock::new() }
    }

    /// Says something to the session behind what the room has said.
    pub(crate) fn tell(&self, frame: &BrokerFrame) {
        self.outbox.push(wire::outgoing(self.outbox.codec(), frame));
    }

    /// How far it is.
    pub fn status(&self) -> Membership {
        match self.status.load(Ordering::Acquire) {
            0 => Membership::Joining,
            1 => Membership::In,
            _ => Membership::Over,
        }
    }

    /// The code of the `closed` frame that ended it, if one did.
    pub fn why(&self) -> Option<&str> {
        self.why.get().map(String::as_str)
    }

    /// The member's number, once it is in.
    pub fn player(&self) -> PlayerId {
        PlayerId(self.player.load(Ordering::Acquire))
    }

    /// Counts a message into the room queue, unless this member has `max` there already.
    pub(crate) fn try_enqueue(&self, max: u32) -> bool {
        let took = |n| (n < max).then_some(n + 1);
        self.waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, took).is_ok()
    }

    /// Counts a message out of the room queue.
    pub(crate) fn dequeued(&self) {
        self.waiting.fetch_sub(1, Ordering::AcqRel);
    }

    /// Ends the membership.
    pub(crate) fn end(&self) {
        self.status.store(2, Ordering::Release);
    }

    fn seated(&self, player: PlayerId) {
        self.player.store(player.0, Ordering::Release);
        self.status.store(1, Ordering::Release);
    }
}

/// The room's end: where a member's frames go, and the seat it holds. Dropping it ends the membership and frees the seat.
#[derive(Debug)]
pub(crate) struct MemberLink {
    slot: Arc<MemberSlot>,
    outbox: Arc<Outbox>,
    pending: Vec<Frame>,
    /// Bytes of a view among them, which the outbox takes beyond its bound.
    view_bytes: usize,
    /// What went out before the batch was handed over.
    sent: Sent,
    role: Role,
    seat: Option<Seat>,
}

/// What a room has sent: frames that went to the outboxes, and what of that was written at once.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) frames: u64,
    pub(crate) wrote: Wrote,
}

impl Sent {
    fn add(&mut self, frames: u64, wrote: Wrote) {
        self.frames += frames;
        self.wrote.calls += wrote.calls;
        self.wrote.bytes += wrote.bytes;
    }
}

impl MemberLink {
    pub(crate) fn new(slot: Arc<MemberSlot>, seat: Seat) -> Self {
        Self {
            outbox: slot.outbox.clone(),
            slot,
            pending: Vec::new(),
            view_bytes: 0,
            sent: Sent::default(),
            role: seat.role(),
            seat: Some(seat),
        }
    }

    /// Hands the batch over, and counts what went out.
    pub(crate) fn flush(&mut self, sent: &mut Sent) {
        let before = std::mem::take(&mut self.sent);
        sent.add(before.frames, before.wrote);
        if self.pending.is_empty() {
            return;
        }
        Frame::join_small(&mut self.pending);
        let count = self.pending.iter().map(Frame::held).sum::<usize>() as u64;
        let (pushed, wrote) = self.outbox.send_all(&mut self.pending, std::mem::take(&mut self.view_bytes));
        // Overflow ends the session, which then leaves the room by itself; a closing one is about to.
        sent.add(if pushed == Pushed::Queued { count } else { 0 }, wrote);
    }

    /// Ends the membership: whoever learns of it finds the seat free and may join again.
    pub(crate) fn depart(mut self, sent: &mut Sent) {
        self.end(sent);
    }

    fn end(&mut self, sent: &mut Sent) {
        self.slot.end();
        drop(self.seat.take());
        self.flush(sent);
    }

    /// Whose kind of seat it holds.
    pub(crate) fn role(&self) -> Role {
        self.role
    }

    fn codec(&self) -> Codec {
        self.outbox.codec()
    }
}

impl Link for MemberLink {
    fn seated(&mut self, player: PlayerId) {
        self.slot.seated(player);
    }

    fn can_read(&self, frame: &SharedFrame) -> bool {
        frame.fits(self.codec())
    }

    fn deliver(&mut self, frame: &SharedFrame) {
        if !self.can_read(frame) {
            self.seat.iter().for_each(|seat| seat.count(ErrorCode::NotRepresentable));
        }
        let outgoing = frame.outgoing(self.codec());
        match frame.frame() {
            BrokerFrame::Joined { .. } | BrokerFrame::View { .. } => self.view_bytes += outgoing.bytes.len(),
            BrokerFrame::Closed { code, .. } => {
                // There is one end only.
                let _ = self.slot.why.set(code.clone());
            }
            _ => {}
        }
        self.pending.push(outgoing);
    }

    fn deliver_all(&mut self, run: &Run<'_>, last: bool) {
        let Some(joined) = run.joined(self.codec()) else {
            return run.frames().iter().for_each(|frame| self.deliver(frame));
        };
        // What more there is should go out with it.
        let sent = if last && self.pending.is_empty() { self.outbox.send(joined) } else { None };
        match sent {
            Some(wrote) => self.sent.add(joined.held() as u64, wrote),
            None => self.pending.push(joined.clone()),
        }
    }
}

impl Drop for MemberLink {
    fn drop(&mut self) {
        self.end(&mut Sent::default());
    }
}
