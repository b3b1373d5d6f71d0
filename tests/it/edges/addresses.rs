//! So many connections an address, whoever says which address it is.

use parlor::broker::Broker;
use parlor_protocol::{Codec, ErrorCode};
use parlor_tests::raw::Raw;
use parlor_tests::wait::{soon, until};
use parlor_tests::{config, http};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::{ask, echo, handshake};

/// Opens a WebSocket with these lines in its head: the status, and the connection.
async fn open(broker: &Broker, lines: &str) -> (u16, TcpStream) {
    let before = broker.metrics().errors(ErrorCode::TooManyConnections);
    let (answer, stream) = ask(broker.addr(), handshake(&format!("host: broker\r\n{lines}"))).await;
    let refused = broker.metrics().errors(ErrorCode::TooManyConnections) - before;
    if answer.status == 429 {
        assert_eq!((answer.problem().as_str(), refused), ("too_many_connections", 1), "{lines}");
        assert_eq!(answer.json()["retryable"], true);
    } else {
        assert_eq!((answer.status, refused), (101, 0), "{lines}: {answer:?}");
    }
    (answer.status, stream)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_has_so_many_sessions_and_gets_their_places_back() {
    let mut config = config();
    config.limits.connections_per_address = 2;
    let broker = echo(&config).await;
    let (first, second) = (open(&broker, "").await, open(&broker, "").await);
    assert_eq!((first.0, second.0), (101, 101));
    // Nobody's proxy: what it says of its address changes nothing.
    let third = open(&broker, "x-forwarded-for: 198.51.100.9\r\n").await;
    assert_eq!(third.0, 429);
    // Such a refusal leaves the connection for a page, say.
    let mut stream = third.1;
    let health = b"GET /health HTTP/1.1\r\nhost: broker\r\n\r\n";
    assert_eq!(soon("an answer", http::exchange(&mut stream, health)).await.status, 200);
    drop(stream);
    drop(first);
    until("it is gone", || broker.metrics().connections.get() == 1).await;
    assert_eq!(open(&broker, "").await.0, 101);
    // Connections from within have no address, and no limit.
    let mut inside = Vec::new();
    for _ in 0..5 {
        inside.push(Raw::over(broker.connector().connect(), Codec::MsgPack).await.hello().await);
    }
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_connections_ends_at_the_door() {
    const SAID: usize = 10;
    let mut config = config();
    config.limits.connections_per_address = 2;
    config.limits.header_timeout_ms = 60_000;
    let broker = echo(&config).await;
    let mut open = Vec::new();
    // Twice as many as sessions may be there without a word.
    for number in 1..=4 {
        open.push(TcpStream::connect(broker.addr()).await.unwrap());
        until("it is there", || broker.metrics().connections.get() == number).await;
    }
    for number in 1..=SAID as u64 {
        let mut over = TcpStream::connect(broker.addr()).await.unwrap();
        let read = soon("the end", over.read(&mut [0; 1])).await;
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
        assert_eq!(broker.metrics().connections_refused.get(), number);
    }
    assert_eq!(broker.metrics().connections.get(), 4);
    drop(open.pop());
    until("a place is free", || broker.metrics().connections.get() == 3).await;
    assert_eq!(http::get(broker.addr(), "/health").await.status, 200);
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_trusted_proxy_it_is_the_client_s_address_that_counts() {
    let mut config = config();
    config.limits.connections_per_address = 1;
    config.trusted_proxies =
        ["127.0.0.1", "10.0.0.0/8"].map(|net| net.parse().or_else(|_| host(net)).unwrap()).to_vec();
    let broker = echo(&config).await;
    let mut held = Vec::new();
    for (lines, status) in [
        ("x-forwarded-for: 198.51.100.1\r\n", 101),
        ("x-forwarded-for: 198.51.100.2\r\n", 101),
        // The last one that is no proxy's; what stands before it is the client's invention.
        ("x-forwarded-for: 203.0.113.9, 198.51.100.1\r\n", 429),
        ("x-forwarded-for: 198.51.100.1, 10.1.2.3\r\n", 429),
        ("x-forwarded-for: 203.0.113.9\r\nx-forwarded-for: 198.51.100.1\r\n", 429),
        ("x-forwarded-for: 198.51.100.1:4711\r\n", 429),
        ("x-forwarded-for: ::ffff:198.51.100.1\r\n", 429),
        ("x-forwarded-for: 198.51.100.1, 198.51.100.3\r\n", 101),
        // One household.
        ("x-forwarded-for: 2001:db8::1\r\n", 101),
        ("x-forwarded-for: [2001:db8::ffff:1]:80\r\n", 429),
        ("x-forwarded-for: 2001:db8:0:1::1\r\n", 101),
        // Garbage is the proxy's own, and so is nothing.
        ("x-forwarded-for: 198.51.100.77, unknown\r\n", 101),
        ("x-forwarded-for: \u{e4}\r\n", 429),
        ("", 429),
        ("x-forwarded-for: , \r\n", 429),
    ] {
        let (got, stream) = open(&broker, lines).await;
        assert_eq!(got, status, "{lines}");
        if status == 101 {
            held.push(stream);
        }
    }
    let there = held.len() as i64;
    until("only those let in are left", || broker.metrics().connections.get() == there).await;
    held.remove(0);
    until("it is gone", || broker.metrics().connections.get() == there - 1).await;
    assert_eq!(open(&broker, "x-forwarded-for: 198.51.100.1\r\n").await.0, 101);
    broker.shutdown().await;
}

/// A network of one.
fn host<N: std::str::FromStr>(address: &str) -> Result<N, N::Err> {
    format!("{address}/32").parse()
}
