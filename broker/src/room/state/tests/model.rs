//! What a room must do, said as simply as possible: who has to have received what, frame by frame.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use parlor_protocol::codec::NIL;
use parlor_protocol::frame::{Joined, Role};
use parlor_protocol::policy::{Handled, OnPanic, TickWhen};
use parlor_protocol::room::{
    Audience, Cause, CloseWhy, Door, Fault, Input, Leave, Outcome, Output, Player, TimerId, Topic, WorkId,
};
use parlor_protocol::{BrokerFrame, ErrorCode, Failure, Place, PlayerId, Policy, RoomId, RoomNo};

const ROOM: RoomNo = RoomNo(7);

pub(super) struct Model {
    pub(super) policy: Policy,
    pub(super) now_us: u64,
    /// What each link must have been given, by its number.
    pub(super) expected: Vec<Vec<BrokerFrame>>,
    pub(super) members: BTreeMap<PlayerId, Seat>,
    /// Links to be given back with the batch.
    pub(super) departed: Vec<usize>,
    /// Members that were sent away and whose leave is still to come.
    pub(super) kicked: VecDeque<PlayerId>,
    /// How often each player that was let in has left.
    pub(super) left: BTreeMap<PlayerId, u32>,
    pub(super) timers: BTreeSet<(u64, TimerId)>,
    pub(super) works: BTreeSet<WorkId>,
    pub(super) closing: Option<(u64, CloseWhy)>,
    pub(super) ended: Option<Failure>,
    pub(super) ticks: u64,
    /// Since when the room ticks, or since the last tick.
    pub(super) ticking_since: Option<u64>,
    pub(super) empty_since: Option<u64>,
    joining: Option<(u64, usize)>,
    types: Vec<String>,
    properties: BTreeMap<String, serde_json::Value>,
    door: Door,
}

pub(super) struct Seat {
    pub(super) link: usize,
    role: Role,
    given: BTreeSet<Topic>,
    chosen: BTreeSet<Topic>,
    handled: u64,
    told: u64,
}

impl Model {
    pub(super) fn new(policy: Policy) -> Self {
        Self {
            ticking_since: (policy.tick_hz > 0 && policy.tick_when == TickWhen::Always).then_some(0),
            policy,
            now_us: 0,
            expected: Vec::new(),
            members: BTreeMap::new(),
            departed: Vec::new(),
            kicked: VecDeque::new(),
            left: BTreeMap::new(),
            timers: BTreeSet::new(),
            works: BTreeSet::new(),
            closing: None,
            ended: None,
            ticks: 0,
            empty_since: Some(0),
            joining: None,
            types: vec!["go".into()],
            properties: BTreeMap::new(),
            door: Door::Open,
        }
    }

    /// A newcomer asks; the answer is whether this becomes an input.
    pub(super) fn asks(&mut self, id: u64) -> bool {
        let link = self.expected.len();
        self.expected.push(Vec::new());
        let no = match (&self.ended, self.closing, self.door) {
            (Some(failure), ..) => Some(failure.clone()),
            (None, Some(_), _) => Some(ErrorCode::RoomClosed.into()),
            (None, None, Door::Locked) => Some(ErrorCode::RoomLocked.into()),
            (None, None, Door::Open) => None,
        };
        match no {
            Some(failure) => self.turned_away(id, link, failure),
            None => self.joining = Some((id, link)),
        }
        self.joining.is_some()
    }

    /// A member goes; the answer is whether it was one.
    pub(super) fn goes(&mut self, player: PlayerId, why: &Leave, place: Place) -> bool {
        let Some(seat) = self.members.remove(&player) else { return false };
        if *why == Leave::Left {
            self.expected[seat.link].push(closed(place, "left", NIL));
        }
        self.departed.push(seat.link);
        true
    }

    /// A member wants a topic; the answer is whether this becomes an input.
    pub(super) fn follows(&mut self, player: PlayerId, id: u64, topic: &str) -> bool {
        let allowed = self.policy.client_topics.iter().any(|name| name == topic);
        let denied = || Failure::from(ErrorCode::TopicDenied).with("topic", topic);
        let answer = if allowed {
            BrokerFrame::Done { id }
        } else {
            BrokerFrame::Error { id: Some(id), error: Box::new(denied()) }
        };
        self.tell(player, answer) && allowed
    }

