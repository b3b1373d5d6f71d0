//! The load test that Parlor's users get (`parlor bench`): many players that do what a script says, in an open loop.
//!
//! It is made of clients like any other, so what it measures is what a player meets, the client library included. Latencies count
//! from the time at which a message should have been sent, not from the time at which it could be: a game that stalls for a second
//! delays all that would have been sent in it, and all of that is seen.
//!
//! # Inside
//!
//! `script` is the file, `template` its payloads, `schedule` who does what when: these have no clock and no I/O, as has `waiting`, in
//! which a player finds out what answers what. `crowd` lets the players in, `player` is one of them, `load` leads them all, `tally` is
//! what they count, `report` what comes of it.

mod cli;
mod cpu;
mod crowd;
mod load;
mod player;
mod report;
mod schedule;
mod script;
mod tally;
mod template;
mod waiting;

pub use cli::BenchArgs;
pub use load::{Load, Rooms};
pub use report::{ActionReport, Generator, Quantiles, Report};
pub use script::{Script, ScriptError};
