//! What a handler may ask and do.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::time::Duration;

use bytes::Bytes;
use parlor_protocol::codec::to_payload;
use parlor_protocol::limits::MAX_UINT;
use parlor_protocol::room::{Audience, Door, Output};
use parlor_protocol::{ErrorCode, Place, Seq, msgpack};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::work::Work;
use crate::{Failure, Message, Origin, Player, PlayerId, Policy, Refusal, RoomId, TimerId, Topic, WorkId, bounds};

/// A handler's only window: the input's time and randomness, who is here, and what to do.
///
/// Output calls do not fail. An output that cannot be encoded or is over its limit fails the whole input with
/// `output_failed`, and none of its outputs goes out.
#[derive(Debug)]
pub struct Ctx {
    pub(crate) room: RoomId,
    pub(crate) seed: u64,
    pub(crate) now_ms: u64,
    pub(crate) tick: u64,
    pub(crate) seq: Seq,
    pub(crate) players: BTreeMap<PlayerId, Player>,
    /// Members without a connection.
    pub(crate) away: BTreeSet<PlayerId>,
    pub(crate) asked_by: Option<Origin>,
    rng: Option<ChaCha8Rng>,
    outputs: Vec<Output>,
    bytes: u64,
    failed: Option<Failure>,
    pub(crate) rules: Rules,
}

/// What of the kind limits outputs.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) max_output: u64,
    pub(crate) max_outputs: u64,
    pub(crate) max_view: u64,
    pub(crate) events: &'static [&'static str],
    latest: Vec<Topic>,
}

impl Rules {
    /// # Errors
    /// When a view is larger than the policy allows, or nests too deep for clients to read.
    pub(crate) fn check_view(&self, view: &Bytes) -> Result<(), Failure> {
        let (size, limit) = (view.len() as u64, self.max_view);
        let why = match msgpack::check(view) {
            Ok(()) if size <= limit => return Ok(()),
            Ok(()) => format!("a view of {size} bytes is over the limit of {limit}"),
            Err(error) => error.to_string(),
        };
        Err(Failure::from(ErrorCode::OutputFailed).because(why))
    }

    pub(crate) fn new(policy: &Policy, events: &'static [&'static str]) -> Self {
        Self {
            max_output: policy.max_output_bytes,
            max_outputs: policy.max_outputs_bytes,
            max_view: policy.max_view_bytes,
            events,
            latest: policy.latest_topics.iter().map(|topic| Topic::from(topic.as_str())).collect(),
        }
    }

    /// Whether only the newest values of a topic matter.
    fn is_latest(&self, topic: &Topic) -> bool {
        self.latest.contains(topic)
    }
}

/// What there is to know.
impl Ctx {
    /// Milliseconds since 1970 when this input was numbered. Never goes back, and is the same in a replay.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Ticks so far.
    pub fn tick(&self) -> u64 {
        self.tick
    }

    /// The position of this input in the room's history, from 1.
    pub fn input_no(&self) -> u64 {
        self.seq.0
    }

    /// The room's id, to share.
    pub fn room_id(&self) -> &RoomId {
        &self.room
    }

    /// Random numbers that are the same in a replay: ChaCha8 (Bernstein 2008, eight rounds), seeded by the room and the input.
    pub fn rng(&mut self) -> &mut ChaCha8Rng {
        let (room, input) = (self.seed, self.seq.0);
        self.rng.get_or_insert_with(|| {
            let mut seed = [0; 32];
            seed[..8].copy_from_slice(&room.to_le_bytes());
            seed[8..16].copy_from_slice(&input.to_le_bytes());
            ChaCha8Rng::from_seed(seed)
        })
    }

    /// The members, spectators included, in the order in which they came; those who are [away](Self::connected), too.
    pub fn players(&self) -> impl ExactSizeIterator<Item = &Player> {
        self.players.values()
    }

    /// The member of this number, if it is still here.
    pub fn player(&self, id: PlayerId) -> Option<&Player> {
        self.players.get(&id)
    }

    /// Whether a member has a connection. One that has lost it stays a member for the policy's `resume`.
    pub fn connected(&self, player: PlayerId) -> bool {
        self.players.contains_key(&player) && !self.away.contains(&player)
    }
}

/// What there is to do.
impl Ctx {
    /// Sends a message to all members.
    pub fn broadcast<M: Message>(&mut self, message: &M) {
        self.message(Audience::All, message);
    }

    /// Sends a message to all members but these.
    pub fn broadcast_except<M: Message>(&mut self, but: &[PlayerId], message: &M) {
        self.message(Audience::AllBut(but.to_vec()), message);
    }

    /// Sends a message to one member.
    pub fn send<M: Message>(&mut self, to: PlayerId, message: &M) {
        self.message(Audience::One(to), message);
    }

