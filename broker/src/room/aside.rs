//! The inputs of a room on which its handler has panicked, for whoever looks into it: what they were, and why.

use std::collections::VecDeque;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use parlor_protocol::room::{Cause, Input};
use parlor_protocol::{PlayerId, Seq};
use serde::{Serialize, Serializer};

/// Inputs that a room remembers. An older one is in the log all the same.
const REMEMBERED: usize = 16;

/// An input on which the handler panicked. It has changed nothing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SetAside {
    /// Its place in the room's order.
    pub seq: Seq,
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// What kind of input: `message`, `tick`, and so on.
    pub cause: &'static str,
    /// Whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub player: Option<PlayerId>,
    /// The type of a message or an event, the name of a work function.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Arc<str>>,
    /// MessagePack; in JSON in base64.
    #[serde(serialize_with = "base64", skip_serializing_if = "Bytes::is_empty")]
    pub payload: Bytes,
    /// What the panic said.
    pub panic: String,
}

/// What a room has set aside.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Aside {
    /// The newest, oldest first.
    pub inputs: VecDeque<SetAside>,
    /// How many there were in all.
    pub total: u64,
}

impl Aside {
    pub(super) fn add(&mut self, input: SetAside) {
        if self.inputs.len() == REMEMBERED {
            self.inputs.pop_front();
        }
        self.inputs.push_back(input);
        self.total += 1;
    }
}

impl SetAside {
    pub(super) fn new(input: &Input, panic: &str) -> Self {
        let named = |name: &str| Some(Arc::from(name));
        let (cause, player, name, payload) = match &input.cause {
            Cause::Open { options, .. } => ("open", None, None, options.clone()),
            Cause::Join { player, options, .. } => ("join", Some(player.id), None, options.clone()),
            Cause::Drop { player } => ("drop", Some(*player), None, Bytes::new()),
            Cause::Resume { player } => ("resume", Some(*player), None, Bytes::new()),
            Cause::View { player } => ("view", Some(*player), None, Bytes::new()),
            Cause::Leave { player, .. } => ("leave", Some(*player), None, Bytes::new()),
            Cause::Message { from, name, payload } => {
                ("message", Some(from.player), Some(name.clone()), payload.clone())
            }
            Cause::Follow { player, .. } => ("follow", Some(*player), None, Bytes::new()),
            Cause::Tick { .. } => ("tick", None, None, Bytes::new()),
            Cause::Timer { event, payload, .. } => ("timer", None, named(event), payload.clone()),
            Cause::Work { name, result, .. } => ("work", None, named(name), result.clone().unwrap_or_default()),
            Cause::Event { name, payload } => ("event", None, Some(name.clone()), payload.clone()),
            Cause::Close { .. } => ("close", None, None, Bytes::new()),
        };
        Self { seq: input.seq, at_ms: input.now_ms, cause, player, name, payload, panic: panic.to_owned() }
    }
}

fn base64<S: Serializer>(bytes: &Bytes, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&BASE64_STANDARD.encode(bytes))
}
