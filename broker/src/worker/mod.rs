//! Workers: processes that run the handlers of rooms, each on a connection to this broker.
//!
//! A `Fleet` knows all of them and finds a place for a room. A `Worker` is one connection; what it says about a room is laid down at that
//! room's `Desk`, where the room's [`Host`](crate::host::Host) finds it. The frames are those of PROTOCOL.md, section 16.
//!
//! A worker is believed only what it may say: frames that break the protocol end its connection, and what it says about a room that
//! is no longer its own, or that it had in an earlier epoch, is not heard.

mod connection;
mod desk;
#[cfg(unix)]
mod door;
mod entry;
mod fleet;
mod line;
mod remote;
mod roster;
mod workforce;

pub(crate) use entry::Gate;
pub(crate) use fleet::Fleet;
pub(crate) use workforce::Workforce;
