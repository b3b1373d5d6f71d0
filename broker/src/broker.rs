//! The broker as a whole: puts its parts together, starts them, and ends them in order.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::any;
use parlor_protocol::CloseCode;
use parlor_protocol::limits::MAX_NAME;
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::auth::{self, AuthError, AuthHook, Authenticator, Keys};
use crate::config::{Config, ConfigError, OwnCheck};
use crate::engine::embedded::Embedded;
use crate::host::relay;
use crate::listener::{self, Entrance, Handshakes, Listener, Upgrades};
use crate::lobby::Lobby;
use crate::room::{Kind, Registry};
use crate::session::{Sabotage, Sessions};
use crate::shard::Shards;
use crate::supervisor::{self, Told};
use crate::telemetry::Metrics;
use crate::worker::{Fleet, Gate, Workforce};

/// How long rooms get that are cut because the time for their own end is up: their members must still be told.
const CUT: Duration = Duration::from_millis(400);
/// How long sessions get to be told that the broker ends, once the rooms have.
const GOODBYE: Duration = Duration::from_millis(1_500);
/// Bytes that a pipe in memory holds in each direction.
const PIPE: usize = 64 << 10;

/// A broker that runs. Dropping it ends everything at once; [`shutdown`](Self::shutdown) does it gently.
pub struct Broker {
    addr: SocketAddr,
    /// What accepts connections, on each shard.
    accept: Vec<JoinHandle<()>>,
    /// Looks after the certificate.
    watch: Option<JoinHandle<()>>,
    workers: Workforce,
    listener: Listener,
    registry: Arc<Registry>,
    keys: Arc<Keys>,
    sessions: Arc<Sessions>,
    shards: Arc<Shards>,
    metrics: Metrics,
}

/// Connects to a broker in the same process.
#[derive(Clone)]
pub struct Connector(Listener);

impl Connector {
    /// A connection: the returned end of the pipe speaks HTTP and WebSocket as a socket would. Must be called within a tokio runtime.
    pub fn connect(&self) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(PIPE);
        self.0.serve_memory(ours);
        theirs
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

/// What a program brings besides its configuration.
#[derive(Default)]
pub struct Setup {
    /// Its kinds of rooms.
    pub kinds: Vec<Kind>,
    /// Its own routes; the broker's win where both have one.
    pub pages: Router,
    /// Its own check of tokens, in place of a configured one.
    pub hook: Option<AuthHook>,
    /// Where rooms and sessions run.
    pub threads: Threads,
    #[doc(hidden)]
    pub sabotage: Sabotage,
}

/// Where rooms and sessions run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Threads {
    /// On threads of their own, as many as are configured.
    #[default]
    Own,
    /// In the runtime in which the broker is started: for simulations, in which time stands still while there is something to do.
    Here,
}

/// Why a broker did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration contradicts itself.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Tokens cannot be checked as configured.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The address is in use, or not this machine's.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// The certificate or its key cannot be used.
    #[error("cannot use TLS: {0}")]
    Tls(String),
    /// An entry of `origins` is none.
    #[error("`{0}` is no origin: it should look like `https://game.example`")]
    Origin(String),
    /// Workers cannot be let in, or not be started.
    #[error("workers: {0}")]
    Workers(String),
    /// No threads.
    #[error("cannot start threads: {0}")]
    Threads(std::io::Error),
    /// A room kind cannot be run as it is.
    #[error("room kind `{0}`: {1}")]
    BadKind(String, String),
    /// Two room kinds have one name.
    #[error("two room kinds are called `{0}`")]
    DuplicateKind(String),
}

impl Broker {
    /// Starts a broker with these kinds and those relay kinds that the configuration names. `pages` are the game's own routes;
    /// the broker's win where both have one.
    ///
    /// # Errors
    /// [`StartError`], in one line.
    pub async fn start(config: &Config, kinds: Vec<Kind>, pages: Router) -> Result<Self, StartError> {
        Self::start_with(config, Setup { kinds, pages, ..Setup::default() }).await
    }

