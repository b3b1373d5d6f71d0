//! `wss://` and `https://`: the same sessions over TLS, certificates that change, handshakes that fail.

use std::time::{Duration, Instant};

use futures_util::SinkExt;
use parlor::broker::telemetry::HandshakeFault;
use parlor::broker::{Broker, Config};
use parlor_protocol::frame::JoinMode;
use parlor_protocol::{BrokerFrame, CloseCode, Codec, RoomNo};
use parlor_tests::raw::{Heard, Raw, send};
use parlor_tests::tls::{Certificate, Client, Files};
use parlor_tests::wait::{soon, until};
use parlor_tests::{config, http};
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::echo;

/// A broker with TLS, and what its clients need to know.
struct Secure {
    broker: Broker,
    client: Client,
    files: Files,
}

impl Secure {
    async fn new(test: &str, config: Config) -> Self {
        let certificate = Certificate::generate();
        let files = Files::new(test, &certificate);
        let broker = echo(&Config { tls: files.config(), ..config }).await;
        Self { broker, client: certificate.client(), files }
    }

    async fn raw(&self) -> Raw<TlsStream<TcpStream>> {
        raw(&self.broker, &self.client).await
    }
}

async fn raw(broker: &Broker, client: &Client) -> Raw<TlsStream<TcpStream>> {
    let stream = soon("TLS", client.connect(broker.addr())).await.unwrap();
    Raw::over(stream, Codec::MsgPack).await.hello().await
}

#[derive(Serialize)]
struct Say<'t> {
    text: &'t str,
}

/// Reads on to the next thing said, and checks that it is this, whole.
async fn hears(raw: &mut Raw<TlsStream<TcpStream>>, text: &str) {
    loop {
        match raw.hear().await {
            Heard::Frame(BrokerFrame::Publish { payload, .. }) => {
                // Who said it comes first, and the text's own length.
                assert!((text.len()..text.len() + 32).contains(&payload.len()), "{} bytes", payload.len());
                return assert!(payload.ends_with(text.as_bytes()), "another text");
            }
            Heard::Frame(BrokerFrame::Types { .. }) => {}
            other => panic!("{other:?} instead of {} bytes", text.len()),
        }
    }
}

/// Says the same several times, and hears it as often.
async fn say_often(raw: &mut Raw<TlsStream<TcpStream>>, room: RoomNo, text: &str, times: usize) {
    for _ in 0..times {
        raw.feed(&send(room, "say", &Say { text })).await;
    }
    raw.ws.flush().await.unwrap();
    for _ in 0..times {
        hears(raw, text).await;
    }
}

