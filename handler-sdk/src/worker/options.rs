//! What a worker is told: where its broker is, who it says it is, how much it takes.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::time::Duration;

use aws_lc_rs::digest;
use parlor_protocol::limits::MAX_NAME;

use super::hook::At;

/// How a program runs rooms for a broker that stands alone.
///
/// ```
/// let options = parlor::WorkerOptions { threads: 2, ..parlor::WorkerOptions::new("ws://127.0.0.1:7374") };
/// assert_eq!(options.capacity, 10_000);
/// ```
#[derive(Clone)]
pub struct WorkerOptions {
    /// Where the broker listens for workers: `ws://host:port`, `http://host:port`, which means the same, or `unix:/path/to/socket`.
    pub broker: String,
    /// Proof that this program may run rooms.
    pub token: String,
    /// Where the broker's REST is, for [`Rooms`](crate::Rooms): `http://host:port` or `https://host`. Unless set, where the broker is, if that
    /// is no Unix socket.
    pub url: Option<String>,
    /// The broker's server key, without which [`Rooms`](crate::Rooms) only shows rooms.
    pub server_key: Option<String>,
    /// What people call it, in 1 to 64 bytes. Unless set, the name of the host and the process's number.
    pub name: Option<String>,
    /// The game's version, in 1 to 64 bytes: rooms stay with the version that opened them. Unless set, that of
    /// [`App::version`](crate::App::version), or else a hash of the program, by which another build is another version.
    pub version: Option<String>,
    /// How many rooms it takes, over all its threads.
    pub capacity: u32,
    /// Threads that run rooms, each with a connection of its own. 0 is one per core.
    pub threads: usize,
    /// How long [`Worker::drain`](super::Worker::drain) waits for the broker to take the rooms back, and for work to finish.
    pub drain_limit: Duration,
    /// Called at certain points, so that a test can end its process there.
    #[doc(hidden)]
    pub at: Option<At>,
}

impl WorkerOptions {
    /// The defaults, for a broker at this address.
    pub fn new(broker: impl Into<String>) -> Self {
        Self {
            broker: broker.into(),
            token: String::new(),
            url: None,
            server_key: None,
            name: None,
            version: None,
            capacity: 10_000,
            threads: 0,
            drain_limit: Duration::from_secs(30),
            at: None,
        }
    }

    /// How many rooms each thread takes; there are no threads without.
    pub(super) fn shares(&self) -> Vec<u32> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if self.threads == 0 { cores } else { self.threads };
        let threads = u32::try_from(threads).unwrap_or(u32::MAX).min(self.capacity.max(1));
        (0..threads).map(|thread| self.capacity / threads + u32::from(thread < self.capacity % threads)).collect()
    }
}

impl fmt::Debug for WorkerOptions {
    /// Without what is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { broker, name, version, capacity, threads, .. } = self;
        let mut f = f.debug_struct("WorkerOptions");
        f.field("broker", broker).field("name", name).field("version", version);
        f.field("capacity", capacity).field("threads", threads).finish_non_exhaustive()
    }
}

/// What tells this process from others, to people.
pub(super) fn default_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| std::env::var("HOSTNAME"));
    named(host.as_deref().unwrap_or("worker").trim(), std::process::id())
}

fn named(host: &str, process: u32) -> String {
    let number = format!("-{process}");
    let mut end = host.len().min(MAX_NAME - number.len());
    while !host.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{number}", &host[..end])
}

/// The hash of this program's bytes: no two builds that differ have the same, and all processes of one build do.
///
/// # Errors
/// When the program cannot be read.
pub(super) fn build() -> io::Result<String> {
    // The file may have been replaced since the start; this still names the one that runs.
    const RUNNING: &str = "/proc/self/exe";
    let mut program = File::open(RUNNING).or_else(|_| std::env::current_exe().and_then(File::open))?;
    hash(&mut program)
}

/// SHA-256, because the library for it is fast in a debug build, too, in which a program has hundreds of megabytes.
fn hash(from: &mut impl Read) -> io::Result<String> {
    let mut hasher = digest::Context::new(&digest::SHA256);
    let mut buffer = vec![0; 1 << 16];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(hasher.finish().as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(capacity: u32, threads: usize) -> Vec<u32> {
        WorkerOptions { capacity, threads, ..WorkerOptions::new("ws://b:1") }.shares()
    }

    #[test]
    fn every_room_has_a_thread() {
        assert_eq!(shares(10, 1), [10]);
        assert_eq!(shares(11, 3), [4, 4, 3]);
        assert_eq!(shares(2, 8), [1, 1]);
        assert_eq!(shares(0, 8), [0], "which hello refuses");
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        assert_eq!(shares(10_000, 0).len(), cores);
    }

    #[test]
    fn names_fit() {
        assert_eq!(named("box", 7), "box-7");
        assert_eq!(named(&"é".repeat(64), 12_345), format!("{}-12345", "é".repeat(29)));
        assert!((3..=MAX_NAME).contains(&default_name().len()));
    }

    #[test]
    fn another_build_is_another_version() {
        let of = |bytes: &[u8]| hash(&mut &bytes[..]).unwrap();
        let (large, mut other) = (vec![7; 200_000], vec![7; 200_000]);
        other[199_999] = 8;
        assert_eq!(of(&large), of(&large.clone()));
        assert_ne!(of(&large), of(&other));
        assert_ne!(of(&large), of(&large[1..]));
        assert_eq!((build().unwrap(), of(b"").len()), (build().unwrap(), 16));
    }

    #[test]
    fn a_token_is_not_shown() {
        let secret = || "s3cret".to_owned();
        let options = WorkerOptions { token: secret(), server_key: Some(secret()), ..WorkerOptions::new("ws://b:1") };
        assert!(!format!("{options:?}").contains("s3cret"));
    }
}
