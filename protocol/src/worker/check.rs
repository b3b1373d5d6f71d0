//! Whether a room can take what a worker made of an input: names and numbers that fit the clients' wire, payloads that are
//! MessagePack, sizes within the room's policy.

use serde_json::Value;

use crate::failure::Failure;
use crate::limits::{MAX_DEPTH, MAX_NAME, MAX_UINT};
use crate::msgpack::{self, Malformed};
use crate::policy::Policy;
use crate::room::{Audience, Fault, Origin, Outcome, Output, Topic};

/// Levels of arrays and maps in a property, and in a failure's parameters. A client's frame has two levels around them.
pub const MAX_VALUE_DEPTH: usize = MAX_DEPTH - 2;

/// What an output counts for in `max_outputs_bytes`, besides its [size](output_size).
pub const OUTPUT_OVERHEAD: u64 = 32;

/// Why an outcome cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// A name is longer than it may be.
    #[error("`{0}` is longer than {max} bytes", max = MAX_NAME)]
    Name(&'static str),
    /// A number is larger than any on the wire.
    #[error("`{0}` is over {max}", max = MAX_UINT)]
    Number(&'static str),
    /// A payload is not one MessagePack value.
    #[error("`{0}`: {1}")]
    Payload(&'static str, Malformed),
    /// A property or a parameter nests too deep.
    #[error("`{0}` nests deeper than {max} levels", max = MAX_VALUE_DEPTH)]
    TooDeep(&'static str),
    /// Something has more bytes than the policy allows.
    #[error("{bytes} bytes are over `{limit}`")]
    Size {
        /// What it has.
        bytes: u64,
        /// The policy's key.
        limit: &'static str,
    },
}

/// Checks what a worker made of an input, before anything of it is done.
///
/// # Errors
/// [`Unfit`]: the handler broke its contract, so its room cannot go on.
pub fn check_outcome(outcome: &Outcome, policy: &Policy) -> Result<(), Unfit> {
    if let Err(Fault::Refused(failure)) = &outcome.result {
        check_failure(failure)?;
    }
    if let Some(view) = &outcome.view {
        payload("view", view)?;
        within(view.len() as u64, policy.max_view_bytes, "max_view_bytes")?;
    }
    let mut bytes = 0_u64;
    for output in &outcome.outputs {
        let size = output_size(output);
        within(size, policy.max_output_bytes, "max_output_bytes")?;
        bytes = bytes.saturating_add(size).saturating_add(OUTPUT_OVERHEAD);
        within(bytes, policy.max_outputs_bytes, "max_outputs_bytes")?;
        check_output(output)?;
    }
    Ok(())
}

/// Bytes of an output as the policy counts them: its payload and key, or the property as JSON.
pub fn output_size(output: &Output) -> u64 {
    let bytes = match output {
        Output::Publish { payload, .. } | Output::Reply { payload, .. } | Output::After { payload, .. } => {
            payload.len()
        }
        Output::Latest { key, payload, .. } => key.len() + payload.len(),
        Output::Forget { key, .. } => key.len(),
        Output::Run { arguments, .. } => arguments.len(),
        Output::Kick { reason, .. } => reason.len(),
        Output::Close { result } => result.len(),
        Output::SetProperty { value, .. } => value.to_string().len(),
        Output::Refuse { .. } | Output::SetTopics { .. } | Output::Cancel { .. } | Output::Lock(_) => 0,
    };
    bytes as u64
}

fn check_output(output: &Output) -> Result<(), Unfit> {
    match output {
        Output::Publish { to, name: type_, payload: message } => {
            if let Audience::Topic(to) = to {
                topic(to)?;
            }
            name("name", type_)?;
            payload("payload", message)
        }
        Output::Latest { topic: of, name: type_, payload: message, .. } => {
            topic(of)?;
            name("name", type_)?;
            payload("payload", message)
        }
        Output::Forget { topic: of, .. } => topic(of),
        Output::Reply { to, payload: answer } => {
            origin(to)?;
            payload("payload", answer)
        }
        Output::Refuse { to, error } => {
            origin(to)?;
            check_failure(error)
        }
        Output::SetTopics { topics, .. } => topics.iter().try_for_each(topic),
        Output::After { delay_ms, event, .. } => {
            number("delay_ms", *delay_ms)?;
            name("event", event)
        }
        Output::Cancel { timer } => number("timer", timer.0.seq.0),
        Output::Run { name: work, .. } => name("name", work),
        Output::Kick { reason, .. } => payload("reason", reason),
        Output::Close { result } => payload("result", result),
        Output::SetProperty { value, .. } => shallow("value", value),
        Output::Lock(_) => Ok(()),
    }
}

fn check_failure(failure: &Failure) -> Result<(), Unfit> {
    number("no", failure.no.unwrap_or(0))?;
    failure.params.values().try_for_each(|value| shallow("params", value))
}

fn origin(to: &Origin) -> Result<(), Unfit> {
    number("no", to.no)?;
    number("request", to.request.unwrap_or(0))
}

fn topic(topic: &Topic) -> Result<(), Unfit> {
    match topic {
        Topic::Name(text) => name("topic", text),
        Topic::Cell(..) => Ok(()),
    }
}

fn name(field: &'static str, text: &str) -> Result<(), Unfit> {
    if text.len() <= MAX_NAME { Ok(()) } else { Err(Unfit::Name(field)) }
}

fn number(field: &'static str, n: u64) -> Result<(), Unfit> {
    if n <= MAX_UINT { Ok(()) } else { Err(Unfit::Number(field)) }
}

fn payload(field: &'static str, bytes: &[u8]) -> Result<(), Unfit> {
    msgpack::check(bytes).map_err(|error| Unfit::Payload(field, error))
}

fn within(bytes: u64, max: u64, limit: &'static str) -> Result<(), Unfit> {
    if bytes <= max { Ok(()) } else { Err(Unfit::Size { bytes, limit }) }
}

/// Whether a property or a parameter nests no deeper than it may.
pub fn is_shallow(value: &Value) -> bool {
    fits(value, MAX_VALUE_DEPTH)
}

fn shallow(field: &'static str, value: &Value) -> Result<(), Unfit> {
    if is_shallow(value) { Ok(()) } else { Err(Unfit::TooDeep(field)) }
}

fn fits(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels > 0 && items.iter().all(|item| fits(item, levels - 1)),
        Value::Object(fields) => levels > 0 && fields.values().all(|field| fits(field, levels - 1)),
        _ => true,
    }
}
