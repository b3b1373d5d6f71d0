//! What an outcome does: a handler's outputs become frames, timers, work and changes of the room.

use std::borrow::Cow;

use bytes::Bytes;
use parlor_protocol::codec::NIL;
use parlor_protocol::frame::{Joined, Role};
use parlor_protocol::policy::{Admission, OnPanic};
use parlor_protocol::room::{
    Audience, Cause, CloseWhy, Fault, Input, Leave, Origin, Outcome, Output, Player, TimerId, Topic, UsedTicket, WorkId,
};
use parlor_protocol::{BrokerFrame, ErrorCode, Failure, Place, PlayerId};

use super::{Link, Phase, RoomState};
use crate::wire::SharedFrame;

/// Outside work to begin, once the input that asked for it is safe.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkStart {
    /// Which.
    pub id: WorkId,
    /// The work function.
    pub name: Cow<'static, str>,
    /// Its arguments.
    pub arguments: Bytes,
}

impl<L: Link> RoomState<L> {
    /// Takes what the handler made of the input that was numbered last. Kicks, closes and refused joins have taken effect when
    /// this returns. Returns the work to begin.
    pub fn apply(&mut self, input: &Input, outcome: &Outcome) -> Vec<WorkStart> {
        let mut works = Vec::new();
        match &outcome.result {
            Err(fault) => self.fault(input, fault.clone()),
            Ok(()) => {
                let joiner = self.take_effect(input, outcome.view.clone());
                let mut result = None;
                for (index, output) in (0..).zip(&outcome.outputs) {
                    let place = Place { seq: input.seq, index };
                    match output {
                        Output::Run { name, arguments } => {
                            let (id, name, arguments) = (WorkId(place), name.clone(), arguments.clone());
                            self.works.insert(id, (name.clone(), arguments.clone()));
                            works.push(WorkStart { id, name, arguments });
                        }
                        Output::Close { result: given } => result = Some(given),
                        output => self.release(place, output, joiner),
                    }
                }
                let count = outcome.outputs.len() as u32;
                self.tally.outputs += u64::from(count);
                if let Some(result) = result {
                    self.end(Place { seq: input.seq, index: count }, "closed", result, ErrorCode::RoomClosed.into());
                }
            }
        }
        self.after(input, matches!(outcome.result, Err(Fault::Panicked(_))));
        works
    }

    /// What an input that worked does by itself. Returns who joined by it.
    fn take_effect(&mut self, input: &Input, view: Option<Bytes>) -> Option<PlayerId> {
        match &input.cause {
            Cause::Join { player, ticket, .. } => {
                self.use_up(input.now_ms / 1000, ticket.as_ref());
                self.let_in(input, player, view.unwrap_or(NIL));
                Some(player.id)
            }
            Cause::View { player } => {
                self.show(input, *player, view.unwrap_or(NIL));
                None
            }
            Cause::Follow { player, topic, follows } => {
                let new = *follows && !self.members.topics(*player).contains(topic);
                self.members.choose(*player, topic.clone(), *follows);
                if new {
                    self.show_latest(*player, vec![topic.clone()]);
                }
                None
            }
            _ => None,
        }
    }

    /// The joined frame goes out before anything else that the joiner gets.
    fn let_in(&mut self, input: &Input, player: &Player, view: Bytes) {
        let Some((id, mut link)) = self.joining.take() else { return };
        let joined = self.introduce(input, player);
        let frame = SharedFrame::new(BrokerFrame::Joined { id, joined: joined.into(), view });
        if !link.can_read(&frame) {
            // The client would take the error for a join that failed, and everything of the room after it for nonsense. The handler
            // has let it in already, so it hears of it as of any member that is gone.
            self.turn_away(id, link, ErrorCode::NotRepresentable.into());
            self.leaving.push_back((player.id, Leave::Disconnected));
            return;
        }
        link.seated(player.id);
        link.deliver(&frame);
        self.members.add(player.clone(), link);
    }

    /// A fresh view for a member that has missed something.
    fn show(&mut self, input: &Input, player: PlayerId, view: Bytes) {
        let Some(member) = self.members.get_mut(player) else { return };
        let (who, handled) = (member.player.clone(), member.handled);
        member.told = handled;
        let joined = self.introduce(input, &who);
        let frame = SharedFrame::new(BrokerFrame::View { joined: joined.into(), handled, view });
        let Some(member) = self.members.get_mut(player) else { return };
        if member.link.can_read(&frame) {
            self.members.tell(player, &frame);
            self.show_latest(player, self.members.topics(player));
        } else {
            self.abandon(input, player);
        }
    }

