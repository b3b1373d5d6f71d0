//! The room as a state machine: each rule by itself, and all of them against a model under random load.

mod life;
mod model;
mod outputs;
mod random;
mod stays;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use parlor_protocol::codec::{NIL, to_payload};
use parlor_protocol::frame::Role;
use parlor_protocol::room::{Audience, Cause, Door, Fault, Input, Origin, Outcome, Output};
use parlor_protocol::{BrokerFrame, Codec, Failure, PlayerId, Policy, RoomId, RoomNo};

use super::{Link, Newcomer, RoomState, Shown, WorkStart};
use crate::host::{Begin, HostMaker, Making, MayFail};
use crate::room::Kind;
use crate::wire::SharedFrame;

/// A link that keeps what it is given.
#[derive(Clone, Debug, Default)]
struct Probe {
    number: usize,
    /// All codecs unless it is said.
    codec: Option<Codec>,
    frames: Rc<RefCell<Vec<BrokerFrame>>>,
}

impl Link for Probe {
    fn seated(&mut self, _: PlayerId) {}

    fn can_read(&self, frame: &SharedFrame) -> bool {
        self.codec.is_none_or(|codec| frame.fits(codec))
    }

    fn deliver(&mut self, frame: &SharedFrame) {
        self.frames.borrow_mut().push(frame.frame().clone());
    }
}

impl Probe {
    /// What came since the last call, in short.
    fn take(&self) -> Vec<String> {
        self.frames.borrow_mut().drain(..).map(|frame| short(&frame)).collect()
    }
}

/// A frame in a few words: what it is, its place, and what it says.
fn short(frame: &BrokerFrame) -> String {
    let said = |payload: &Bytes| rmp_serde::from_slice::<serde_json::Value>(payload).unwrap_or_default();
    match frame {
        BrokerFrame::Joined { joined, view, .. } => {
            format!("joined {} as of {} types {}: {}", joined.player, joined.seq, joined.types.len(), said(view))
        }
        BrokerFrame::Types { first, names, .. } => format!("types {first} {names:?}"),
        BrokerFrame::Publish { place, type_, payload, .. } => {
            format!("publish {}.{} type {type_}: {}", place.seq, place.index, said(payload))
        }
        BrokerFrame::Reply { place, id, payload, .. } => {
            format!("reply {}.{} to {id}: {}", place.seq, place.index, said(payload))
        }
        BrokerFrame::Refused { place, no, id, error, .. } => {
            format!("refused {}.{} no {no} id {id:?}: {}", place.seq, place.index, error.code)
        }
        BrokerFrame::Closed { place, code, result, .. } => {
            format!("closed {}.{} {code}: {}", place.seq, place.index, said(result))
        }
        BrokerFrame::Error { id, error } => format!("error {id:?}: {}", error.code),
        BrokerFrame::Done { id } => format!("done {id}"),
        BrokerFrame::Handled { no, tick, .. } => format!("handled {no} tick {tick}"),
        other => format!("{other:?}"),
    }
}

/// No handler: the tests themselves say what the handler made of an input.
struct NoHost;

impl HostMaker for NoHost {
    fn make(&self, _: &RoomId, _: Begin) -> Making {
        unreachable!("the state does not know of hosts")
    }

    fn may_fail(&self) -> MayFail {
        MayFail::No
    }
}

fn kind(policy: Policy, routes: &[&str]) -> Arc<Kind> {
    Arc::new(Kind::new("k", policy, routes, &["bell"], Box::new(NoHost)))
}

fn state(policy: Policy) -> RoomState<Probe> {
    let kind = kind(policy, &["go"]);
    let shown = Shown { properties: Default::default(), door: Door::Open };
    RoomState::new(RoomNo(7), RoomId::parse("r").unwrap(), kind, 1_000_000, shown)
}

/// A room that has opened.
fn open(policy: Policy) -> RoomState<Probe> {
    let mut state = state(policy);
    let input = state.open(9, NIL);
    assert_eq!(input.seq.0, 1);
    apply(&mut state, &input, worked(Vec::new()));
    state
}

/// Has an input handled with this outcome, in a batch of its own.
fn apply(state: &mut RoomState<Probe>, input: &Input, outcome: Outcome) -> Vec<WorkStart> {
    let works = state.apply(input, &outcome);
    state.members.end_batch(|_| true);
    works
}

fn worked(outputs: Vec<Output>) -> Outcome {
    Outcome { result: Ok(()), outputs, view: None }
}

fn refused(code: &str) -> Outcome {
    Outcome::failed(Fault::Refused(Failure::app(code, "no").into()))
}

fn newcomer(id: u64, role: Role, link: &Probe) -> Newcomer<Probe> {
    Newcomer { id, account: "a".into(), name: "n".into(), role, options: NIL, ticket: None, link: link.clone() }
}

/// Lets a player in; returns its link, from which the `joined` frame has been taken.
fn join(state: &mut RoomState<Probe>) -> Probe {
    join_as(state, Role::Player)
}

fn join_as(state: &mut RoomState<Probe>, role: Role) -> Probe {
    let link = Probe::default();
    let input = state.join(newcomer(1, role, &link)).expect("the door is open");
    apply(state, &input, worked(Vec::new()));
    assert_eq!(link.take().len(), 1);
    link
}

/// Has a player's message handled with this outcome.
fn say(state: &mut RoomState<Probe>, from: Origin, outcome: Outcome) -> Input {
    let input = state.message(from, "go".into(), NIL).expect("a member");
    apply(state, &input, outcome);
    input
}

fn origin(player: u32, no: u64, request: Option<u64>) -> Origin {
    Origin { player: PlayerId(player), no, request }
}

/// Has a server event handled with these outputs.
fn cause(state: &mut RoomState<Probe>, outputs: Vec<Output>) -> Input {
    let input = state.event("bell".into(), NIL);
    apply(state, &input, worked(outputs));
    input
}

fn publish(to: Audience, name: &'static str, value: u32) -> Output {
    Output::Publish { to, name: name.into(), payload: payload(value) }
}

fn payload(value: u32) -> Bytes {
    to_payload(&value).unwrap()
}

/// Everything that is due now, handled without outputs.
fn settle(state: &mut RoomState<Probe>) -> Vec<Cause> {
    let mut causes = Vec::new();
    while let Some(input) = state.due() {
        apply(state, &input, worked(Vec::new()));
        causes.push(input.cause);
    }
    causes
}

/// The numbers of the links that the room gives back.
fn given_back(state: &mut RoomState<Probe>) -> usize {
    state.end_batch().len()
}
