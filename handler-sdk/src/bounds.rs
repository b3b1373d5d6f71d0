//! What can pass between a broker and its workers. It is held to wherever a room runs, so that one game behaves the same in every
//! mode.

use parlor_protocol::ErrorCode;
use parlor_protocol::limits::MAX_NAME;
use parlor_protocol::room::Topic;
use parlor_protocol::worker::{MAX_VALUE_DEPTH, is_shallow};
use serde_json::Value;

use crate::Failure;

/// # Errors
/// When the name of a message, an event, a piece of work or a topic is too long.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    if name.len() <= MAX_NAME { Ok(()) } else { Err(format!("the name {name:?} is longer than {MAX_NAME} bytes")) }
}

/// # Errors
/// As [`check_name`].
pub(crate) fn check_topic(topic: &Topic) -> Result<(), String> {
    match topic {
        Topic::Name(name) => check_name(name),
        Topic::Cell(..) => Ok(()),
    }
}

/// # Errors
/// When a property's value nests too deep.
pub(crate) fn check_value(name: &str, value: &Value) -> Result<(), String> {
    if is_shallow(value) { Ok(()) } else { Err(format!("`{name}` nests deeper than {MAX_VALUE_DEPTH} levels")) }
}

/// # Errors
/// When a parameter of a refusal nests too deep.
pub(crate) fn check_failure(failure: &Failure) -> Result<(), String> {
    failure.params.iter().try_for_each(|(name, value)| check_value(name, value))
}

/// The failure, or the one that it is not to be said.
pub(crate) fn sayable(failure: Failure) -> Failure {
    match check_failure(&failure) {
        Ok(()) => failure,
        Err(why) => Failure::from(ErrorCode::OutputFailed).because(why),
    }
}
