//! What can go wrong, by what the caller can do about it.

use std::io;

use parlor_protocol::{ErrorCode, Failure};

use crate::lifecycle::End;

/// Why an operation of the client did not succeed.
///
/// The library never repeats anything by itself: after [`OutcomeUnknown`](Self::OutcomeUnknown) or
/// [`Timeout`](Self::Timeout) only the game knows whether asking twice does harm.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The broker or the room's handler said no.
    #[error("{0}")]
    Refused(Failure),
    /// The client has ended with its last connection, and does not come back.
    #[error("the connection has ended: {reason} ({code})")]
    Closed {
        /// The WebSocket close code; 1006 when none was received.
        code: u16,
        /// The reason that came with it, or what broke.
        reason: String,
    },
    /// The session was lost while a join or a subscription was under way. The client has a new session, or is about to
    /// have one, in which it may be asked again; see [`LifecycleEvent::Lost`](crate::LifecycleEvent::Lost).
    #[error("the session was lost: {reason}")]
    Lost {
        /// As in [`LifecycleEvent::Lost`](crate::LifecycleEvent::Lost).
        reason: String,
    },
    /// The request was under way when the session or the membership ended: it may have taken effect, or not.
    #[error("the request was under way when the session or the membership ended: its outcome is unknown")]
    OutcomeUnknown,
    /// No answer came within [`Options::request_timeout`](crate::Options::request_timeout). What was asked may still happen.
    #[error("no answer came in time")]
    Timeout,
    /// More is waiting to be written or acknowledged than [`Options::send_frames`](crate::Options::send_frames) or
    /// [`Options::send_bytes`](crate::Options::send_bytes) allows. Nothing was queued and no number was used up.
    #[error("buffer_full: the connection is too slow for what is being sent")]
    BufferFull,
    /// The socket could not be opened, or failed before the session began.
    #[error("i/o: {0}")]
    Io(#[from] io::Error),
    /// The WebSocket was refused with this HTTP status.
    #[error("the broker refused the WebSocket with HTTP status {0}")]
    Http(u16),
    /// The token's provider failed.
    #[error("no token: {0}")]
    Token(String),
    /// The other side does not speak this protocol as it should.
    #[error("protocol: {0}")]
    Protocol(String),
    /// What was asked cannot be sent: a bad URL, a name that is too long, a payload that cannot be encoded.
    #[error("cannot be sent: {0}")]
    Invalid(String),
    /// A payload is not what the caller expects.
    #[error("cannot be decoded: {0}")]
    Decode(String),
}

impl ClientError {
    /// The stable code of a refusal ([`ErrorCode`] or `app.*`), or of what the client itself found out.
    pub fn code(&self) -> &str {
        match self {
            Self::Refused(failure) => &failure.code,
            Self::Closed { .. } => "closed",
            Self::Lost { .. } => "lost",
            Self::Token(_) => "token",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::Timeout => "timeout",
            Self::BufferFull => "buffer_full",
            Self::Io(_) => "io",
            Self::Http(_) => "http",
            Self::Protocol(_) => "protocol",
            Self::Invalid(_) => "invalid",
            Self::Decode(_) => "decode",
        }
    }

    /// The refusal, if it is one.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Refused(failure) => Some(failure),
            _ => None,
        }
    }
}

/// What the client refuses before the broker would.
impl From<ErrorCode> for ClientError {
    fn from(code: ErrorCode) -> Self {
        Self::Refused(code.into())
    }
}

impl From<&End> for ClientError {
    fn from(end: &End) -> Self {
        Self::Closed { code: end.code, reason: end.reason.clone() }
    }
}
