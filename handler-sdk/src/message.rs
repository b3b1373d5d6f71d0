//! What goes out: messages by type name, and refusals by code.

use serde::Serialize;

use crate::{ErrorCode, Failure};

/// A payload with the type name under which it travels. `#[derive(Message)]` takes the structure's name in snake case, or
/// `#[message("name")]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message",
    label = "this has no message type name",
    note = "add `#[derive(Serialize, Message)]` to `{Self}`"
)]
pub trait Message: Serialize {
    /// The type name on the wire, at most 64 bytes.
    const TYPE: &'static str;
}

/// A typed reason for saying no. `#[derive(Refusal)]` on an enum makes each variant a code in snake case (sent as
/// `app.<code>`) and its fields the parameters; `#[refusal(code = "…", text = "…", retryable)]` on a variant says otherwise.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent to a client as a refusal",
    note = "return `parlor::Failure`, or add `#[derive(Refusal)]` to `{Self}`"
)]
pub trait Refusal {
    /// The refusal as the client gets it.
    fn into_failure(self) -> Failure;
}

impl Refusal for Failure {
    fn into_failure(self) -> Failure {
        self
    }
}

/// One of Parlor's own reasons, such as [`ErrorCode::TokenInvalid`].
impl Refusal for ErrorCode {
    fn into_failure(self) -> Failure {
        self.into()
    }
}