    /// A member that cannot be shown what it has missed is one no more: it could not make sense of what comes.
    fn abandon(&mut self, input: &Input, player: PlayerId) {
        let place = Place { seq: input.seq, index: 0 };
        self.send_away(player, place, "room_failed", NIL, Leave::Disconnected);
    }

    /// What a member needs to know about the room.
    fn introduce(&self, input: &Input, player: &Player) -> Joined {
        Joined {
            room: self.no,
            id: self.id.clone(),
            kind: self.kind.name.to_string(),
            player: player.id,
            role: player.role,
            seq: input.seq,
            index: 0,
            routes: self.routes,
            types: self.types.names(),
            properties: self.shown.properties.clone(),
            invite: self.invite.clone().filter(|_| self.may_invite(player.role)),
        }
    }

    /// Whether members in this role are shown the invite code: not spectators who came in without it, since players could come in by it.
    fn may_invite(&self, role: Role) -> bool {
        role == Role::Player || self.kind.policy.watch == Admission::Invite
    }

    /// Remembers a ticket until it would have expired, and forgets those that have.
    fn use_up(&mut self, now_s: u64, ticket: Option<&UsedTicket>) {
        let Some(ticket) = ticket else { return };
        self.tickets.insert((ticket.expires_s, ticket.id.clone()));
        self.tickets = self.tickets.split_off(&(now_s, String::new()));
    }

    fn fault(&mut self, input: &Input, fault: Fault) {
        self.tally.faults += 1;
        let failure = match fault {
            Fault::Refused(failure) => failure,
            Fault::Panicked(text) => {
                self.tally.panics.push(text);
                ErrorCode::HandlerPanicked.into()
            }
        };
        let panicked = failure.code == ErrorCode::HandlerPanicked.as_str();
        let place = Place { seq: input.seq, index: 0 };
        match &input.cause {
            Cause::Message { from, .. } => self.refuse(place, *from, failure),
            Cause::Join { .. } => {
                if let Some((id, link)) = self.joining.take() {
                    self.turn_away(id, link, *failure);
                }
            }
            Cause::View { player } => {
                self.abandon(input, *player);
                self.tally.untold.push(*failure);
            }
            // Without a beginning there is no room; those who wait are told the reason.
            Cause::Open { .. } => self.end(place, "room_failed", &NIL, *failure),
            _ => self.tally.untold.push(*failure),
        }
        if panicked && self.kind.policy.on_panic == OnPanic::Close && !self.ended() {
            self.end(place, "room_failed", &NIL, ErrorCode::RoomFailed.into());
        }
    }

    fn release(&mut self, place: Place, output: &Output, joiner: Option<PlayerId>) {
        match output {
            Output::Publish { to, name, payload } => self.publish(place, to, name, payload.clone(), joiner),
            Output::Reply { to, payload } => self.reply(place, *to, payload),
            Output::Refuse { to, error } => self.refuse(place, *to, error.clone()),
            Output::SetTopics { player, topics } => {
                let new = self.members.set_given(*player, topics.clone());
                self.show_latest(*player, new);
            }
            Output::Latest { topic, key, name, payload } => {
                self.publish_latest(place, topic, key.clone(), name, payload.clone());
            }
            Output::Forget { topic, key } => self.latest.forget(topic.clone(), key.clone()),
            Output::After { delay_ms, event, payload } => {
                // Later than now, so that an event that sets itself anew cannot hold the time still.
                let at_us = self.now_us.saturating_add(delay_ms.max(&1).saturating_mul(1000));
                self.timers.set(TimerId(place), at_us, event.clone(), payload.clone());
            }
            Output::Cancel { timer } => self.timers.cancel(*timer),
            Output::Kick { player, reason } => self.kick(place, *player, reason.clone()),
            Output::SetProperty { name, value } => {
                self.shown_changed = true;
                match value {
                    serde_json::Value::Null => self.shown.properties.remove(name),
                    value => self.shown.properties.insert(name.clone(), value.clone()),
                };
            }
            Output::Lock(door) => {
                self.shown_changed = true;
                self.shown.door = *door;
            }
            Output::Run { .. } | Output::Close { .. } => unreachable!("taken out by apply"),
        }
    }

