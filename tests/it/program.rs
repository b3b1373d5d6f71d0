//! A game's own program with a broker in it: it says where it listens, why it cannot start, and ends gently.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::{Args as _, FromArgMatches as _};
use parlor::{App, ServeArgs};
use parlor_client::{LifecycleEvent, Options, Parlor, RoomEvent};

use crate::raw::soon;

/// Ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_test-broker"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).env_remove("RUST_LOG");
    command
}

#[tokio::test]
async fn sigterm_is_told_to_the_members_and_obeyed_within_ten_seconds() {
    let mut running = Running(program(&[]).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(running.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let addr = line.trim().strip_prefix("listening on ").expect("it says where");
    let client = Parlor::connect(&format!("ws://{addr}"), Options::new().once()).await.unwrap();
    let mut lifecycle = client.lifecycle();
    let mut rooms = [client.create("echo", &()).await.unwrap(), client.create("relay", &()).await.unwrap()];
    let began = Instant::now();
    let killed = Command::new("kill").args(["-TERM", &running.0.id().to_string()]).status().unwrap();
    assert!(killed.success());
    for room in &mut rooms {
        let closed = soon(room.recv()).await.unwrap();
        assert!(matches!(&closed, RoomEvent::Closed { code, .. } if code == "shutting_down"), "{closed:?}");
    }
    let end = soon(lifecycle.recv()).await.unwrap();
    assert!(matches!(&end, LifecycleEvent::Closed(end) if end.code == 4000), "{end:?}");
    let status = tokio::task::spawn_blocking(move || running.0.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_port_that_is_taken_is_told_in_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ended = program(&["--port", &port]).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stdout.is_empty());
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains(&format!("cannot listen on 127.0.0.1:{port}: ")), "{said}");
}

#[tokio::test]
async fn a_game_answers_the_command_config_and_does_not_serve() {
    let args = |flags: &[&str]| {
        let matches =
            ServeArgs::augment_args(clap::Command::new("game")).get_matches_from(["game"].iter().chain(flags));
        ServeArgs::from_arg_matches(&matches).unwrap()
    };
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    soon(App::new().serve(&args(&["--port", &port, "config"]))).await.unwrap();
    let refused = App::new().serve(&args(&["config", "--tls-key", "key.pem"])).await.unwrap_err();
    assert!(refused.to_string().contains("tls.key is set, but not tls.certificate"), "{refused}");
}
