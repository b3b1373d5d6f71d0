#![doc = include_str!("../README.md")]
//!
//! # Inside
//!
//! A task of its own (`life`) is the client: it makes one connection after the other (`connector`, `socket`, with `backoff`
//! between them), and each is served by two loops (`actor`), one that reads and one that writes. What the task shares with
//! the handles is one locked `link`: the session's `positions` (frames to write, to acknowledge, to write again) and the callers
//! who wait. `inbox` takes each frame from the broker to a room's bounded `queue`, to a caller or to the `lifecycle`;
//! `member` is one membership. `positions`, `backoff`, `clock` and `inbox` do no I/O.

mod actor;
mod backoff;
mod clock;
mod connector;
mod error;
mod event;
mod inbox;
mod join;
mod life;
mod lifecycle;
mod link;
mod member;
mod options;
mod parlor;
mod positions;
mod queue;
mod room;
mod silence;
mod socket;
#[cfg(feature = "tls")]
mod tls;
mod token;

pub use error::ClientError;
pub use event::{RoomEvent, ViewReason};
pub use join::JoinRequest;
pub use lifecycle::{End, Lifecycle, LifecycleEvent};
pub use options::{OnLoss, Options};
pub use parlor::Parlor;
pub use room::{Room, RoomSender};
pub use token::Token;

pub use bytes::Bytes;
pub use parlor_protocol::code::CloseKind;
pub use parlor_protocol::frame::{Recovered, Recovery, Role};
pub use parlor_protocol::{Codec, ErrorCode, Failure, Place, PlayerId, RoomId, RoomNo, Seq};

use parlor_protocol::msgpack;
use serde::Serialize;

/// MessagePack for an array of one element: stands for the frame in which a payload will lie.
const FRAME: u8 = 0x91;

/// Encodes a payload: structures as named maps. Nesting that no broker takes is refused here, before it uses up a number.
fn payload(value: &(impl Serialize + ?Sized)) -> Result<Bytes, ClientError> {
    let mut framed = vec![FRAME];
    let invalid = |error: &dyn std::fmt::Display| ClientError::Invalid(error.to_string());
    value.serialize(&mut rmp_serde::Serializer::new(&mut framed).with_struct_map()).map_err(|error| invalid(&error))?;
    msgpack::check(&framed).map_err(|error| invalid(&error))?;
    Ok(Bytes::from(framed).slice(1..))
}
