//! End to end, over real sockets. One module a behaviour.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod documentation;
mod rooms;
mod smoke;
mod tutorial;