    /// Sends a message to those who follow a topic. One of the policy's `latest_topics` takes [`publish_latest`](Self::publish_latest) instead.
    pub fn publish<M: Message>(&mut self, topic: impl Into<Topic>, message: &M) {
        let topic = topic.into();
        if let Topic::Name(name) = &topic
            && self.rules.is_latest(&topic)
        {
            self.fail(format!("{name:?} is one of `latest_topics`: use publish_latest, with a key"));
        }
        self.message(Audience::Topic(topic), message);
    }

    /// Sets the value of a key in one of the policy's `latest_topics`, and sends it to those who follow the topic.
    ///
    /// Of such a value only the newest matters: where somebody is, not how it got there. While an older one of the same key still waits
    /// for a slow connection, the newer takes its place, so a follower may miss values, but never the last one. Whoever begins to follow
    /// the topic, or comes back to the room, gets the present value of each key. For this the room keeps the newest `max_latest` values.
    pub fn publish_latest<M: Message>(&mut self, topic: impl Into<Topic>, key: impl Display, message: &M) {
        let (topic, key) = (self.latest_topic(topic.into()), key.to_string());
        self.require(bounds::check_name(M::TYPE));
        let payload = self.encode(message);
        let size = (key.len() + payload.len()) as u64;
        self.push(Output::Latest { topic, key, name: M::TYPE.into(), payload }, size);
    }

    /// Removes the value of a key in one of the policy's `latest_topics`. Nobody is told: whoever follows the topic already keeps
    /// what it has, and those who come later do not get the value any more.
    pub fn forget_latest(&mut self, topic: impl Into<Topic>, key: impl Display) {
        let (topic, key) = (self.latest_topic(topic.into()), key.to_string());
        let size = key.len() as u64;
        self.push(Output::Forget { topic, key }, size);
    }

    /// Sets which topics a player follows, beside those that it chose itself: its neighbourhood, its team. Replaces what was
    /// set before; such topics never show on the wire.
    pub fn set_topics<T: Into<Topic>>(&mut self, player: PlayerId, topics: impl IntoIterator<Item = T>) {
        let topics: Vec<Topic> = topics.into_iter().map(Into::into).collect();
        self.require(topics.iter().try_for_each(bounds::check_topic));
        self.push(Output::SetTopics { player, topics }, 0);
    }

    /// Raises an event after `delay` (rounded up to whole milliseconds, at least one; the room's time). The event's type must be one of the room's own.
    pub fn after<M: Message>(&mut self, delay: Duration, event: M) -> TimerId {
        let id = TimerId(self.place());
        self.require(bounds::check_name(M::TYPE));
        if !self.rules.events.contains(&M::TYPE) {
            self.fail(format!("`{}` is not an event of this room: add #[msg::event(\"{0}\")]", M::TYPE));
        }
        let payload = self.encode(&event);
        let delay_ms = u64::try_from(delay.as_micros().div_ceil(1000)).unwrap_or(MAX_UINT).clamp(1, MAX_UINT);
        let size = payload.len() as u64;
        self.push(Output::After { delay_ms, event: M::TYPE.into(), payload }, size);
        id
    }

    /// Takes back a timer that has not fired; one that has is ignored.
    pub fn cancel(&mut self, timer: TimerId) {
        self.push(Output::Cancel { timer }, 0);
    }

    /// Starts work outside the room, such as a database call. Its result comes back as an input. It runs at least once.
    pub fn run<A: Serialize, T, E>(&mut self, work: Work<A, T, E>, arguments: A) -> WorkId {
        let id = WorkId(self.place());
        self.require(bounds::check_name(work.name()));
        let arguments = self.encode(&arguments);
        let size = arguments.len() as u64;
        self.push(Output::Run { name: work.name().into(), arguments }, size);
        id
    }

    /// Promises to answer the current request later, with [`reply`](Self::reply) or [`refuse`](Self::refuse). The returned value
    /// can be kept in the state or given to work. For a message that is no request the later answer goes nowhere.
    pub fn defer_reply(&mut self) -> Origin {
        // Outside a client message there is nobody to answer; player 0 does not exist.
        self.asked_by.take().unwrap_or(Origin { player: PlayerId(0), no: 0, request: None })
    }

    /// Answers a request that was deferred.
    pub fn reply(&mut self, to: Origin, value: &impl Serialize) {
        let payload = self.encode(value);
        let size = payload.len() as u64;
        self.push(Output::Reply { to, payload }, size);
    }

    /// Refuses a message that was deferred.
    pub fn refuse(&mut self, to: Origin, why: impl Refusal) {
        let error = why.into_failure();
        self.require(bounds::check_failure(&error));
        self.push(Output::Refuse { to, error: Box::new(error) }, 0);
    }

