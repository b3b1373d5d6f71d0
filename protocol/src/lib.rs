//! Parlor's wire: what clients and broker say to each other, the vocabulary in which a room is described to its handler, and what
//! the broker and the workers that run handlers say to each other.
//!
//! This crate does no I/O and knows no clock, no randomness and no runtime, so every client, server and test can share it.
//! The wire is described for people in PROTOCOL.md and pinned by `fixtures/frames.json` and `fixtures/worker-frames.json`.

pub mod code;
pub mod codec;
pub mod failure;
pub mod frame;
pub mod id;
pub mod limits;
pub mod msgpack;
pub mod policy;
pub mod room;
pub mod worker;

pub use code::{CloseCode, ErrorCode};
pub use codec::Codec;
pub use failure::Failure;
pub use frame::{BrokerFrame, ClientFrame, FrameError};
pub use id::{Place, PlayerId, RoomId, RoomNo, Seq};
pub use policy::Policy;