    /// One frame for all who hear it, encoded by the first. The joiner's view contains what its own join told everybody, so it gets
    /// only what is meant for it alone.
    fn publish(&mut self, place: Place, to: &Audience, name: &str, payload: Bytes, joiner: Option<PlayerId>) {
        let type_ = self.type_number(name);
        let frame = SharedFrame::new(BrokerFrame::Publish { room: self.no, place, type_, payload });
        match to {
            Audience::All => self.members.tell_others(joiner, frame),
            Audience::AllBut(but) => self.members.tell_others(but.iter().copied().chain(joiner), frame),
            Audience::One(player) => self.members.tell(*player, &frame),
            Audience::Topic(topic) => {
                self.members.tell_followers(topic, &frame, |member| Some(member.player.id) != joiner);
            }
        }
    }

    /// The newest value of a key: kept for those who come later, and for those who follow the topic now.
    fn publish_latest(&mut self, place: Place, topic: &Topic, key: String, name: &str, payload: Bytes) {
        let (room, type_) = (self.no, self.type_number(name));
        let value = BrokerFrame::Latest { room, place, type_, key: key.clone(), payload };
        let frame = self.latest.set(topic.clone(), key, |slot| SharedFrame::latest(value, slot));
        self.members.tell_followers(topic, frame, |member| member.away_until_us.is_none());
    }

    /// The number of a message type; all members learn a new one before it is first used.
    fn type_number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.types.number(name) {
            return number;
        }
        let first = self.types.add(name);
        let frame = SharedFrame::new(BrokerFrame::Types { room: self.no, first, names: vec![name.to_owned()] });
        self.members.tell_all(frame);
        first
    }

    /// An answer to a message that was no request, or whose sender is gone, goes nowhere.
    fn reply(&mut self, place: Place, to: Origin, payload: &Bytes) {
        if let Some(id) = to.request {
            let frame = BrokerFrame::Reply { room: self.no, place, id, payload: payload.clone() };
            self.members.tell(to.player, &SharedFrame::new(frame));
        }
    }

    fn refuse(&mut self, place: Place, to: Origin, error: Box<Failure>) {
        self.tally.told.push(error.code.clone());
        let frame = BrokerFrame::Refused { room: self.no, place, no: to.no, id: to.request, error };
        self.members.tell(to.player, &SharedFrame::new(frame));
    }

    fn kick(&mut self, place: Place, player: PlayerId, reason: Bytes) {
        self.send_away(player, place, "kicked", reason, Leave::Kicked);
    }

    /// What follows from any input, whether it worked or not.
    fn after(&mut self, input: &Input, set_aside: bool) {
        if let Cause::Message { from, .. } = &input.cause {
            let tally = if set_aside { &mut self.tally.set_aside } else { &mut self.tally.handled };
            *tally += 1;
            if let Some(member) = self.members.get_mut(from.player) {
                member.handled = from.no;
            }
        }
        match (self.members.len(), self.empty_since_us) {
            (0, None) => self.empty_since_us = Some(self.now_us),
            (1.., Some(_)) => self.empty_since_us = None,
            _ => {}
        }
        self.ticker.occupied(self.now_us, self.members.players());
        if let Phase::Closing { until_us, why } = self.phase
            && until_us <= self.now_us
        {
            self.end_by_request(why);
        }
    }

    pub(super) fn end_by_request(&mut self, why: CloseWhy) {
        let (code, latecomers) = match why {
            CloseWhy::ShuttingDown => ("shutting_down", ErrorCode::ShuttingDown),
            CloseWhy::Requested | CloseWhy::Empty => ("closed", ErrorCode::RoomClosed),
        };
        // After all outputs of the last input, however many there were.
        self.end(Place { seq: self.seq, index: u32::MAX }, code, &NIL, latecomers.into());
    }

    /// The room cannot go on, whatever its handler says.
    pub fn fail(&mut self, failure: Failure) {
        if !self.ended() {
            self.end(Place { seq: self.seq, index: u32::MAX }, "room_failed", &NIL, failure);
        }
    }

    /// Tells all members, and from now on everybody else, that this is over.
    fn end(&mut self, place: Place, code: &str, result: &Bytes, latecomers: Failure) {
        let frame = self.closed(place, code, result.clone());
        for mut member in self.members.drain() {
            member.link.deliver(&frame);
            self.departed.push(member.link);
        }
        if let Some((id, link)) = self.joining.take() {
            self.turn_away(id, link, latecomers.clone());
        }
        self.away.clear();
        self.phase = Phase::Ended(latecomers);
        self.shown_changed = true;
    }
}
