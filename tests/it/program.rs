//! A game's own program with a broker in it: it says where it listens, why it cannot start, and ends gently.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::{Args as _, FromArgMatches as _};
use parlor::axum::Router;
use parlor::broker::{Broker, Config};
use parlor::{App, RoomId, ServeArgs};
use parlor_client::{LifecycleEvent, Options, Parlor, RoomEvent};

use serde_json::{Value, json};

use parlor_tests::http::{get, with_key};

use crate::raw::{soon, until};

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

fn hall(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hall"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PARLOR_")) {
        command.env_remove(name);
    }
    command
}

/// What it prints first.
fn first_line(running: &mut Running) -> String {
    let mut line = String::new();
    BufReader::new(running.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    line.trim().to_owned()
}

#[tokio::test]
async fn work_of_a_worker_that_the_broker_has_started_opens_rooms() {
    // Without a server key, so that nobody else opens any.
    let mut config = Config { server_key: None, ..parlor_tests::config() };
    config.workers.command = Some(format!("'{}'", env!("CARGO_BIN_EXE_hall")));
    config.workers.wait_ms = 60_000;
    let broker = Broker::start(&config, Vec::new(), Router::new()).await.unwrap();
    let opening = Parlor::connect(&format!("ws://{}", broker.addr()), Options::new().once()).await.unwrap();
    // Its kind is known when the worker has come.
    until(|| broker.metrics().workers.get() > 0).await;
    let mut room = opening.create("hall", &()).await.unwrap();
    room.send("open", &()).unwrap();
    let said = soon(room.recv()).await.unwrap().decode::<Value>().unwrap();
    let opened: Result<RoomId, String> = serde_json::from_value(said["room"].clone()).unwrap();
    let opened = opened.unwrap();
    assert!(broker.registry().get(&opened).is_some(), "{opened}");
    let stranger = with_key(broker.addr(), "POST", "/v1/rooms", &json!({"kind": "hall"})).await;
    assert_eq!(stranger.status, 401);
    broker.shutdown().await;
}

#[tokio::test]
async fn one_program_serves_the_game_s_routes_beside_a_broker() {
    let broker = App::new().relay("relay", parlor::Policy::default()).start(&parlor_tests::config()).await.unwrap();
    let url = format!("http://{}", broker.addr());
    let args = ["services", "--broker", &url, "--port", "0", "--server-key", "test-key"];
    let mut running = Running(hall(&args).spawn().unwrap());
    let line = first_line(&mut running);
    let addr = line.strip_prefix("listening on http://").unwrap().parse().unwrap();
    assert_eq!(get(addr, "/rooms").await.body, "0");
    broker.registry().create("relay", Default::default()).unwrap();
    assert_eq!(get(addr, "/rooms").await.body, "1");
    let ann = with_key(addr, "POST", "/v1/identity", &json!({"token": "ok ann"})).await;
    assert_eq!(ann.json()["account"], "ann");
    let killed = Command::new("kill").args(["-TERM", &running.0.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let status = tokio::task::spawn_blocking(move || running.0.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
    let wrong =
        hall(&["services", "--broker", "broker.example", "--port", "0"]).stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8_lossy(&wrong.stderr);
    assert!(!wrong.status.success() && said.contains("https://host"), "{said}");
}

#[tokio::test]
async fn a_worker_ends_when_the_broker_that_has_started_it_is_gone() {
    let nobody = ["worker", "--broker", "unix:/nobody/listens/there"];
    let mut by_hand = Running(hall(&nobody).spawn().unwrap());
    let mut supervised = hall(&nobody);
    supervised.env("PARLOR_SUPERVISED", "1").stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut supervised = Running(supervised.spawn().unwrap());
    let ending = supervised.0.stdin.take();
    // It says that there is no broker, again and again.
    let mut said = BufReader::new(supervised.0.stderr.take().unwrap()).lines();
    for _ in 0..3 {
        let line = said.next().unwrap().unwrap();
        assert!(line.contains("no connection to the broker"), "{line}");
    }
    assert!(supervised.0.try_wait().unwrap().is_none());
    drop(ending);
    let status = soon(tokio::task::spawn_blocking(move || supervised.0.wait())).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(1));
    // Whose standard input has been at its end from the beginning.
    assert!(by_hand.0.try_wait().unwrap().is_none(), "it waits for its broker");
}
