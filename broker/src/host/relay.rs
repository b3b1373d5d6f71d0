//! The relay: rooms without a handler, for games whose clients hold all the logic.
//!
//! Whatever a member sends goes to all members, the sender included, as `{from, data}`. A message of type `set` with the payload
//! `{key, value}` is kept besides, and is part of what newcomers see; nil removes it. Comings and goings are published as `joined`
//! and `left`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use parlor_protocol::codec::{NIL, to_payload};
use parlor_protocol::limits::MAX_DEPTH;
use parlor_protocol::room::{Audience, Cause, Fault, Input, Outcome, Output, Player};
use parlor_protocol::{ErrorCode, Failure, PlayerId, Policy, RoomId, msgpack};
use serde::{Deserialize, Serialize};

use super::{Begin, Gone, Host, HostMaker, Making, MayFail, SavedState, Unsaved, WorkDone};
use crate::room::Kind;

/// Message types that one room may use.
const MAX_TYPES: usize = 256;
/// Keys that one room may keep.
const MAX_KEYS: usize = 10_000;

/// A relay kind.
pub fn kind(name: &str, policy: Policy) -> Kind {
    // The other half of a view is for the members' names, and for what JSON adds.
    let max_kept = (policy.max_view_bytes / 2) as usize;
    Kind::open(name, policy, Box::new(RelayMaker { max_kept }))
}

struct RelayMaker {
    max_kept: usize,
}

impl HostMaker for RelayMaker {
    fn make(&self, _room: &RoomId, begin: Begin) -> Making {
        let host: Result<Box<dyn Host>, Failure> = match begin {
            Begin::From(..) | Begin::Moved(..) => Err(unsaved()),
            Begin::New | Begin::Again => Ok(Box::new(Relay { max_kept: self.max_kept, ..Relay::default() })),
        };
        Box::pin(std::future::ready(host))
    }

    fn may_fail(&self) -> MayFail {
        MayFail::No
    }
}

#[derive(Default)]
struct Relay {
    members: BTreeMap<PlayerId, String>,
    values: BTreeMap<String, Bytes>,
    kept_bytes: usize,
    max_kept: usize,
    types: BTreeSet<Arc<str>>,
    outcome: Option<Outcome>,
}

impl Host for Relay {
    fn submit(&mut self, input: &Input) {
        self.outcome = Some(self.handle(&input.cause).unwrap_or_else(|f| Outcome::failed(Fault::Refused(f.into()))));
    }

    fn poll_outcome(&mut self, _cx: &mut Context<'_>) -> Poll<Result<Outcome, Gone>> {
        self.outcome.take().map_or(Poll::Pending, |outcome| Poll::Ready(Ok(outcome)))
    }

    fn skip(&mut self, _input: &Input) {}

    /// A relay asks for no work; dropping `done` would say that it was lost.
    fn run(&mut self, _name: &str, _arguments: Bytes, _done: WorkDone) {}

    fn save(&mut self, _meant_for: Option<&str>) {}

    fn poll_saved(&mut self, _cx: &mut Context<'_>) -> Poll<Result<SavedState, Unsaved>> {
        Poll::Ready(Err(Unsaved::Failed(unsaved())))
    }
}

#[derive(Serialize)]
struct Came<'a> {
    player: PlayerId,
    name: &'a str,
}

#[derive(Serialize)]
struct Went {
    player: PlayerId,
}

#[derive(Deserialize)]
struct Key {
    key: String,
}

impl Relay {
    fn handle(&mut self, cause: &Cause) -> Result<Outcome, Failure> {
        let mut outcome = Outcome { result: Ok(()), outputs: Vec::new(), view: None };
        match cause {
            Cause::Join { player, .. } => {
                self.members.insert(player.id, player.name.clone());
                outcome.outputs.push(came(player)?);
                outcome.view = Some(self.view());
            }
            Cause::View { .. } => outcome.view = Some(self.view()),
            Cause::Leave { player, .. } => {
                self.members.remove(player);
                outcome.outputs.push(publish("left", encoded(&Went { player: *player })?));
            }
            Cause::Message { from, name, payload } => {
                self.check_type(name)?;
                let relayed =
                    if &**name == "set" { self.set(from.player, payload)? } else { wrap(from.player, payload) };
                check_depth(&relayed, 0)?;
                self.types.insert(name.clone());
                outcome.outputs.push(publish(name, relayed));
                outcome.outputs.push(Output::Reply { to: *from, payload: NIL });
            }
            _ => {}
        }
        Ok(outcome)
    }

