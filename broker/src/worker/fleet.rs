//! All workers, and which of them gets a room.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use parlor_protocol::worker::Hello;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::roster::Worker;
use crate::config::Workers;
use crate::telemetry::Metrics;

/// All workers of a broker.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(super) terms: Workers,
    pub(super) metrics: Metrics,
    workers: Mutex<BTreeMap<u64, Arc<Worker>>>,
    next_worker: AtomicU64,
    epochs: AtomicU64,
    /// A worker has come, or has a place again.
    changed: Notify,
    /// For inputs of which a process has died: one at a time among all, since one process may have all kinds.
    pub(super) alone: Arc<Semaphore>,
}

/// A room's place with a worker. Dropping it gives it back.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) worker: Arc<Worker>,
    fleet: Arc<Fleet>,
}

impl Drop for Post {
    fn drop(&mut self) {
        self.worker.give_back();
        self.fleet.changed.notify_waiters();
    }
}

impl Fleet {
    pub(crate) fn new(terms: Workers, metrics: Metrics) -> Self {
        Self {
            terms,
            metrics,
            workers: Mutex::default(),
            next_worker: AtomicU64::new(1),
            epochs: AtomicU64::new(1),
            changed: Notify::new(),
            alone: Arc::new(Semaphore::new(1)),
        }
    }

    /// Takes in a worker.
    pub(super) fn enter(&self, hello: &Hello) -> Arc<Worker> {
        let no = self.next_worker.fetch_add(1, Ordering::Relaxed);
        let worker = Arc::new(Worker::new(no, hello));
        self.workers.lock().insert(no, worker.clone());
        self.metrics.workers.inc();
        self.changed.notify_waiters();
        worker
    }

    /// Forgets a worker; its rooms look for another.
    pub(super) fn leave(&self, worker: &Worker) {
        self.workers.lock().remove(&worker.no);
        self.metrics.workers.dec();
        worker.end();
    }

    /// Workers that can run rooms of this kind in this version.
    pub(super) fn offering(&self, kind: &str, version: &str) -> usize {
        self.workers.lock().values().filter(|worker| worker.offers(kind, version)).count()
    }

    /// An epoch that no room has had.
    pub(super) fn next_epoch(&self) -> u64 {
        self.epochs.fetch_add(1, Ordering::Relaxed)
    }

    /// A place with the worker that has most of them, as soon as there is one.
    pub(super) async fn place(self: &Arc<Self>, kind: &str, version: &str, within: Duration) -> Option<Post> {
        let deadline = Instant::now() + within;
        loop {
            let changed = self.changed.notified();
            if let Some(post) = self.try_place(kind, version) {
                return Some(post);
            }
            timeout_at(deadline, changed).await.ok()?;
        }
    }

    fn try_place(self: &Arc<Self>, kind: &str, version: &str) -> Option<Post> {
        let workers = self.workers.lock();
        // Of several that have as many, the one that has been waiting for longest.
        let most = workers.values().rev().max_by_key(|worker| worker.free(kind, version));
        let worker = most.filter(|worker| worker.free(kind, version) > 0 && worker.try_take())?.clone();
        Some(Post { worker, fleet: self.clone() })
    }
}
