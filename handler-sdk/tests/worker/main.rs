//! Workers against a small broker that the tests play: what they say, what they do with what they are told, and how they end.
#![cfg(feature = "embedded")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod broker;
mod connections;
mod ending;
mod game;
mod options;
mod rooms;
mod work;

use broker::{FakeBroker, Peer, welcome};
use game::Counter;
use parlor::{App, Worker, WorkerOptions};

/// A worker with one thread, and the broker that it is about to find.
async fn started() -> (FakeBroker, Worker) {
    started_with(|_| {}).await
}

async fn started_with(change: impl FnOnce(&mut WorkerOptions)) -> (FakeBroker, Worker) {
    let broker = FakeBroker::tcp().await;
    let mut options = options(&broker);
    change(&mut options);
    let worker = App::new().version("1").room::<Counter>().start_worker(&options).unwrap();
    (broker, worker)
}

fn options(broker: &FakeBroker) -> WorkerOptions {
    WorkerOptions { token: "t0ken".into(), threads: 1, ..WorkerOptions::new(broker.address()) }
}

/// The same, welcomed.
async fn connected() -> (FakeBroker, Worker, Peer) {
    let (broker, worker) = started().await;
    let mut peer = broker.accept().await;
    peer.welcome(welcome()).await;
    (broker, worker, peer)
}
