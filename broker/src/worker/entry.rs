//! Letting workers in: hello, whether it may, and what it offers.

use std::io;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use parlor_protocol::worker::{
    FromWorker, Hello, KindOffer, MAX_ENVELOPE, MAX_HELLO_BYTES, OUTPUT_OVERHEAD, ToWorker, Welcome,
};
use parlor_protocol::{ErrorCode, Failure};
use subtle::ConstantTimeEq;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tracing::{debug, info, warn};

use super::connection::{self, End};
use super::fleet::Fleet;
use super::remote;
use super::roster::Worker;
use crate::room::Registry;
use crate::session::{Guard, Parked, Socket};
use crate::shard::{Lodger, Shards};
use crate::supervisor::Supervisor;

/// Time for hello.
const HELLO: Duration = Duration::from_secs(5);
/// Bytes that are gathered before they are written in the middle of a turn.
const WRITE_BUFFER: usize = 256 << 10;
const READ_BUFFER: usize = 64 << 10;

/// What lets workers in.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(super) fleet: Arc<Fleet>,
    registry: Arc<Registry>,
    shards: Arc<Shards>,
    /// Who starts workers, if the broker does.
    supervisor: OnceLock<Weak<Supervisor>>,
}

/// A worker among the others. Dropping it takes it out, however its connection has ended.
struct Present<'a> {
    fleet: &'a Fleet,
    worker: Arc<Worker>,
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.fleet.leave(&self.worker);
    }
}

/// How a worker has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Over a Unix socket that only this user's processes can open.
    Private,
    /// Over the network.
    Network,
}

impl Gate {
    pub(crate) fn new(fleet: Arc<Fleet>, registry: Arc<Registry>, shards: Arc<Shards>) -> Self {
        Self { fleet, registry, shards, supervisor: OnceLock::new() }
    }

    /// Lets in, from now on, the workers that this starts.
    pub(crate) fn supervise(&self, supervisor: &Arc<Supervisor>) {
        // A broker has one.
        let _ = self.supervisor.set(Arc::downgrade(supervisor));
    }

    fn supervisor(&self) -> Option<Arc<Supervisor>> {
        self.supervisor.get().and_then(Weak::upgrade)
    }

    /// Where the next worker is spoken with.
    pub(super) fn next_shard(&self) -> &Handle {
        self.shards.runtime(self.shards.next(Lodger::Connection))
    }

    /// Speaks, on a shard, with a worker whose WebSocket handshake is done. `early` is what was read behind it.
    ///
    /// # Errors
    /// When the socket cannot be taken from this thread's runtime.
    pub(crate) fn begin(self: Arc<Self>, socket: Socket, early: Vec<u8>, guard: Guard) -> io::Result<()> {
        let parked = Parked::park(socket)?;
        self.clone().next_shard().spawn(async move {
            match parked.unpark() {
                Ok(socket) => self.admit(socket, early, Way::Network).await,
                Err(error) => debug!(%error, "a worker's socket was lost on its way"),
            }
            drop(guard);
        });
        Ok(())
    }

