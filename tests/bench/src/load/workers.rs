//! The worker processes that a server keeps: who they are, their end, and whether they are all there again.

use super::Failure;
use super::sample::{children, start_ticks};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long the server gets to tell its metrics.
const PATIENCE: Duration = Duration::from_secs(5);
/// The metric that counts those who are welcome: a process has one connection for each of its threads.
const WELCOME: &str = "parlor_workers ";

/// The workers of a server that started them all by itself.
#[derive(Debug)]
pub(super) struct Workers {
    address: SocketAddr,
    server: String,
    /// Processes, and their connections, while nothing is wrong.
    processes: usize,
    welcome: u64,
}

impl Workers {
    /// Those of a server that has as many now as it ever should.
    pub(super) fn of(address: SocketAddr, server_pid: u32) -> Result<Self, Failure> {
        let server = server_pid.to_string();
        let processes = children(&server).len();
        Ok(Self { address, server, processes, welcome: welcome(address)? })
    }

    pub(super) fn processes(&self) -> usize {
        self.processes
    }

    /// The process that was started first.
    pub(super) fn oldest(&self) -> Result<Pid, Failure> {
        let all = children(&self.server).into_iter().filter_map(|name| Some((start_ticks(&name)?, name.parse().ok()?)));
        let (_, oldest): (u64, i32) = all.min().ok_or("the server has no worker processes")?;
        Ok(Pid::from_raw(oldest).ok_or("a process has no number")?)
    }

    /// Whether there are as many as at first, not counting the one that was killed, and all are welcome.
    pub(super) fn are_complete_without(&self, killed: Pid) -> Result<bool, Failure> {
        let all = children(&self.server);
        Ok(all.len() == self.processes
            && !all.contains(&killed.as_raw_pid().to_string())
            && welcome(self.address)? == self.welcome)
    }
}

/// Ends a process as a crash would.
pub(super) fn kill(pid: Pid) -> Result<(), Failure> {
    Ok(kill_process(pid, Signal::KILL)?)
}

/// How many connections of workers the server has.
fn welcome(address: SocketAddr) -> Result<u64, Failure> {
    let mut lobby = TcpStream::connect_timeout(&address, PATIENCE)?;
    lobby.set_read_timeout(Some(PATIENCE))?;
    lobby.write_all(b"GET /metrics HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    lobby.read_to_string(&mut answer)?;
    gauge(&answer).ok_or_else(|| "the server does not tell how many workers it has".into())
}

fn gauge(metrics: &str) -> Option<u64> {
    metrics.lines().find_map(|line| line.strip_prefix(WELCOME)?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gauge_is_found_among_others() {
        let metrics =
            "HTTP/1.1 200 OK\r\n\r\n# TYPE parlor_workers gauge\nparlor_workers_started_total 9\nparlor_workers 2\n";
        assert_eq!(gauge(metrics), Some(2));
        assert_eq!(gauge("HTTP/1.1 404 Not Found\r\n\r\n"), None);
    }
}
