//! What a member of a test room has received.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use parlor_broker::room::state::Link;
use parlor_broker::wire::SharedFrame;
use parlor_protocol::codec::json_from_msgpack;
use parlor_protocol::frame::Role;
use parlor_protocol::{BrokerFrame, ErrorCode};
use serde::de::DeserializeOwned;

use crate::{Failure, Payload, PlayerId, Result};

/// A message as a member got it.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// Its type.
    pub name: String,
    /// Its payload, decoded.
    pub payload: serde_json::Value,
    /// Whose value it is, if it came on one of the `latest_topics`. A test room passes every value on; a broker only the newest of those
    /// that wait for the same member.
    pub key: Option<String>,
}

/// How a membership ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Closed {
    /// `left`, `closed`, `kicked`, `expired`, `replaced`, `room_failed` or `shutting_down`.
    pub code: String,
    /// What the handler said.
    pub result: serde_json::Value,
}

/// One member's end, shared between the test and the room.
#[derive(Clone, Debug)]
pub(super) struct Inbox(Rc<RefCell<Inner>>);

#[derive(Debug)]
struct Inner {
    role: Role,
    account: String,
    player: Option<PlayerId>,
    view: Option<Bytes>,
    types: Vec<String>,
    messages: Vec<Message>,
    asked: Vec<(u64, u64)>,
    answers: Vec<(u64, Result<Bytes>)>,
    refusals: Vec<(u64, Failure)>,
    error: Option<Failure>,
    closed: Option<Closed>,
    away: bool,
    gone: bool,
}

#[derive(Debug)]
struct Message {
    name: String,
    payload: Bytes,
    key: Option<String>,
}

impl Inbox {
    pub(super) fn new(role: Role, account: String) -> Self {
        Self(Rc::new(RefCell::new(Inner {
            role,
            account,
            player: None,
            view: None,
            types: Vec::new(),
            messages: Vec::new(),
            asked: Vec::new(),
            answers: Vec::new(),
            refusals: Vec::new(),
            error: None,
            closed: None,
            away: false,
            gone: false,
        })))
    }

    pub(super) fn role(&self) -> Role {
        self.0.borrow().role
    }

    pub(super) fn player(&self) -> Option<PlayerId> {
        self.0.borrow().player
    }

    pub(super) fn holds_seat(&self, role: Role) -> bool {
        let inner = self.0.borrow();
        inner.role == role && !inner.gone
    }

    pub(super) fn is_of(&self, account: &str) -> bool {
        self.0.borrow().account == account
    }

    pub(super) fn set_away(&self, away: bool) {
        self.0.borrow_mut().away = away;
    }

    pub(super) fn is_away(&self) -> bool {
        let inner = self.0.borrow();
        inner.away && !inner.gone
    }

    pub(super) fn is_gone(&self) -> bool {
        self.0.borrow().gone
    }

    pub(super) fn error(&self) -> Option<Failure> {
        self.0.borrow_mut().error.take()
    }

    pub(super) fn turned_away(&self) -> Failure {
        self.error().unwrap_or_else(|| ErrorCode::RoomClosed.into())
    }

    pub(super) fn view(&self) -> Option<Bytes> {
        self.0.borrow().view.clone()
    }

    pub(super) fn closed(&self) -> Option<Closed> {
        self.0.borrow().closed.clone()
    }

    pub(super) fn ask(&self, id: u64, no: u64) {
        self.0.borrow_mut().asked.push((id, no));
    }

    pub(super) fn unanswered(&self) -> Option<u64> {
        self.0.borrow().asked.last().map(|(id, _)| *id)
    }

    pub(super) fn answer<T: DeserializeOwned>(&self, id: u64) -> Option<Result<T>> {
        let mut inner = self.0.borrow_mut();
        let at = inner.answers.iter().position(|(answered, _)| *answered == id)?;
        let (_, answer) = inner.answers.remove(at);
        inner.asked.retain(|(asked, _)| *asked != id);
        Some(answer.and_then(|payload| Payload(payload).decode()))
    }

