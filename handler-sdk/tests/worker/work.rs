//! Outside work of a worker's rooms.

use std::sync::Arc;

use parlor::{App, Failure, WorkId};
use parlor_protocol::codec::to_payload;
use parlor_protocol::room::{Cause, Output};
use parlor_protocol::worker::{FromWorker, ToWorker, Welcome};
use parlor_protocol::{Place, Seq};
use tokio::sync::Notify;

use crate::broker::{FakeBroker, Peer, decoded, message, welcome};
use crate::game::{Counter, Job, Worked};
use crate::{connected, options};

/// Has a handler ask for work, and asks the worker to do it.
async fn run(peer: &mut Peer, job: Job) -> WorkId {
    let outcome = peer.outcome(message("work", &job)).await;
    let [Output::Run { name, arguments }] = &outcome.outputs[..] else { panic!("{outcome:?}") };
    let id = WorkId(Place { seq: Seq(peer.seq), index: 0 });
    let (room, epoch, key) = (peer.room, peer.epoch, format!("k3F9xQ2m/{}/0", peer.seq));
    peer.say(ToWorker::Run { room, epoch, id, key, name: name.to_string(), arguments: arguments.clone() }).await;
    id
}

async fn done(peer: &mut Peer) -> (WorkId, Result<Worked, Failure>) {
    match peer.heard().await {
        FromWorker::WorkDone { room, epoch, id, result } => {
            assert_eq!((room, epoch), (peer.room, peer.epoch));
            (id, result.map(|payload| decoded(&payload)))
        }
        other => panic!("{other:?} is no result"),
    }
}

#[tokio::test]
async fn work_has_a_result_or_a_reason() {
    let (_broker, _worker, mut peer) = connected().await;
    peer.open().await;
    let asked = run(&mut peer, Job::Double(21)).await;
    let (id, worked) = done(&mut peer).await;
    let worked = worked.unwrap();
    assert_eq!((id, worked.value, &*worked.key), (asked, 42, "k3F9xQ2m/2/0"));
    let result = Ok(to_payload(&worked).unwrap());
    peer.outcome(Cause::Work { id, name: "load".into(), result }).await;
    assert_eq!(peer.asked::<u64>("count").await, 42, "the result is an input");

    for (job, code) in [(Job::Fail, "app.no_such_player"), (Job::Panic, "handler_panicked")] {
        let asked = run(&mut peer, job).await;
        let (id, failure) = done(&mut peer).await;
        assert_eq!((id, &*failure.unwrap_err().code), (asked, code));
    }
    let (room, epoch) = (peer.room, peer.epoch);
    let arguments = to_payload(&()).unwrap();
    peer.say(ToWorker::Run { room, epoch, id, key: "k".into(), name: "unload".into(), arguments }).await;
    let (id, failure) = done(&mut peer).await;
    assert_eq!((id, &*failure.unwrap_err().code), (id, "handler_failed"));
}

#[tokio::test]
async fn rooms_go_on_while_work_is_done() {
    let broker = FakeBroker::tcp().await;
    let notify = Arc::new(Notify::new());
    let app = App::new().version("1").room::<Counter>().with(notify.clone());
    let _worker = app.start_worker(&options(&broker)).unwrap();
    let mut peer = broker.welcomed().await;
    peer.open().await;
    let asked = run(&mut peer, Job::Wait).await;
    assert_eq!(peer.asked::<u64>("count").await, 0);
    notify.notify_one();
    assert_eq!(done(&mut peer).await.0, asked);

    // A room that has been closed hears no more of its work, and another connection hears nothing of what went before.
    run(&mut peer, Job::Wait).await;
    drop(peer);
    let mut peer = broker.welcomed().await;
    peer.open().await;
    notify.notify_one();
    let asked = run(&mut peer, Job::Double(1)).await;
    assert_eq!(done(&mut peer).await.0, asked);
}

#[tokio::test]
async fn a_result_that_is_too_large_is_an_error() {
    let broker = FakeBroker::tcp().await;
    let _worker = App::new().version("1").room::<Counter>().start_worker(&options(&broker)).unwrap();
    let mut peer = broker.accept().await;
    peer.welcome(Welcome { max_frame_bytes: 8192, ..welcome() }).await;
    peer.open().await;
    run(&mut peer, Job::Large(7000)).await;
    assert!(done(&mut peer).await.1.is_ok());
    run(&mut peer, Job::Large(7200)).await;
    let failure = done(&mut peer).await.1.unwrap_err();
    assert_eq!(failure.code, "output_failed");
    assert!(failure.text.ends_with("over the limit of 7168"), "{failure}");
}
