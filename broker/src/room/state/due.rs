//! What a room owes itself: leaves of those who were sent away, views, timers, ticks, and its own end.

use std::sync::Arc;

use parlor_protocol::codec::NIL;
use parlor_protocol::room::{Cause, CloseWhy, Input, Leave};
use parlor_protocol::{Place, PlayerId};

use super::{Link, Phase, RoomState};
use crate::room::kind::Kind;

impl<L: Link> RoomState<L> {
    /// The room goes on in another version of its kind, whose policy holds from now on. The numbers of types stay what they are.
    pub fn change_kind(&mut self, kind: Arc<Kind>) {
        self.ticker.change(&kind.policy, self.now_us, self.members.players());
        self.latest.set_max(kind.policy.max_latest);
        self.kind = kind;
    }

    /// The leave of somebody whom an outcome has sent away: it comes before any other input.
    pub fn next_leaving(&mut self) -> Option<Input> {
        let (player, why) = self.leaving.pop_front().filter(|_| !self.ended())?;
        Some(self.number(Cause::Leave { player, why }))
    }

    /// What the room owes itself by now, one at a time: leaves of those it kicked, timers, the tick, its own end.
    pub fn due(&mut self) -> Option<Input> {
        if self.ended() {
            return None;
        }
        if let Some(input) = self.next_leaving() {
            return Some(input);
        }
        while let Some(player) = self.unseen.pop_front() {
            if let Some(input) = self.view(player) {
                return Some(input);
            }
        }
        if let Phase::Closing { until_us, why } = self.phase
            && until_us <= self.now_us
        {
            self.end_by_request(why);
            return None;
        }
        if let Some(&(until_us, player)) = self.away.first()
            && until_us <= self.now_us
        {
            return self.expire(player);
        }
        if let Some((id, event, payload)) = self.timers.take_due(self.now_us) {
            return Some(self.number(Cause::Timer { id, event, payload }));
        }
        if let Some((count, elapsed_us)) = self.ticker.take_due(self.now_us) {
            return Some(self.number(Cause::Tick { count, elapsed_us }));
        }
        if self.deserted() { self.close(CloseWhy::Empty, u64::MAX) } else { None }
    }

    /// Whether the room is about to end because nobody is in it.
    pub fn deserted(&self) -> bool {
        self.empty_deadline_us().is_some_and(|deadline| deadline <= self.now_us)
    }

    /// Somebody is on the way in: an empty room waits for as long again, and at least a moment.
    pub fn expect_company(&mut self) {
        const MOMENT_US: u64 = 1000;
        self.empty_since_us = self.empty_since_us.map(|_| self.now_us + MOMENT_US);
    }

    /// When [`due`](Self::due) has something next, in microseconds since the room opened.
    pub fn next_due_us(&self) -> Option<u64> {
        let closing = match self.phase {
            Phase::Open => self.empty_deadline_us(),
            Phase::Closing { until_us, .. } => Some(until_us),
            Phase::Ended(_) => return None,
        };
        let leaving = (!self.leaving.is_empty() || !self.unseen.is_empty()).then_some(0);
        let away = self.away.first().map(|(until_us, _)| *until_us);
        [leaving, closing, away, self.timers.next_us(), self.ticker.next_us()].into_iter().flatten().min()
    }

    /// Nobody waits for this member any longer.
    fn expire(&mut self, player: PlayerId) -> Option<Input> {
        let mut member = self.remove(player)?;
        let input = self.number(Cause::Leave { player, why: Leave::Disconnected });
        let place = Place { seq: input.seq, index: 0 };
        member.link.deliver(&self.closed(place, "expired", NIL));
        self.departed.push(member.link);
        Some(input)
    }

    fn empty_deadline_us(&self) -> Option<u64> {
        let ttl_us = self.kind.policy.empty_ttl_ms.saturating_mul(1000);
        self.empty_since_us.map(|since| since.saturating_add(ttl_us)).filter(|_| self.phase == Phase::Open)
    }
}
