//! The load generator: one thread, one epoll, all clients. Linux only.
//!
//! It must not be the bottleneck: it reads large pieces, handles many frames per read, writes what a client owes with
//! one call, and sleeps until the next message is due.

pub mod churn;
mod client;
mod connect;
pub mod crowd;
mod dial;
pub mod empty;
mod engine;
mod pacing;
mod report;
mod sample;
mod window;
mod workers;

pub use dial::allow_sockets;
pub use pacing::{Pacing, Plan};
pub use report::{Report, ServerCost};

use crate::check::{Game, Layout};
use engine::Engine;
use std::net::SocketAddr;

/// What to play, and against whom.
#[derive(Debug, Clone)]
pub struct Options {
    /// The server.
    pub address: SocketAddr,
    /// The process whose CPU and context switches are measured.
    pub server_pid: Option<u32>,
    /// Rooms and their members.
    pub layout: Layout,
    /// Who sends, and who hears it.
    pub game: Game,
    /// Whether sessions are kept.
    pub stay: Stay,
    /// When messages are sent.
    pub plan: Plan,
}

/// What becomes of a session when its connection is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stay {
    /// It ends.
    Connection,
    /// It is kept: both sides count and acknowledge.
    Kept,
}

/// Why a run gave no figures at all.
pub type Failure = Box<dyn std::error::Error>;

/// A load that is connected.
pub struct Load {
    engine: Engine,
}

impl Load {
    /// Brings every client into its room.
    pub fn connect(options: &Options) -> Result<Self, Failure> {
        let clients = connect::connect_all(options)?;
        Ok(Self { engine: Engine::new(options, clients)? })
    }

    /// Plays, drains and checks. The sockets stay open until the load is dropped.
    pub fn play(&mut self) -> Result<Report, Failure> {
        self.engine.run()
    }
}
