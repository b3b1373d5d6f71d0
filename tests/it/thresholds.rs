//! The way in: slow handshakes, silent peers and too many connections hold up nobody.

use parlor::broker::{Broker, Config};
use parlor_client::{LifecycleEvent, Options, Parlor};
use parlor_protocol::frame::JoinMode;
use parlor_protocol::{BrokerFrame, CloseCode, ErrorCode};
use parlor_tests::raw::{Heard, Raw};
use parlor_tests::wait::{soon, until};
use parlor_tests::{Echo, config, connect, connect_with};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

async fn echo(config: &Config) -> Broker {
    parlor::App::new().room::<Echo>().start(config).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dribbled_request_heads_are_dropped_and_hold_up_nobody() {
    const SLOW: usize = 50;
    let mut config = config();
    config.limits.header_timeout_ms = 1_000;
    let broker = echo(&config).await;
    let mut slow = JoinSet::new();
    for number in 0..SLOW {
        let stream = TcpStream::connect(broker.addr()).await.unwrap();
        // Some dribble; some say nothing at all.
        slow.spawn(dribble(stream, number % 5 != 0));
    }
    until("they are all there", || broker.metrics().connections.get() == SLOW as i64).await;
    let before = Instant::now();
    let client = connect(&broker).await;
    client.join_or_create("echo", &()).await.unwrap();
    assert!(before.elapsed() < Duration::from_millis(900), "a healthy client had to wait");
    while let Some(ended) = slow.join_next().await {
        let age = ended.unwrap();
        assert!((Duration::from_millis(900)..Duration::from_secs(10)).contains(&age), "dropped after {age:?}");
    }
    until("only one is left", || broker.metrics().connections.get() == 1).await;
    broker.shutdown().await;
}

/// Writes a request head byte by byte until the broker hangs up; returns after which time that was.
async fn dribble(mut stream: TcpStream, speaks: bool) -> Duration {
    let began = Instant::now();
    let head = b"GET /ws HTTP/1.1\r\nhost: broker\r\nx-padding: ";
    let mut bytes = head.iter().copied().chain(std::iter::repeat(b'x'));
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    let mut buffer = [0; 256];
    let ended = async {
        loop {
            tokio::select! {
                read = stream.read(&mut buffer) => match read {
                    Ok(0) | Err(_) => return,
                    // It may say `408 Request Timeout` first.
                    Ok(_) => {}
                },
                _ = pace.tick(), if speaks => {
                    let byte = bytes.next().expect("it never ends");
                    if stream.write_all(&[byte]).await.is_err() {
                        return;
                    }
                }
            }
        }
    };
    soon("the end of a slow handshake", ended).await;
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_no_hello_is_sent_away() {
    let mut config = config();
    config.limits.hello_timeout_ms = 500;
    let broker = echo(&config).await;
    let mut mute = Raw::connect(&broker).await;
    let client = connect(&broker).await;
    assert_eq!(mute.hear().await, Heard::Closed(Some(CloseCode::HelloTimeout.number())));
    until("it is counted", || broker.metrics().closes(Some(CloseCode::HelloTimeout)) == 1).await;
    // Who said hello may be silent for longer.
    client.join_or_create("echo", &()).await.unwrap();
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_frame_must_be_hello() {
    let broker = echo(&config()).await;
    let mut rude = Raw::connect(&broker).await;
    rude.say(&parlor_protocol::ClientFrame::Ping { time: 0.0 }).await;
    let (frames, code) = rude.hear_out().await;
    let code_of =
        |frame: &BrokerFrame| matches!(frame, BrokerFrame::Error { error, .. } if error.code == "hello_expected");
    assert!(frames.len() == 1 && code_of(&frames[0]), "{frames:?}");
    assert_eq!(code, Some(CloseCode::HelloExpected.number()));
    assert_eq!(broker.metrics().errors(ErrorCode::HelloExpected), 1);
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_over_the_limit_are_refused_and_counted() {
    let mut config = config();
    config.limits.connections = 3;
    let broker = echo(&config).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(connect(&broker).await);
    }
    let url = format!("ws://{}", broker.addr());
    for refused in 1..=4 {
        assert!(Parlor::connect(&url, Options::new()).await.is_err());
        assert_eq!(broker.metrics().connections_refused.get(), refused);
    }
    // Those who are in are served, and a place that is given up is free again.
    clients[0].join_or_create("echo", &()).await.unwrap();
    clients.pop().unwrap().close().await;
    until("a place is free", || broker.metrics().connections.get() == 2).await;
    connect(&broker).await.join_or_create("echo", &()).await.unwrap();
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_peer_is_pinged_and_then_closed() {
    let mut config = config();
    (config.limits.ping_after_ms, config.limits.idle_timeout_ms) = (500, 2_500);
    let broker = echo(&config).await;
    // A client that never pings by itself, but answers pings, stays.
    let quiet = connect_with(&broker, Options::new().ping_every(Duration::ZERO)).await;
    let room = quiet.create("echo", &()).await.unwrap();
    // Half-dead: it is connected, and answers nothing.
    let mut dead = Raw::connect(&broker).await.hello().await;
    dead.join(JoinMode::Id, room.id().as_str()).await;
    until("its seat is free", || broker.metrics().members.get() == 1).await;
    until("it is closed", || broker.metrics().closes(Some(CloseCode::IdleTimeout)) == 1).await;
    let mut lifecycle = quiet.lifecycle();
    let ended = tokio::time::timeout(Duration::ZERO, lifecycle.recv()).await;
    assert!(ended.is_err(), "the quiet client was closed: {ended:?}");
    // What the dead one would have seen: a ping, then the reason. (Its library reads only now.)
    assert_eq!(dead.hear().await, Heard::Closed(Some(CloseCode::IdleTimeout.number())));
    let sum: i64 = room.request("add", &serde_json::json!({"a": 1, "b": 1})).await.unwrap();
    assert_eq!(sum, 2);
    quiet.close().await;
    let last = soon("the end", lifecycle.recv()).await;
    assert!(matches!(last, Some(LifecycleEvent::Closed(_))), "{last:?}");
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobodys_body_is_waited_for_without_the_key() {
    let broker = echo(&config()).await;
    let id = connect(&broker).await.create("echo", &()).await.unwrap().id().to_string();
    for path in ["/v1/rooms".to_owned(), format!("/v1/rooms/{id}/events")] {
        let mut stream = TcpStream::connect(broker.addr()).await.unwrap();
        // A body that is announced and never comes.
        let head = format!("POST {path} HTTP/1.1\r\nhost: broker\r\ncontent-length: 100000\r\n\r\n{{");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        soon("the refusal", stream.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    }
    broker.shutdown().await;
}
