//! The frames: what a client may say ([`ClientFrame`]) and what the broker says ([`BrokerFrame`]).

mod broker;
mod client;

pub use broker::{BrokerFrame, Joined, Recovered, Recovery, ResumeTerms, Welcome};
pub use client::{ClientFrame, Hello, Join, JoinMode, ResumeWish, Role, TypeRef};

use crate::codec::FieldError;

/// Why a message is no frame.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Its op is not known.
    #[error("op {0} is not known")]
    UnknownOp(u64),
    /// Its fields are not what the op asks for.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// A name is longer than it may be.
    #[error("field `{0}` is longer than {max} bytes", max = crate::limits::MAX_NAME)]
    TooLong(&'static str),
}

/// The op numbers of both directions, as in PROTOCOL.md. 45 to 47 are reserved.
pub mod op {
    #![allow(missing_docs, reason = "each is the frame of its name")]
    pub const HELLO: u8 = 1;
    pub const JOIN: u8 = 2;
    pub const LEAVE: u8 = 3;
    pub const SEND: u8 = 4;
    pub const REQUEST: u8 = 5;
    pub const SUBSCRIBE: u8 = 6;
    pub const UNSUBSCRIBE: u8 = 7;
    pub const PING: u8 = 8;
    pub const ACK: u8 = 9;
    pub const TOKEN: u8 = 10;
    pub const WELCOME: u8 = 33;
    pub const JOINED: u8 = 34;
    pub const TYPES: u8 = 35;
    pub const PUBLISH: u8 = 36;
    pub const REPLY: u8 = 37;
    pub const REFUSED: u8 = 38;
    pub const CLOSED: u8 = 39;
    pub const ERROR: u8 = 40;
    pub const DONE: u8 = 41;
    pub const PONG: u8 = 42;
    pub const HANDLED: u8 = 43;
    pub const ACKED: u8 = 44;
    pub const RESUMED: u8 = 48;
    pub const VIEW: u8 = 49;
    pub const LATEST: u8 = 50;
}
