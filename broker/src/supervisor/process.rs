//! One process, from its start to its end.

use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::telemetry::Metrics;

use super::group::{self, Group};
use super::output::{self, Source};
use super::table::{self, Listed, Table};
use super::{COMMAND_VAR, Pid, SUPERVISED_VAR, TOKEN_VAR, Told, stopping};

/// How long the last of a process's output is read once it has ended: somebody else may hold its pipes open.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How processes are started.
pub(super) struct Recipe {
    pub(super) program: String,
    pub(super) arguments: Vec<String>,
    /// What stands in their environment besides their token.
    pub(super) told: Vec<Told>,
    pub(super) table: Arc<Table>,
    pub(super) metrics: Metrics,
}

/// A process that was started. Dropping it ends it by force.
#[derive(Debug)]
pub(super) struct Process {
    pid: Pid,
    /// Before the child: what it has started ends first, while the group's number is certainly its own.
    group: Group,
    child: Child,
    listed: Listed,
    /// Nothing is written to it. It ends with this process, however that ends.
    _stdin: Option<ChildStdin>,
    output: JoinSet<()>,
    began: Instant,
}

/// How a process has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) pid: Pid,
    /// Its exit code, or the signal.
    pub(super) how: String,
    /// Whether it says itself that nothing is wrong.
    pub(super) well: bool,
    /// How long it ran.
    pub(super) ran: Duration,
}

impl Recipe {
    pub(super) fn start(&self) -> std::io::Result<Process> {
        let token = table::token();
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).kill_on_drop(true);
        command.env_remove(COMMAND_VAR).envs(self.told.iter().cloned()).env(TOKEN_VAR, &token).env(SUPERVISED_VAR, "1");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        group::lead(&mut command);
        let spawn = || {
            let child = command.spawn()?;
            Ok::<_, std::io::Error>((Pid(child.id().unwrap_or_default()), child))
        };
        let (listed, child) = self.table.list(token, spawn)?;
        self.metrics.workers_started.inc();
        Ok(Process::new(child, listed))
    }
}

impl Process {
    fn new(mut child: Child, listed: Listed) -> Self {
        let pid = Pid(child.id().unwrap_or_default());
        info!(pid = pid.0, "a worker was started");
        let mut output = JoinSet::new();
        if let Some(stream) = child.stdout.take() {
            output.spawn(output::follow(stream, pid, Source::Stdout));
        }
        if let Some(stream) = child.stderr.take() {
            output.spawn(output::follow(stream, pid, Source::Stderr));
        }
        let (group, stdin) = (Group::of(&child), child.stdin.take());
        Self { pid, group, child, listed, _stdin: stdin, output, began: Instant::now() }
    }

    /// Waits for its end, and brings it about when that is ordered: for this process alone, or for all.
    pub(super) async fn run(mut self, stop: &mut watch::Receiver<Option<Instant>>) -> Ended {
        let mut until = None;
        let status = loop {
            tokio::select! {
                status = self.child.wait() => break status,
                () = self.listed.killed() => self.kill(),
                by = stopping(stop), if until.is_none() => {
                    self.group.terminate();
                    until = Some(by);
                }
                () = passed(until) => {
                    warn!(pid = self.pid.0, "a worker has not ended in time");
                    self.kill();
                    break self.child.wait().await;
                }
            }
        };
        let ended = self.ended(status);
        if let Some(until) = until {
            // A script may have ended at once, and the game that it has started may still be about to.
            let _ = tokio::time::timeout_at(until, self.group.empty()).await;
        }
        self.group.end();
        let last_words = async { while self.output.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(LAST_WORDS, last_words).await;
        ended
    }

    fn kill(&mut self) {
        self.group.kill();
        // Where there are no groups. Otherwise it is gone already, which is no mistake.
        let _ = self.child.start_kill();
    }

    fn ended(&self, status: std::io::Result<ExitStatus>) -> Ended {
        let how = status.as_ref().map_or_else(|error| format!("unknown: {error}"), ExitStatus::to_string);
        let well = status.is_ok_and(|status| status.success());
        Ended { pid: self.pid, how, well, ran: self.began.elapsed() }
    }
}

/// Waits for a time that may never come.
async fn passed(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}
