//! Connections of a worker: how they begin, what ends them, and that others follow.

use std::sync::{Arc, mpsc};

use parlor::worker::Point;
use parlor::{App, ErrorCode, Failure};
use parlor_protocol::Seq;
use parlor_protocol::room::Input;
use parlor_protocol::worker::{FromWorker, ToWorker, Welcome};
use tokio_tungstenite::tungstenite::Message;

use crate::broker::{ANN, FakeBroker, ROOM, join, message, open, soon, welcome};
use crate::game::Counter;
use crate::{connected, options, started, started_with};

#[tokio::test]
async fn a_worker_waits_for_its_broker() {
    let address = format!("unix:{}", FakeBroker::socket("waits").display());
    let options = parlor::WorkerOptions { threads: 1, ..parlor::WorkerOptions::new(address) };
    let worker = App::new().room::<Counter>().start_worker(&options).unwrap();
    let broker = FakeBroker::unix("waits");
    let _peer = broker.welcomed().await;
    soon(worker.welcomed()).await.unwrap();
}

#[tokio::test]
async fn each_thread_has_a_connection_and_a_share() {
    let (broker, worker) = started_with(|options| (options.threads, options.capacity) = (2, 5)).await;
    let (mut one, mut two) = (broker.accept().await, broker.accept().await);
    let (first, second) = (one.welcome(welcome()).await, two.welcome(welcome()).await);
    assert_eq!(first.capacity.max(second.capacity), 3);
    assert_eq!(first.capacity + second.capacity, 5);
    assert_eq!(first.name, second.name);
    soon(worker.welcomed()).await.unwrap();
    for peer in [&mut one, &mut two] {
        peer.open().await;
        assert!(peer.outcome(join(ANN)).await.view.is_some());
    }
}

#[tokio::test]
async fn a_worker_that_is_not_wanted_ends() {
    for code in [ErrorCode::TokenInvalid, ErrorCode::BadRequest] {
        let (broker, worker) = started().await;
        let mut peer = broker.accept().await;
        assert!(matches!(peer.heard().await, FromWorker::Hello(_)));
        peer.say(ToWorker::Refused { error: code.into() }).await;
        let failure = soon(worker.welcomed()).await.unwrap_err();
        assert_eq!(failure, Failure::from(code));
        assert_eq!(soon(worker.ended()).await, Err(failure));
    }
}

#[tokio::test]
async fn a_worker_that_is_not_wanted_now_tries_again() {
    let (broker, worker) = started().await;
    let mut peer = broker.accept().await;
    assert!(matches!(peer.heard().await, FromWorker::Hello(_)));
    peer.say(ToWorker::Refused { error: ErrorCode::ServerFull.into() }).await;
    let _peer = broker.welcomed().await;
    soon(worker.welcomed()).await.unwrap();
}

#[tokio::test]
async fn what_is_no_frame_ends_the_connection_and_another_follows() {
    // Nothing is wrong with the second but that it is large.
    let inputs = |seq| {
        let input = Input { seq: Seq(seq), now_ms: 1, cause: message("pad", &"x".repeat(4096)) };
        ToWorker::Inputs { room: ROOM, epoch: 1, inputs: vec![input] }.encode().into()
    };
    let (broker, worker) = started().await;
    let mut peer = broker.welcomed().await;
    for message in [
        Message::Binary(vec![0xc1].into()),
        Message::Binary(vec![0x93, 101, 0xa1, b'x', 1].into()),
        Message::Text("[104]".into()),
        Message::Binary(ToWorker::Welcome(welcome()).encode().into()),
        Message::Binary(ToWorker::Refused { error: ErrorCode::Internal.into() }.encode().into()),
        Message::Binary(inputs(1)),
        Message::Binary(inputs(2)),
    ] {
        peer.open().await;
        peer.say_message(message.clone()).await;
        peer.closed().await;
        peer = broker.accept().await;
        peer.welcome(Welcome { max_frame_bytes: 4095, ..welcome() }).await;
        soon(worker.welcomed()).await.unwrap();
    }
    // The rooms went with the connection.
    peer.inputs([message("add", &1)]).await;
    peer.open().await;
}

