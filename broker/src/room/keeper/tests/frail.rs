//! A handler that fails in every way that there is, as likely as it is told to, in two versions.

use std::collections::HashMap;
use std::future::ready;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use parlor_protocol::codec::to_payload;
use parlor_protocol::room::{Audience, Fault, Input, Outcome, Output};
use parlor_protocol::{ErrorCode, Failure, RoomId};
use rand::RngExt;
use rand::rngs::StdRng;

use super::said;
use crate::host::{Begin, Gone, Host, HostMaker, Making, MayFail, Owing, Parting, SavedState, Unsaved, WorkDone};

/// What handlers always panic on.
pub(super) const POISON: u64 = 13;

/// How likely things go wrong, in percent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Odds {
    /// An input that is handled for the first time makes the handler panic.
    pub(super) panic: u32,
    /// One that is replayed does.
    pub(super) replay: u32,
    /// A state cannot be saved.
    pub(super) save: u32,
    /// A saved state cannot be read.
    pub(super) read: u32,
    /// An input that is replayed has another outcome.
    pub(super) differ: u32,
    /// The handler's process ends over an input that is handled for the first time.
    pub(super) die: u32,
    /// It ends over one that is replayed.
    pub(super) die_again: u32,
    /// It ends while the state is saved, or while nothing is going on.
    pub(super) die_idle: u32,
    /// It asks to be left.
    pub(super) ask: u32,
    /// Behind an input the room is asked to go on in the other version.
    pub(super) move_on: u32,
    /// Nobody runs a version, when that is asked.
    pub(super) nobody: u32,
    /// The other version cannot read the state.
    pub(super) reject: u32,
    /// A process ends over opening a room that moves.
    pub(super) die_opening: u32,
}

impl Odds {
    pub(super) fn may_die(self) -> bool {
        self.die + self.die_again + self.die_idle + self.ask > 0
    }
}

/// A handler whose state is a digest of all that it was given.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct State {
    pub(super) digest: u64,
    pub(super) inputs: u64,
}

impl State {
    pub(super) fn handle(&mut self, seq: u64, said: u64) -> Outcome {
        self.digest = (self.digest ^ said ^ (seq << 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17);
        self.inputs += 1;
        if said == POISON {
            return Outcome::failed(Fault::Panicked("poison".into()));
        }
        if said % 7 == 3 {
            return Outcome::failed(Fault::Refused(Failure::app("no", "").into()));
        }
        let payload = to_payload(&self.digest).unwrap();
        let outputs = vec![Output::Publish { to: Audience::All, name: "digest".into(), payload }; said as usize % 3];
        Outcome { result: Ok(()), outputs, view: None }
    }

    /// In a version's form.
    fn saved(&self, version: u8) -> SavedState {
        let Self { digest, inputs } = self;
        let bytes = if version == 1 { to_payload(&(digest, inputs)) } else { to_payload(&(inputs, "2", digest)) };
        SavedState { version: version.to_string(), bytes: bytes.unwrap() }
    }

    /// As a version reads it: the second knows the first.
    fn read(SavedState { version, bytes }: &SavedState, by: u8) -> Option<Self> {
        let (digest, inputs) = match (version.as_str(), by) {
            ("1", _) => rmp_serde::from_slice(bytes).unwrap(),
            ("2", 2) => {
                let (inputs, _, digest): (u64, String, u64) = rmp_serde::from_slice(bytes).unwrap();
                (digest, inputs)
            }
            _ => return None,
        };
        Some(Self { digest, inputs })
    }
}

/// What is shared by all the handlers that a room has, one after the other.
#[derive(Debug)]
pub(super) struct World {
    pub(super) rng: StdRng,
    pub(super) odds: Odds,
    /// The version that has answered each input.
    pub(super) handled_by: HashMap<u64, u8>,
    pub(super) made: u64,
    pub(super) deaths: u64,
    pub(super) differed: bool,
    /// What the present handler has in mind.
    pub(super) state: State,
}

impl World {
    pub(super) fn happens(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100) < percent
    }
}

pub(super) type Shared = Arc<Mutex<World>>;

pub(super) struct Frail {
    version: u8,
    meant_for: Option<String>,
    state: State,
    outcome: Option<Result<Outcome, Gone>>,
    gone: bool,
    world: Shared,
}

