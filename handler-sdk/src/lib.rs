//! Write a multiplayer game server as message handlers.
//!
//! A **room** is one match, one table or one world shard. Everything that can change it is an input in its queue, and the
//! handlers see these inputs one at a time, in one order: no locks, no races, no sockets. A handler is deterministic: it gets
//! time and randomness from its [`Ctx`], never awaits, and answers with outputs.
//!
//! ```
//! use parlor::prelude::*;
//!
//! #[derive(Deserialize)]
//! struct Move { x: f32, y: f32 }
//!
//! #[derive(Serialize, Message)]
//! struct Moved { player: PlayerId, x: f32, y: f32 }
//!
//! #[derive(Default, Serialize, Deserialize)]
//! struct Arena { players: BTreeMap<PlayerId, (f32, f32)> }
//!
//! #[room(kind = "arena", max_players = 16)]
//! impl Arena {
//!     #[msg::route("move")]
//!     fn game_move(&mut self, ctx: &mut Ctx, from: PlayerId, m: Move) -> Result<()> {
//!         self.players.insert(from, (m.x, m.y));
//!         ctx.broadcast(&Moved { player: from, x: m.x, y: m.y });
//!         Ok(())
//!     }
//! }
//! ```

// Lets the macros' paths (`::parlor::…`) work inside this crate too.
#[allow(unused_extern_crates)]
extern crate self as parlor;

#[cfg(feature = "embedded")]
mod app;
mod ctx;
mod kind;
#[cfg(feature = "embedded")]
mod local;
mod message;
pub mod msg;
mod room;
#[doc(hidden)]
pub mod rt;
mod runner;
#[cfg(feature = "embedded")]
pub mod testing;
mod work;

#[cfg(feature = "embedded")]
pub use app::App;
#[cfg(feature = "embedded")]
pub use axum;
pub use ctx::Ctx;
pub use kind::Kind;
pub use message::{Message, Refusal};
#[cfg(feature = "embedded")]
pub use parlor_broker as broker;
pub use parlor_macros::{Message, Refusal, room};
pub use parlor_protocol::policy::{self, Policy};
pub use parlor_protocol::room::{CloseWhy, Leave, Origin, Player, TimerId, Topic, WorkId};
pub use parlor_protocol::{Failure, PlayerId, RoomId};
pub use room::{Payload, Room};
pub use runner::Runner;
pub use work::{BoxFuture, Done, Env, Work, WorkFn};

/// What handlers return: `Err` discards the input's outputs and answers the sender.
pub type Result<T = (), E = Failure> = std::result::Result<T, E>;

/// All that a file of handlers needs.
pub mod prelude {
    pub use std::collections::{BTreeMap, BTreeSet};
    pub use std::time::Duration;

    pub use indexmap::{IndexMap, IndexSet};
    pub use rand::RngExt as _;
    pub use serde::{Deserialize, Serialize};

    pub use crate::{
        CloseWhy, Ctx, Done, Env, Failure, Leave, Message, Origin, Player, PlayerId, Refusal, Result, Room, TimerId,
        Topic, msg, room,
    };
}
