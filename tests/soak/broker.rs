//! The broker's process, seen from outside.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

use parlor_client::{Options, Parlor};
use parlor_tests::http;

/// A broker that runs.
pub(crate) struct Process {
    child: Child,
    ask: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    complaints: Option<JoinHandle<String>>,
    address: SocketAddr,
}

/// What it holds when nobody is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Base {
    pub(crate) tasks: u64,
    pub(crate) files: usize,
}

/// Its counters and gauges that have no labels.
pub(crate) struct Metrics(String);

impl Process {
    pub(crate) fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_soak-broker"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap());
        let mut stderr = child.stderr.take().unwrap();
        let complaints = std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).map(|_| text).unwrap()
        });
        let mut line = String::new();
        answers.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap().parse().unwrap();
        Self { ask: child.stdin.take(), child, answers, complaints: Some(complaints), address }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// One client comes and goes, so that what is made once is there.
    pub(crate) async fn warm_up(&self) {
        let parlor = Parlor::connect(&format!("ws://{}", self.address), Options::new()).await.unwrap();
        let mut room = parlor.join_or_create("soak", &serde_json::json!({"room": "warm"})).await.unwrap();
        room.leave().await.unwrap();
        parlor.close().await;
        while self.metrics().await.get("sessions") + self.metrics().await.get("rooms") > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    pub(crate) fn base(&mut self) -> Base {
        writeln!(self.ask.as_mut().unwrap(), "tasks?").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let files = fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count();
        Base { tasks: line.trim().parse().unwrap(), files }
    }

    pub(crate) fn rss_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    pub(crate) async fn metrics(&self) -> Metrics {
        Metrics(http::get(self.address, "/metrics").await.body)
    }

    /// Ends it in order; it must not have complained of a panic.
    pub(crate) fn end(mut self) {
        drop(self.ask.take());
        let status = self.child.wait().unwrap();
        let complaints = self.complaints.take().unwrap().join().unwrap();
        assert!(status.success() && !complaints.contains("panicked"), "{status}:\n{complaints}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // After a test that failed; otherwise it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Metrics {
    pub(crate) fn get(&self, name: &str) -> u64 {
        let line = self.0.lines().find_map(|line| line.strip_prefix("parlor_")?.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no metric {name}")).trim().parse().unwrap()
    }
}