    pub(super) fn apply(&mut self, input: &Input, outcome: &Outcome) {
        let place = |index| Place { seq: input.seq, index };
        self.note(input);
        match &outcome.result {
            Err(fault) => self.fails(input, fault),
            Ok(()) => {
                let joiner = self.works_by_itself(input, outcome.view.clone().unwrap_or(NIL));
                let mut result = None;
                for (index, output) in (0..).zip(&outcome.outputs) {
                    match output {
                        Output::Close { result: given } => result = Some(given.clone()),
                        output => self.output(place(index), output, joiner),
                    }
                }
                if let Some(result) = result {
                    let last = place(outcome.outputs.len() as u32);
                    self.ends(&closed(last, "closed", result), ErrorCode::RoomClosed.into());
                }
            }
        }
        self.settle(input);
    }

    /// The room's own end, when its time to close has come.
    pub(super) fn time_is_up(&mut self, seq: parlor_protocol::Seq) {
        let Some((_, why)) = self.closing else { return };
        let (code, latecomers) = match why {
            CloseWhy::ShuttingDown => ("shutting_down", ErrorCode::ShuttingDown),
            _ => ("closed", ErrorCode::RoomClosed),
        };
        self.ends(&closed(Place { seq, index: u32::MAX }, code, NIL), latecomers.into());
    }

    /// The end of a batch; returns the links to be given back.
    pub(super) fn batch_ends(&mut self) -> Vec<usize> {
        for seat in self.members.values_mut() {
            if self.policy.handled == Handled::Told && seat.handled > seat.told {
                seat.told = seat.handled;
                self.expected[seat.link].push(BrokerFrame::Handled { room: ROOM, no: seat.told, tick: self.ticks });
            }
        }
        std::mem::take(&mut self.departed)
    }

    fn note(&mut self, input: &Input) {
        match &input.cause {
            Cause::Leave { player, .. } => *self.left.entry(*player).or_default() += 1,
            Cause::Timer { id, .. } => self.timers.retain(|(_, timer)| timer != id),
            Cause::Tick { count, .. } => (self.ticks, self.ticking_since) = (*count, Some(self.now_us)),
            _ => {}
        }
    }

    fn works_by_itself(&mut self, input: &Input, view: Bytes) -> Option<PlayerId> {
        match &input.cause {
            Cause::Join { player, .. } => self.lets_in(input, player, view),
            Cause::Follow { player, topic, follows } => {
                if let Some(seat) = self.members.get_mut(player) {
                    if *follows {
                        seat.chosen.insert(topic.clone())
                    } else {
                        seat.chosen.remove(topic)
                    };
                }
                None
            }
            _ => None,
        }
    }

    fn lets_in(&mut self, input: &Input, player: &Player, view: Bytes) -> Option<PlayerId> {
        let (id, link) = self.joining.take().expect("somebody asked");
        let joined = Joined {
            room: ROOM,
            id: RoomId::parse("r").unwrap(),
            kind: "k".into(),
            player: player.id,
            role: player.role,
            seq: input.seq,
            index: 0,
            routes: 1,
            types: self.types.clone(),
            properties: self.properties.clone(),
            invite: None,
        };
        assert!(self.expected[link].is_empty(), "joined comes before anything else");
        self.expected[link].push(BrokerFrame::Joined { id, joined: Box::new(joined), view });
        let (given, chosen) = (BTreeSet::new(), BTreeSet::new());
        self.members.insert(player.id, Seat { link, role: player.role, given, chosen, handled: 0, told: 0 });
        assert_eq!(self.left.insert(player.id, 0), None, "a player number is used once");
        Some(player.id)
    }

    fn fails(&mut self, input: &Input, fault: &Fault) {
        let failure = match fault {
            Fault::Refused(failure) => (**failure).clone(),
            Fault::Panicked(_) => ErrorCode::HandlerPanicked.into(),
        };
        let place = Place { seq: input.seq, index: 0 };
        match &input.cause {
            Cause::Message { from, .. } => {
                let (no, id) = (from.no, from.request);
                self.tell(from.player, BrokerFrame::Refused { room: ROOM, place, no, id, error: Box::new(failure) });
            }
            Cause::Join { .. } => {
                let (id, link) = self.joining.take().expect("somebody asked");
                self.turned_away(id, link, failure);
            }
            Cause::Open { .. } => self.ends(&closed(place, "room_failed", NIL), failure),
            _ => {}
        }
        if matches!(fault, Fault::Panicked(_)) && self.policy.on_panic == OnPanic::Close && self.ended.is_none() {
            self.ends(&closed(place, "room_failed", NIL), ErrorCode::RoomFailed.into());
        }
    }