    /// Sends a member away, with a reason that it is told.
    pub fn kick(&mut self, player: PlayerId, reason: &impl Serialize) {
        let reason = self.encode(reason);
        let size = reason.len() as u64;
        self.push(Output::Kick { player, reason }, size);
    }

    /// Ends the room once this input's outputs are out. All members are told the result.
    pub fn close(&mut self, result: &impl Serialize) {
        let result = self.encode(result);
        let size = result.len() as u64;
        self.push(Output::Close { result }, size);
    }

    /// Sets what the lobby shows of the room, and may search by; null removes it.
    pub fn set_property(&mut self, name: &str, value: impl Serialize) {
        match serde_json::to_value(value) {
            Ok(value) => {
                self.require(bounds::check_value(name, &value));
                let size = value.to_string().len() as u64;
                self.push(Output::SetProperty { name: name.to_owned(), value }, size);
            }
            Err(error) => self.fail(error.to_string()),
        }
    }

    /// Lets nobody in any more.
    pub fn lock(&mut self) {
        self.push(Output::Lock(Door::Locked), 0);
    }

    /// Lets people in again.
    pub fn unlock(&mut self) {
        self.push(Output::Lock(Door::Open), 0);
    }
}

/// What the runner does with it.
impl Ctx {
    pub(crate) fn new(room: RoomId, seed: u64, rules: Rules) -> Self {
        Self {
            room,
            seed,
            now_ms: 0,
            tick: 0,
            seq: Seq(0),
            players: BTreeMap::new(),
            away: BTreeSet::new(),
            asked_by: None,
            rng: None,
            outputs: Vec::new(),
            bytes: 0,
            failed: None,
            rules,
        }
    }

    /// Begins an input.
    pub(crate) fn begin(&mut self, seq: Seq, now_ms: u64) {
        self.seq = seq;
        self.now_ms = now_ms;
        self.asked_by = None;
        self.rng = None;
        self.outputs.clear();
        self.bytes = 0;
        self.failed = None;
    }

    /// Ends an input: its outputs, or why they cannot go out.
    pub(crate) fn end(&mut self) -> Result<Vec<Output>, Failure> {
        match self.failed.take() {
            None => Ok(std::mem::take(&mut self.outputs)),
            Some(failure) => Err(failure),
        }
    }

    fn message<M: Message>(&mut self, to: Audience, message: &M) {
        self.require(bounds::check_name(M::TYPE));
        if let Audience::Topic(topic) = &to {
            self.require(bounds::check_topic(topic));
        }
        let payload = self.encode(message);
        let size = payload.len() as u64;
        self.push(Output::Publish { to, name: M::TYPE.into(), payload }, size);
    }

    /// The topic; the input fails unless it is declared as one of which only the latest values matter.
    fn latest_topic(&mut self, topic: Topic) -> Topic {
        self.require(bounds::check_topic(&topic));
        if !self.rules.is_latest(&topic) {
            self.fail(match &topic {
                Topic::Name(name) => format!("{name:?} is none of `latest_topics`: add it to those of #[room]"),
                Topic::Cell(x, y) => format!("({x}, {y}) is none of `latest_topics`, which have names"),
            });
        }
        topic
    }

    fn place(&self) -> Place {
        Place { seq: self.seq, index: self.outputs.len() as u32 }
    }

    fn encode(&mut self, value: &(impl Serialize + ?Sized)) -> Bytes {
        let encoded = to_payload(value).map_err(|error| error.to_string());
        // Clients refuse what nests too deep, so it must not leave.
        let checked = encoded.and_then(|payload| match msgpack::check(&payload) {
            Ok(()) => Ok(payload),
            Err(error) => Err(error.to_string()),
        });
        checked.unwrap_or_else(|error| {
            self.fail(error);
            Bytes::new()
        })
    }

    fn push(&mut self, output: Output, size: u64) {
        // What an output costs besides its payload.
        const OVERHEAD: u64 = 32;
        self.bytes = self.bytes.saturating_add(size).saturating_add(OVERHEAD);
        if size > self.rules.max_output {
            self.fail(format!("an output of {size} bytes is over the limit of {}", self.rules.max_output));
        } else if self.bytes > self.rules.max_outputs {
            self.fail(format!("outputs of {} bytes are over the limit of {}", self.bytes, self.rules.max_outputs));
        } else {
            self.outputs.push(output);
        }
    }

    fn require(&mut self, checked: Result<(), String>) {
        if let Err(why) = checked {
            self.fail(why);
        }
    }

    fn fail(&mut self, why: String) {
        self.failed.get_or_insert_with(|| Failure::from(ErrorCode::OutputFailed).because(why));
    }
}
