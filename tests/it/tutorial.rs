//! The game of `docs/tutorial.md`: compiled from the tutorial's own text, and played over a real broker.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use parlor::broker::Broker;
use parlor_tests::{config, connect};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

const TUTORIAL: &str = include_str!("../../docs/tutorial.md");

#[allow(unreachable_pub, reason = "it is a crate of its own for the reader")]
mod guess {
    include!(concat!(env!("OUT_DIR"), "/tutorial/src/lib.rs"));
}

#[allow(dead_code, reason = "the tests start its app by themselves")]
mod main {
    use super::guess;
    include!(concat!(env!("OUT_DIR"), "/tutorial/src/main.rs"));

    pub(super) fn its_app() -> App {
        app()
    }
}

/// The tutorial's server.
pub(crate) fn app() -> parlor::App {
    main::its_app()
}

#[derive(Deserialize)]
struct Shown {
    highest: u32,
}

async fn start() -> Broker {
    app().start(&config()).await.unwrap()
}

#[tokio::test]
async fn a_client_finds_the_number() {
    let broker = start().await;
    let ann = connect(&broker).await;
    let room = ann.join_or_create("guess", &()).await.unwrap();
    assert_eq!(room.view::<Shown>().unwrap().highest, 100);
    let (mut least, mut most) = (1, 100);
    loop {
        let number = (least + most) / 2;
        match room.request::<String>("guess", &json!({ "number": number })).await.unwrap().as_str() {
            "too_low" => least = number + 1,
            "too_high" => most = number - 1,
            answer => break assert_eq!(answer, "found"),
        }
    }
    let bob = connect(&broker).await;
    let other = bob.join_or_create("guess", &json!({ "highest": 7 })).await.unwrap();
    assert_ne!(room.id(), other.id(), "rooms are found by `highest`");
    broker.shutdown().await;
}

#[tokio::test]
async fn the_dialogue_by_hand_is_what_happens() {
    let broker = start().await;
    let mut request = format!("ws://{}/ws", broker.addr()).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "parlor.v1.json".parse().unwrap());
    let (mut socket, _) =
        tokio_tungstenite::client_async(request, TcpStream::connect(broker.addr()).await.unwrap()).await.unwrap();
    for line in block(TUTORIAL, "dialogue").lines() {
        let (who, frame) = line.split_once(": ").unwrap();
        if who == "client" {
            socket.send(Message::text(frame)).await.unwrap();
            continue;
        }
        let got = tokio::time::timeout(Duration::from_secs(10), socket.next()).await.expect(line).unwrap().unwrap();
        let mut got: Value = serde_json::from_str(got.to_text().unwrap()).unwrap();
        let expected: Value = serde_json::from_str(frame).unwrap();
        for (frame, field) in [(33, "time"), (34, "id")] {
            if got[0] == frame {
                got[if frame == 33 { 1 } else { 2 }][field] = expected[if frame == 33 { 1 } else { 2 }][field].clone();
            }
        }
        assert_eq!(got, expected);
    }
    broker.shutdown().await;
}

#[tokio::test]
async fn the_page_is_served_and_speaks_of_what_there_is() {
    let broker = start().await;
    let page = get(&broker, "/").await;
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("<title>Guess</title>"), "{page}");
    let script = get(&broker, "/parlor.js").await;
    assert!(script.contains("text/javascript"), "{}", script.lines().take(5).collect::<String>());
    for name in quoted_after(&page, "room.on(") {
        let message = format!("struct {}", pascal_case(name));
        assert!(TUTORIAL.contains(&message), "the room sends no `{name}`");
    }
    for name in quoted_after(&page, "room.request(") {
        assert!(TUTORIAL.contains(&format!("#[msg::route(\"{name}\")]")), "the room takes no `{name}`");
    }
    broker.shutdown().await;
}

async fn get(broker: &Broker, path: &str) -> String {
    http(broker, "GET", path, "", "").await
}

/// One HTTP exchange: the whole answer as text.
pub(crate) async fn http(broker: &Broker, method: &str, path: &str, header: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(broker.addr()).await.unwrap();
    let head = [&format!("{method} {path} HTTP/1.1"), "host: test", "connection: close", header]
        .into_iter()
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("\r\n");
    let request = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// The texts of all code blocks of this language.
pub(crate) fn blocks<'a>(markdown: &'a str, language: &str) -> impl Iterator<Item = &'a str> {
    let fence = format!("```{language}\n");
    let starts: Vec<_> = markdown.match_indices(&fence).map(|(at, _)| at + fence.len()).collect();
    starts.into_iter().map(|start| markdown[start..].split_once("```").unwrap().0)
}

/// The text of the first of them.
pub(crate) fn block<'a>(markdown: &'a str, language: &str) -> &'a str {
    blocks(markdown, language).next().unwrap()
}

fn quoted_after<'a>(text: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(before).skip(1).filter_map(|rest| rest.strip_prefix('"')?.split('"').next())
}

fn pascal_case(name: &str) -> String {
    name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}
