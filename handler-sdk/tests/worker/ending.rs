//! How workers end: drained, told to, and as programs.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use parlor::{App, WorkerOptions};
use parlor_protocol::codec::to_payload;
use parlor_protocol::room::WorkId;
use parlor_protocol::worker::{FromWorker, ToWorker, Welcome};
use parlor_protocol::{Place, Seq};
use tokio::sync::Notify;

use crate::broker::{FakeBroker, Peer, message, soon, welcome};
use crate::game::{Counter, Job};
use crate::{connected, options, started_with};

const NORMAL: u16 = 1000;

/// Takes a room back, as the broker does.
async fn take_back(peer: &mut Peer) {
    let (seq, state) = peer.snap().await;
    assert!(seq.0 == peer.seq && state.is_ok());
    peer.say(ToWorker::Close { room: peer.room, epoch: peer.epoch }).await;
}

#[tokio::test]
async fn a_worker_that_wants_to_end_gives_its_rooms_back() {
    let broker = FakeBroker::tcp().await;
    let notify = Arc::new(Notify::new());
    let app = App::new().version("1").room::<Counter>().with(notify.clone());
    let worker = app.start_worker(&options(&broker)).unwrap();
    let mut peer = broker.welcomed().await;
    peer.open().await;
    let id = WorkId(Place { seq: Seq(1), index: 0 });
    let arguments = to_payload(&Job::Wait).unwrap();
    peer.say(ToWorker::Run { room: peer.room, epoch: 1, id, key: "k".into(), name: "load".into(), arguments }).await;

    let drained = tokio::spawn(worker.drain());
    assert_eq!(peer.heard().await, FromWorker::Drain);
    assert!(peer.outcome(message("add", &1)).await.result.is_ok(), "the room goes on");
    take_back(&mut peer).await;
    peer.say(ToWorker::End).await;
    // Work finishes first; the connection is there until it has.
    peer.epoch = 2;
    peer.open().await;
    assert!(!drained.is_finished());
    notify.notify_one();
    let FromWorker::WorkDone { result: Ok(_), .. } = peer.heard().await else { panic!("no result") };
    assert_eq!(peer.closed().await, Some(NORMAL));
    soon(drained).await.unwrap().unwrap();
}

#[tokio::test]
async fn work_that_does_not_finish_is_left_alone() {
    let broker = FakeBroker::tcp().await;
    let options = WorkerOptions { drain_limit: Duration::from_millis(50), ..options(&broker) };
    let app = App::new().version("1").room::<Counter>().with(Arc::new(Notify::new()));
    let worker = app.start_worker(&options).unwrap();
    let mut peer = broker.accept().await;
    peer.welcome(Welcome { beat_ms: 20, ..welcome() }).await;
    peer.open().await;
    let (id, arguments) = (WorkId(Place { seq: Seq(1), index: 0 }), to_payload(&Job::Wait).unwrap());
    peer.say(ToWorker::Run { room: peer.room, epoch: 1, id, key: "k".into(), name: "load".into(), arguments }).await;
    peer.say(ToWorker::End).await;
    while let Some(frame) = peer.heard_or_end().await {
        assert_eq!(frame, FromWorker::Beat);
    }
    soon(worker.ended()).await.unwrap();
}

#[tokio::test]
async fn a_worker_may_be_told_to_end() {
    let (_broker, worker, mut peer) = connected().await;
    peer.say(ToWorker::End).await;
    assert_eq!(peer.closed().await, Some(NORMAL));
    soon(worker.ended()).await.unwrap();
}

#[tokio::test]
async fn a_broker_that_is_gone_takes_nothing_back() {
    let (broker, worker, mut peer) = connected().await;
    soon(worker.welcomed()).await.unwrap();
    let drained = tokio::spawn(worker.drain());
    assert_eq!(peer.heard().await, FromWorker::Drain);
    drop((peer, broker));
    soon(drained).await.unwrap().unwrap();

    let broker = FakeBroker::tcp().await;
    let worker = App::new().version("1").room::<Counter>().start_worker(&options(&broker)).unwrap();
    drop(broker);
    soon(worker.drain()).await.unwrap();
}

