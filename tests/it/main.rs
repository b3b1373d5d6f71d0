//! End to end, over real sockets. One module a behaviour.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod accounts;
mod documentation;
mod errors;
mod faults;
mod hostile;
mod interest;
mod order;
mod raw;
mod rooms;
mod senders;
mod slow;
mod smoke;
mod stage;
mod thresholds;
mod tidy;
mod tutorial;
mod work;
