//! End to end, over real sockets. One module a behaviour.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod accounts;
mod bench;
mod churn;
mod codecs;
mod documentation;
mod edges;
mod errors;
mod fairness;
mod faults;
mod hostile;
mod identity;
mod interest;
mod lobby;
mod moves;
mod order;
mod program;
mod raw;
mod recovery;
mod resume;
mod rooms;
mod security;
mod senders;
mod services;
mod shutdown;
mod slow;
mod smoke;
mod stage;
mod thresholds;
mod tidy;
mod topics;
mod tutorial;
mod work;
