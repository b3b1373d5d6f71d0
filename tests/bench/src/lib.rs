//! Load generator and servers to compare Parlor with.
//!
//! `bench-plain` is a room server without any of Parlor's promises, as fast as tokio-tungstenite is written straight, and
//! `bun/server.ts` one on uWebSockets; `bench-load` plays games against any server that speaks this subset of the wire,
//! measures, and checks that no message was lost, doubled or reordered. Nothing here knows Parlor's code: both ends are told
//! apart by the port only.

pub mod check;
pub mod frames;
pub mod kept;
#[cfg(target_os = "linux")]
pub mod load;
pub mod moves;
pub mod plain;
pub mod scan;
pub mod websocket;
