//! The `parlor` program as an operator meets it: flags, a configuration file, one line when it cannot start, a gentle end.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// A program that is ended with the test.
struct Running {
    child: Child,
    addr: SocketAddr,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn parlor(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parlor"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ours = |name: &str| name.starts_with("PARLOR_") || name == "RUST_LOG";
    for (name, _) in std::env::vars().filter(|(name, _)| ours(name)) {
        command.env_remove(name);
    }
    // Somebody must be able to get in.
    command.env("PARLOR_GUESTS", "true");
    command
}

fn start(args: &[&str]) -> Running {
    let mut child = parlor(args).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let addr = line.trim().strip_prefix("listening on ").and_then(|addr| addr.parse().ok());
    let Some(addr) = addr else {
        let mut said = String::new();
        child.kill().unwrap();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        panic!("{line:?} {said}");
    };
    Running { child, addr }
}

/// A configuration file that is gone with the test.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("parlor-{}-{name}.toml", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The one line that a program says which cannot start.
fn complaint(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(output.stdout.is_empty());
    assert_eq!(said.lines().count(), 1, "one line: {said}");
    said.trim().to_owned()
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let said = complaint(&parlor(&["--port", &port.to_string()]).output().unwrap());
    assert!(said.starts_with(&format!("parlor: cannot listen on 127.0.0.1:{port}: ")), "{said}");
}

#[test]
fn a_configuration_that_cannot_be_used_is_named_with_its_line() {
    let said = complaint(&parlor(&["--config", "/nowhere/parlor.toml"]).output().unwrap());
    assert!(said.starts_with("parlor: cannot read config /nowhere/parlor.toml: "), "{said}");
    let cases = [
        ("key", "shards = 1\n\nlisen = \"127.0.0.1:0\"\n", "line 3: unknown key `lisen`; did you mean `listen`?"),
        (
            "limit",
            "[limits]\nrooms = 5\nrooms_per_sesion = 1\n",
            "line 3: unknown key `limits.rooms_per_sesion`; did you mean `rooms_per_session`?",
        ),
        ("value", "listen = \"here\"\n", "line 1: `listen`: "),
        ("negative", "[limits]\n\nrooms = -5\n", "line 3: `limits.rooms`: "),
        ("syntax", "shards = 1\nshards 2\n", "line 2: "),
    ];
    for (name, text, expected) in cases {
        let file = File::new(name, text);
        let said = complaint(&parlor(&["--config", file.path()]).output().unwrap());
        assert!(said.starts_with(&format!("parlor: config {}: {expected}", file.path())), "{said}");
    }
}

#[test]
fn two_kinds_of_one_name_are_refused() {
    let file = File::new("twice", "[[relay]]\nkind = \"room\"\n[[relay]]\nkind = \"room\"\n");
    let said = complaint(&parlor(&["--port", "0", "--config", file.path()]).output().unwrap());
    assert_eq!(said, "parlor: config: two relays have the kind `room`");
}

#[test]
fn what_contradicts_itself_is_refused_before_anything_starts() {
    for command in [&[][..], &["config"], &["config", "--print"]] {
        let args = ["--port", "0", "--tls-key", "key.pem"].iter().chain(command).copied().collect::<Vec<_>>();
        let said = complaint(&parlor(&args).output().unwrap());
        assert_eq!(said, "parlor: config: tls.key is set, but not tls.certificate");
    }
}

/// What a program says that ends well.
fn answer(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_configuration_is_checked_and_printed_on_demand() {
    let secret = "a secret that is 32 bytes or more";
    let text = format!("shards = 2\nsecret = \"{secret}\"\n[limits]\nrooms = 7\n[[relay]]\nkind = \"chat\"\n");
    let file = File::new("print", &text);
    assert_eq!(answer(&mut parlor(&["config", "--config", file.path()])), "the configuration is fine\n");
    // File, environment and flags together, wherever the flags stand.
    let mut command = parlor(&["--config", file.path(), "config", "--print", "--port", "99"]);
    let printed = answer(command.env("PARLOR_SHARDS", "3").env("PARLOR_PORT", "98").env("PARLOR_AUTH_SECRET", secret));
    let lines = [
        "listen = \"127.0.0.1:99\" # default: \"127.0.0.1:7373\"",
        "shards = 3 # default: 0",
        "rooms = 7 # default: 100000",
    ];
    for line in lines.into_iter().chain(["kind = \"chat\"", "# secret: set, not shown", "# server_key: not set"]) {
        assert!(printed.lines().any(|printed| printed == line), "{line} in {printed}");
    }
    assert!(!printed.contains(secret));
    // It is a file that says the same, but for the secrets.
    let again = File::new("again", &printed);
    let printed_again = answer(&mut parlor(&["config", "--print", "--config", again.path()]));
    assert_eq!(printed_again, printed.replace("set, not shown", "not set"));
}

#[test]
fn help_and_version_are_told() {
    let help = parlor(&["--help"]).output().unwrap();
    let text = String::from_utf8_lossy(&help.stdout);
    assert!(help.status.success());
    for flag in [
        "--port",
        "--host",
        "--config",
        "--server-key",
        "--shards",
        "PARLOR_PORT",
        "--guests",
        "config",
        "--worker-cmd",
        "broker",
    ] {
        assert!(text.contains(flag), "{flag} in {text}");
    }
    let version = parlor(&["--version"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&version.stdout).trim(), concat!("parlor ", env!("CARGO_PKG_VERSION")));
    let wrong = parlor(&["--prot", "1"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("--prot"));
}

#[tokio::test]
async fn sigterm_tells_the_members_and_ends_within_ten_seconds() {
    let mut parlor = start(&["--port", "0"]);
    let mut member = join(parlor.addr, "relay").await;
    let began = Instant::now();
    let killed = Command::new("kill").args(["-TERM", &parlor.child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let closed = hear(&mut member).await;
    assert!(closed.starts_with("[39,") && closed.contains("\"shutting_down\""), "{closed}");
    let Some(Ok(Message::Close(Some(goodbye)))) = member.next().await else { panic!() };
    assert_eq!((u16::from(goodbye.code), goodbye.reason.as_str()), (4000, "shutting_down"));
    drop(member);
    let status = tokio::task::spawn_blocking(move || parlor.child.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn relay_kinds_and_limits_come_from_the_file_and_flags_win() {
    let text = "listen = \"127.0.0.1:1\"\nshards = 1\n[limits]\nmax_frame_bytes = 2_000\n\
        [[relay]]\nkind = \"chat\"\nmax_players = 1\n[[relay]]\nkind = \"board\"\n";
    let file = File::new("relays", text);
    let parlor = start(&["--port", "0", "--config", file.path()]);
    let mut one = connect(parlor.addr).await;
    assert!(hear(&mut one).await.contains("\"max_frame\":2000"));
    let first = join(parlor.addr, "chat").await;
    say(&mut one, r#"[2, 1, {"mode": "find_or_create", "kind": "chat"}, null]"#).await;
    let joined = hear(&mut one).await;
    assert!(joined.contains("\"player\":1"), "a seat of its own: {joined}");
    for (kind, answer) in [("board", "[34,"), ("relay", "[40,")] {
        say(&mut one, &format!(r#"[2, 2, {{"mode": "create", "kind": "{kind}"}}, null]"#)).await;
        let heard = hear(&mut one).await;
        assert!(heard.starts_with(answer), "{kind}: {heard}");
    }
    drop(first);
}

#[tokio::test]
async fn the_command_broker_serves_wherever_the_flags_stand() {
    for args in [&["broker", "--port", "0", "--shards", "1"][..], &["--port", "0", "broker", "--shards", "1"]] {
        let parlor = start(args);
        join(parlor.addr, "relay").await;
    }
    let refused = complaint(&parlor(&["broker", "--worker-token", "short"]).output().unwrap());
    assert_eq!(refused, "parlor: config: workers.token has 5 bytes; it needs at least 16");
}

type Socket = tokio_tungstenite::WebSocketStream<tokio::net::TcpStream>;

/// A JSON session whose welcome has not been read.
async fn connect(addr: SocketAddr) -> Socket {
    let mut request = format!("ws://{addr}/ws").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "parlor.v1.json".parse().unwrap());
    let stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    say(&mut socket, r#"[1, {"client": "program"}]"#).await;
    socket
}

async fn join(addr: SocketAddr, kind: &str) -> Socket {
    let mut socket = connect(addr).await;
    assert!(hear(&mut socket).await.starts_with("[33,"));
    say(&mut socket, &format!(r#"[2, 1, {{"mode": "find_or_create", "kind": "{kind}"}}, null]"#)).await;
    let joined = hear(&mut socket).await;
    assert!(joined.starts_with("[34,1,"), "{joined}");
    socket
}

async fn say(socket: &mut Socket, frame: &str) {
    socket.send(Message::text(frame)).await.unwrap();
}

/// The next frame that is not about message types.
async fn hear(socket: &mut Socket) -> String {
    loop {
        let heard = tokio::time::timeout(Duration::from_secs(20), socket.next()).await;
        match heard.expect("an answer in time") {
            Some(Ok(Message::Text(text))) if text.starts_with("[35,") => {}
            Some(Ok(Message::Text(text))) => return text.to_string(),
            other => panic!("{other:?}"),
        }
    }
}
