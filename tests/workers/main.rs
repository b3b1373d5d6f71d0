//! Handlers in processes of their own, which are killed, stopped, drained and replaced while people play: nobody may notice more than a pause.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod faults;
mod herd;
mod kill;
mod moves;
mod play;
mod rollout;
