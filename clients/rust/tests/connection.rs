//! Beginning and ending, the clock, and what a bad broker or a slow application does.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod fake;

use std::time::Duration;

use fake::{Fake, ROOM, WELCOME_TIME, arena, assert_code, idle, in_room, payload, quiet, session, welcome};
use parlor_client::{ClientError, CloseKind, Codec, End, ErrorCode, Failure, LifecycleEvent, Options, Parlor, Place};
use parlor_client::{RoomEvent, RoomNo};
use parlor_protocol::frame::Welcome;
use parlor_protocol::{BrokerFrame, ClientFrame};
use tokio::io::{AsyncWriteExt, duplex};
use tokio::time::Instant;

fn ended(event: Option<LifecycleEvent>) -> (u16, String, CloseKind) {
    match event {
        Some(LifecycleEvent::Closed(End { code, reason, kind, .. })) => (code, reason, kind),
        other => panic!("{other:?} is no end"),
    }
}

#[tokio::test]
async fn a_session_begins_over_tcp() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let options = quiet().name("Ann").game("1.4").token("t0ken");
    let (parlor, hello) = tokio::join!(Parlor::connect(&url, options), async {
        let mut fake = Fake::accept(listener.accept().await.unwrap().0).await;
        let hello = fake.heard().await;
        fake.say(BrokerFrame::Welcome(Box::new(Welcome { session: "s".into(), ..welcome() }))).await;
        hello
    });
    assert_eq!(parlor.unwrap().session(), "s");
    let ClientFrame::Hello(hello) = hello else { panic!("{hello:?}") };
    assert!(hello.client.starts_with("parlor-rust/"));
    assert_eq!(hello.name.as_deref(), Some("Ann"));
    assert_eq!((hello.game.as_deref(), hello.token.as_deref()), (Some("1.4"), Some("t0ken")));
}

#[tokio::test]
async fn nobody_listens() {
    // Bound and dropped, so that the port is free.
    let address = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert_code(Parlor::connect(&format!("ws://{address}"), quiet()).await, "io");
    assert_code(Parlor::connect("http://localhost", quiet()).await, "invalid");
}

#[tokio::test(start_paused = true)]
async fn a_broker_may_decline() {
    let (near, far) = duplex(4096);
    let (parlor, ()) = tokio::join!(Parlor::over(near, quiet().token("t")), async {
        let mut fake = Fake::accept(far).await;
        fake.heard().await;
        fake.say(BrokerFrame::Error { id: None, error: ErrorCode::AuthUnavailable.into() }).await;
        fake.hang_up(4101, "auth_unavailable").await;
    });
    assert_code(parlor, "auth_unavailable");

    let (near, far) = duplex(4096);
    let (parlor, ()) = tokio::join!(Parlor::over(near, quiet()), async {
        Fake::accept(far).await.hang_up(4000, "shutting_down").await;
    });
    assert!(matches!(parlor, Err(ClientError::Closed { code: 4000, reason }) if reason == "shutting_down"));

    let (near, mut far) = duplex(4096);
    far.write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    assert!(matches!(Parlor::over(near, quiet()).await, Err(ClientError::Http(503))));

    let (near, _far) = duplex(4096);
    assert_code(Parlor::over(near, quiet()).await, "timeout");
    let (near, _far) = duplex(4096);
    assert_code(Parlor::over(near, quiet().name("x".repeat(65))).await, "invalid");
}

#[tokio::test(start_paused = true)]
async fn malformed_frames_end_the_connection() {
    let place = Place::default();
    let elsewhere = BrokerFrame::Publish { room: RoomNo(9), place, type_: 0, payload: payload(&1) };
    let untyped = BrokerFrame::Publish { room: ROOM, place, type_: 3, payload: payload(&1) };
    let gap = BrokerFrame::Types { room: ROOM, first: 4, names: vec!["x".into()] };
    let twice = BrokerFrame::Joined { id: 99, joined: Box::new(arena()), view: payload(&()) };
    let mut bad: Vec<Vec<u8>> = [elsewhere, untyped, gap, twice].iter().map(encoded).collect();
    bad.extend([vec![], vec![0xc1], vec![0x91], vec![0x90], vec![0x92, 36, 7], vec![0x92, 34, 0xdf], b"[42]".to_vec()]);
    // Every cut of a good frame.
    let good = encoded(&BrokerFrame::Publish { room: ROOM, place, type_: 2, payload: payload(&"text") });
    bad.extend((0..good.len()).map(|end| good[..end].to_vec()));

    for bytes in bad {
        let (parlor, mut room, mut fake) = in_room(quiet()).await;
        let mut lifecycle = parlor.lifecycle();
        fake.say_raw(bytes.clone()).await;
        let (code, reason, kind) = ended(lifecycle.recv().await);
        assert_eq!((code, kind), (1002, CloseKind::Terminal), "{bytes:x?}: {reason}");
        assert_eq!(lifecycle.recv().await, None);
        assert_eq!(room.recv().await, None);
        assert_eq!(u16::from(fake.heard_close().await.code), 1002);
    }
}

