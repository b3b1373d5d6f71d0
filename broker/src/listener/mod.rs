//! The one port: accepts connections, speaks HTTP on them, with TLS or without, and turns those that ask for it into WebSockets.
//!
//! Everything that a connection may cost before it is a session is bounded here, and before it is spent: places, bytes and time.

mod address;
mod judge;
mod origin;
mod pace;
mod patience;
mod port;
mod quick;
mod tls;
mod upgrade;
mod workers;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use parlor_protocol::Codec;
use tokio::io::DuplexStream;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tower::ServiceExt;
use tracing::{debug, error, warn};

use crate::config::{Config, Limits};
use crate::session::{Socket, Turn};
use crate::shard::{ShardNo, Shards};
use crate::telemetry::{HandshakeFault, Metrics};
use address::{Crowd, Proxies, Seat};
use origin::Origins;
use pace::Pace;
use patience::{Patient, Timely};
pub(crate) use port::bind;
use quick::Asked;

pub use judge::{Judgement, judge};
pub(crate) use tls::Handshakes;
pub(crate) use upgrade::{PATH, Upgrades, upgrade};
pub(crate) use workers::workers;

/// Lines of a request head.
const MAX_HEADERS: usize = 64;
/// The least that hyper takes for its buffer. The head has a bound of its own.
const MIN_BUFFER: usize = 8 << 10;

/// Who may come in: what connections are judged by, apart from what they cost.
#[derive(Debug)]
pub(crate) struct Entrance {
    proxies: Proxies,
    origins: Origins,
    /// Connections of each address that come from there directly. They may be twice as many as sessions: pages are fetched from there
    /// too, and who has too many sessions is to be told so.
    connections: Crowd,
    /// WebSockets of each address, those behind proxies too.
    sessions: Crowd,
}

impl Entrance {
    /// The error is the entry of `origins` that is none.
    pub(crate) fn new(config: &Config) -> Result<Self, String> {
        let most = config.limits.connections_per_address;
        Ok(Self {
            proxies: Proxies::new(&config.trusted_proxies),
            origins: Origins::new(&config.origins)?,
            connections: Crowd::new(most.saturating_mul(2)),
            sessions: Crowd::new(most),
        })
    }
}

/// What turns byte streams into requests and sessions.
#[derive(Clone)]
pub(crate) struct Listener {
    router: Router,
    entrance: Arc<Entrance>,
    /// None where there are no sessions, and all is HTTP.
    upgrades: Option<Upgrades>,
    tls: Option<Handshakes>,
    permits: Arc<Semaphore>,
    metrics: Arc<Metrics>,
    head_bytes: usize,
    header_timeout: Duration,
    write_deadline: Duration,
    /// Where HTTP and TLS handshakes run.
    control: Handle,
}

/// One connection counted; dropping it counts it out.
pub(crate) struct Connected {
    /// Whose socket it is; `None` for pipes within the process.
    peer: Option<IpAddr>,
    secure: bool,
    /// Whether a whole request has been read: what ends after that is no failed handshake.
    asked: AtomicBool,
    metrics: Arc<Metrics>,
    _permit: OwnedSemaphorePermit,
    _seat: Option<Seat>,
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.metrics.connections.dec();
    }
}