impl Host for Frail {
    fn submit(&mut self, input: &Input) {
        assert!(self.outcome.is_none() && !self.gone, "one at a time, while it lives");
        let mut world = self.world.lock().unwrap();
        let before = world.handled_by.get(&input.seq.0).copied();
        let replayed = before.is_some();
        assert_eq!(before.unwrap_or(self.version), self.version, "no version handles what another has");
        let said = said(input);
        let mut outcome = self.state.handle(input.seq.0, said);
        let odds = world.odds;
        if world.happens(if replayed { odds.replay } else { odds.panic }) {
            outcome = Outcome::failed(Fault::Panicked("at random".into()));
        } else if replayed && outcome.result.is_ok() && world.happens(odds.differ) {
            world.differed = true;
            self.state.digest += 1;
            outcome.outputs.push(Output::Forget { topic: "other".into(), key: String::new() });
        }
        world.state = self.state.clone();
        self.gone = world.happens(if replayed { odds.die_again } else { odds.die });
        world.deaths += u64::from(self.gone);
        if !self.gone {
            world.handled_by.insert(input.seq.0, self.version);
        }
        self.outcome = Some(if self.gone { Err(Gone::Lost(Owing::Alone)) } else { Ok(outcome) });
    }

    fn skip(&mut self, _: &Input) {}

    /// Now and then somebody else has his turn first.
    fn poll_outcome(&mut self, _: &mut Context<'_>) -> Poll<Result<Outcome, Gone>> {
        if self.world.lock().unwrap().happens(20) {
            return Poll::Pending;
        }
        self.outcome.take().map_or(Poll::Pending, Poll::Ready)
    }

    fn run(&mut self, _: &str, _: Bytes, _: WorkDone) {}

    fn save(&mut self, meant_for: Option<&str>) {
        assert!(!self.gone);
        self.meant_for = meant_for.map(str::to_owned);
    }

    fn poll_saved(&mut self, _: &mut Context<'_>) -> Poll<Result<SavedState, Unsaved>> {
        let mut world = self.world.lock().unwrap();
        let odds = world.odds;
        if world.happens(odds.die_idle) {
            (self.gone, world.deaths) = (true, world.deaths + 1);
            return Poll::Ready(Err(Unsaved::Gone(Gone::Lost(Owing::Alone))));
        }
        if world.happens(odds.save) {
            return Poll::Ready(Err(Unsaved::Failed(Failure::app("full", ""))));
        }
        let goes_back = self.version == 2 && self.meant_for.as_deref() == Some("1");
        Poll::Ready(Ok(self.state.saved(if goes_back { 1 } else { self.version })))
    }

    fn poll_parting(&mut self, _: &mut Context<'_>) -> Poll<Parting> {
        let mut world = self.world.lock().unwrap();
        let odds = world.odds;
        if world.happens(odds.die_idle) {
            (self.gone, world.deaths) = (true, world.deaths + 1);
            return Poll::Ready(Parting::Lost);
        }
        if world.happens(odds.ask) { Poll::Ready(Parting::Asked) } else { Poll::Pending }
    }
}

/// Of one version.
pub(super) struct Maker(pub(super) Shared, pub(super) u8);

impl Maker {
    fn host(&self, state: State) -> Box<dyn Host> {
        let mut world = self.0.lock().unwrap();
        world.made += 1;
        world.state = state.clone();
        Box::new(Frail { version: self.1, meant_for: None, state, outcome: None, gone: false, world: self.0.clone() })
    }

    /// Why a room does not get a handler that goes on from a state.
    fn refuses(&self, moves: bool) -> Option<Failure> {
        let mut world = self.0.lock().unwrap();
        let odds = world.odds;
        if moves && world.happens(odds.die_opening) {
            world.deaths += 1;
            return Some(ErrorCode::NoWorker.into());
        }
        world.happens(if moves { odds.reject } else { odds.read }).then(|| Failure::app("garbled", ""))
    }
}

impl HostMaker for Maker {
    fn make(&self, _: &RoomId, begin: Begin) -> Making {
        let (state, moves) = match begin {
            Begin::New | Begin::Again => return Box::pin(ready(Ok(self.host(State::default())))),
            Begin::From(_, state) => (state, false),
            Begin::Moved(_, state) => (state, true),
        };
        let read = || State::read(&state, self.1).ok_or_else(|| Failure::app("newer", ""));
        let state = self.refuses(moves).map_or_else(read, Err);
        Box::pin(ready(state.map(|state| self.host(state))))
    }

    fn workers(&self) -> Option<usize> {
        let mut world = self.0.lock().unwrap();
        let odds = world.odds;
        Some(usize::from(!world.happens(odds.nobody)))
    }

    fn may_fail(&self) -> MayFail {
        if self.0.lock().unwrap().odds.may_die() { MayFail::Dies } else { MayFail::Panics }
    }
}
