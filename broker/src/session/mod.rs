//! Sessions: each is one task, with a connection or, for a while, without. It reads frames and passes them on, and writes what its outbox
//! owes. It knows rooms by their handles only.

mod connection;
mod conversation;
mod echo;
mod meter;
mod partings;
mod place;
mod rate;
mod reader;
mod socket;
mod task;
mod tls;
mod writer;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use dashmap::DashMap;
use parlor_protocol::{CloseCode, Codec};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::auth::{Authenticator, Keys};
use crate::outbox::Outbox;
use crate::room::Registry;
use crate::shard::{Lodger, ShardNo, Shards};
use connection::Connection;
use partings::Partings;
use place::Place;
use socket::Berth;
pub(crate) use socket::Parked;
use task::Session;

#[doc(hidden)]
pub use echo::echo;
pub use socket::Socket;
pub use tls::{Movable, Tls};

/// Whatever must live as long as the connection.
pub type Guard = Box<dyn std::any::Any + Send>;

/// A newcomer's place among those that are let in at the same time, if it has one.
pub(crate) type Turn = Option<OwnedSemaphorePermit>;

/// All sessions of a broker, and what they need.
#[derive(Debug)]
pub struct Sessions {
    registry: Arc<Registry>,
    shards: Arc<Shards>,
    auth: Authenticator,
    keys: Arc<Keys>,
    live: DashMap<u64, Arc<Place>>,
    /// Places for sessions without a connection.
    away: Arc<Semaphore>,
    next: AtomicU64,
    draining: AtomicBool,
    /// Connections whose session has ended, but whose clients have yet to hear it.
    lingering: AtomicUsize,
    gone: Notify,
    partings: Partings,
    /// Breaks resuming on purpose, for a test of the test that would find it.
    pub(crate) sabotage: Sabotage,
}

/// What a test may break.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[doc(hidden)]
pub enum Sabotage {
    /// Nothing.
    #[default]
    None,
    /// A client that comes back is sent the last frame that it has had once more.
    RepeatOne,
    /// A client that comes back is told that one frame less of it has been taken.
    ForgetOne,
}

impl Sessions {
    /// No sessions yet.
    pub fn new(
        registry: Arc<Registry>,
        shards: Arc<Shards>,
        auth: Authenticator,
        keys: Arc<Keys>,
        sabotage: Sabotage,
    ) -> Self {
        let (live, next) = (DashMap::new(), AtomicU64::new(1));
        let away = Arc::new(Semaphore::new(registry.limits().sessions_away));
        let (draining, gone) = (AtomicBool::new(false), Notify::new());
        let lingering = AtomicUsize::new(0);
        Self {
            registry,
            shards,
            auth,
            keys,
            live,
            away,
            next,
            draining,
            lingering,
            gone,
            partings: Partings::new(),
            sabotage,
        }
    }

    /// Runs a connection whose WebSocket handshake is done, on a shard. `early` is what was read behind the handshake; `guard` is held
    /// for as long as the connection lives.
    ///
    /// # Errors
    /// When the socket cannot be taken from this thread's runtime.
    pub fn spawn(self: &Arc<Self>, socket: Socket, early: Bytes, codec: Codec, guard: Guard) -> io::Result<()> {
        let parked = Parked::park(socket)?;
        let (sessions, shard) = (self.clone(), self.shards.next(Lodger::Connection));
        self.shards.runtime(shard).spawn(async move {
            let connection = Connection::new(Berth::new(parked), &early, sessions.registry.limits(), guard);
            task::run(Session::new(&sessions, connection, codec), shard);
        });
        Ok(())
    }

    /// Lets no new session say hello.
    pub fn refuse_new(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// The same as [`Self::spawn`] for a socket that is on this shard, whose thread this is. The client's `turn` to come in ends when its
    /// first message has been answered.
    pub(crate) fn begin(self: &Arc<Self>, socket: Socket, codec: Codec, guard: Guard, shard: ShardNo, turn: Turn) {
        let connection = Connection::new(Berth::here(socket), &[], self.registry.limits(), guard).with_turn(turn);
        task::run(Session::new(self, connection, codec), shard);
    }

    /// Ends all sessions, after what they are owed.
    pub fn close_all(&self, code: CloseCode) {
        for place in self.live.iter() {
            place.outbox.close(code);
            place.end();
        }
    }

    /// Waits until no session is left, and all have been told.
    pub async fn empty(&self) {
        loop {
            let gone = self.gone.notified();
            if self.live.is_empty() && self.lingering.load(Ordering::Acquire) == 0 {
                return;
            }
            gone.await;
        }
    }

    fn draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// A number that no other session has, and where it will be found.
    fn register(&self, outbox: Arc<Outbox>) -> (u64, Arc<Place>) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let place = Arc::new(Place::new(outbox));
        self.live.insert(number, place.clone());
        (number, place)
    }

    /// Keeps a registered session in the directory until this is dropped.
    fn list(self: &Arc<Self>, number: u64) -> Listed {
        Listed { sessions: self.clone(), number }
    }

    /// Counts a connection among those that are still to be told of their end, until it is dropped.
    fn linger(self: &Arc<Self>) -> Lingering {
        self.lingering.fetch_add(1, Ordering::AcqRel);
        Lingering(self.clone())
    }

    /// The right of one session to be kept without a connection.
    fn keep(&self) -> Option<OwnedSemaphorePermit> {
        self.away.clone().try_acquire_owned().ok()
    }
}

/// A connection that is still to be told of its end.
struct Lingering(Arc<Sessions>);

impl Drop for Lingering {
    fn drop(&mut self) {
        self.0.lingering.fetch_sub(1, Ordering::AcqRel);
        self.0.gone.notify_waiters();
    }
}

/// A session in the directory. Dropped last, so that whoever waits for all sessions to be gone finds nothing left of them.
struct Listed {
    sessions: Arc<Sessions>,
    number: u64,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.sessions.live.remove(&self.number);
        self.sessions.gone.notify_waiters();
    }
}
