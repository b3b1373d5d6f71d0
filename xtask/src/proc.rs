//! Starting programs: run one to its end, keep a server while a guard lives, ask Cargo where a binary is.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Why a command of ours could not do its work, in words for the person who called it.
pub(crate) type Failure = Box<dyn std::error::Error>;

/// How long a server may take to say where it listens.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// The workspace.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}

/// Where Cargo puts what it builds.
pub(crate) fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// The Cargo that runs us, in the workspace.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// Whether a program of this name is in the search path.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// Says what is run, in the form in which it could be typed.
pub(crate) fn announce(command: &Command) {
    let words = command.get_args().map(|word| word.to_string_lossy().into_owned());
    let words: Vec<_> = std::iter::once(name(command)).chain(words).collect();
    println!("+ {}", words.join(" "));
}

/// The program without its path: Cargo and our binaries come with a long one, which says little.
fn name(command: &Command) -> String {
    let program = Path::new(command.get_program());
    program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned()
}

/// Runs a program to its end, its output going where ours goes.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    announce(command);
    let name = name(command);
    let status = command.status().map_err(|error| format!("cannot start {name}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{name} ended with {status}").into()) }
}

/// What a program prints.
pub(crate) fn output_of(command: &mut Command) -> Result<String, Failure> {
    let name = name(command);
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("cannot start {name}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{name} ended with {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Builds with Cargo and gives back the binaries by name, wherever the target directory is.
pub(crate) fn build_binaries(arguments: &[&str]) -> Result<BTreeMap<String, PathBuf>, Failure> {
    let mut command = cargo(&["build", "--message-format=json-render-diagnostics"]);
    command.args(arguments);
    announce(&command);
    let mut binaries = BTreeMap::new();
    for line in output_of(&mut command)?.lines() {
        let message: serde_json::Value = serde_json::from_str(line)?;
        if let (Some(file), Some(name)) = (message["executable"].as_str(), message["target"]["name"].as_str()) {
            binaries.insert(name.to_owned(), PathBuf::from(file));
        }
    }
    Ok(binaries)
}

/// A server that runs until the guard is dropped.
pub(crate) struct Server {
    child: Child,
    address: String,
}

impl Server {
    /// Starts a program that prints `listening on HOST:PORT` first, and waits for that line.
    pub(crate) fn start(command: &mut Command) -> Result<Self, Failure> {
        announce(command);
        let name = name(command);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let child = child.map_err(|error| format!("cannot start {name}: {error}"))?;
        // The guard exists before anything can fail, so that no server is left behind.
        let mut server = Self { child, address: String::new() };
        let stdout = server.child.stdout.take().ok_or("the server has no output")?;
        let line = first_line(stdout).recv_timeout(START_PATIENCE);
        let line = line.map_err(|_| format!("{name} did not say where it listens"))?;
        let address = line.trim().strip_prefix("listening on ");
        address
            .ok_or_else(|| format!("{name} said {line:?} instead of where it listens"))?
            .clone_into(&mut server.address);
        Ok(server)
    }

    /// `HOST:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads on after the first line and passes the rest through: a full pipe would stop the server.
fn first_line(output: impl io::Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        if let Some(line) = lines.next() {
            let _ = sender.send(line);
        }
        drop(sender);
        lines.for_each(|line| println!("{line}"));
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_heard_and_ended() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo 'listening on 127.0.0.1:7'; exec sleep 60"]);
        let server = Server::start(&mut command).unwrap();
        assert_eq!(server.address(), "127.0.0.1:7");
        let process = PathBuf::from(format!("/proc/{}", server.pid()));
        drop(server);
        assert!(!process.exists());
    }

    #[test]
    fn a_server_that_says_something_else_or_nothing_is_refused() {
        assert!(Server::start(Command::new("sh").args(["-c", "echo hello"])).is_err());
        assert!(Server::start(Command::new("sh").args(["-c", "exit 1"])).is_err());
    }

    #[test]
    fn programs_are_found_or_not() {
        assert!(find_program("sh").is_some());
        assert!(find_program("no-such-program-here").is_none());
    }
}
