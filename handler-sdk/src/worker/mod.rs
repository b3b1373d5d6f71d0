//! Rooms for a broker that stands alone: this process runs their handlers, and the broker keeps all the rest.
//!
//! A game's program is a worker when it is started as `game worker --broker URL` (see [`WorkerArgs`](crate::WorkerArgs)), or with
//! [`App::start_worker`](crate::App::start_worker). It can be killed or replaced at any moment: the broker has what it takes to open
//! its rooms elsewhere. What passes between the two is section 16 of PROTOCOL.md.
//!
//! Each thread has a connection of its own, and its rooms to itself. Work functions run on the runtime in which the worker was
//! started.

mod address;
mod connection;
mod hook;
mod hosted;
mod link;
mod opening;
mod options;
mod rooms;
mod size;
mod work;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parlor_broker::supervisor::SUPERVISED_VAR;
use parlor_protocol::worker::{FromWorker, Hello, KindOffer, MAX_HELLO_BYTES};
use parlor_protocol::{ErrorCode, Failure};
use tokio::runtime::Handle;
use tokio::sync::watch;

use self::address::Address;
use self::hook::Hook;
use self::link::Link;
use self::work::Works;
use crate::{Env, Kind, Result, Rooms};

#[doc(hidden)]
pub use self::hook::{At, Point};
pub use self::options::WorkerOptions;

/// Threads that run rooms for a broker. Dropping this ends them at once; the broker opens their rooms elsewhere.
#[must_use = "a worker ends when it is dropped"]
pub struct Worker {
    orders: watch::Sender<Order>,
    standings: watch::Receiver<Standings>,
    drain_limit: Duration,
}

/// What the threads are to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// Run rooms.
    Serve,
    /// Give them back, and end.
    Drain,
    /// End at once.
    Stop,
}

/// How it stands with each thread.
type Standings = Vec<Standing>;

#[derive(Clone, Debug)]
enum Standing {
    Connecting,
    Welcomed,
    Ended(Result),
}

impl Worker {
    /// # Errors
    /// When the options cannot be used, or the system gives no thread.
    pub(crate) fn start(
        kinds: Vec<Kind>,
        env: Env,
        rooms: &Rooms,
        version: Option<String>,
        options: &WorkerOptions,
    ) -> Result<Self> {
        if kinds.is_empty() {
            return Err(unusable("this game has no rooms with handlers".to_owned()));
        }
        let address = Address::parse(&options.broker).map_err(unusable)?;
        let url = options.url.clone().or_else(|| address.url());
        rooms.attach_remote(url.as_deref(), options.server_key.as_deref()).map_err(unusable)?;
        let runtime = Handle::try_current().map_err(|error| unusable(error.to_string()))?;
        let hello = hello(&kinds, version, options)?;
        let shares = options.shares();
        let (orders, _) = watch::channel(Order::Serve);
        let (standing, standings) = watch::channel(vec![Standing::Connecting; shares.len()]);
        let (kinds, hook): (Arc<[Kind]>, _) = (kinds.into(), Hook::new(options.at.clone()));
        for (number, capacity) in shares.into_iter().enumerate() {
            let link = Link {
                number,
                address: address.clone(),
                hello: Hello { capacity, ..hello.clone() },
                kinds: kinds.clone(),
                works: Works::new(runtime.clone(), env.clone(), hook.clone()),
                hook: hook.clone(),
                limit: options.drain_limit,
                orders: orders.subscribe(),
                standings: standing.clone(),
            };
            let thread = std::thread::Builder::new().name(format!("parlor-worker-{number}"));
            thread.spawn(move || link.run()).map_err(|error| unusable(error.to_string()))?;
        }
        Ok(Self { orders, standings, drain_limit: options.drain_limit })
    }

    /// Waits until the broker has welcomed every thread.
    ///
    /// # Errors
    /// When it never will, and why.
    pub async fn welcomed(&self) -> Result {
        self.when(|standing| !matches!(standing, Standing::Connecting)).await
    }

    /// Waits until all threads have ended because the broker has told them to.
    ///
    /// # Errors
    /// When one has ended because the broker does not want it, for a wrong token for instance.
    pub async fn ended(&self) -> Result {
        self.when(|standing| matches!(standing, Standing::Ended(_))).await
    }

    /// Gives the rooms back and ends: the broker takes them one by one, while they go on, and what work there is finishes.
    ///
    /// # Errors
    /// When that takes longer than [`WorkerOptions::drain_limit`]; the threads are ended all the same.
    pub async fn drain(self) -> Result {
        self.orders.send_replace(Order::Drain);
        let late = || Failure::from(ErrorCode::Internal).because("the broker has not taken the rooms back in time");
        tokio::time::timeout(self.drain_limit, self.ended()).await.unwrap_or_else(|_| Err(late()))
    }

    /// Waits until all threads stand so, or until one has failed.
    async fn when(&self, so: impl Fn(&Standing) -> bool) -> Result {
        let mut standings = self.standings.clone();
        let failed = |all: &Standings| all.iter().any(|standing| matches!(standing, Standing::Ended(Err(_))));
        let all = standings.wait_for(|all| failed(all) || all.iter().all(&so)).await;
        // The threads' side goes only after each has left how it ended.
        let Ok(all) = all else { return Ok(()) };
        let failure = all.iter().find_map(|standing| match standing {
            Standing::Ended(Err(failure)) => Some(failure.clone()),
            _ => None,
        });
        failure.map_or(Ok(()), Err)
    }
}

/// Waits until the broker that has started this process is gone, however it went: then the standard input ends, which it has kept open for
/// this. For ever in a process that no broker has started.
pub async fn abandoned() {
    if std::env::var_os(SUPERVISED_VAR).is_none() {
        return std::future::pending().await;
    }
    let (gone, told) = tokio::sync::oneshot::channel();
    // A thread of its own, since reading may not be cancelled, and must not keep a runtime from ending.
    let watch = move || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        let _ = gone.send(());
    };
    match std::thread::Builder::new().name("parlor-stdin".into()).spawn(watch) {
        Ok(_) => drop(told.await),
        Err(_) => std::future::pending().await,
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.orders.send_replace(Order::Stop);
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("standings", &*self.standings.borrow()).finish_non_exhaustive()
    }
}

/// What each thread says first, having made sure that the broker can read it.
fn hello(kinds: &[Kind], version: Option<String>, options: &WorkerOptions) -> Result<Hello> {
    let version = match options.version.clone().or(version) {
        Some(version) => version,
        None => options::build().map_err(|error| unusable(format!("the program cannot be read: {error}")))?,
    };
    let hello = Hello {
        token: options.token.clone(),
        name: options.name.clone().unwrap_or_else(options::default_name),
        version,
        sdk: concat!("parlor/", env!("CARGO_PKG_VERSION")).to_owned(),
        capacity: options.capacity,
        kinds: kinds.iter().map(offer).collect(),
    };
    let frame = Bytes::from(FromWorker::Hello(hello.clone()).encode());
    FromWorker::decode(&frame, MAX_HELLO_BYTES).map_err(|error| unusable(error.to_string()))?;
    Ok(hello)
}

fn offer(kind: &Kind) -> KindOffer {
    let names = |names: &[&str]| names.iter().copied().map(str::to_owned).collect();
    KindOffer {
        name: kind.name.to_owned(),
        policy: kind.policy.clone(),
        routes: names(kind.routes),
        events: names(kind.events),
        works: kind.works.iter().map(|work| work.name().to_owned()).collect(),
    }
}

fn unusable(why: String) -> Failure {
    Failure { code: "cannot_start".into(), ..Failure::app("", why) }
}
