//! The worker processes that the broker starts by itself: several of one command line, each started anew when it ends.
//!
//! Each process gets a token of its own, so that a connection tells which of them it comes from, and the process can be ended that
//! hangs. What is said on such a connection is none of the supervisor's business.
//!
//! **No process outlives its broker** that ends in order, or by dropping the [`Supervisor`]: each is the head of a process group, which is
//! ended as a whole. A broker that is killed hard (SIGKILL, out of memory) can do nothing any more. Then the standard input of its
//! workers ends, a pipe into which nothing is ever written, and they end with it, as `PARLOR_SUPERVISED` asks of them.

mod backoff;
mod group;
mod output;
mod process;
mod table;
#[cfg(test)]
#[cfg(unix)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::config;
use crate::telemetry::Metrics;

use backoff::Backoff;
use process::{Ended, Process, Recipe};
use table::Table;
pub(crate) use table::token;

/// The environment variable that tells a worker where its broker is.
pub const ADDRESS_VAR: &str = "PARLOR_BROKER";
/// The environment variable with the token that a worker shows.
pub const TOKEN_VAR: &str = "PARLOR_WORKER_TOKEN";
/// The environment variable by which a process knows that it is to end when its standard input does.
pub const SUPERVISED_VAR: &str = "PARLOR_SUPERVISED";
/// The environment variable with the address of the broker's REST.
pub const URL_VAR: &str = "PARLOR_URL";
/// The environment variable with the broker's server key.
pub const KEY_VAR: &str = "PARLOR_SERVER_KEY";
/// For the broker alone: a program that started its own command again would do so without end.
const COMMAND_VAR: &str = "PARLOR_WORKER_CMD";

/// A variable of the environment, and its value.
pub type Told = (&'static str, String);

/// Keeps processes running. Dropping it ends them at once, [`stop`](Self::stop) gently.
#[derive(Debug)]
pub struct Supervisor {
    table: Arc<Table>,
    stop: watch::Sender<Option<Instant>>,
}

/// The number of a process, as the operating system and the log call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pid(pub u32);

impl std::fmt::Display for Pid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Why there are no workers.
#[derive(Debug, thiserror::Error)]
pub enum SuperviseError {
    /// The command line is none.
    #[error("the worker command {0}")]
    Command(&'static str),
    /// The program is not there, or cannot be run.
    #[error("cannot start the worker `{0}`: {1}")]
    Spawn(String, std::io::Error),
}

impl Supervisor {
    /// Starts `count` processes of a command line, which is split into words as a shell would, without one. They find what they are `told`,
    /// such as where they are to connect, and their token in the environment, beside everything that is in the broker's own. Must be
    /// called within a tokio runtime, in which they are looked after.
    ///
    /// # Errors
    /// When the command line makes no sense, or the first attempt to run it fails; later attempts are made again.
    pub fn start(command: &str, count: usize, told: Vec<Told>, metrics: &Metrics) -> Result<Self, SuperviseError> {
        let mut words = config::words(command).map_err(SuperviseError::Command)?.into_iter();
        let program = words.next().unwrap_or_default();
        let table = Arc::new(Table::default());
        let arguments = words.collect();
        let recipe = Recipe { program, arguments, told, table: table.clone(), metrics: metrics.clone() };
        let failed = |error| SuperviseError::Spawn(recipe.program.clone(), error);
        // All before any is looked after: if one cannot be started, those before it end with this list.
        let first = (0..count).map(|_| recipe.start()).collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let (stop, stopping) = watch::channel(None);
        let recipe = Arc::new(recipe);
        for process in first {
            tokio::spawn(keep(recipe.clone(), process, stopping.clone()));
        }
        Ok(Self { table, stop })
    }

    /// Which process it is that was given this token, if it still runs.
    pub fn knows(&self, token: &str) -> Option<Pid> {
        self.table.find(token, |row| row.pid)
    }

    /// Ends the process that was given this token, by force, as one that hangs. It is then started anew like any other. Says whether
    /// there is such a process.
    pub fn kill(&self, token: &str) -> bool {
        self.table.find(token, |row| row.kill.notify_one()).is_some()
    }

    /// Asks all processes to end, and none is started any more. Those that are there when the time is up are ended by force. Returns when
    /// all are gone.
    pub async fn stop(&self, grace: Duration) {
        self.stop.send_replace(Some(Instant::now() + grace));
        self.stop.closed().await;
    }
}

/// Looks after one place for a process: whatever ends there is started anew, until told to stop.
async fn keep(recipe: Arc<Recipe>, first: Process, mut stop: watch::Receiver<Option<Instant>>) {
    let mut backoff = Backoff::default();
    let mut started = Ok(first);
    loop {
        let ended = match started {
            Ok(process) => Ok(process.run(&mut stop).await),
            Err(error) => Err(error),
        };
        let ran = ended.as_ref().map_or(Duration::ZERO, |ended| ended.ran);
        let pause = if is_stopping(&stop) { None } else { Some(backoff.after(ran)) };
        tell(&ended, pause);
        let Some(pause) = pause else { return };
        tokio::select! {
            biased;
            _ = stopping(&mut stop) => return,
            () = tokio::time::sleep(pause) => {}
        }
        started = recipe.start();
        if started.is_ok() {
            recipe.metrics.worker_restarts.inc();
        }
    }
}

/// Writes into the log what has become of a process, and when there will be another.
fn tell(ended: &std::io::Result<Ended>, pause: Option<Duration>) {
    let restart_in_ms = pause.map(|pause| pause.as_millis());
    match ended {
        Err(error) => warn!(restart_in_ms, "a worker cannot be started: {error}"),
        Ok(Ended { pid, how, well, ran }) => {
            let (pid, ran_ms) = (pid.0, ran.as_millis());
            // One that is ended by the signal to stop has not failed.
            if *well || pause.is_none() {
                info!(pid, ran_ms, restart_in_ms, "a worker has ended: {how}");
            } else {
                warn!(pid, ran_ms, restart_in_ms, "a worker has ended: {how}");
            }
        }
    }
}

/// Waits for the order to stop, and says until when the process may take. Nobody left who could give it is an order, too.
async fn stopping(stop: &mut watch::Receiver<Option<Instant>>) -> Instant {
    let until = stop.wait_for(Option::is_some).await.ok().and_then(|until| *until);
    until.unwrap_or_else(Instant::now)
}

fn is_stopping(stop: &watch::Receiver<Option<Instant>>) -> bool {
    stop.borrow().is_some() || stop.has_changed().is_err()
}