/// Room for large frames.
fn large() -> Config {
    let mut config = config();
    config.shards = 4;
    config.limits.max_frame_bytes = 1 << 20;
    config.limits.messages_per_s = 100_000;
    config.limits.bytes_per_s = 64 << 20;
    config.limits.outbox_bytes = 16 << 20;
    config
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn players_over_tls_meet_talk_and_change_threads() {
    const PLAYERS: usize = 4;
    const ROUNDS: usize = 5;
    let secure = Secure::new("players", large()).await;
    let (mut players, mut name) = (Vec::new(), String::new());
    // They begin on four threads, and all go to the room's.
    for number in 0..PLAYERS {
        let mut player = secure.raw().await;
        let joined = match number {
            0 => player.join(JoinMode::Create, "echo").await,
            _ => player.join(JoinMode::Id, &name).await,
        };
        name = joined.id.to_string();
        players.push((player, joined.room));
    }
    for round in 0..ROUNDS {
        for number in 0..PLAYERS {
            // From less than a TLS record to many.
            let text = format!("{round} {number} {}", "x".repeat(number * 1_000 + round * 14_000));
            let (player, room) = &mut players[number];
            player.say(&send(*room, "say", &Say { text: &text })).await;
            for (player, _) in &mut players {
                hears(player, &text).await;
            }
        }
    }
    let metrics = secure.broker.metrics();
    assert_eq!((metrics.tls_handshakes.get(), metrics.sessions.get()), (PLAYERS as u64, PLAYERS as i64));
    secure.broker.shutdown().await;
    for (mut player, _) in players {
        let (_, code) = player.hear_out().await;
        assert_eq!(code, Some(CloseCode::ShuttingDown.number()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_in_a_buffer_for_a_slow_reader() {
    /// Bytes that the broker lets rustls keep, and of a text.
    const KEPT: usize = 16 << 10;
    const SIZE: usize = 1 << 10;
    const STEP: usize = 4;
    let mut config = large();
    config.limits.write_deadline_ms = 600_000;
    // A ping would push out what was forgotten.
    (config.limits.ping_after_ms, config.limits.idle_timeout_ms) = (600_000, 900_000);
    let mut secure = Secure::new("slow-reader", config).await;
    let mut player = secure.raw().await;
    let joined = player.join(JoinMode::Create, "echo").await;
    secure.client.receive_buffer = Some(4 << 10);
    let text = "x".repeat(SIZE);
    let metrics = secure.broker.metrics();
    // How much the two kernels and rustls take for somebody who does not read.
    let mut deaf = secure.raw().await;
    deaf.join(JoinMode::Id, &joined.id.to_string()).await;
    let mut taken = 0;
    loop {
        let before = metrics.bytes_out.get();
        say_often(&mut player, joined.room, &text, STEP).await;
        let both = until("both are written", || metrics.bytes_out.get() >= before + (2 * STEP * SIZE) as u64);
        if tokio::time::timeout(Duration::from_millis(300), both).await.is_err() {
            break;
        }
        taken += STEP;
    }
    drop(deaf);
    until("it is gone", || metrics.members.get() == 1).await;
    // A little less, and some of it is with rustls while nothing more is to be written: it has to go on as it is read.
    for less in [KEPT / 4, KEPT / 2, KEPT * 3 / 4] {
        let mut slow = secure.raw().await;
        slow.join(JoinMode::Id, &joined.id.to_string()).await;
        let texts = taken - less / SIZE;
        for some in [STEP].repeat(texts / STEP).into_iter().chain([texts % STEP]) {
            say_often(&mut player, joined.room, &text, some).await;
        }
        for _ in 0..texts {
            hears(&mut slow, &text).await;
        }
        drop(slow);
        until("it is gone", || metrics.members.get() == 1).await;
    }
    secure.broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_over_tls_is_closed_and_its_neighbour_is_served() {
    let mut config = large();
    config.limits.outbox_bytes = 64 << 10;
    config.limits.write_deadline_ms = 300;
    let mut secure = Secure::new("deaf", config).await;
    let mut player = secure.raw().await;
    let joined = player.join(JoinMode::Create, "echo").await;
    secure.client.receive_buffer = Some(4 << 10);
    let mut deaf = secure.raw().await;
    deaf.join(JoinMode::Id, &joined.id.to_string()).await;
    let text = "x".repeat(30_000);
    let metrics = secure.broker.metrics();
    while metrics.closes(Some(CloseCode::SlowConsumer)) == 0 {
        player.say(&send(joined.room, "say", &Say { text: &text })).await;
        hears(&mut player, &text).await;
    }
    until("its seat is free", || metrics.members.get() == 1).await;
    secure.broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_and_protocols_of_tls() {
    let secure = Secure::new("versions", config()).await;
    let Secure { broker, client, .. } = &secure;
    let request = b"GET /health HTTP/1.1\r\nhost: game.example\r\n\r\n";
    const VERSIONS: [&[&rustls::SupportedProtocolVersion]; 2] =
        [&[&rustls::version::TLS12], &[&rustls::version::TLS13]];
    for versions in VERSIONS {
        for alpn in [&[][..], &["http/1.1"], &["h2", "http/1.1"]] {
            let client = Client { versions, alpn, ..client.clone() };
            let mut stream = soon("TLS", client.connect(broker.addr())).await.unwrap();
            let expected = (!alpn.is_empty()).then_some(&b"http/1.1"[..]);
            assert_eq!(stream.get_ref().1.alpn_protocol(), expected);
            assert_eq!(soon("an answer", http::exchange(&mut stream, request)).await.status, 200);
        }
    }
    let metrics = broker.metrics();
    assert_eq!((metrics.tls_handshakes.get(), metrics.handshakes_failed(HandshakeFault::Tls)), (6, 0));
    // HTTP/2 alone, a stranger's certificate wanted, and no TLS at all.
    let h2 = Client { alpn: &["h2"], ..client.clone() };
    assert!(soon("TLS", h2.connect(broker.addr())).await.is_err());
    until("it is counted", || metrics.handshakes_failed(HandshakeFault::Tls) == 1).await;
    assert!(soon("TLS", Certificate::generate().client().connect(broker.addr())).await.is_err());
    until("it is counted", || metrics.handshakes_failed(HandshakeFault::Tls) == 2).await;
    let mut plain = TcpStream::connect(broker.addr()).await.unwrap();
    plain.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    let _ = soon("the end", plain.read_to_end(&mut answer)).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    until("it is counted", || metrics.handshakes_failed(HandshakeFault::Tls) == 3).await;
    assert_eq!(metrics.tls_handshakes.get(), 6);
    secure.broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_replaced_while_games_go_on() {
    let secure = Secure::new("replaced", config()).await;
    let (metrics, first) = (secure.broker.metrics(), &secure.client);
    let mut player = secure.raw().await;
    let joined = player.join(JoinMode::Create, "echo").await;

    let second = Certificate::generate();
    secure.files.write(&second.certificate, &second.key);
    until("it is noticed", || metrics.certificates_loaded.get() >= 1).await;
    raw(&secure.broker, &second.client()).await;
    assert!(soon("TLS", first.connect(secure.broker.addr())).await.is_err(), "the old one is still shown");

    // Half a file, and a key that belongs to another certificate: what was good stays.
    let failed = metrics.certificates_failed.get();
    secure.files.write(&second.certificate[..second.certificate.len() / 2], &second.key);
    until("it is noticed", || metrics.certificates_failed.get() > failed).await;
    raw(&secure.broker, &second.client()).await;
    let failed = metrics.certificates_failed.get();
    secure.files.write(&Certificate::generate().certificate, &second.key);
    until("it is noticed", || metrics.certificates_failed.get() > failed).await;
    raw(&secure.broker, &second.client()).await;

    // Who was there has not noticed.
    player.say(&send(joined.room, "say", &Say { text: "still here" })).await;
    hears(&mut player, "still here").await;
    secure.broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_tls_handshakes_are_cut_off_and_hold_up_nobody() {
    const SLOW: u64 = 20;
    let mut config = config();
    config.limits.header_timeout_ms = 500;
    let secure = Secure::new("slow", config).await;
    let began = Instant::now();
    let mut slow = Vec::new();
    for number in 0..SLOW {
        let mut stream = TcpStream::connect(secure.broker.addr()).await.unwrap();
        // Nothing, or the beginning of a handshake.
        let hello = [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03];
        stream.write_all(&hello[..number as usize % hello.len()]).await.unwrap();
        slow.push(stream);
    }
    until("they are all there", || secure.broker.metrics().connections.get() == SLOW as i64).await;
    let mut healthy = secure.raw().await;
    assert!(began.elapsed() < Duration::from_millis(450), "a healthy client had to wait");
    for mut stream in slow {
        let read = soon("the end", stream.read(&mut [0; 1])).await;
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }
    assert!(began.elapsed() >= Duration::from_millis(500));
    let metrics = secure.broker.metrics();
    until("all are counted", || metrics.handshakes_failed(HandshakeFault::TlsTimeout) == SLOW).await;
    until("only one is left", || metrics.connections.get() == 1).await;
    // Slow heads inside of TLS fare no better.
    let mut stream = soon("TLS", secure.client.connect(secure.broker.addr())).await.unwrap();
    stream.write_all(b"GET /ws HT").await.unwrap();
    let _ = soon("the end", stream.read_to_end(&mut Vec::new())).await;
    until("it is counted", || metrics.handshakes_failed(HandshakeFault::HeadTimeout) == 1).await;
    healthy.join(JoinMode::Create, "echo").await;
    secure.broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_does_not_start_with_a_certificate_that_cannot_be_used() {
    let (good, other) = (Certificate::generate(), Certificate::generate());
    for (certificate, key, says) in [
        (good.certificate.as_str(), other.key.as_str(), "chain.pem"),
        ("", &good.key, "chain.pem"),
        ("nonsense", &good.key, "chain.pem"),
        (&good.certificate, "", "key.pem"),
        (&good.certificate, &good.certificate, "key.pem"),
    ] {
        let files = Files::new("unusable", &good);
        files.write(certificate, key);
        refused(Config { tls: files.config(), ..config() }, says).await;
    }
    let mut missing = Files::new("missing", &good).config();
    refused(Config { tls: missing.clone(), ..config() }, "chain.pem").await;
    missing.key = None;
    let error = parlor::App::new().start(&Config { tls: missing, ..config() }).await.unwrap_err();
    assert!(error.to_string().contains("key"), "{error}");
}

async fn refused(config: Config, says: &str) {
    let error = parlor::App::new().start(&config).await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("cannot use TLS: ") && text.contains(says) && text.lines().count() == 1, "{text}");
}