    pub(super) fn refusal(&self, no: u64) -> Option<Failure> {
        let mut inner = self.0.borrow_mut();
        let at = inner.refusals.iter().position(|(refused, _)| *refused == no)?;
        Some(inner.refusals.remove(at).1)
    }

    pub(super) fn take(&self, name: &str) -> Vec<Bytes> {
        let mut inner = self.0.borrow_mut();
        let messages = std::mem::take(&mut inner.messages);
        let (taken, left): (Vec<_>, Vec<_>) = messages.into_iter().partition(|message| message.name == name);
        inner.messages = left;
        taken.into_iter().map(|message| message.payload).collect()
    }

    pub(super) fn take_all(&self) -> Vec<Received> {
        let messages = std::mem::take(&mut self.0.borrow_mut().messages);
        let received = |Message { name, payload, key }| Received { name, payload: value(&payload), key };
        messages.into_iter().map(received).collect()
    }
}

/// The room's end.
#[derive(Debug)]
pub(super) struct TestLink(pub(super) Inbox);

impl Link for TestLink {
    fn seated(&mut self, player: PlayerId) {
        self.0.0.borrow_mut().player = Some(player);
    }

    /// Test members speak MessagePack, in which everything can be said.
    fn can_read(&self, _: &SharedFrame) -> bool {
        true
    }

    fn deliver(&mut self, frame: &SharedFrame) {
        self.0.0.borrow_mut().receive(frame.frame());
    }
}

impl Drop for TestLink {
    fn drop(&mut self) {
        self.0.0.borrow_mut().gone = true;
    }
}

impl Inner {
    fn receive(&mut self, frame: &BrokerFrame) {
        match frame {
            BrokerFrame::Joined { joined, view, .. } => {
                self.types.clone_from(&joined.types);
                self.view = Some(view.clone());
            }
            BrokerFrame::Types { names, .. } => self.types.extend(names.iter().cloned()),
            BrokerFrame::View { joined, view, .. } => {
                self.types.clone_from(&joined.types);
                self.view = Some(view.clone());
                // What was published before is in it, whether it has been read or not.
                self.messages.clear();
            }
            BrokerFrame::Publish { type_, payload, .. } => self.hear(*type_, payload, None),
            BrokerFrame::Latest { type_, key, payload, .. } => self.hear(*type_, payload, Some(key)),
            BrokerFrame::Reply { id, payload, .. } => self.answers.push((*id, Ok(payload.clone()))),
            BrokerFrame::Refused { no, id, error, .. } => match id {
                Some(id) => self.answers.push((*id, Err((**error).clone()))),
                None => self.refusals.push((*no, (**error).clone())),
            },
            BrokerFrame::Error { error, .. } => self.error = Some((**error).clone()),
            BrokerFrame::Closed { code, result, .. } => {
                self.closed = Some(Closed { code: code.clone(), result: value(result) });
            }
            BrokerFrame::Welcome(_)
            | BrokerFrame::Done { .. }
            | BrokerFrame::Pong { .. }
            | BrokerFrame::Acked { .. }
            | BrokerFrame::Resumed { .. }
            | BrokerFrame::Handled { .. } => {}
        }
    }
}

impl Inner {
    fn hear(&mut self, type_: u32, payload: &Bytes, key: Option<&String>) {
        let name = self.types.get(type_ as usize).cloned().expect("a type is told before it is used");
        self.messages.push(Message { name, payload: payload.clone(), key: key.cloned() });
    }
}

/// As JSON has it, numbers as map keys included; null for what has no JSON form.
fn value(payload: &[u8]) -> serde_json::Value {
    let mut json = Vec::new();
    match json_from_msgpack(payload, &mut json) {
        Ok(()) => serde_json::from_slice(&json).unwrap_or_default(),
        Err(_) => serde_json::Value::Null,
    }
}
