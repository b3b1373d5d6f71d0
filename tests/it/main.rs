//! End to end, over real sockets. One module a behaviour.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod documentation;
mod interest;
mod order;
mod rooms;
mod senders;
mod smoke;
mod tidy;
mod tutorial;