#[tokio::test]
async fn giving_back_has_a_limit() {
    let (broker, worker) = started_with(|options| options.drain_limit = Duration::from_millis(50)).await;
    let mut peer = broker.welcomed().await;
    soon(worker.welcomed()).await.unwrap();
    let late = soon(worker.drain()).await.unwrap_err();
    assert_eq!(late.text, "the broker has not taken the rooms back in time");
    assert_eq!(peer.heard().await, FromWorker::Drain);
    assert_eq!(peer.closed().await, None);
}

/// The program of the tests below, which start it in a process of its own.
#[derive(Parser)]
struct Program {
    #[command(flatten)]
    serve: parlor::ServeArgs,
}

#[tokio::test]
#[ignore = "the program of other tests"]
async fn program() -> parlor::Result {
    let Ok(flags) = std::env::var("PARLOR_TEST_FLAGS") else { return Ok(()) };
    let args = Program::parse_from(["game"].into_iter().chain(flags.split(' ')));
    App::new().room::<Counter>().serve(&args.serve).await
}

fn start(flags: &str) -> Child {
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.args(["--exact", "ending::program", "--ignored", "--nocapture"]).env("PARLOR_TEST_FLAGS", flags);
    program.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn signal(program: &Child, signal: &str) {
    let sent = Command::new("sh").args(["-c", &format!("kill {signal} {}", program.id())]).status().unwrap();
    assert!(sent.success());
}

async fn ended(mut program: Child) -> (ExitStatus, String) {
    let ended = tokio::task::spawn_blocking(move || {
        let mut said = String::new();
        std::io::Read::read_to_string(&mut program.stderr.take().unwrap(), &mut said).unwrap();
        (program.wait().unwrap(), said)
    });
    soon(ended).await.unwrap()
}

#[tokio::test]
async fn a_program_gives_its_rooms_back_and_ends_well() {
    let broker = FakeBroker::unix("program");
    let program = start(&format!("worker --broker {} --token t --threads 1 --capacity 7", broker.address()));
    let mut peer = broker.accept().await;
    let hello = peer.welcome(welcome()).await;
    assert_eq!((&*hello.token, hello.capacity, hello.version.len()), ("t", 7, 16));
    assert!(hello.name.ends_with(&format!("-{}", program.id())));
    peer.open().await;
    signal(&program, "-TERM");
    assert_eq!(peer.heard().await, FromWorker::Drain);
    take_back(&mut peer).await;
    peer.say(ToWorker::End).await;
    assert_eq!(peer.closed().await, Some(NORMAL));
    let (status, said) = ended(program).await;
    assert!(status.success(), "{said}");
}

#[tokio::test]
async fn a_second_signal_ends_a_program_at_once() {
    let broker = FakeBroker::tcp().await;
    let program = start(&format!("--port 1 worker --broker {} --threads 1", broker.address()));
    let mut peer = broker.welcomed().await;
    peer.open().await;
    signal(&program, "-INT");
    assert_eq!(peer.heard().await, FromWorker::Drain);
    signal(&program, "-INT");
    let (status, said) = ended(program).await;
    assert!(!status.success() && said.contains("ended before the rooms were given back"), "{said}");
    assert_eq!(peer.closed().await, None);
}

#[tokio::test]
async fn a_program_that_is_not_wanted_says_why() {
    let broker = FakeBroker::tcp().await;
    let program = start(&format!("worker --broker {}", broker.address()));
    let mut peer = broker.accept().await;
    assert!(matches!(peer.heard().await, FromWorker::Hello(_)));
    peer.say(ToWorker::Refused { error: parlor::ErrorCode::TokenInvalid.into() }).await;
    let (status, said) = ended(program).await;
    assert!(!status.success() && said.contains("token_invalid"), "{said}");
}
