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
mod bounds;
#[cfg(feature = "embedded")]
mod command;
mod ctx;
mod kind;
#[cfg(feature = "embedded")]
mod local;
mod message;
pub mod msg;
mod room;
#[cfg(feature = "embedded")]
mod rooms;
#[doc(hidden)]
pub mod rt;
mod runner;
#[cfg(feature = "embedded")]
pub mod testing;
mod work;
#[cfg(feature = "embedded")]
pub mod worker;

#[cfg(feature = "embedded")]
pub use app::App;
#[cfg(feature = "embedded")]
pub use axum;
#[cfg(feature = "embedded")]
pub use command::{Command, ServeArgs, ServicesArgs, WorkerArgs};
pub use ctx::Ctx;
pub use kind::Kind;
pub use message::{Message, Refusal};
#[cfg(feature = "embedded")]
pub use parlor_broker as broker;
#[cfg(feature = "embedded")]
pub use parlor_broker::Services;
#[cfg(feature = "embedded")]
pub use parlor_broker::auth::{Identity, Rights};
#[cfg(feature = "embedded")]
pub use parlor_broker::broker::Connector;
/// A [`Failure`] as the answer of a route: problem details (RFC 9457), as those of the lobby.
#[cfg(feature = "embedded")]
pub use parlor_broker::problem::Problem;
/// Gives a type its name on the wire: its own in snake case, or that in `#[message("name")]`.
pub use parlor_macros::Message;
/// Makes each variant of an enum, or a structure, a reason for saying no.
///
/// The code is the variant's name in snake case, the text the same in words, and the parameters are the fields.
/// `#[refusal(code = "…", text = "need {need}", retryable)]` on the variant says otherwise; the text may name the fields.
/// `#[refusal(transparent)]` on a variant with one unnamed field passes on the refusal in it, such as a [`Failure`].
pub use parlor_macros::Refusal;
/// Makes an `impl` block a room kind: `#[room(kind = "arena", max_players = 16)]`, with the methods that
/// [`msg`]'s attributes mark. It fills in [`Room`]; what it does can be written by hand.
///
/// `kind` is the name by which clients ask for the room. The other keys set the field of [`Policy`] that has their name, and
/// where none is given its default holds:
///
/// | key | value |
/// |-|-|
/// | `max_players` (at least 1), `max_spectators`, `tick_hz` (at most 1000), `queue_len`, `member_queue_len`, `max_latest`, `snapshot_every` (at least 1) | a number, or a constant |
/// | `queue_bytes`, `max_output_bytes`, `max_outputs_bytes`, `max_view_bytes`, `snapshot_bytes`, `max_snapshot_bytes` | bytes: `4096` or `"64KiB"`, `"1MiB"`, `"1GiB"` |
/// | `empty_ttl`, `resume`, `close_grace`, `snapshot_age`, `sleep_after` | a duration: `"500ms"`, `"30s"`, `"2m"`, `"1h"` |
/// | `match_by`, `client_topics`, `latest_topics` | names: `["map", "mode"]` |
/// | `tick_when` | `"occupied"` or `"always"` |
/// | `join`, `watch` | `"open"`, `"ticket"` or `"invite"` |
/// | `same_account` | `"replace"`, `"refuse"` or `"allow"` |
/// | `on_panic` | `"restore"` or `"close"` |
/// | `on_divergence` | `"resync"` or `"stop"` |
/// | `handled` | no value; clients are told what has been handled |
///
/// A room may be spread over several `impl` blocks: the marked methods stand in one, and may call those of the others.
pub use parlor_macros::room;
pub use parlor_protocol::frame::Role;
pub use parlor_protocol::policy::{self, Policy};
pub use parlor_protocol::room::{CloseWhy, Leave, Origin, Player, TimerId, Topic, WorkId};
pub use parlor_protocol::{ErrorCode, Failure, PlayerId, RoomId};
pub use room::{Payload, Room};
#[cfg(feature = "embedded")]
pub use rooms::Rooms;
pub use runner::Runner;
pub use work::{BoxFuture, Done, Env, Work, WorkFn};
#[cfg(feature = "embedded")]
#[doc(hidden)]
pub use worker::{At as WorkerAt, Point as WorkerPoint};
#[cfg(feature = "embedded")]
pub use worker::{Worker, WorkerOptions};

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
        CloseWhy, Ctx, Done, Env, Failure, Leave, Message, Origin, Player, PlayerId, Refusal, Result, Role, Room,
        TimerId, Topic, msg, room,
    };
}
