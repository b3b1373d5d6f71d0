//! Pages of strangers cannot connect. (All forms of an origin are tested beside the code.)

use parlor::broker::Broker;
use parlor_protocol::ErrorCode;
use parlor_tests::config;
use parlor_tests::tls::{Certificate, Files};
use parlor_tests::wait::soon;

use super::{ask, echo, handshake, is_well};

/// What a page of this origin gets, over a connection of its own.
async fn page(broker: &Broker, lines: &str) -> u16 {
    let before = broker.metrics().errors(ErrorCode::OriginDenied);
    let (answer, _) = ask(broker.addr(), handshake(lines)).await;
    let denied = broker.metrics().errors(ErrorCode::OriginDenied) - before;
    if answer.status == 403 {
        assert_eq!((answer.problem().as_str(), denied), ("origin_denied", 1), "{lines}");
    } else {
        assert_eq!((answer.status, denied), (101, 0), "{lines}: {answer:?}");
    }
    answer.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_server_s_own_pages_may_connect() {
    let broker = echo(&config()).await;
    let own = broker.addr();
    for (lines, status) in [
        (format!("host: {own}\r\n"), 101),
        (format!("host: {own}\r\norigin: http://{own}\r\n"), 101),
        ("host: game.example\r\norigin: https://game.example\r\n".to_owned(), 101),
        ("host: GAME.example:443\r\norigin: https://game.example\r\n".to_owned(), 101),
        (format!("host: {own}\r\norigin: http://evil.example\r\n"), 403),
        (format!("host: {own}\r\norigin: http://127.0.0.1\r\n"), 403),
        (format!("host: {own}\r\norigin: null\r\n"), 403),
        (format!("host: {own}\r\norigin: http://{own}\r\norigin: http://{own}\r\n"), 403),
        (format!("host: {own}\r\norigin: http://evil.example\r\nx-forwarded-host: evil.example\r\n"), 403),
    ] {
        assert_eq!(page(&broker, &lines).await, status, "{lines}");
    }
    is_well(&broker).await;
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_pages_may_connect_if_they_are_listed() {
    let mut config = config();
    config.origins = vec!["https://play.example".to_owned(), "capacitor://localhost".to_owned()];
    config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let broker = echo(&config).await;
    let forwarded = "x-forwarded-host: game.example\r\nx-forwarded-proto: https\r\n";
    for (lines, status) in [
        ("origin: https://play.example\r\n".to_owned(), 101),
        ("origin: capacitor://localhost\r\n".to_owned(), 101),
        ("origin: http://play.example\r\n".to_owned(), 403),
        // As the proxy tells it.
        (format!("origin: https://game.example\r\n{forwarded}"), 101),
        (format!("origin: http://game.example\r\n{forwarded}"), 403),
        (format!("origin: https://broker\r\n{forwarded}"), 403),
    ] {
        assert_eq!(page(&broker, &format!("host: broker\r\n{lines}")).await, status, "{lines}");
    }
    broker.shutdown().await;

    config.origins = vec!["*".to_owned()];
    let broker = echo(&config).await;
    for origin in ["null", "http://evil.example", "nonsense"] {
        assert_eq!(page(&broker, &format!("host: broker\r\norigin: {origin}\r\n")).await, 101);
    }
    assert_eq!(page(&broker, "host: broker\r\norigin: http://a\r\norigin: http://b\r\n").await, 403);
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_a_page_without_it_is_a_stranger() {
    let certificate = Certificate::generate();
    let files = Files::new("origins", &certificate);
    let mut config = config();
    config.tls = files.config();
    let broker = echo(&config).await;
    for (origin, status) in [("https://game.example", 101), ("http://game.example", 403)] {
        let mut stream = soon("TLS", certificate.client().connect(broker.addr())).await.unwrap();
        let request = handshake(&format!("host: game.example\r\norigin: {origin}\r\n"));
        let answer = soon("an answer", parlor_tests::http::exchange(&mut stream, request.as_bytes())).await;
        assert_eq!(answer.status, status, "{origin}");
    }
    assert_eq!(broker.metrics().errors(ErrorCode::OriginDenied), 1);
    broker.shutdown().await;
}
