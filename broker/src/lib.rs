//! The Parlor broker: sessions over WebSocket, rooms with one ordered queue each, and fan-out.
//!
//! The way of a message, one direction, every queue bounded:
//!
//! ```text
//! socket -> session -> room queue -> room actor -> host -> outputs -> outbox of each session -> socket
//! ```
//!
//! Most users meet the broker through the `parlor` crate, which runs it inside the game's own process.

pub mod auth;
pub mod broker;
pub mod cli;
pub mod config;
pub mod engine;
pub mod fetch;
pub mod host;
mod listener;
pub mod lobby;
pub mod outbox;
pub mod problem;
pub mod room;
pub mod services;
pub mod session;
pub mod shard;
pub mod supervisor;
pub mod telemetry;
pub mod wire;
mod worker;

pub use broker::{Broker, StartError};
pub use config::{Config, Limits};
#[doc(hidden)]
pub use listener::{Judgement, judge};
pub use room::Kind;
pub use services::Services;