    /// The type table grows with every new name, so there is an end to them.
    fn check_type(&self, name: &Arc<str>) -> Result<(), Failure> {
        if self.types.contains(name) {
            return Ok(());
        }
        if matches!(&**name, "joined" | "left") || self.types.len() >= MAX_TYPES {
            let text = "the room's own types, and more than 256 of them, cannot be relayed";
            return Err(Failure::from(ErrorCode::UnknownType).because(text).with("type", &**name));
        }
        Ok(())
    }

    fn set(&mut self, from: PlayerId, payload: &Bytes) -> Result<Bytes, Failure> {
        let bad = |text: String| Failure::from(ErrorCode::BadPayload).because(text);
        let Key { key } = rmp_serde::from_slice(payload).map_err(|e| bad(e.to_string()).with("field", "key"))?;
        let value =
            map_value(payload, "value").ok_or_else(|| bad("missing field `value`".into()).with("field", "value"))?;
        let relayed = keyed(from, &key, &value);
        // The view has one level more around it.
        check_depth(&relayed, 1)?;
        let size = |key: &str, value: &Bytes| key.len() + value.len();
        let freed = self.values.get(&key).map_or(0, |old| size(&key, old));
        if value == NIL {
            self.values.remove(&key);
            self.kept_bytes -= freed;
            return Ok(relayed);
        }
        let kept = self.kept_bytes - freed + size(&key, &value);
        if kept > self.max_kept || (freed == 0 && self.values.len() >= MAX_KEYS) {
            return Err(bad("the room keeps as much as it may".into()).retry());
        }
        self.kept_bytes = kept;
        // A slice would keep the whole read buffer alive for as long as the value is kept.
        self.values.insert(key, Bytes::copy_from_slice(&value));
        Ok(relayed)
    }

    /// `{members: {number: name}, values: {key: value}}`.
    fn view(&self) -> Bytes {
        let mut out = Vec::with_capacity(64 + self.kept_bytes);
        map(&mut out, 2);
        text(&mut out, "members");
        map(&mut out, self.members.len());
        for (player, name) in &self.members {
            text(&mut out, &player.to_string());
            text(&mut out, name);
        }
        text(&mut out, "values");
        map(&mut out, self.values.len());
        for (key, value) in &self.values {
            text(&mut out, key);
            out.extend_from_slice(value);
        }
        out.into()
    }
}

fn unsaved() -> Failure {
    Failure::from(ErrorCode::Internal).because("a relay is not saved")
}

fn came(player: &Player) -> Result<Output, Failure> {
    Ok(publish("joined", encoded(&Came { player: player.id, name: &player.name })?))
}

fn publish(name: &str, payload: Bytes) -> Output {
    Output::Publish { to: Audience::All, name: name.to_owned().into(), payload }
}

fn encoded(value: &impl Serialize) -> Result<Bytes, Failure> {
    to_payload(value).map_err(|error| Failure::from(ErrorCode::OutputFailed).because(error.to_string()))
}

/// Wrapping adds levels of nesting, and what is too deep for a client's reader must not be sent to it.
fn check_depth(payload: &[u8], more: usize) -> Result<(), Failure> {
    msgpack::check_within(payload, MAX_DEPTH - more)
        .map_err(|error| Failure::from(ErrorCode::BadPayload).because(error.to_string()))
}

/// `{from, data}` around a payload that is not looked into.
fn wrap(from: PlayerId, payload: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(payload.len() + 16);
    map(&mut out, 2);
    text(&mut out, "from");
    uint(&mut out, from.0);
    text(&mut out, "data");
    out.extend_from_slice(payload);
    out.into()
}

/// `{from, key, value}`.
fn keyed(from: PlayerId, key: &str, value: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(key.len() + value.len() + 32);
    map(&mut out, 3);
    text(&mut out, "from");
    uint(&mut out, from.0);
    text(&mut out, "key");
    text(&mut out, key);
    text(&mut out, "value");
    out.extend_from_slice(value);
    out.into()
}