    fn output(&mut self, place: Place, output: &Output, joiner: Option<PlayerId>) {
        match output {
            Output::Publish { to, name, payload } => self.publishes(place, to, name, payload, joiner),
            Output::Reply { to, payload } => {
                if let Some(id) = to.request {
                    self.tell(to.player, BrokerFrame::Reply { room: ROOM, place, id, payload: payload.clone() });
                }
            }
            Output::Refuse { to, error } => {
                let (no, id, error) = (to.no, to.request, error.clone());
                self.tell(to.player, BrokerFrame::Refused { room: ROOM, place, no, id, error });
            }
            Output::SetTopics { player, topics } => {
                if let Some(seat) = self.members.get_mut(player) {
                    seat.given = topics.iter().cloned().collect();
                }
            }
            Output::After { delay_ms, .. } => {
                self.timers.insert((self.now_us + delay_ms.max(&1) * 1000, TimerId(place)));
            }
            Output::Cancel { timer } => self.timers.retain(|(_, id)| id != timer),
            Output::Kick { player, reason } => {
                if let Some(seat) = self.members.remove(player) {
                    self.expected[seat.link].push(closed(place, "kicked", reason.clone()));
                    self.departed.push(seat.link);
                    self.kicked.push_back(*player);
                }
            }
            Output::SetProperty { name, value } => {
                self.properties.insert(name.clone(), value.clone());
                self.properties.retain(|_, value| !value.is_null());
            }
            Output::Lock(door) => self.door = *door,
            Output::Run { .. } => assert!(self.works.insert(WorkId(place))),
            Output::Latest { .. } | Output::Forget { .. } => unreachable!("tested by themselves"),
            Output::Close { .. } => unreachable!(),
        }
    }

    fn publishes(&mut self, place: Place, to: &Audience, name: &str, payload: &Bytes, joiner: Option<PlayerId>) {
        let type_ = self.types.iter().position(|known| known == name).unwrap_or_else(|| {
            self.types.push(name.to_owned());
            let first = self.types.len() as u32 - 1;
            for seat in self.members.values() {
                let names = vec![name.to_owned()];
                self.expected[seat.link].push(BrokerFrame::Types { room: ROOM, first, names });
            }
            first as usize
        });
        for (player, seat) in &self.members {
            let wanted = match to {
                Audience::All => Some(*player) != joiner,
                Audience::AllBut(but) => Some(*player) != joiner && !but.contains(player),
                Audience::One(one) => player == one,
                Audience::Topic(topic) => {
                    Some(*player) != joiner && (seat.given.contains(topic) || seat.chosen.contains(topic))
                }
            };
            if wanted {
                let (type_, payload) = (type_ as u32, payload.clone());
                self.expected[seat.link].push(BrokerFrame::Publish { room: ROOM, place, type_, payload });
            }
        }
    }

    fn settle(&mut self, input: &Input) {
        if let Cause::Message { from, .. } = &input.cause
            && let Some(seat) = self.members.get_mut(&from.player)
        {
            seat.handled = from.no;
        }
        self.empty_since = self.members.is_empty().then(|| self.empty_since.unwrap_or(self.now_us));
        let players = self.members.values().any(|seat| seat.role == Role::Player);
        let ticks = self.policy.tick_hz > 0 && (players || self.policy.tick_when == TickWhen::Always);
        self.ticking_since = ticks.then(|| self.ticking_since.unwrap_or(self.now_us));
        if self.ended.is_none() && self.closing.is_some_and(|(until, _)| until <= self.now_us) {
            self.time_is_up(input.seq);
        }
    }

    fn ends(&mut self, last: &BrokerFrame, latecomers: Failure) {
        for (_, seat) in std::mem::take(&mut self.members) {
            self.expected[seat.link].push(last.clone());
            self.departed.push(seat.link);
        }
        self.ended = Some(latecomers);
    }

    fn turned_away(&mut self, id: u64, link: usize, error: Failure) {
        self.expected[link].push(BrokerFrame::Error { id: Some(id), error: Box::new(error) });
        self.departed.push(link);
    }

    fn tell(&mut self, player: PlayerId, frame: BrokerFrame) -> bool {
        let seat = self.members.get(&player);
        if let Some(seat) = seat {
            self.expected[seat.link].push(frame);
        }
        seat.is_some()
    }
}

fn closed(place: Place, code: &str, result: Bytes) -> BrokerFrame {
    BrokerFrame::Closed { room: ROOM, place, code: code.into(), result }
}
