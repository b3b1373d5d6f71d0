//! Where public keys come from, and how they are kept fresh: read again now and then, and when a token names one that is not known.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::MAX_KEYS_BYTES;
use super::error::KeysError;

use super::key_set::KeySet;
use crate::fetch::Address;

/// A file or an address.
#[derive(Clone, Debug)]
pub(super) enum Source {
    File(PathBuf),
    Address(Address),
}

/// How often keys are looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// In general.
    pub(super) every: Duration,
    /// After a failure.
    pub(super) retry: Duration,
    /// Never sooner than this after the last time, however many tokens with unknown keys come: they may come from anybody.
    pub(super) cooldown: Duration,
    /// Time for one fetch.
    pub(super) deadline: Duration,
}

/// Keys that are looked after by a task, which ends with this.
#[derive(Debug)]
pub(super) struct KeySource {
    shared: Arc<Shared>,
    pace: Pace,
    task: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    keys: RwLock<Arc<KeySet>>,
    /// Whether the last look failed.
    failing: AtomicBool,
    wanted: Notify,
    /// Changes after each look, and when a look was asked for too soon.
    looked: watch::Sender<u64>,
}

impl Source {
    /// An address if it looks like one, otherwise the path of a file.
    pub(super) fn parse(text: &str) -> Result<Self, KeysError> {
        if !text.starts_with("http://") && !text.starts_with("https://") {
            return Ok(Self::File(PathBuf::from(text)));
        }
        let address = Address::parse(text)?;
        if address.is_exposed() {
            tracing::warn!(%address, "the keys that decide who gets in are fetched without TLS");
        }
        Ok(Self::Address(address))
    }

    /// A file costs nothing to read, and whoever replaces it expects to see it used.
    pub(super) fn pace(&self) -> Pace {
        let every = match self {
            Self::File(_) => Duration::from_secs(10),
            Self::Address(_) => Duration::from_secs(600),
        };
        let (retry, cooldown) = (Duration::from_secs(30).min(every), Duration::from_secs(10));
        Pace { every, retry, cooldown, deadline: Duration::from_secs(4) }
    }

    async fn read(&self, deadline: Duration) -> Result<String, KeysError> {
        let bytes = match self {
            Self::Address(address) => address.get(MAX_KEYS_BYTES, deadline).await?,
            Self::File(path) => {
                let owned = path.clone();
                let read = tokio::task::spawn_blocking(move || read_file(&owned)).await;
                read.unwrap_or_else(|_| Err(KeysError::File(path.clone(), std::io::ErrorKind::Other.into())))?
            }
        };
        String::from_utf8(bytes).map_err(|_| KeysError::Format)
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, KeysError> {
    let mut bytes = Vec::new();
    let opened = File::open(path).and_then(|file| file.take(MAX_KEYS_BYTES as u64 + 1).read_to_end(&mut bytes));
    opened.map_err(|error| KeysError::File(path.to_owned(), error))?;
    if bytes.len() > MAX_KEYS_BYTES { Err(KeysError::TooLarge) } else { Ok(bytes) }
}

impl KeySource {
    /// Gets the keys for the first time, and looks after them from then on in a task of this runtime.
    pub(super) async fn start(source: Source, pace: Pace) -> Result<Self, KeysError> {
        let text = source.read(pace.deadline).await?;
        let shared = Arc::new(Shared {
            keys: RwLock::new(Arc::new(KeySet::parse(&text)?)),
            failing: AtomicBool::new(false),
            wanted: Notify::new(),
            looked: watch::Sender::new(0),
        });
        let task = tokio::spawn(look_after(source, pace, text, shared.clone())).abort_handle();
        Ok(Self { shared, pace, task })
    }

    pub(super) fn keys(&self) -> Arc<KeySet> {
        self.shared.keys.read().clone()
    }

    /// Whether the last look failed, so that there may be keys that are not known here.
    pub(super) fn is_failing(&self) -> bool {
        self.shared.failing.load(Ordering::Relaxed)
    }

    /// Asks for newer keys, and waits until they were looked for, or are known not to be.
    pub(super) async fn refresh(&self) {
        let mut looked = self.shared.looked.subscribe();
        self.shared.wanted.notify_one();
        // The task keeps to its own deadline; this one is for the case that its runtime is gone.
        let _ = timeout(self.pace.deadline + Duration::from_secs(1), looked.changed()).await;
    }
}

impl Drop for KeySource {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn look_after(source: Source, pace: Pace, mut text: String, shared: Arc<Shared>) {
    let mut last = Instant::now();
    let mut due = last + pace.every;
    loop {
        let asked = tokio::select! {
            () = shared.wanted.notified() => true,
            () = sleep_until(due) => false,
        };
        if !asked || last.elapsed() >= pace.cooldown {
            last = Instant::now();
            let outcome = look(&source, pace, &mut text, &shared).await;
            due = Instant::now() + if outcome.is_ok() { pace.every } else { pace.retry };
            if let Err(error) = &outcome {
                tracing::warn!(%error, "no fresh keys for tokens: going on with those that are known");
            }
            shared.failing.store(outcome.is_err(), Ordering::Relaxed);
        }
        shared.looked.send_modify(|looks| *looks += 1);
    }
}

async fn look(source: &Source, pace: Pace, text: &mut String, shared: &Shared) -> Result<(), KeysError> {
    let fresh = source.read(pace.deadline).await?;
    if fresh != *text {
        let keys = KeySet::parse(&fresh)?;
        tracing::info!(keys = keys.len(), "new keys for tokens");
        *shared.keys.write() = Arc::new(keys);
        *text = fresh;
    }
    Ok(())
}
