//! The game of the workers' tests, as a program: with a broker inside, or `worker` for one.
//!
//! With `LEDGER_DIES=POINT:N` it kills itself when a worker comes to that point for the N-th time; with `LEDGER_ARMED=FILE` it counts from when
//! there is that file.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parlor::{App, WorkerOptions, WorkerPoint as Point};
use parlor_tests::ledger::{Ledger, Quiet};

#[tokio::main]
async fn main() -> parlor::Result<()> {
    let app = App::new().room::<Ledger>().room::<Quiet>().guests();
    let Ok(dies) = std::env::var("LEDGER_DIES") else { return app.run().await };
    let (point, at) = dies.split_once(':').expect("POINT:N");
    let (point, at) = (point.to_owned(), at.parse::<u64>().expect("a number"));
    let (armed, seen) = (std::env::var_os("LEDGER_ARMED").map(PathBuf::from), AtomicU64::new(0));
    let die = move |here: Point, _| {
        let counts = armed.as_ref().is_none_or(|file| file.exists());
        if !counts || !format!("{here:?}").eq_ignore_ascii_case(&point) {
            return;
        }
        if seen.fetch_add(1, Ordering::Relaxed) + 1 >= at {
            // As kill -9 does: nothing is flushed, nothing is said.
            let _ = std::process::Command::new("kill").args(["-9", &std::process::id().to_string()]).status();
        }
    };
    let env = |name| std::env::var(name).unwrap_or_default();
    let options = WorkerOptions {
        token: env("PARLOR_WORKER_TOKEN"),
        version: std::env::var("PARLOR_VERSION").ok(),
        threads: 1,
        at: Some(Arc::new(die)),
        ..WorkerOptions::new(env("PARLOR_BROKER"))
    };
    let worker = app.start_worker(&options)?;
    parlor::broker::cli::interrupted().await;
    worker.drain().await
}
