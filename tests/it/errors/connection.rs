//! What ends a connection, and what does not.

use bytes::Bytes;
use parlor_client::{Codec, ErrorCode};
use parlor_protocol::CloseCode;
use parlor_tests::http;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::Message;

use crate::raw::{Raw, garbage, until};
use crate::stage::{start, start_with};

#[tokio::test]
async fn whatever_is_no_frame_is_answered_and_forgotten() {
    let broker = start().await;
    let cases = [
        (Codec::MsgPack, Message::Binary(garbage())),
        (Codec::MsgPack, Message::Binary(Bytes::new())),
        (Codec::MsgPack, Message::Binary(Bytes::from_static(&[0x80]))),
        (Codec::MsgPack, Message::text("[8, 1]")),
        (Codec::Json, Message::text("[8, 1")),
        (Codec::Json, Message::text("{}")),
        (Codec::Json, Message::text("[8]")),
        (Codec::Json, Message::text("[]")),
        (Codec::Json, Message::text(r#"[4, -1, "say", null]"#)),
        (Codec::Json, Message::text(format!(r#"[4, 1, "{}", null]"#, "x".repeat(65)))),
        (Codec::Json, Message::text(format!(r#"[4, 1, "say", {}{}]"#, "[".repeat(65), "]".repeat(65)))),
        (Codec::Json, Message::Binary(Bytes::from_static(b"[8, 1]"))),
    ];
    for (count, (codec, message)) in (1..).zip(cases) {
        let mut raw = Raw::hello(&broker, codec).await;
        raw.send(message.clone()).await;
        let (id, failure) = raw.error().await;
        assert_eq!((id, &*failure.code), (None, "bad_frame"), "{message:?}");
        raw.is_alive().await;
        assert_eq!(broker.metrics().errors(ErrorCode::BadFrame), count);
    }
}

#[tokio::test]
async fn too_many_bad_frames_end_the_connection_and_nobody_elses() {
    let broker = start_with(|config| config.limits.bad_frames = 3).await;
    let (mut bad, mut good) = (Raw::hello(&broker, Codec::Json).await, Raw::hello(&broker, Codec::Json).await);
    for frame in ["no", "[77]", "never"] {
        bad.send(Message::text(frame)).await;
        bad.error().await;
    }
    assert_eq!(bad.closed().await, (4200, "bad_frames".into()));
    drop(bad);
    until(|| broker.metrics().closes(Some(CloseCode::BadFrames)) == 1).await;
    good.is_alive().await;
}

#[tokio::test]
async fn a_frame_far_beyond_the_limit_ends_the_connection_before_it_is_read() {
    let broker = start_with(|config| config.limits.max_frame_bytes = 1_000).await;
    let mut raw = Raw::hello(&broker, Codec::MsgPack).await;
    // The header alone: final, binary, masked, 4001 bytes to come.
    let header = [0x82, 0x80 | 126, 0x0f, 0xa1, 0, 0, 0, 0];
    raw.socket.get_mut().write_all(&header).await.unwrap();
    let (_, failure) = raw.error().await;
    assert_eq!((&*failure.code, &failure.params["size"]), ("frame_too_large", &json!(4_001)));
    assert_eq!(raw.closed().await, (4201, "frame_too_large".into()));
}

#[tokio::test]
async fn a_text_that_is_not_utf8_ends_the_connection() {
    let broker = start().await;
    let mut raw = Raw::hello(&broker, Codec::Json).await;
    let frame = [0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe];
    raw.socket.get_mut().write_all(&frame).await.unwrap();
    assert_eq!(raw.error().await.1.code, "bad_frame");
    assert_eq!(raw.closed().await, (1007, "bad_frames".into()));
    drop(raw);
    until(|| broker.metrics().closes(Some(CloseCode::BadFrames)) == 1).await;
}

#[tokio::test]
async fn a_client_that_says_no_hello_is_let_go() {
    let broker = start_with(|config| config.limits.hello_timeout_ms = 1).await;
    let mut raw = Raw::open(&broker, Codec::MsgPack).await;
    assert_eq!(raw.closed().await, (4005, "hello_timeout".into()));
    drop(raw);
    until(|| broker.metrics().closes(Some(CloseCode::HelloTimeout)) == 1).await;
}

#[tokio::test]
async fn a_connection_that_is_lost_is_not_taken_for_a_broken_protocol() {
    let broker = start().await;
    let (raw, _) = Raw::join(&broker, Codec::MsgPack, "stage").await;
    let mut gone = raw.socket.into_inner();
    gone.shutdown().await.unwrap();
    drop(gone);
    until(|| broker.metrics().closes(None) == 1).await;
    assert_eq!(broker.metrics().closes(Some(CloseCode::BadFrames)), 0);
}

#[tokio::test]
async fn only_a_websocket_with_a_known_protocol_is_taken() {
    let broker = start().await;
    let upgrade = "upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\n";
    let key = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let known = "sec-websocket-protocol: v9.other, parlor.v1.json\r\n";
    let unknown = "sec-websocket-protocol: v9.other\r\n";
    let old = upgrade.replace("13", "8");
    let cases = [
        (String::new(), 400),
        (format!("{upgrade}{key}{unknown}"), 400),
        (format!("{upgrade}{known}"), 400),
        (format!("{old}{key}{known}"), 400),
    ];
    for (headers, status) in cases {
        let request = format!("GET /ws HTTP/1.1\r\nhost: x\r\n{headers}connection: close\r\n\r\n");
        assert_eq!(http::raw(broker.addr(), &request).await.status, status, "{headers}");
    }
    assert_eq!(http::request(broker.addr(), "POST", "/ws", "", "").await.status, 405);
    assert_eq!(broker.metrics().sessions_opened.get(), 0);
}