#[tokio::test]
async fn a_first_frame_is_a_welcome() {
    let (broker, _worker) = started().await;
    for frame in [ToWorker::Beat, ToWorker::End] {
        let mut peer = broker.accept().await;
        assert!(matches!(peer.heard().await, FromWorker::Hello(_)));
        peer.say(frame).await;
        peer.closed().await;
    }
    let _peer = broker.welcomed().await;
}

#[tokio::test]
async fn what_is_not_known_is_passed_over() {
    let (broker, _worker) = started().await;
    let mut peer = broker.accept().await;
    peer.say_bytes(vec![0x91, 0xcc, 200]).await;
    peer.welcome(welcome()).await;
    peer.say_bytes(vec![0x92, 0xcc, 200, 1]).await;
    peer.say_message(Message::Ping("?".into())).await;
    peer.say(ToWorker::Beat).await;
    assert!(matches!(peer.pong().await, Message::Pong(text) if text == "?"));
    peer.open().await;
}

#[tokio::test]
async fn a_worker_with_nothing_to_say_says_so() {
    let (broker, _worker) = started().await;
    let mut peer = broker.accept().await;
    peer.welcome(Welcome { beat_ms: 20, ..welcome() }).await;
    for _ in 0..5 {
        assert_eq!(peer.heard_or_end().await, Some(FromWorker::Beat));
    }
}

#[tokio::test]
async fn a_broker_that_is_silent_is_lost() {
    let (broker, _worker) = started().await;
    let mut peer = broker.accept().await;
    peer.welcome(Welcome { beat_ms: 100, lost_after_ms: 1000, ..welcome() }).await;
    // It is not while it says something, for longer than it may be silent.
    for _ in 0..15 {
        assert_eq!(peer.heard_or_end().await, Some(FromWorker::Beat));
        peer.say(ToWorker::Beat).await;
    }
    while let Some(frame) = peer.heard_or_end().await {
        assert_eq!(frame, FromWorker::Beat);
    }
    let _peer = broker.welcomed().await;
}

#[tokio::test]
async fn a_worker_that_is_dropped_is_gone() {
    let (broker, worker, peer) = connected().await;
    drop(worker);
    assert_eq!(peer.closed().await, None);
    drop(broker);
}

/// What tests of sudden ends rely on.
#[tokio::test]
async fn the_hook_is_called_at_each_point() {
    let (told, points) = mpsc::channel();
    let (go, gone) = mpsc::channel::<()>();
    let gone = std::sync::Mutex::new(gone);
    let at = move |point, count| {
        told.send((point, count)).unwrap();
        if point == Point::HalfSent {
            gone.lock().unwrap().recv().unwrap();
        }
    };
    let broker = FakeBroker::tcp().await;
    let options = parlor::WorkerOptions { at: Some(Arc::new(at)), ..options(&broker) };
    let _worker = App::new().version("1").room::<Counter>().start_worker(&options).unwrap();
    let mut peer = broker.welcomed().await;
    peer.open_from(None).await;
    peer.inputs([open(), message("count", &())]).await;
    let next = || points.recv_timeout(std::time::Duration::from_secs(30)).unwrap();
    assert_eq!([next(), next(), next()], [(Point::Received, 1), (Point::Handled, 1), (Point::Handled, 2)]);
    assert_eq!(next(), (Point::HalfSent, 1));
    peer.hears_half().await;
    go.send(()).unwrap();
    assert_eq!(peer.outcomes().await.1.len(), 2);
    let (seq, state) = peer.snap().await;
    assert_eq!(next(), (Point::Snapshot, 1));
    peer.epoch = 2;
    peer.open_from(Some((seq, state.unwrap()))).await;
    assert_eq!(next(), (Point::Restored, 1));
    go.send(()).unwrap();
    peer.asked::<u64>("count").await;
    assert_eq!([next(), next(), next()], [(Point::Received, 2), (Point::Handled, 3), (Point::Replay, 1)]);
}