    /// Speaks with whoever opened this WebSocket, to the end.
    pub(super) async fn admit<S>(&self, stream: S, early: Vec<u8>, way: Way)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let small = config(MAX_HELLO_BYTES);
        let mut socket = WebSocketStream::from_partially_read(stream, early, Role::Server, Some(small)).await;
        let hello = match timeout(HELLO, hello(&mut socket)).await {
            Ok(Ok(hello)) => hello,
            Ok(Err(failure)) => return self.refuse(socket, failure).await,
            Err(_) => return,
        };
        if let Err(failure) = self.check(&hello, way).and_then(|()| self.take_offers(&hello)) {
            return self.refuse(socket, failure).await;
        }
        // Nothing is lost by that: a worker waits for its welcome.
        let large = config(self.fleet.terms.max_frame_bytes);
        let mut socket = WebSocketStream::from_raw_socket(socket.into_inner(), Role::Server, Some(large)).await;
        let present = Present { fleet: &self.fleet, worker: self.fleet.enter(&hello) };
        let worker = present.worker.clone();
        let (no, name, version) = (worker.no, &worker.name, &worker.version);
        info!(worker = no, name, %version, capacity = hello.capacity, "a worker has come");
        let welcome = socket.send(Message::Binary(self.welcome(no).encode().into())).await;
        let end = match welcome {
            Ok(()) => connection::run(socket, &worker, &self.fleet.terms).await,
            Err(error) => End::Broken(error),
        };
        let rooms = worker.rooms();
        drop(present);
        self.fleet.metrics.worker_lost(end.cause());
        match &end {
            End::Closed => info!(worker = no, name, "a worker has left"),
            end => warn!(worker = no, name, rooms, why = %end, "a worker is lost"),
        }
        if let (End::Hanging | End::Silent, Some(supervisor)) = (&end, self.supervisor()) {
            supervisor.kill(&hello.token);
        }
    }

    fn check(&self, hello: &Hello, way: Way) -> Result<(), Failure> {
        let given = hello.token.as_bytes();
        let own = self.supervisor().is_some_and(|supervisor| supervisor.knows(&hello.token).is_some());
        let may = match &self.fleet.terms.token {
            _ if own => true,
            Some(token) => given.ct_eq(token.as_bytes()).into(),
            None => way == Way::Private,
        };
        if may { Ok(()) } else { Err(ErrorCode::TokenInvalid.into()) }
    }

    /// Kinds of this version that nobody has offered before are known from now on.
    fn take_offers(&self, hello: &Hello) -> Result<(), Failure> {
        let refused = |why: String| Failure::from(ErrorCode::BadRequest).because(why);
        let version = hello.version.as_str().into();
        hello
            .kinds
            .iter()
            .try_for_each(|offer| fits(offer, self.fleet.terms.max_frame_bytes as u64))
            .map_err(refused)?;
        for offer in &hello.kinds {
            self.registry.offer(remote::kind(offer, &version, &self.fleet)).map_err(refused)?;
        }
        Ok(())
    }

    fn welcome(&self, worker: u64) -> ToWorker {
        let terms = &self.fleet.terms;
        ToWorker::Welcome(Welcome {
            worker,
            server: concat!("parlor/", env!("CARGO_PKG_VERSION")).to_owned(),
            beat_ms: terms.beat_ms,
            lost_after_ms: terms.lost_after_ms,
            max_frame_bytes: terms.max_frame_bytes as u64,
        })
    }

    async fn refuse<S>(&self, mut socket: WebSocketStream<S>, error: Failure)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        warn!(%error, "a worker was not let in");
        self.fleet.metrics.worker_lost("refused");
        let frame = ToWorker::Refused { error }.encode();
        let told = async {
            socket.send(Message::Binary(frame.into())).await?;
            socket.close(None).await
        };
        // Whoever is not let in need not be told.
        let _ = timeout(HELLO, told).await;
    }
}

async fn hello<S>(socket: &mut WebSocketStream<S>) -> Result<Hello, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let bad = |why: String| Failure::from(ErrorCode::BadRequest).because(why);
    loop {
        return match socket.next().await {
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Ok(Message::Binary(frame))) => read(&frame),
            Some(Ok(_)) => Err(bad("the first frame must be hello".into())),
            Some(Err(error)) => Err(bad(error.to_string())),
            None => Err(bad("nothing was said".into())),
        };
    }
}

fn read(frame: &Bytes) -> Result<Hello, Failure> {
    match FromWorker::decode(frame, MAX_HELLO_BYTES) {
        Ok(FromWorker::Hello(hello)) => Ok(hello),
        Ok(_) => Err(Failure::from(ErrorCode::BadRequest).because("the first frame must be hello")),
        Err(error) => Err(Failure::from(ErrorCode::BadRequest).because(error.to_string())),
    }
}

/// Whether all that the policy allows has room in a frame.
fn fits(offer: &KindOffer, max: u64) -> Result<(), String> {
    // An output has at least as many bytes around it as it is counted for besides.
    let policy = &offer.policy;
    let outcome =
        policy.max_outputs_bytes.saturating_mul(1 + 64 / OUTPUT_OVERHEAD).saturating_add(policy.max_view_bytes);
    let needed = outcome.max(policy.max_snapshot_bytes).saturating_add(MAX_ENVELOPE as u64);
    if needed <= max {
        return Ok(());
    }
    Err(format!("kind `{}`: its policy needs frames of {needed} bytes; workers.max_frame_bytes is {max}", offer.name))
}

fn config(max: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_message_size(Some(max))
        .max_frame_size(Some(max))
}
