//! Handshakes that are wrong, too large, or too slow, and responses that nobody reads.

use std::time::{Duration, Instant};

use parlor::broker::telemetry::HandshakeFault;
use parlor_protocol::{Codec, ErrorCode};
use parlor_tests::raw::Raw;
use parlor_tests::wait::{soon, until};
use parlor_tests::{config, http};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::{KEY, ask, echo, handshake, is_well};

/// The whole of a good handshake, in lines.
const GOOD: [&str; 6] = [
    "GET /ws HTTP/1.1",
    "host: broker",
    "upgrade: websocket",
    "connection: keep-alive, Upgrade",
    "sec-websocket-version: 13",
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
];

/// A good handshake with one of its lines replaced.
fn but(line: usize, by: &str) -> Vec<u8> {
    let mut lines = GOOD;
    lines[line] = by;
    (lines.join("\r\n") + "\r\n\r\n").into_bytes()
}

fn with(line: &[u8]) -> Vec<u8> {
    let mut request = GOOD.join("\r\n").into_bytes();
    request.extend_from_slice(b"\r\n");
    request.extend_from_slice(line);
    request.extend_from_slice(b"\r\n\r\n");
    request
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_websocket_handshake_is_refused() {
    let broker = echo(&config()).await;
    assert_eq!(ask(broker.addr(), but(1, "host: broker")).await.0.status, 101);
    let long = format!("sec-websocket-protocol: parlor.v1.json, {}", "x".repeat(512));
    let fits = format!("sec-websocket-protocol: parlor.v1.json, {}", "x".repeat(512 - 16));
    let answer = ask(broker.addr(), with(fits.as_bytes())).await.0;
    assert_eq!((answer.status, answer.header("sec-websocket-protocol")), (101, Some("parlor.v1.json")));
    let wrong = [
        (400, but(0, "GET /ws HTTP/1.0")),
        (400, but(2, "upgrade: h2c")),
        (400, but(3, "connection: keep-alive")),
        (400, but(4, "sec-websocket-version: 12")),
        (400, but(4, "sec-websocket-version: 13\r\nsec-websocket-version: 13")),
        (400, but(5, "sec-websocket-key: ")),
        (400, but(5, "sec-websocket-key: short")),
        (400, but(5, "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ")),
        (400, but(5, "sec-websocket-key: dGhlIHNhbXBsZSBub25jZTE=")),
        (400, but(5, "sec-websocket-key: dGhlIHNhbXBsZSBub25j!Q==")),
        (400, with(format!("sec-websocket-key: {KEY}").as_bytes())),
        (400, but(5, "x-nothing: at all")),
        (400, with(b"sec-websocket-protocol: v12.stomp")),
        (400, with(b"sec-websocket-protocol: parlor.v1.json, \xff")),
        (400, with("sec-websocket-protocol: parlor.v1.json, \u{fc}".as_bytes())),
        (400, with(long.as_bytes())),
        (405, but(0, "POST /ws HTTP/1.1")),
        (405, but(0, "PUT /ws HTTP/1.1")),
        (405, but(0, "OPTIONS /ws HTTP/1.1")),
        (405, but(0, "CONNECT /ws HTTP/1.1")),
    ];
    let mut refused = 0;
    for (status, request) in wrong {
        let text = String::from_utf8_lossy(&request).into_owned();
        let (answer, _) = ask(broker.addr(), request).await;
        assert_eq!(answer.status, status, "{text}");
        match status {
            405 => assert_eq!(answer.header("allow"), Some("get"), "{text}"),
            _ => assert_eq!(answer.problem(), "bad_request", "{text}"),
        }
        refused += 1;
        assert_eq!(broker.metrics().errors(ErrorCode::BadRequest), refused, "{text}");
    }
    let head = http::request(broker.addr(), "HEAD", "/ws", "", "").await;
    assert_eq!((head.status, head.header("allow")), (405, Some("get")));
    is_well(&broker).await;
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_has_so_many_bytes_and_lines() {
    let mut config = config();
    config.limits.max_head_bytes = 9_000;
    let broker = echo(&config).await;
    let (plain, metrics) = (with(b"x-padding: ").len(), broker.metrics());
    let padded = |length: usize| with(format!("x-padding: {}", "x".repeat(length - plain)).as_bytes());
    assert_eq!(ask(broker.addr(), padded(9_000)).await.0.status, 101);
    assert_eq!(ask(broker.addr(), padded(9_001)).await.0.status, 431);
    // In pieces, and without an end.
    let mut stream = TcpStream::connect(broker.addr()).await.unwrap();
    let request = padded(20_000);
    stream.write_all(&request[..4_000]).await.unwrap();
    assert_eq!(soon("an answer", http::exchange(&mut stream, &request[4_000..15_000])).await.status, 431);
    until("both are counted", || metrics.handshakes_failed(HandshakeFault::HeadTooLarge) == 2).await;
    let lines = |count: usize| {
        with((GOOD.len()..=count).map(|n| format!("x-{n}: x")).collect::<Vec<_>>().join("\r\n").as_bytes())
    };
    assert_eq!(ask(broker.addr(), lines(64)).await.0.status, 101);
    assert_eq!(ask(broker.addr(), lines(65)).await.0.status, 431);
    until("it is counted", || metrics.handshakes_failed(HandshakeFault::HeadTooLarge) == 3).await;
    assert_eq!(ask(broker.addr(), b"\x16\x03\x01 this is no HTTP\r\n\r\n").await.0.status, 400);
    until("it is counted", || metrics.handshakes_failed(HandshakeFault::Malformed) == 1).await;
    is_well(&broker).await;
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_heads_are_cut_off_and_counted_and_quiet_connections_are_not() {
    let mut config = config();
    config.limits.header_timeout_ms = 500;
    let broker = echo(&config).await;
    let began = Instant::now();
    let mut slow = Vec::new();
    for bytes in [&b""[..], b"G", b"GET /ws HTTP/1.1\r\nhost: bro"] {
        let mut stream = TcpStream::connect(broker.addr()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        slow.push(stream);
    }
    // This one has asked something, and is merely done.
    let (answer, quiet) = ask(broker.addr(), "GET /health HTTP/1.1\r\nhost: broker\r\n\r\n").await;
    assert_eq!(answer.status, 200);
    slow.push(quiet);
    is_well(&broker).await;
    for mut stream in slow {
        // A `408` may come first.
        let _ = soon("the end", stream.read_to_end(&mut Vec::new())).await;
    }
    assert!(began.elapsed() >= Duration::from_millis(500));
    until("all are gone", || broker.metrics().connections.get() == 0).await;
    assert_eq!(broker.metrics().handshakes_failed(HandshakeFault::HeadTimeout), 3);
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_has_to_come_along() {
    let mut config = config();
    config.limits.header_timeout_ms = 300;
    let broker = echo(&config).await;
    let head =
        "POST /v1/rooms HTTP/1.1\r\nhost: broker\r\nauthorization: Bearer test-key\r\ncontent-length: 100\r\n\r\n{";
    let (answer, _) = ask(broker.addr(), head).await;
    assert_eq!(answer.status, 400);
    assert_eq!(broker.metrics().handshakes_failed(HandshakeFault::BodyTimeout), 1);
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_its_responses_is_dropped() {
    let mut config = config();
    config.limits.write_deadline_ms = 300;
    let broker = echo(&config).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    let mut deaf = socket.connect(broker.addr()).await.unwrap();
    let flood = async {
        // Until the broker hangs up.
        while deaf.write_all(b"GET /metrics HTTP/1.1\r\nhost: broker\r\n\r\n").await.is_ok() {}
    };
    soon("the end of the connection", flood).await;
    until("it is gone", || broker.metrics().connections.get() == 0).await;
    assert_eq!(broker.metrics().handshakes_failed(HandshakeFault::Unread), 1);
    is_well(&broker).await;
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_behind_the_handshake_is_not_lost() {
    let broker = echo(&config()).await;
    // A masked, empty ping.
    let ping = [0x89, 0x80, 0, 0, 0, 0];
    let request = [handshake("host: broker\r\n").as_bytes(), &ping].concat();
    let (answer, mut stream) = ask(broker.addr(), request).await;
    assert_eq!(answer.status, 101);
    let mut pong = [0; 2];
    soon("a pong", stream.read_exact(&mut pong)).await.unwrap();
    assert_eq!(pong, [0x8a, 0]);
    let raw = Raw::over(broker.connector().connect(), Codec::Json).await;
    raw.hello().await;
    broker.shutdown().await;
}