impl Listener {
    /// Must be called in the control runtime.
    pub(crate) fn new(router: Router, entrance: Arc<Entrance>, metrics: Arc<Metrics>, limits: &Limits) -> Self {
        Self {
            router,
            entrance,
            upgrades: None,
            tls: None,
            permits: Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS))),
            metrics,
            head_bytes: limits.max_head_bytes,
            header_timeout: Duration::from_millis(limits.header_timeout_ms),
            write_deadline: limits.write_deadline(),
            control: Handle::current(),
        }
    }

    /// The same with sessions, for those who ask for them.
    pub(crate) fn with_sessions(self, upgrades: Upgrades) -> Self {
        Self { upgrades: Some(upgrades), ..self }
    }

    /// The same with TLS, for connections from the network.
    pub(crate) fn with_tls(self, tls: Option<Handshakes>) -> Self {
        Self { tls, ..self }
    }

    /// Accepts from each of these sockets on a shard of its own, until the tasks are aborted.
    pub(crate) fn start(&self, sockets: Vec<std::net::TcpListener>, shards: &Shards) -> Vec<JoinHandle<()>> {
        let listener = Arc::new(self.clone());
        let tasks = sockets.into_iter().zip(shards.all()).map(|(socket, (shard, runtime))| {
            let listener = listener.clone();
            runtime.spawn(async move {
                match TcpListener::from_std(socket) {
                    Ok(socket) => listener.run(socket, shard).await,
                    Err(error) => error!(%error, "this thread accepts nothing"),
                }
            })
        });
        tasks.collect()
    }

    async fn run(self: Arc<Self>, socket: TcpListener, shard: ShardNo) {
        let pace = Pace::new();
        loop {
            let turn = pace.keep().await;
            match socket.accept().await {
                Ok((stream, peer)) => self.serve(stream, peer, shard, turn),
                // Out of file descriptors, mostly: they come back when connections end.
                Err(error) => {
                    warn!(%error, "accept failed");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    /// Serves one connection in a task of its own, so that a slow handshake holds up nobody.
    fn serve(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr, shard: ShardNo, turn: Turn) {
        let Some(connected) = self.admit(Some(peer.ip())) else { return };
        // Small frames must not wait for each other.
        let _ = stream.set_nodelay(true);
        let listener = self.clone();
        if self.tls.is_none() {
            tokio::spawn(async move {
                if let Some((stream, connected)) = listener.greet(stream, connected, shard, turn).await {
                    listener.control.clone().spawn(async move {
                        if let Ok(stream) = TcpStream::from_std(stream) {
                            listener.speak(Socket::from(stream), connected).await;
                        }
                    });
                }
            });
            return;
        }
        // A socket that cannot be moved is one that is lost.
        let Ok(stream) = stream.into_std() else { return };
        // Rooms must not wait for the millisecond that such a handshake takes.
        self.control.spawn(async move {
            if let Some(socket) = listener.encrypt(stream, turn).await {
                listener.speak(socket, connected).await;
            }
        });
    }
    /// Opens a session on this shard if that is what the client asks for, and gives the connection back if it asks for anything else.
    async fn greet(
        &self,
        stream: TcpStream,
        connected: Connected,
        shard: ShardNo,
        turn: Turn,
    ) -> Option<(std::net::TcpStream, Connected)> {
        let Ok(asked) = tokio::time::timeout(self.header_timeout, quick::ask(&stream)).await else {
            self.metrics.handshake_failed(HandshakeFault::HeadTimeout);
            return None;
        };
        if let Asked::Nothing = asked {
            return None;
        }
        if let Asked::Session(headers, head) = asked
            && head <= self.head_bytes
            && let Some(upgrades) = &self.upgrades
            // Whoever is refused is told so the long way.
            && let Ok(accepted) = upgrades.check(&headers, connected.peer, false)
        {
            let guard = Box::new((connected, accepted.seat));
            match quick::answer(&stream, head, &upgrade::switching(&accepted.accept, accepted.codec)) {
                Ok(()) => {
                    let codec = accepted.codec.unwrap_or(Codec::MsgPack);
                    upgrades.sessions.begin(Socket::from(stream), codec, guard, shard, turn);
                }
                Err(error) => debug!(%error, "socket lost in its handshake"),
            }
            return None;
        }
        Some((stream.into_std().ok()?, connected))
    }

    /// Serves a connection from within this process.
    pub(crate) fn serve_memory(&self, stream: DuplexStream) {
        let Some(connected) = self.admit(None) else { return };
        let listener = self.clone();
        tokio::spawn(async move { listener.speak(Socket::Memory(stream), connected).await });
    }

    /// Finds a place for a connection, or counts that there is none.
    fn admit(&self, peer: Option<IpAddr>) -> Option<Connected> {
        let metrics = self.metrics.clone();
        let Ok(permit) = self.permits.clone().try_acquire_owned() else {
            metrics.connections_refused.inc();
            return None;
        };
        let seat = match peer.filter(|peer| !self.entrance.proxies.trust(*peer)) {
            Some(peer) => match self.entrance.connections.enter(peer) {
                Some(seat) => Some(seat),
                None => {
                    metrics.connections_refused.inc();
                    return None;
                }
            },
            None => None,
        };
        metrics.connections.inc();
        let secure = peer.is_some() && self.tls.is_some();
        Some(Connected { peer, secure, asked: false.into(), metrics, _permit: permit, _seat: seat })
    }

    async fn encrypt(&self, stream: std::net::TcpStream, _turn: Turn) -> Option<Socket> {
        let (tls, stream) = (self.tls.as_ref()?, TcpStream::from_std(stream).ok()?);
        let fault = match tokio::time::timeout(self.header_timeout, tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                self.metrics.tls_handshakes.inc();
                return Some(Socket::Tls(Box::new(stream)));
            }
            Ok(Err(error)) => {
                debug!(%error, "no TLS");
                HandshakeFault::Tls
            }
            Err(_) => HandshakeFault::TlsTimeout,
        };
        self.metrics.handshake_failed(fault);
        None
    }

    /// Speaks HTTP until the connection ends, or is a session.
    async fn speak(&self, socket: Socket, connected: Connected) {
        let connected = Arc::new(connected);
        let (guard, metrics, patience) = (connected.clone(), self.metrics.clone(), self.header_timeout);
        let service = self.router.clone().map_request(move |mut request: hyper::Request<Incoming>| {
            guard.asked.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(guard.clone());
            request.map(|body| Body::new(Timely::new(body, patience, metrics.clone())))
        });
        let io = Patient::new(socket, self.write_deadline, self.metrics.clone());
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.header_timeout)
            .max_header_size(self.head_bytes)
            .max_headers(MAX_HEADERS)
            .max_buf_size(self.head_bytes.max(MIN_BUFFER))
            .serve_connection(TokioIo::new(io), TowerToHyperService::new(service))
            .with_upgrades();
        if let Err(error) = connection.await {
            debug!(%error, "connection failed before it became a session");
            if let Some(fault) = fault(&error, connected.asked.load(Ordering::Relaxed)) {
                self.metrics.handshake_failed(fault);
            }
        }
    }
}

/// What is worth counting: not that a client goes away, or is silent between two requests.
fn fault(error: &hyper::Error, asked: bool) -> Option<HandshakeFault> {
    if error.is_parse_too_large() {
        Some(HandshakeFault::HeadTooLarge)
    } else if error.is_parse() {
        Some(HandshakeFault::Malformed)
    } else if error.is_timeout() && !asked {
        Some(HandshakeFault::HeadTimeout)
    } else {
        None
    }
}
