//! The one shape in which a failure reaches a client: the `error` map of PROTOCOL.md.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::code::ErrorCode;
use crate::id::RoomNo;

/// Why something was refused: a stable code for programs, a text for people, and parameters.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// Stable; one of [`ErrorCode`], or `app.*` for the game's own.
    pub code: Cow<'static, str>,
    /// For people.
    pub text: Cow<'static, str>,
    /// Whether the same message may succeed later.
    pub retryable: bool,
    /// Facts that the text is made of.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<Cow<'static, str>, serde_json::Value>,
    /// The room of a refused `send`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<RoomNo>,
    /// The number of a refused `send` or `request`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no: Option<u64>,
}

impl Failure {
    /// A refusal by a game's own code, which goes out as `app.<code>`.
    pub fn app(code: &str, text: impl Into<Cow<'static, str>>) -> Self {
        Self::with_code(format!("app.{code}").into(), text.into(), false)
    }

    /// The same with one more parameter; a value that has no JSON form becomes null.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Serialize) -> Self {
        self.params.insert(name.into(), serde_json::to_value(value).unwrap_or_default());
        self
    }

    /// The same, marked as worth trying again.
    #[must_use]
    pub fn retry(mut self) -> Self {
        self.retryable = true;
        self
    }

    /// The same with a text that says more than the code's own.
    #[must_use]
    pub fn because(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.text = text.into();
        self
    }

    /// The same about message `no` of `room`.
    #[must_use]
    pub fn about(mut self, room: RoomNo, no: u64) -> Self {
        self.room = Some(room);
        self.no = Some(no);
        self
    }

    fn with_code(code: Cow<'static, str>, text: Cow<'static, str>, retryable: bool) -> Self {
        Self { code, text, retryable, params: BTreeMap::new(), room: None, no: None }
    }
}

impl From<ErrorCode> for Failure {
    fn from(code: ErrorCode) -> Self {
        Self::with_code(code.as_str().into(), code.text().into(), code.retryable())
    }
}

/// Frames and outcomes keep failures apart, so that those which carry none, as nearly all do, are small.
impl From<ErrorCode> for Box<Failure> {
    fn from(code: ErrorCode) -> Self {
        Box::new(code.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.text, self.code)
    }
}

/// Reads like [`Display`](fmt::Display), because `main` prints an error this way.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)?;
        if self.params.is_empty() { Ok(()) } else { write!(f, " {:?}", self.params) }
    }
}

impl std::error::Error for Failure {}
