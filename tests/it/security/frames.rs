//! WebSocket frames that no library would write.

use std::time::{Duration, Instant};

use parlor_client::{Codec, ErrorCode};
use parlor_protocol::CloseCode;
use parlor_tests::http::exchange;
use parlor_tests::wait::soon;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::raw::{Raw, until};
use crate::stage::{start, start_with};

const TEXT: u8 = 1;
const MORE: u8 = 0;
const PING: u8 = 9;
const FIN: u8 = 0x80;

/// A frame with a mask of zeros.
pub(super) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len();
    let mut frame = match length {
        0..126 => vec![first, 0x80 | length as u8],
        _ => [&[first, 0x80 | 126][..], &(length as u16).to_be_bytes()].concat(),
    };
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

async fn write(raw: &mut Raw, bytes: &[u8]) {
    raw.socket.get_mut().write_all(bytes).await.unwrap();
}

#[tokio::test]
async fn a_message_that_is_never_finished_ends_the_connection() {
    let broker = start_with(|config| config.limits.frame_timeout_ms = 1_000).await;
    let whole = frame(FIN | TEXT, br#"[8, 1]"#);
    let fragment = frame(TEXT, b"[8,");
    let header = [FIN | TEXT, 0x80 | 126, 0x01];
    let beginnings = [&whole[..1], &header, &whole[..8], &fragment];
    let began = Instant::now();
    let mut slow = Vec::new();
    for bytes in beginnings {
        let mut raw = Raw::hello(&broker, Codec::Json).await;
        write(&mut raw, bytes).await;
        slow.push(raw);
    }
    let mut quiet = Raw::hello(&broker, Codec::Json).await;
    // One byte now and then is not enough, nor are pings in between.
    let mut dribbling = Raw::hello(&broker, Codec::Json).await;
    let long = frame(FIN | TEXT, &[b' '; 100]);
    let dribble = async {
        for byte in &long {
            if dribbling.socket.get_mut().write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        dribbling
    };
    let mut pinging = Raw::hello(&broker, Codec::Json).await;
    write(&mut pinging, &fragment).await;
    let ping = async {
        while pinging.socket.get_mut().write_all(&frame(FIN | PING, b"")).await.is_ok()
            && began.elapsed() < Duration::from_secs(4)
        {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        pinging
    };
    let (dribbling, pinging) = tokio::join!(dribble, ping);
    slow.extend([dribbling, pinging]);
    let count = slow.len() as u64;
    for mut raw in slow {
        assert_eq!(raw.closed().await, (4006, "frame_timeout".into()));
    }
    assert!(began.elapsed() >= Duration::from_secs(1));
    until(|| broker.metrics().closes(Some(CloseCode::FrameTimeout)) == count).await;
    quiet.is_alive().await;
}

#[tokio::test]
async fn the_largest_lengths_are_refused_at_once() {
    let broker = start().await;
    let mut refused = 0;
    for (length, close) in [(1 << 17, 4201), (u64::from(u32::MAX) + 1, 4201), (u64::MAX >> 1, 4201), (u64::MAX, 4201)] {
        for first in [FIN | TEXT, TEXT] {
            let mut raw = Raw::hello(&broker, Codec::Json).await;
            let header = [&[first, 0xff][..], &u64::to_be_bytes(length), &[0; 4]].concat();
            write(&mut raw, &header).await;
            let (_, failure) = raw.error().await;
            assert_eq!((&*failure.code, raw.closed().await.0), ("frame_too_large", close), "{length:x}");
            refused += 1;
        }
    }
    assert_eq!(broker.metrics().errors(ErrorCode::FrameTooLarge), refused);
    until(|| broker.metrics().closes(Some(CloseCode::FrameTooLarge)) == refused).await;
}

/// A message in so many fragments.
fn fragments(count: usize, between: &[u8]) -> Vec<u8> {
    let text = b"[8, 1.5]";
    let mut bytes = frame(TEXT, text);
    for _ in 2..count {
        bytes.extend(between);
        bytes.extend(frame(MORE, b""));
    }
    bytes.extend(frame(FIN | MORE, b" "));
    bytes
}

#[tokio::test]
async fn a_message_in_too_many_fragments_ends_the_connection() {
    let broker = start_with(|config| config.limits.max_fragments = 5).await;
    let mut raw = Raw::hello(&broker, Codec::Json).await;
    for _ in 0..3 {
        write(&mut raw, &fragments(5, b"")).await;
        assert_eq!(raw.hear().await[1], 1.5);
    }
    // It does not have to come to an end for that.
    let endless = fragments(7, b"");
    write(&mut raw, &endless[..endless.len() - 7]).await;
    let (_, failure) = raw.error().await;
    assert_eq!((&*failure.code, raw.closed().await), ("bad_frame", (4200, "bad_frames".into())));
    until(|| broker.metrics().closes(Some(CloseCode::BadFrames)) == 1).await;
    assert_eq!(broker.metrics().errors(ErrorCode::BadFrame), 1);
}

#[tokio::test]
async fn control_frames_between_fragments_are_fine() {
    let broker = start_with(|config| config.limits.max_fragments = 5).await;
    let mut raw = Raw::hello(&broker, Codec::Json).await;
    let controls = [frame(FIN | PING, b"x"), frame(FIN | 10, b""), frame(FIN | PING, b"")].concat();
    write(&mut raw, &fragments(5, &controls)).await;
    assert_eq!(raw.hear().await[1], 1.5);
    raw.is_alive().await;
    assert_eq!(broker.metrics().errors(ErrorCode::BadFrame), 0);
}

#[tokio::test]
async fn fragments_do_not_add_up_to_more_than_a_frame_may_have() {
    let broker = start_with(|config| config.limits.max_frame_bytes = 1_000).await;
    let mut raw = Raw::hello(&broker, Codec::Json).await;
    let piece = [b' '; 500];
    let (mut below, mut beyond) = (frame(TEXT, &piece), frame(TEXT, &piece));
    below.extend(frame(FIN | MORE, &piece));
    // Whitespace is no frame of ours, but one that was looked at.
    write(&mut raw, &below).await;
    assert_eq!(raw.error().await.1.code, "bad_frame");
    for _ in 0..8 {
        beyond.extend(frame(MORE, &piece));
    }
    write(&mut raw, &beyond).await;
    assert_eq!(raw.error().await.1.code, "frame_too_large");
    assert_eq!(raw.closed().await, (4201, "frame_too_large".into()));
}

/// What is not unpacked does not grow.
#[tokio::test]
async fn compression_is_not_spoken() {
    let broker = start().await;
    for offer in ["permessage-deflate", "permessage-deflate; client_max_window_bits, x-webkit-deflate-frame"] {
        let mut stream = TcpStream::connect(broker.addr()).await.unwrap();
        let request = format!(
            "GET /ws HTTP/1.1\r\nhost: broker\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-extensions: {offer}\r\n\r\n"
        );
        let answer = soon("an answer", exchange(&mut stream, request.as_bytes())).await;
        assert_eq!((answer.status, answer.header("sec-websocket-extensions")), (101, None));
    }
    // A frame that says it is compressed breaks the protocol, whatever is in it.
    const RSV1: u8 = 0x40;
    let mut raw = Raw::hello(&broker, Codec::Json).await;
    write(&mut raw, &frame(FIN | RSV1 | TEXT, json!([8, 1]).to_string().as_bytes())).await;
    assert_eq!(raw.error().await.1.code, "bad_frame");
    assert_eq!(raw.closed().await, (1002, "bad_frames".into()));
    until(|| broker.metrics().closes(Some(CloseCode::BadFrames)) == 1).await;
}
