//! When a client connects again, when it does not, how long it waits, and with which token.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod fake;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fake::{Door, Fake, WELCOME_TIME, assert_code, door, idle, kept, kept_in_room, kept_welcome, quiet, wish};
use parlor_client::{CloseKind, ErrorCode, Lifecycle, LifecycleEvent, Options, Parlor, RoomEvent};
use parlor_protocol::codec::NIL;
use parlor_protocol::frame::{ResumeWish, Welcome};
use parlor_protocol::{BrokerFrame, ClientFrame};
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout};

/// The end that the next event tells.
async fn ended(lifecycle: &mut Lifecycle) -> (u16, CloseKind) {
    match lifecycle.recv().await {
        Some(LifecycleEvent::Closed(end)) => (end.code, end.kind),
        other => panic!("{other:?} is no end"),
    }
}

async fn disconnected(lifecycle: &mut Lifecycle) -> (u16, u32, Duration) {
    match lifecycle.recv().await {
        Some(LifecycleEvent::Disconnected { end, attempt, wait }) => (end.code, attempt, wait),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn some_closes_are_final() {
    for code in [4004, 4100, 4101, 4102, 4199, 4200, 4204, 4299] {
        let (parlor, mut room, mut fake, _door) = kept_in_room(quiet().token("fixed")).await;
        let mut lifecycle = parlor.lifecycle();
        fake.hang_up(code, "why").await;
        assert_eq!(ended(&mut lifecycle).await.0, code);
        assert_eq!(lifecycle.recv().await, None);
        assert_eq!(room.recv().await, None);
        assert_code(room.send("move", &1), "closed");
    }
}

#[tokio::test(start_paused = true)]
async fn after_other_closes_the_client_comes_back() {
    for code in [1000, 1001, 1011, 4001, 4002, 4003, 4050, 4300] {
        let (parlor, room, mut fake, mut door) = kept_in_room(quiet()).await;
        let mut lifecycle = parlor.lifecycle();
        fake.hang_up(code, "why").await;
        let (mut fake, asked) = door.accept_again().await;
        assert_eq!(asked, wish("t1", 1));
        fake.resumed("t2", 1, 0, 1).await;
        assert_eq!(disconnected(&mut lifecycle).await.0, code);
        assert_eq!(room.send("move", &1).unwrap(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_shuts_down_ends_the_session_but_not_the_client() {
    let (parlor, mut room, mut fake, mut door) = kept_in_room(quiet()).await;
    let mut lifecycle = parlor.lifecycle();
    fake.hang_up(4000, "shutting_down").await;
    assert_eq!(lifecycle.recv().await, Some(LifecycleEvent::Lost { reason: "shutting_down".into() }));
    assert_eq!(room.recv().await, Some(RoomEvent::Closed { code: "lost".into(), result: NIL }));
    // What is asked while nobody is there is asked in the next session.
    let (joined, _fake) = tokio::join!(parlor.create("arena", &()), async {
        let (mut fake, asked) = door.accept_again().await;
        assert_eq!(asked, ResumeWish::default());
        fake.say(BrokerFrame::Welcome(Box::new(kept_welcome("u1")))).await;
        fake.admit().await;
        fake
    });
    joined.unwrap();
    assert_eq!(disconnected(&mut lifecycle).await.0, 4000);
    assert_eq!(lifecycle.recv().await, Some(LifecycleEvent::Renewed));
}

#[tokio::test(start_paused = true)]
async fn one_connection_is_all_when_that_is_asked_for() {
    let (connector, mut door) = door();
    let (parlor, fake) = tokio::join!(Parlor::through(connector, quiet().once()), async {
        let (mut fake, hello) = door.accept().await;
        assert_eq!(hello.resume, None);
        fake.say(BrokerFrame::Welcome(Box::new(fake::welcome()))).await;
        fake
    });
    drop(fake);
    assert_eq!(ended(&mut parlor.unwrap().lifecycle()).await, (1006, CloseKind::Resumable));
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_with_some_chance_and_then_it_is_given_up() {
    let mut all = Vec::new();
    for seed in 0..20 {
        let (parlor, mut room, fake, door) = kept_in_room(quiet().seed(seed)).await;
        let mut lifecycle = parlor.lifecycle();
        door.set_open(false);
        drop(fake);
        let began = Instant::now();
        let mut waits = Vec::new();
        let reason = loop {
            match lifecycle.recv().await.unwrap() {
                LifecycleEvent::Disconnected { end, attempt, wait } => {
                    assert_eq!((end.code, attempt as usize), (1006, waits.len() + 1));
                    assert!(wait <= Duration::from_millis(200 << attempt.min(7) >> 1).min(Duration::from_secs(10)));
                    waits.push(wait);
                }
                LifecycleEvent::Lost { reason } => break reason,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(reason, "gave_up");
        let took = began.elapsed();
        assert!(took <= Duration::from_secs(60) && took >= Duration::from_secs(50), "{took:?}");
        assert_eq!(room.recv().await, Some(RoomEvent::Closed { code: "lost".into(), result: NIL }));
        assert_eq!(ended(&mut lifecycle).await, (1006, CloseKind::Resumable));
        all.push(waits);
    }
    all.dedup();
    assert_eq!(all.len(), 20, "clients wait for different times");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_thrown_out_at_once_does_not_hammer() {
    let (_parlor, mut fake, mut door) = kept(quiet().seed(1)).await;
    let began = Instant::now();
    for n in 2..20 {
        drop(fake);
        fake = door.accept_again().await.0;
        fake.resumed(&format!("t{n}"), 0, 0, 0).await;
    }
    assert!(began.elapsed() > Duration::from_secs(20), "{:?}", began.elapsed());
    // After a while of peace pauses are short again.
    tokio::time::sleep(Duration::from_secs(11)).await;
    let began = Instant::now();
    drop(fake);
    door.accept_again().await;
    assert!(began.elapsed() <= Duration::from_millis(201));
}

#[tokio::test(start_paused = true)]
async fn attempts_may_fail_in_any_way() {
    let (parlor, fake, mut door) = kept(quiet().request_timeout(Duration::from_secs(3))).await;
    let mut lifecycle = parlor.lifecycle();
    drop(fake);
    // No handshake, an HTTP error, no answer to hello, a refusal that passes, a close.
    let held = door.stream().await;
    let mut http = door.stream().await;
    http.write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    let (deaf, _) = door.accept_again().await;
    let (mut fake, _) = door.accept_again().await;
    fake.say(BrokerFrame::Error { id: None, error: ErrorCode::ShuttingDown.into() }).await;
    let (mut fake, _) = door.accept_again().await;
    fake.hang_up(4000, "shutting_down").await;
    let (mut fake, asked) = door.accept_again().await;
    assert_eq!(asked, wish("t1", 0), "the session may still be there");
    fake.resumed("t2", 0, 0, 0).await;
    let mut codes = Vec::new();
    for attempt in 1..=6 {
        let (code, number, _) = disconnected(&mut lifecycle).await;
        assert_eq!(number, attempt);
        codes.push(code);
    }
    assert_eq!(codes, [1006, 1006, 1006, 1006, 1006, 4000]);
    assert!(matches!(lifecycle.recv().await, Some(LifecycleEvent::Resumed { .. })));
    drop((held, deaf));
}

#[tokio::test(start_paused = true)]
async fn some_refusals_are_final() {
    for (error, code) in
        [(ErrorCode::TokenInvalid, 4102), (ErrorCode::TokenExpired, 4004), (ErrorCode::Forbidden, 1006)]
    {
        let (parlor, fake, mut door) = kept(quiet().token("fixed")).await;
        let mut lifecycle = parlor.lifecycle();
        drop(fake);
        let (mut fake, _) = door.accept_again().await;
        fake.say(BrokerFrame::Error { id: None, error: error.into() }).await;
        disconnected(&mut lifecycle).await;
        assert_eq!(ended(&mut lifecycle).await.0, code);
    }
    let (parlor, fake, mut door) = kept(quiet()).await;
    let mut lifecycle = parlor.lifecycle();
    drop(fake);
    let refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
    door.stream().await.write_all(refusal).await.unwrap();
    disconnected(&mut lifecycle).await;
    assert_eq!(ended(&mut lifecycle).await, (1006, CloseKind::Terminal));
}

#[tokio::test(start_paused = true)]
async fn a_link_that_is_half_open_is_noticed_in_time() {
    for ping_every in [0, 50, 2000, 60_000].map(Duration::from_millis) {
        // The socket takes little, and nobody reads it: even a writer that is stuck notices.
        let (parlor, mut fake, mut door) =
            fake::kept_with_buffer(Options::default().ping_every(ping_every), 1024).await;
        let (room, _) = tokio::join!(parlor.join_or_create("arena", &()), fake.admit());
        let room = room.unwrap();
        room.send("move", &vec![7_u8; 60_000]).unwrap();
        let began = Instant::now();
        let (mut again, asked) = door.accept_again().await;
        assert_eq!(asked, wish("t1", 1));
        assert!(began.elapsed() <= Duration::from_secs(15), "{:?} for {ping_every:?}", began.elapsed());
        assert!(began.elapsed() >= Duration::from_secs(10));
        drop(fake);
        again.say(BrokerFrame::Resumed { welcome: Box::new(kept_welcome("t2")), received: 1, rooms: vec![] }).await;
        assert!(matches!(again.heard().await, ClientFrame::Send { .. }));
    }
}

#[tokio::test(start_paused = true)]
async fn a_quiet_link_is_asked_for_a_sign_of_life() {
    let (parlor, mut fake, _door) = kept(quiet()).await;
    let mut lifecycle = parlor.lifecycle();
    for _ in 0..20 {
        let ClientFrame::Ping { time } = fake.heard().await else { panic!() };
        fake.say(BrokerFrame::Pong { time, server_time: WELCOME_TIME }).await;
    }
    assert!(timeout(Duration::ZERO, lifecycle.recv()).await.is_err());
}

/// A client whose tokens are counted, and its connections.
async fn with_provider(first: Welcome) -> (Parlor, Fake, Door) {
    let calls = AtomicU32::new(0);
    let options = quiet().token_provider(move || {
        let call = calls.fetch_add(1, Ordering::Relaxed) + 1;
        async move { if call == 3 { Err("no network") } else { Ok(format!("token {call}")) } }
    });
    let (connector, mut door) = door();
    let (parlor, fake) = tokio::join!(Parlor::through(connector, options), async {
        let (mut fake, hello) = door.accept().await;
        assert_eq!(hello.token.as_deref(), Some("token 1"));
        fake.say(BrokerFrame::Welcome(Box::new(first))).await;
        fake
    });
    (parlor.unwrap(), fake, door)
}

/// The next token, passing over everything else.
async fn heard_token(fake: &mut Fake) -> (u64, String) {
    loop {
        match fake.heard().await {
            ClientFrame::Token { id, token } => return (id, token),
            ClientFrame::Ping { time } => fake.say(BrokerFrame::Pong { time, server_time: WELCOME_TIME }).await,
            ClientFrame::Ack { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn fresh_tokens_are_brought_before_the_old_ones_expire() {
    let expires = Some(WELCOME_TIME + 100_000);
    let (parlor, mut fake, _door) = with_provider(Welcome { expires, ..fake::welcome() }).await;
    let mut lifecycle = parlor.lifecycle();
    let began = Instant::now();
    let (id, token) = heard_token(&mut fake).await;
    assert_eq!((token.as_str(), began.elapsed().as_secs()), ("token 2", 75));
    fake.say(BrokerFrame::Done { id }).await;
    // The third one cannot be had, so it is tried again a while later.
    let (id, token) = heard_token(&mut fake).await;
    assert_eq!((token.as_str(), began.elapsed().as_secs()), ("token 4", 75 + 75 + 18));
    assert!(
        matches!(lifecycle.recv().await, Some(LifecycleEvent::TokenFailed { reason }) if reason.contains("network"))
    );
    fake.say(BrokerFrame::Error { id: Some(id), error: ErrorCode::TokenInvalid.into() }).await;
    let told = lifecycle.recv().await;
    assert!(matches!(told, Some(LifecycleEvent::TokenFailed { .. })), "{told:?}");
    assert_eq!(heard_token(&mut fake).await.1, "token 5");
}

#[tokio::test(start_paused = true)]
async fn an_expired_token_is_replaced_on_coming_back() {
    let (parlor, mut fake, mut door) = with_provider(kept_welcome("t1")).await;
    let mut lifecycle = parlor.lifecycle();
    fake.hang_up(4004, "token_expired").await;
    let (mut fake, hello) = door.accept().await;
    assert_eq!((hello.token.as_deref(), hello.resume), (Some("token 2"), Some(wish("t1", 0))));
    assert_eq!(disconnected(&mut lifecycle).await.0, 4004);
    // Refused all the same; the third cannot be had, the fourth is good.
    fake.say(BrokerFrame::Error { id: None, error: ErrorCode::TokenExpired.into() }).await;
    let (mut fake, hello) = door.accept().await;
    assert_eq!(hello.token.as_deref(), Some("token 4"));
    fake.resumed("t2", 0, 0, 0).await;
    assert_eq!(disconnected(&mut lifecycle).await.0, 4004);
    assert_eq!(disconnected(&mut lifecycle).await.0, 1006);
    assert!(matches!(lifecycle.recv().await, Some(LifecycleEvent::Resumed { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_fails_at_first_is_an_error() {
    let options = quiet().token_provider(|| async { Err::<String, _>("signed out") });
    assert_code(Parlor::through(door().0, options).await, "token");
    let options = quiet().token_provider(std::future::pending::<Result<String, std::io::Error>>);
    assert_code(Parlor::through(door().0, options).await, "timeout");
}

#[tokio::test(start_paused = true)]
async fn closing_says_goodbye() {
    let (parlor, mut fake, mut door) = kept(quiet()).await;
    let (_, close) = tokio::join!(parlor.close(), async {
        let close = fake.heard_close().await;
        drop(fake);
        close
    });
    assert_eq!(u16::from(close.code), 1000);
    door.forsaken().await;
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_ends_even_a_client_that_is_away() {
    let token = Arc::new(());
    let held = Arc::downgrade(&token);
    let options = quiet().token_provider(move || {
        let _held = Arc::clone(&token);
        async { Ok::<_, std::io::Error>("t".to_owned()) }
    });
    let (parlor, fake, door) = kept(options).await;
    door.set_open(false);
    drop(fake);
    idle().await;
    drop(parlor);
    idle().await;
    assert_eq!(held.strong_count(), 0, "the task is gone");
}