fn encoded(frame: &BrokerFrame) -> Vec<u8> {
    let mut out = Vec::new();
    frame.encode_into(Codec::MsgPack, &mut out).unwrap();
    out
}

#[tokio::test(start_paused = true)]
async fn what_a_later_protocol_adds_is_ignored() {
    let (parlor, mut room, mut fake) = in_room(quiet().codec(Codec::Json)).await;
    fake.say_raw(br#"[45,{"anything":[]}]"#.to_vec()).await;
    fake.say_raw(br#"[300]"#.to_vec()).await;
    fake.say_raw(br#"[43,7,1,2,"more"]"#.to_vec()).await;
    assert_eq!(room.recv().await, Some(RoomEvent::Handled { no: 1, tick: 2 }));
    assert!(!parlor.is_closed());
}

#[tokio::test(start_paused = true)]
async fn the_lifecycle_tells_errors_and_the_end() {
    let (parlor, mut fake) = session(quiet()).await;
    let mut lifecycle = parlor.lifecycle();
    let error = Failure::from(ErrorCode::BadFrame);
    fake.say(BrokerFrame::Error { id: None, error: Box::new(error.clone()) }).await;
    fake.hang_up(4201, "frame_too_large").await;
    assert_eq!(lifecycle.recv().await, Some(LifecycleEvent::Error(error)));
    let end = (4201, "frame_too_large".to_owned(), CloseKind::ClientFault);
    assert_eq!(ended(lifecycle.recv().await), end);
    assert_eq!(lifecycle.recv().await, None);
    // Those who come late hear of the end too.
    assert_eq!(ended(parlor.lifecycle().recv().await), end);
    assert!(parlor.is_closed());
    parlor.close().await;
}

#[tokio::test(start_paused = true)]
async fn the_reason_is_read_although_writing_fails() {
    // The socket shows both at once, so each may be met first.
    for _ in 0..20 {
        let (parlor, room, mut fake) = in_room(quiet()).await;
        fake.hang_up(4001, "slow_consumer").await;
        drop(fake);
        room.send("move", &1).unwrap();
        assert_eq!(ended(parlor.lifecycle().recv().await).0, 4001);
    }
}

#[tokio::test(start_paused = true)]
async fn unread_errors_are_counted() {
    let (parlor, mut fake) = session(quiet()).await;
    let mut lifecycle = parlor.lifecycle();
    for _ in 0..70 {
        fake.say(BrokerFrame::Error { id: None, error: ErrorCode::Internal.into() }).await;
    }
    idle().await;
    assert_eq!(lifecycle.recv().await, Some(LifecycleEvent::Missed(6)));
    assert!(matches!(lifecycle.recv().await, Some(LifecycleEvent::Error(_))));
}

#[tokio::test(start_paused = true)]
async fn closing_writes_everything_first() {
    let (parlor, room, mut fake) = in_room(quiet()).await;
    for n in 0..100 {
        room.send("move", &n).unwrap();
    }
    let (_, close) = tokio::join!(parlor.close(), async {
        for _ in 0..100 {
            assert!(matches!(fake.heard().await, ClientFrame::Send { .. }));
        }
        let close = fake.heard_close().await;
        drop(fake);
        close
    });
    assert_eq!(u16::from(close.code), 1000);
    assert_eq!(ended(parlor.lifecycle().recv().await).2, CloseKind::Terminal);
    assert_code(room.send("move", &1), "closed");
}

#[tokio::test(start_paused = true)]
async fn closing_does_not_wait_for_a_deaf_broker() {
    let (parlor, mut fake) = fake::session_with_buffer(quiet(), 1024).await;
    let (room, _) = tokio::join!(parlor.join_or_create("arena", &()), fake.admit());
    let room = room.unwrap();
    for _ in 0..10 {
        room.send("move", &vec![7_u8; 60_000]).unwrap();
    }
    let began = Instant::now();
    parlor.close().await;
    assert!(began.elapsed() < Duration::from_secs(3));
    drop(fake);
}

#[tokio::test(start_paused = true)]
async fn the_outgoing_buffer_is_bounded() {
    let (parlor, mut fake) = fake::session_with_buffer(quiet().send_bytes(100_000), 1024).await;
    let (room, _) = tokio::join!(parlor.join_or_create("arena", &()), fake.admit());
    let room = room.unwrap();
    let mut sent = 0;
    let full = loop {
        match room.send("move", &vec![7_u8; 1000]) {
            Ok(no) => sent = no,
            Err(error) => break error,
        }
        tokio::task::yield_now().await;
        assert!(sent < 1000);
    };
    assert!(matches!(full, ClientError::BufferFull));
    assert_code(room.request::<()>("buy", &vec![7_u8; 1000]).await, "buffer_full");
    // Once the broker reads again there is room again, and the numbers go on without a gap.
    for _ in 0..sent {
        fake.heard().await;
    }
    assert_eq!(room.send("move", &1).unwrap(), sent + 1);
}

#[tokio::test(start_paused = true)]
async fn a_slow_application_holds_the_broker_back() {
    const ALL: u64 = 5000;
    let options = quiet().event_bound(64, 1 << 20);
    let (parlor, mut fake) = fake::session_with_buffer(options, 1024).await;
    let (room, _) = tokio::join!(parlor.join_or_create("arena", &()), fake.admit());
    let mut room = room.unwrap();
    let Fake { codec, mut sink, mut stream, .. } = fake;

    let (said, count) = tokio::sync::watch::channel(0);
    let broker = tokio::spawn(async move {
        for no in 1..=ALL {
            let mut out = Vec::new();
            BrokerFrame::Handled { room: ROOM, no, tick: 0 }.encode_into(codec, &mut out).unwrap();
            futures_util::SinkExt::send(&mut sink, tokio_tungstenite::tungstenite::Message::Binary(out.into()))
                .await
                .unwrap();
            said.send_replace(no);
        }
        sink
    });
    idle().await;
    // 64 events, and what the stream and the read buffer hold.
    assert!(*count.borrow() < 1500, "{} of {ALL} were taken", *count.borrow());
    // What the application sends goes out all the same.
    room.send("move", &1).unwrap();
    futures_util::StreamExt::next(&mut stream).await.unwrap().unwrap();
    for expected in 1..=ALL {
        assert_eq!(room.recv().await, Some(RoomEvent::Handled { no: expected, tick: 0 }));
    }
    drop(broker.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn the_server_clock_is_known() {
    let (parlor, mut fake) = session(Options::default()).await;
    assert_eq!((parlor.rtt(), parlor.server_now()), (None, WELCOME_TIME));
    let ClientFrame::Ping { time } = fake.heard().await else { panic!() };
    tokio::time::sleep(Duration::from_millis(40)).await;
    // It was 1000 ahead halfway through; the welcome's sample is better, though.
    fake.say(BrokerFrame::Pong { time, server_time: WELCOME_TIME + 1020 }).await;
    idle().await;
    assert_eq!(parlor.rtt(), Some(Duration::from_millis(40)));
    assert_eq!(parlor.server_now(), WELCOME_TIME + 41);
    // An answer to nothing changes nothing.
    fake.say(BrokerFrame::Pong { time: f64::NAN, server_time: 0 }).await;
    fake.say(BrokerFrame::Pong { time, server_time: 0 }).await;
    idle().await;
    assert_eq!(parlor.rtt(), Some(Duration::from_millis(40)));
    assert_eq!(parlor.server_now(), WELCOME_TIME + 42);
}

#[tokio::test(start_paused = true)]
async fn a_silent_broker_is_given_up() {
    let (parlor, fake) = session(Options::default()).await;
    let began = Instant::now();
    let (code, reason, kind) = ended(parlor.lifecycle().recv().await);
    assert_eq!((code, kind), (1006, CloseKind::Resumable), "{reason}");
    assert_eq!(began.elapsed().as_secs(), 10);
    drop(fake);
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_closes() {
    let (parlor, room, mut fake) = in_room(quiet()).await;
    let other = parlor.clone();
    let sender = room.sender().clone();
    drop(parlor);
    drop(other);
    sender.send("move", &1).unwrap();
    fake.heard().await;
    drop(room);
    assert_eq!(fake.heard().await, ClientFrame::Leave { room: ROOM });
    drop(sender);
    assert_eq!(u16::from(fake.heard_close().await.code), 1000);
}
