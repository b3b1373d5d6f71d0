//! A broker without any game, and processes that run one for it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use parlor::broker::{Broker, Config};
use parlor_tests::config;
use parlor_tests::ledger::SHAPE;
use parlor_tests::wait::until;

/// What workers show.
pub(crate) const TOKEN: &str = "a token for the tests' workers";

/// How workers come to the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Tcp,
    Unix,
}

/// Whether a version is one that is to be rolled back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quality {
    Good,
    Bad,
}

/// A broker that only workers bring kinds to.
pub(crate) struct Stand {
    pub(crate) broker: Broker,
    address: String,
}

impl Stand {
    pub(crate) async fn start(way: Way, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = config();
        config.workers.token = Some(TOKEN.into());
        let path = socket();
        config.workers.socket = (way == Way::Unix).then(|| path.clone());
        change(&mut config);
        let broker = Broker::start(&config, Vec::new(), Default::default()).await.unwrap();
        let address = match way {
            Way::Tcp => format!("ws://{}", broker.addr()),
            Way::Unix => format!("unix:{}", path.display()),
        };
        Self { broker, address }
    }

    /// Starts a process of the game, on one thread.
    pub(crate) fn worker(&self) -> Worker {
        self.worker_with(|command| {
            command.args(["worker", "--threads", "1"]);
        })
    }

    /// One of this version, whose handlers panic now and then if it is to be a bad one.
    pub(crate) fn version(&self, version: &str, quality: Quality) -> Worker {
        self.worker_with(|command| {
            command.args(["worker", "--threads", "1", "--version-label", version]);
            if quality == Quality::Bad {
                command.env("LEDGER_IS_BAD", "yes");
            }
        })
    }

    /// One of a version that gives its state its own shape, so that rooms need a migration; with more in its environment.
    pub(crate) fn shaped(&self, version: &str, more: &[(&str, &str)]) -> Worker {
        self.worker_with(|command| {
            command.args(["worker", "--threads", "1"]).env("PARLOR_VERSION", version);
            command.env(SHAPE, version).envs(more.iter().copied());
        })
    }

    /// One of a version with its own shape that takes so many rooms.
    pub(crate) fn small(&self, version: &str, capacity: u32) -> Worker {
        self.worker_with(|command| {
            command.args(["worker", "--threads", "1", "--capacity", &capacity.to_string()]);
            command.env("PARLOR_VERSION", version).env(SHAPE, version);
        })
    }

    /// One that kills itself at a point, once the file is there.
    pub(crate) fn dying(&self, dies: &str, armed: &Path) -> Worker {
        self.worker_with(|command| {
            command.env("LEDGER_DIES", dies).env("LEDGER_ARMED", armed);
        })
    }

    fn worker_with(&self, change: impl FnOnce(&mut Command)) -> Worker {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ledger"));
        command.env("PARLOR_BROKER", &self.address).env("PARLOR_WORKER_TOKEN", TOKEN).stdin(Stdio::null());
        change(&mut command);
        Worker(command.spawn().unwrap())
    }

    /// Waits until so many workers are there.
    pub(crate) async fn workers(&self, count: i64) {
        until(&format!("{count} workers"), || self.broker.metrics().workers.get() == count).await;
    }
}

/// A path that no other test has.
fn socket() -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = format!("parlor-test-{}-{}.sock", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    std::env::temp_dir().join(name)
}

/// A process of the game, which ends with this at the latest.
pub(crate) struct Worker(Child);

impl Worker {
    pub(crate) fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.0.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Whether it has ended, and how.
    pub(crate) fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.0.try_wait().unwrap()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
    }
}
