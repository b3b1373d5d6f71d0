//! The harness of the end-to-end tests: a broker on a free port, and the room that clients are tested against.

// The examples of these pages are compiled; those of the tutorial are played by `tests/it/tutorial.rs`.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
#[doc = include_str!("../../docs/policy.md")]
#[doc = include_str!("../../docs/sessions.md")]
#[doc = include_str!("../../docs/identity.md")]
#[doc = include_str!("../../docs/lobby.md")]
#[doc = include_str!("../../docs/operations.md")]
#[doc = include_str!("../../docs/workers.md")]
mod pages {}

pub mod echo;
pub mod ledger;
pub mod panics;
pub mod raw;
pub mod seed;
pub mod serve;
pub mod tls;
pub mod wait;

pub mod http;

use parlor::broker::{Broker, Config};
use parlor::prelude::*;
use parlor_client::{Options, Parlor};

/// A room that answers: what the client libraries' tests talk to.
#[derive(Default, Serialize, Deserialize)]
pub struct Echo {}

/// Something said.
#[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
pub struct Said {
    /// By whom.
    pub from: PlayerId,
    /// What.
    pub text: String,
}

#[derive(Deserialize)]
struct Say {
    text: String,
}

#[derive(Deserialize)]
struct Add {
    a: i64,
    b: i64,
}

#[derive(Refusal)]
enum Denied {
    #[refusal(code = "denied", text = "denied, as asked for")]
    Denied { why: String },
}

#[room(kind = "echo", max_spectators = 8, client_topics = ["news"])]
impl Echo {
    #[msg::route("say")]
    fn say(&mut self, ctx: &mut Ctx, from: PlayerId, say: Say) {
        ctx.broadcast(&Said { from, text: say.text });
    }

    #[msg::route("add")]
    fn add(&mut self, _ctx: &mut Ctx, _from: PlayerId, add: Add) -> i64 {
        add.a.saturating_add(add.b)
    }

    #[msg::route("deny")]
    fn deny(&mut self, _ctx: &mut Ctx, _from: PlayerId) -> Result<(), Denied> {
        Err(Denied::Denied { why: "test".into() })
    }
}

/// A configuration for tests: any free port.
pub fn config() -> Config {
    let mut config = Config { server_key: Some("test-key".into()), ..Config::default() };
    config.listen.set_port(0);
    config.auth.guests = true;
    // Tests send as fast as they can.
    (config.limits.messages_per_s, config.limits.bytes_per_s) = (1_000_000, 1 << 30);
    // All of a test's clients come from one address.
    config.limits.connections_per_address = config.limits.connections;
    config
}

/// A client of this broker, over a real socket.
///
/// # Panics
/// When it cannot connect.
pub async fn connect(broker: &Broker) -> Parlor {
    connect_with(broker, Options::new()).await
}

/// The same with options.
///
/// # Panics
/// When it cannot connect.
pub async fn connect_with(broker: &Broker, options: Options) -> Parlor {
    let url = format!("ws://{}", broker.addr());
    Parlor::connect(&url, options).await.expect("a broker of our own takes us")
}

/// An event without fields, as the server side raises it.
pub fn event(name: &str) -> parlor::broker::room::Arrival {
    const EMPTY_MAP: &[u8] = &[0x80];
    parlor::broker::room::Arrival::Event { name: name.into(), payload: bytes::Bytes::from_static(EMPTY_MAP) }
}
