//! What proves who somebody is goes where it belongs, and nowhere else.

use std::io::Read;

use parlor_client::{JoinRequest, Options, Parlor};
use parlor_protocol::Codec;
use parlor_tests::http::{exchange, request, with_key};
use parlor_tests::wait::soon;
use serde_json::json;
use tokio::net::TcpStream;

use super::memory::Process;
use crate::identity::sign::{SECRET, token};
use crate::raw::Raw;
use crate::stage::start_with;

/// A WebSocket under this address.
fn handshake(address: &str, lines: &str) -> String {
    format!(
        "GET {address} HTTP/1.1\r\nhost: broker\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: parlor.v1.json\r\n{lines}\r\n"
    )
}

#[tokio::test]
async fn a_token_in_the_address_is_not_looked_at() {
    let broker = start_with(|config| (config.auth.guests, config.auth.secret) = (false, Some(SECRET.into()))).await;
    let token = token("ann");
    let ways = [
        (format!("/ws?token={token}"), String::new()),
        (format!("/ws?access_token={token}&resume={token}"), String::new()),
        ("/ws".to_owned(), format!("authorization: Bearer {token}\r\n")),
        ("/ws".to_owned(), format!("cookie: token={token}; session={token}\r\n")),
    ];
    for (address, lines) in ways {
        let stream = TcpStream::connect(broker.addr()).await.unwrap();
        let mut raw = upgraded(stream, &handshake(&address, &lines)).await;
        raw.say(json!([1, {"client": "raw"}])).await;
        assert_eq!(raw.error().await.1.code, "token_required", "{address} {lines}");
        assert_eq!(raw.closed().await.0, 4102);
    }
    assert_eq!(broker.metrics().sessions_opened.get(), 0);
}

async fn upgraded(mut stream: TcpStream, request: &str) -> Raw {
    let answer = soon("an answer", exchange(&mut stream, request.as_bytes())).await;
    assert_eq!(answer.status, 101, "{answer:?}");
    Raw::upgraded(stream, Codec::Json).await
}

/// Everything that there is to know is logged, and still none of this.
#[tokio::test]
async fn nothing_secret_is_logged() {
    let mut process = Process::start(&["--auth-secret", SECRET], "trace");
    let (addr, url) = (process.addr, format!("ws://{}", process.addr));
    let mut log = process.child.stderr.take().unwrap();
    let reading = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = log.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    let good = token("ann");
    let bad = format!("{}x", token("mallory"));
    let client = Parlor::connect(&url, Options::new().token(&good)).await.unwrap();
    Parlor::connect(&url, Options::new().token(&bad)).await.unwrap_err();
    let _ = request(addr, "GET", &format!("/v1/rooms?token={good}"), &format!("cookie: token={good}\r\n"), "").await;
    let _ = request(addr, "POST", "/v1/rooms", "authorization: Bearer wrong-server-key\r\n", "{}").await;
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let in_address =
        soon("an answer", exchange(&mut stream, handshake(&format!("/ws?token={good}"), "").as_bytes())).await;
    assert_eq!(in_address.status, 101);
    with_key(addr, "POST", "/v1/rooms", &json!({"kind": "ticketed", "id": "t"})).await;
    let ticket =
        with_key(addr, "POST", "/v1/rooms/t/tickets", &json!({"account": "ann"})).await.json()["ticket"].clone();
    let ticket = ticket.as_str().expect("a ticket").to_owned();
    let joined = client.join(JoinRequest::by_ticket(&ticket)).await.unwrap();
    joined.send("say", "a private matter").unwrap();
    client.join(JoinRequest::by_ticket(&ticket)).await.unwrap_err();
    // A session that is come back to, and one that cannot be.
    let mut raw = upgraded(TcpStream::connect(addr).await.unwrap(), &handshake("/ws", "")).await;
    raw.say(json!([1, {"client": "raw", "token": good, "resume": {}}])).await;
    let key = raw.hear().await[1]["resume"]["token"].as_str().unwrap().to_owned();
    for resume in [key.clone(), format!("{key}x")] {
        let mut raw = upgraded(TcpStream::connect(addr).await.unwrap(), &handshake("/ws", "")).await;
        raw.say(json!([1, {"client": "raw", "token": good, "resume": {"token": resume}}])).await;
        raw.hear().await;
        raw.say(json!([10, 1, bad])).await;
        raw.hear().await;
    }
    drop((client, raw));
    drop(process);
    let log = reading.join().unwrap();
    assert!(log.lines().count() > 10 && log.contains("connection"), "there is a log: {log}");
    let parts = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
    let headers = parts(&good)[0].clone();
    let mut secrets = [parts(&good), parts(&bad), vec![ticket, key]].concat();
    secrets.extend([SECRET, "test-key", "wrong-server-key", "a private matter"].map(str::to_owned));
    for secret in secrets.iter().filter(|secret| **secret != headers) {
        let line = log.lines().find(|line| line.contains(secret.as_str()));
        assert_eq!(line, None, "it has {secret}");
    }
}