    /// The same with all that a program may bring.
    ///
    /// # Errors
    /// [`StartError`], in one line.
    pub async fn start_with(config: &Config, setup: Setup) -> Result<Self, StartError> {
        let Setup { mut kinds, pages, hook, threads, sabotage } = setup;
        config.check()?;
        config.check_entry(if hook.is_some() { OwnCheck::Installed } else { OwnCheck::None })?;
        let hook = auth::hook(&config.auth, config.server_key.as_deref(), hook)?;
        let auth = Authenticator::start(&config.auth, hook).await?;
        let keys = Arc::new(Keys::new(config.secret.as_deref())?);
        kinds.extend(config.relay.iter().map(|relay| relay::kind(&relay.kind, relay.policy.clone())));
        check(&kinds)?;
        let entrance = Arc::new(Entrance::new(config).map_err(StartError::Origin)?);
        let (tls, watch) = Handshakes::new(&config.tls).map_err(StartError::Tls)?.unzip();
        let metrics = Metrics::default();
        let shards = Arc::new(match threads {
            Threads::Own => Shards::start(config.shards).map_err(StartError::Threads)?,
            Threads::Here => Shards::here(),
        });
        let engine = Arc::new(Embedded::default());
        let (limits, counted) = (config.limits.clone(), metrics.clone());
        let registry = Registry::new(kinds, engine, shards.clone(), counted, limits);
        let registry = Arc::new(if config.workers.expected() { registry.with_workers() } else { registry });
        let fleet = Arc::new(Fleet::new(config.workers.clone(), metrics.clone()));
        let gate = Arc::new(Gate::new(fleet, registry.clone(), shards.clone()));
        let sessions = Arc::new(Sessions::new(registry.clone(), shards.clone(), auth, keys.clone(), sabotage));
        // Those who are started from here may ask, whoever else may.
        let own_key = || config.workers.command.is_some().then(supervisor::token);
        let server_key = config.server_key.clone().or_else(own_key);
        let lobby = Lobby::new(registry.clone(), keys.clone(), server_key.as_deref()).router();
        let counted = Arc::new(metrics.clone());
        let upgrades = Upgrades { entrance: entrance.clone(), sessions: sessions.clone(), metrics: counted.clone() };
        let websocket = Router::new().route(listener::PATH, any(listener::upgrade)).with_state(upgrades.clone());
        let mut router = lobby.merge(websocket);
        if config.workers.token.is_some() {
            let workers = Router::new().route(parlor_protocol::worker::PATH, any(listener::workers));
            router = router.merge(workers.with_state(gate.clone()));
        }
        let router = router.fallback_service(pages);
        let listener = Listener::new(router, entrance, counted, &config.limits).with_sessions(upgrades).with_tls(tls);
        let refused = |error| StartError::Listen(config.listen, error);
        let (addr, sockets) = listener::bind(config.listen, shards.all().len()).map_err(refused)?;
        let accept = listener.start(sockets, &shards);
        let watch = watch.map(|watch| tokio::spawn(watch.run(metrics.clone())));
        let told = told(addr, config.tls.certificate.is_some(), server_key);
        let workers = Workforce::start(&config.workers, told, &gate, &metrics).map_err(StartError::Workers)?;
        info!(%addr, "listening");
        if config.auth.guests {
            warn!("guests are let in: whoever connects without a token gets an account of its own");
        }
        Ok(Self { addr, accept, watch, workers, listener, registry, keys, sessions, shards, metrics })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What it counts.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Its rooms.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// What it signs tickets with.
    pub fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }

    /// Tasks that rooms and sessions have running.
    pub fn tasks(&self) -> usize {
        self.shards.tasks()
    }

    /// A way to connect without a network, for bots and tests.
    pub fn connector(&self) -> Connector {
        Connector(self.listener.clone())
    }

    /// Ends in order: no new sessions, rooms close with their grace, sessions are told, and all is gone within ten seconds.
    pub async fn shutdown(self) {
        info!(rooms = self.registry.len(), "shutting down");
        self.accept.iter().for_each(JoinHandle::abort);
        self.sessions.refuse_new();
        self.registry.shut_down();
        let drain = Duration::from_millis(self.registry.limits().drain_ms);
        let drained = tokio::time::timeout(drain + CUT, self.registry.empty()).await.is_ok();
        self.sessions.close_all(CloseCode::ShuttingDown);
        let goodbye = tokio::time::timeout(GOODBYE, self.sessions.empty());
        let (told, ()) = tokio::join!(goodbye, self.workers.stop());
        let told = told.is_ok();
        info!(rooms_closed = drained, sessions_closed = told, "stopped");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.accept.iter().for_each(JoinHandle::abort);
        if let Some(watch) = &self.watch {
            watch.abort();
        }
        self.shards.stop();
    }
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").field("addr", &self.addr).field("registry", &self.registry).finish_non_exhaustive()
    }
}

/// What workers that are started from here are told of the broker's REST. A certificate is not for the address that they would ask, so
/// that with one, what the operator tells them holds.
fn told(addr: SocketAddr, secure: bool, server_key: Option<String>) -> Vec<Told> {
    let ip = match addr.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    let url = (!secure).then(|| format!("http://{}", SocketAddr::new(ip, addr.port())));
    let told = [(supervisor::URL_VAR, url), (supervisor::KEY_VAR, server_key)];
    told.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// Kinds that can be run, each with a name of its own.
fn check(kinds: &[Kind]) -> Result<(), StartError> {
    let mut names = std::collections::HashSet::new();
    for kind in kinds {
        let bad = |why| StartError::BadKind(kind.name.to_string(), why);
        if !(1..=MAX_NAME).contains(&kind.name.len()) {
            return Err(bad("a name has 1 to 64 bytes".to_owned()));
        }
        kind.policy.check().map_err(bad)?;
    }
    match kinds.iter().find(|kind| !names.insert(&kind.name)) {
        Some(kind) => Err(StartError::DuplicateKind(kind.name.to_string())),
        None => Ok(()),
    }
}
