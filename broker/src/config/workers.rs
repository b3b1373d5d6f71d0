//! Worker processes: who may be one, which are started from here, and how long they are waited for.

use std::path::PathBuf;

use parlor_protocol::worker::MAX_HELLO_BYTES;
use serde::{Deserialize, Serialize};

use super::check::ensure;
use super::{Limits, print};

/// Bytes of a token that cannot be guessed as long as only a network can be asked.
const TOKEN_BYTES: usize = 16;
/// More processes than any machine has cores for.
const MOST: usize = 1024;
/// A payload that came as JSON is up to 2.25 times as long in MessagePack, and there are names around it.
const FRAMES: usize = 4;

/// The processes that run the handlers of rooms, where the broker itself has none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct Workers {
    /// What workers must show that connect over the network, at least 16 bytes. Default none: none is let in there.
    #[serde(serialize_with = "print::hidden")]
    pub token: Option<String>,
    /// A Unix socket for workers on the same machine, which only the broker's own user can open. Default none.
    pub socket: Option<PathBuf>,
    /// The command line of a game's program, which the broker starts as its worker, and again when it has ended. Default none.
    pub command: Option<String>,
    /// Processes of that command.
    pub count: usize,
    /// How long a room that opens, and those who want in, wait for a worker.
    pub wait_ms: u64,
    /// How long a room whose worker is gone waits for another before it ends.
    pub gone_ms: u64,
    /// How long a worker may take over one input before it counts as hanging.
    pub time_limit_ms: u64,
    /// Silence after which each side writes a beat.
    pub beat_ms: u64,
    /// Silence after which the other side counts as lost.
    pub lost_after_ms: u64,
    /// Largest frame between broker and worker, snapshots included.
    pub max_frame_bytes: usize,
}

impl Default for Workers {
    fn default() -> Self {
        Self {
            token: None,
            socket: None,
            command: None,
            count: 1, // a game runs on one core until its operator says more
            wait_ms: 5_000,
            gone_ms: 60_000, // a process that crashes is back in a second, a machine that restarts in a minute
            time_limit_ms: 1_000, // twenty ticks at 20 Hz: whoever takes longer is stuck
            beat_ms: 1_000,
            lost_after_ms: 3_000,      // two beats may be late
            max_frame_bytes: 32 << 20, // a large world's state
        }
    }
}

impl Workers {
    /// Whether there is a way in for workers.
    pub(crate) fn expected(&self) -> bool {
        self.token.is_some() || self.socket.is_some() || self.command.is_some()
    }

    pub(super) fn check(&self, limits: &Limits) -> Result<(), String> {
        self.check_texts()?;
        let Self { count, beat_ms: beat, lost_after_ms: lost, max_frame_bytes: frame, .. } = self;
        ensure(*count <= MOST, || format!("workers.count is {count}; it must be at most {MOST}"))?;
        let idle = *count != Self::default().count && self.command.is_none();
        ensure(!idle, || "workers.count is set, but not workers.command".to_owned())?;
        ensure(lost > beat, || {
            format!(
                "workers.lost_after_ms ({lost}) must be above workers.beat_ms ({beat}), or every worker is lost that is silent"
            )
        })?;
        ensure(*frame >= MAX_HELLO_BYTES, || {
            format!("workers.max_frame_bytes is {frame}; it must be at least {MAX_HELLO_BYTES}")
        })?;
        let of_client = limits.max_frame_bytes;
        ensure(*frame >= of_client.saturating_mul(FRAMES), || {
            format!(
                "workers.max_frame_bytes ({frame}) must be at least {FRAMES} times limits.max_frame_bytes ({of_client}), \
                 or the largest messages do not fit"
            )
        })
    }

    fn check_texts(&self) -> Result<(), String> {
        let bytes = self.token.as_ref().map_or(TOKEN_BYTES, String::len);
        ensure(bytes >= TOKEN_BYTES, || format!("workers.token has {bytes} bytes; it needs at least {TOKEN_BYTES}"))?;
        if let Some(socket) = &self.socket {
            ensure(!socket.as_os_str().is_empty(), || "workers.socket is empty; leave it out instead".to_owned())?;
            ensure(cfg!(unix), || "workers.socket is set, but this system has no Unix sockets".to_owned())?;
        }
        let Some(command) = &self.command else { return Ok(()) };
        words(command).map(drop).map_err(|why| format!("workers.command {why}"))
    }
}

/// The words of a command line, split as a shell would: quotes and backslashes count, and nothing is expanded. A program that stands
/// there by itself gets the word `worker`, which is what a game's program is told to be one.
pub(crate) fn words(command: &str) -> Result<Vec<String>, &'static str> {
    let mut words = shlex::split(command).ok_or("has a quote or a backslash with nothing behind it")?;
    if words.first().is_none_or(String::is_empty) {
        return Err("names no program");
    }
    if words.len() == 1 {
        words.push("worker".to_owned());
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_split_as_a_shell_does_it() {
        let cases: [(&str, &[&str]); 7] = [
            ("./game", &["./game", "worker"]),
            ("  ./game  ", &["./game", "worker"]),
            ("'/opt/my game/run'", &["/opt/my game/run", "worker"]),
            ("./game serve --as worker", &["./game", "serve", "--as", "worker"]),
            (r#"/bin/sh -c "exec ./game \"a b\" '$HOME'""#, &["/bin/sh", "-c", r#"exec ./game "a b" '$HOME'"#]),
            (r"./my\ game ''", &["./my game", ""]),
            ("~/game $PATH *.toml;", &["~/game", "$PATH", "*.toml;"]),
        ];
        for (command, expected) in cases {
            let expected: Vec<_> = expected.iter().map(|&word| word.to_owned()).collect();
            assert_eq!(words(command), Ok(expected), "{command}");
        }
        for command in ["", "  ", "''", "'' worker", "# ./game"] {
            assert_eq!(words(command), Err("names no program"), "{command}");
        }
        for command in ["'./game", "\"./game", "./game \\"] {
            assert_eq!(words(command), Err("has a quote or a backslash with nothing behind it"), "{command}");
        }
    }
}