/// The raw value of a field of a map that is known to be well-formed.
fn map_value(payload: &Bytes, field: &str) -> Option<Bytes> {
    let mut rest: &[u8] = payload;
    let entries = rmp::decode::read_map_len(&mut rest).ok()?;
    for _ in 0..entries {
        let key_len = msgpack::value_len(rest).ok()?;
        let (key, after) = rest.split_at(key_len);
        let value_len = msgpack::value_len(after).ok()?;
        let (value, next) = after.split_at(value_len);
        if rmp_serde::from_slice::<&str>(key).is_ok_and(|key| key == field) {
            return Some(payload.slice_ref(value));
        }
        rest = next;
    }
    None
}

// Writing into a Vec cannot fail.

fn map(out: &mut Vec<u8>, len: usize) {
    let _ = rmp::encode::write_map_len(out, len as u32);
}

fn text(out: &mut Vec<u8>, text: &str) {
    let _ = rmp::encode::write_str(out, text);
}

fn uint(out: &mut Vec<u8>, n: u32) {
    let _ = rmp::encode::write_uint(out, u64::from(n));
}

#[cfg(test)]
mod tests {
    use super::*;
    use parlor_protocol::Seq;
    use parlor_protocol::frame::Role;
    use parlor_protocol::room::Origin;
    use serde_json::{Value, json};

    fn relay() -> Relay {
        Relay { max_kept: 1 << 20, ..Relay::default() }
    }

    fn player(id: u32) -> Player {
        Player { id: PlayerId(id), account: "a".into(), name: format!("p{id}"), role: Role::Player }
    }

    fn send(relay: &mut Relay, name: &str, payload: Value) -> Outcome {
        let from = Origin { player: PlayerId(1), no: 1, request: None };
        let payload = to_payload(&payload).unwrap();
        handle(relay, Cause::Message { from, name: name.into(), payload })
    }

    fn handle(relay: &mut Relay, cause: Cause) -> Outcome {
        relay.submit(&Input { seq: Seq(1), now_ms: 0, cause });
        let Poll::Ready(Ok(outcome)) = relay.poll_outcome(&mut Context::from_waker(std::task::Waker::noop())) else {
            panic!("handled on the spot")
        };
        outcome
    }

    fn published(outcome: &Outcome) -> Value {
        let Some(Output::Publish { payload, .. }) = outcome.outputs.first() else { panic!("{outcome:?}") };
        rmp_serde::from_slice(payload).unwrap()
    }

    #[test]
    fn relays_to_all_with_the_sender() {
        let outcome = send(&mut relay(), "chat", json!({"text": "hi"}));
        assert_eq!(published(&outcome), json!({"from": 1, "data": {"text": "hi"}}));
    }

    #[test]
    fn keeps_what_is_set_for_newcomers() {
        let mut relay = relay();
        send(&mut relay, "set", json!({"key": "a", "value": [1, 2]}));
        let changed = send(&mut relay, "set", json!({"key": "b", "value": "x"}));
        assert_eq!(published(&changed), json!({"from": 1, "key": "b", "value": "x"}));
        send(&mut relay, "set", json!({"key": "a", "value": null}));
        let joined = handle(&mut relay, Cause::Join { player: player(2), options: NIL, ticket: None });
        let view: Value = rmp_serde::from_slice(&joined.view.unwrap()).unwrap();
        assert_eq!(view, json!({"members": {"2": "p2"}, "values": {"b": "x"}}));
        assert_eq!(relay.kept_bytes, "b".len() + 2);
    }

    #[test]
    fn refuses_what_it_cannot_keep() {
        let mut relay = relay();
        for (payload, field) in [(json!({"value": 1}), "key"), (json!({"key": "a"}), "value")] {
            let Err(Fault::Refused(failure)) = send(&mut relay, "set", payload).result else { panic!() };
            assert_eq!((&*failure.code, &failure.params["field"]), ("bad_payload", &json!(field)));
        }
        relay.kept_bytes = relay.max_kept;
        assert!(send(&mut relay, "set", json!({"key": "a", "value": 1})).result.is_err());
    }

    #[test]
    fn has_an_end_to_message_types() {
        let mut relay = relay();
        assert!(send(&mut relay, "joined", json!(1)).result.is_err(), "cannot be forged");
        for n in 0..MAX_TYPES {
            assert!(send(&mut relay, &format!("t{n}"), json!(1)).result.is_ok());
        }
        assert!(send(&mut relay, "one-more", json!(1)).result.is_err());
    }
}
