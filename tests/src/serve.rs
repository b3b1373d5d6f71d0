//! One game, one suite of tests, wherever the handlers run: inside the broker, or in a worker, over TCP or a Unix socket.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};

use parlor::broker::{Broker, Config};
use parlor::{App, Worker, WorkerOptions};

/// The variable that says where: `tcp`, `unix`, or inside when it is not set.
pub const MODE: &str = "PARLOR_TEST_WORKERS";

const TOKEN: &str = "a token for the tests' workers";

/// A broker with a game.
#[derive(Debug)]
pub struct Served {
    /// Before the worker: whoever ends both ends this first.
    broker: Broker,
    worker: Option<Worker>,
}

impl Deref for Served {
    type Target = Broker;

    fn deref(&self) -> &Broker {
        &self.broker
    }
}

impl Served {
    /// Ends the broker as [`Broker::shutdown`] does, and then the worker.
    pub async fn shutdown(self) {
        self.broker.shutdown().await;
        drop(self.worker);
    }
}

/// Starts a game in the mode that the environment asks for.
pub trait Anywhere {
    /// The game with its broker.
    ///
    /// # Panics
    /// When it cannot be started, or the mode is none.
    fn anywhere(self, config: &Config) -> impl Future<Output = Served>;
}

impl Anywhere for App {
    async fn anywhere(self, config: &Config) -> Served {
        match std::env::var(MODE).as_deref() {
            Err(_) => Served { broker: self.start(config).await.expect("the game starts"), worker: None },
            Ok(mode @ ("tcp" | "unix")) => apart(self, config.clone(), mode).await,
            Ok(other) => panic!("{MODE}={other} is no mode: tcp and unix are"),
        }
    }
}

async fn apart(app: App, mut config: Config, mode: &str) -> Served {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = format!("parlor-mode-{}-{}.sock", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(name);
    config.workers.token = Some(TOKEN.into());
    let server_key = config.server_key.get_or_insert_with(|| TOKEN.into()).clone();
    config.workers.socket = (mode == "unix").then(|| path.clone());
    let broker = Broker::start(&config, Vec::new(), Default::default()).await.expect("a broker starts");
    let address = match mode {
        "unix" => format!("unix:{}", path.display()),
        _ => format!("ws://{}", broker.addr()),
    };
    let options = WorkerOptions {
        token: TOKEN.into(),
        url: Some(format!("http://{}", broker.addr())),
        server_key: Some(server_key),
        threads: config.shards,
        ..WorkerOptions::new(address)
    };
    let worker = app.start_worker(&options).expect("a worker starts");
    worker.welcomed().await.expect("the broker takes it");
    Served { broker, worker: Some(worker) }
}
