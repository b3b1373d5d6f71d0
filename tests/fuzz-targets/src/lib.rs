//! What the fuzzers run (`fuzz/`), and what the tests replay with the inputs in `fuzz/corpus`: the same functions, so that they cannot
//! differ. Each takes any bytes whatever, and panics when something does not hold that must.

mod config;
mod echo;
mod frames;
mod head;
mod keys;
mod outbox;
mod session;
mod websocket;
mod worker_frames;

pub use config::config;
pub use echo::echo;
pub use frames::{broker_frame, client_frame};
pub use head::head;
pub use keys::keys;
pub use outbox::outbox;
pub use session::session;
pub use worker_frames::worker_frame;

/// A function that takes any bytes.
pub type Target = fn(&[u8]);

/// All targets by name: that of the fuzzer, and of the folder with its inputs.
pub const TARGETS: [(&str, Target); 9] = [
    ("broker_frame", broker_frame),
    ("client_frame", client_frame),
    ("config", config),
    ("echo", echo),
    ("head", head),
    ("keys", keys),
    ("outbox", outbox),
    ("session", session),
    ("worker_frame", worker_frame),
];
