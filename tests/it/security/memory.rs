//! What somebody costs who has not said who he is, measured on a process of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use parlor_tests::http::{exchange, get};
use parlor_tests::wait::soon;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// A broker in another process, which is ended with the test.
pub(super) struct Process {
    pub(super) child: Child,
    pub(super) addr: SocketAddr,
}

impl Process {
    pub(super) fn start(args: &[&str], log: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_test-broker"));
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).env("RUST_LOG", log);
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let addr = line.trim().strip_prefix("listening on ").expect("it says where").parse().unwrap();
        Self { child, addr }
    }

    /// Bytes of memory that it has in use.
    fn memory(&self) -> u64 {
        const PAGE: u64 = 4 << 10;
        let pages = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap();
        pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * PAGE
    }

    async fn sessions(&self) -> usize {
        let text = get(self.addr, "/metrics").await.body;
        let line = text.lines().find(|line| line.starts_with("parlor_connections ")).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A WebSocket on which nothing has been said but these bytes.
async fn stranger(server: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(server).await.unwrap();
    let request = "GET /ws HTTP/1.1\r\nhost: broker\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\n\
                   sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let answer = soon("an answer", exchange(&mut stream, request.as_bytes())).await;
    assert_eq!(answer.status, 101);
    stream.write_all(bytes).await.unwrap();
    stream
}

/// What each of a crowd costs that does this, in bytes. A first crowd makes the process get what it needs once.
async fn cost(bytes: &[u8]) -> u64 {
    const CROWD: usize = 300;
    let process = Process::start(&[], "warn");
    let mut before = 0;
    for round in 0..2 {
        before = process.memory();
        let mut crowd = Vec::new();
        for _ in 0..if round == 0 { CROWD / 10 } else { CROWD } {
            crowd.push(stranger(process.addr, bytes).await);
        }
        // What they have sent is read by now: this comes behind it on the same threads.
        tokio::time::sleep(Duration::from_millis(300)).await;
        if round == 1 {
            assert!(process.sessions().await >= CROWD, "they are all there");
            return process.memory().saturating_sub(before) / CROWD as u64;
        }
        drop(crowd);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    before
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_cost_little() {
    let silent = cost(&[]).await;
    assert!(silent <= 40 << 10, "{silent} bytes for each that says nothing");
}

/// Lengths are believed as far as bytes have come.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn announced_lengths_cost_nothing() {
    // The largest that is read at all, and a few bytes of it.
    let announced = [&[0x82, 0xff][..], &u64::to_be_bytes(64 << 10), &[0; 4], b"and so on"].concat();
    let each = cost(&announced).await;
    assert!(each <= 48 << 10, "{each} bytes for each that announces 64 KiB");
}
