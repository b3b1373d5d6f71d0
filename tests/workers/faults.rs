//! Processes that hang, stop, go away on purpose, or never come.

use std::time::Duration;

use parlor_client::{ClientError, Options, Parlor};
use parlor_tests::http::with_key;
use parlor_tests::ledger::{KIND, Wish};
use parlor_tests::wait::{soon, until};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use tokio::time::Instant;

use crate::herd::{Stand, Way};
use crate::play::Crowd;

async fn join(stand: &Stand) -> parlor_client::Room {
    let url = format!("ws://{}", stand.broker.addr());
    let client = Parlor::connect(&url, Options::new()).await.unwrap();
    client.create(KIND, &()).await.unwrap()
}

fn code(error: &ClientError) -> &str {
    match error {
        ClientError::Refused(failure) => &failure.code,
        other => panic!("not refused but {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_stopped_past_its_heartbeat_is_not_believed_afterwards() {
    let quick = |config: &mut parlor::broker::Config| {
        (config.workers.beat_ms, config.workers.lost_after_ms, config.workers.time_limit_ms) = (100, 400, 400);
    };
    let stand = Stand::start(Way::Tcp, quick).await;
    let first = stand.worker();
    stand.workers(1).await;
    let url = format!("ws://{}", stand.broker.addr());
    let crowd = Crowd::gather(&url, 10, 2, Duration::from_millis(20), &mut ChaCha8Rng::seed_from_u64(2)).await;
    first.signal("-STOP");
    let _second = stand.worker();
    let metrics = stand.broker.metrics();
    until("it is lost", || metrics.workers_lost("hanging") + metrics.workers_lost("silent") >= 1).await;
    crowd.pulse.pauses(Instant::now()).await;
    first.signal("-CONT");
    // It comes back as another, which has none of the rooms.
    stand.workers(2).await;
    crowd.pulse.pauses(Instant::now()).await;
    let (wrong, _) = crowd.end().await;
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(metrics.replays_diverged.get(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_input_that_kills_three_processes_is_set_aside_and_its_room_goes_on_as_do_others() {
    let stand = Stand::start(Way::Unix, |config| config.workers.time_limit_ms = 500).await;
    let mut workers: Vec<_> = (0..2).map(|_| stand.worker()).collect();
    stand.workers(2).await;
    let url = format!("ws://{}", stand.broker.addr());
    let crowd = Crowd::gather(&url, 10, 2, Duration::from_millis(200), &mut ChaCha8Rng::seed_from_u64(3)).await;
    let bad = join(&stand).await;
    assert_eq!(bad.request::<u64>("say", &1).await.unwrap(), 2);
    let (id, sender) = (bad.id().clone(), bad.sender().clone());
    let told = tokio::spawn(async move { sender.request::<()>("wish", &Wish::Abort).await.unwrap_err() });
    while !told.is_finished() {
        for worker in &mut workers {
            if worker.ended().is_some() {
                *worker = stand.worker();
            }
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(code(&told.await.unwrap()), "handler_panicked");
    let aside = with_key(stand.broker.addr(), "GET", &format!("/v1/rooms/{id}/set-aside"), &Value::Null).await.json();
    assert_eq!((&aside["total"], &aside["inputs"][0]["name"]), (&1.into(), &"wish".into()), "{aside}");
    let count = soon("the room goes on", bad.request::<u64>("say", &2)).await.unwrap();
    assert!((3..1_000).contains(&count), "what the input had changed is gone, and nothing else: {count}");
    // One that hangs is the same, but that the process has to be ended. Nobody else does that here.
    let sender = bad.sender().clone();
    let told = tokio::spawn(async move { sender.request::<()>("wish", &Wish::Hang).await.unwrap_err() });
    let metrics = stand.broker.metrics();
    let mut seen = metrics.workers_lost("hanging");
    while !told.is_finished() {
        if metrics.workers_lost("hanging") > seen {
            seen += 1;
            workers.push(stand.worker());
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(code(&told.await.unwrap()), "handler_panicked");
    let hanging = metrics.workers_lost("hanging");
    assert!((3..=6).contains(&hanging), "{hanging} were ended");
    soon("the room goes on", bad.request::<u64>("say", &3)).await.unwrap();
    let (wrong, _) = crowd.end().await;
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(metrics.messages_set_aside.get(), 2, "nobody else's input was blamed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_asked_to_end_hands_its_rooms_over_first() {
    let stand = Stand::start(Way::Tcp, |_| {}).await;
    let mut first = stand.worker();
    stand.workers(1).await;
    let url = format!("ws://{}", stand.broker.addr());
    let crowd = Crowd::gather(&url, 10, 2, Duration::from_millis(20), &mut ChaCha8Rng::seed_from_u64(4)).await;
    let _second = stand.worker();
    stand.workers(2).await;
    first.signal("-TERM");
    until("it ends", || first.ended().is_some()).await;
    assert_eq!(first.ended().unwrap().code(), Some(0));
    crowd.pulse.pauses(Instant::now()).await;
    let (wrong, _) = crowd.end().await;
    assert!(wrong.is_empty(), "{wrong:#?}");
    let metrics = stand.broker.metrics();
    assert_eq!((metrics.rooms_restored.get(), metrics.workers_lost("closed")), (0, 1), "all moved, none was lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_wants_in_waits_for_a_worker_and_is_told_when_none_comes() {
    let stand = Stand::start(Way::Unix, |config| config.workers.wait_ms = 2_000).await;
    let url = format!("ws://{}", stand.broker.addr());
    let client = Parlor::connect(&url, Options::new()).await.unwrap();
    // Nobody knows the kind yet.
    let refused = client.join_or_create(KIND, &()).await.unwrap_err();
    assert!(matches!(&refused, ClientError::Refused(failure) if failure.code == "no_worker" && failure.retryable));
    let mut worker = stand.worker();
    stand.workers(1).await;
    let table = client.join_or_create(KIND, &()).await.unwrap();
    worker.kill();
    stand.workers(0).await;
    // The kind is known, and a room waits for a while.
    let began = Instant::now();
    let refused = client.create(KIND, &()).await.unwrap_err();
    assert_eq!(code(&refused), "no_worker");
    assert!(began.elapsed() >= Duration::from_secs(2));
    // One who comes in time is taken, and the room that was there before goes on.
    let (created, _worker) = tokio::join!(client.create(KIND, &()), async { stand.worker() });
    created.unwrap();
    assert!(soon("goes on", table.request::<u64>("say", &1)).await.unwrap() > 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_whose_worker_is_gone_for_good_ends_in_the_end() {
    let stand = Stand::start(Way::Unix, |config| config.workers.gone_ms = 200).await;
    let mut worker = stand.worker();
    stand.workers(1).await;
    let mut table = join(&stand).await;
    worker.kill();
    let refused = table.request::<u64>("say", &1).await.unwrap_err();
    assert!(matches!(code(&refused), "room_failed" | "no_worker"), "{refused:?}");
    loop {
        match soon("it ends", table.recv()).await {
            Some(parlor_client::RoomEvent::Closed { code, .. }) => break assert_eq!(code, "room_failed"),
            Some(_) => {}
            None => panic!("it was never told"),
        }
    }
    until("it is gone", || stand.broker.registry().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_token_is_not_let_in() {
    let stand = Stand::start(Way::Tcp, |config| config.workers.token = Some("another token altogether".into())).await;
    let mut worker = stand.worker();
    until("it gives up", || worker.ended().is_some()).await;
    assert_eq!(worker.ended().unwrap().code(), Some(1));
    assert_eq!(stand.broker.metrics().workers_lost("refused"), 1);
    assert_eq!(stand.broker.metrics().workers.get(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_room_costs_no_worker_anything_and_wakes_with_all_it_had() {
    let stand = Stand::start(Way::Unix, |_| {}).await;
    let mut worker = stand.worker();
    stand.workers(1).await;
    let url = format!("ws://{}", stand.broker.addr());
    let client = Parlor::connect(&url, Options::new()).await.unwrap();
    let table = client.create("quiet", &()).await.unwrap();
    assert_eq!(table.request::<u64>("add", &2).await.unwrap(), 2);
    let metrics = stand.broker.metrics();
    until("it sleeps", || metrics.rooms_asleep.get() == 1).await;
    // What sleeps does not die.
    worker.kill();
    let _worker = stand.worker();
    assert_eq!(soon("it wakes", table.request::<u64>("add", &3)).await.unwrap(), 5);
    assert_eq!(metrics.rooms_restored.get(), 0);
}

/// In a room in which nothing else happens that could remind anybody of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pending_work_is_begun_again_wherever_its_handler_goes() {
    let stand = Stand::start(Way::Unix, |_| {}).await;
    let first = stand.worker();
    stand.workers(1).await;
    let url = format!("ws://{}", stand.broker.addr());
    let client = Parlor::connect(&url, Options::new()).await.unwrap();
    let table = client.create("quiet", &()).await.unwrap();
    let later = |n: u64| {
        let sender = table.sender().clone();
        tokio::spawn(async move { sender.request::<u64>("later", &n).await })
    };
    // When the handler is made anew.
    let pending = later(1);
    assert_eq!(table.request::<u64>("add", &10).await.unwrap(), 10);
    assert_eq!(code(&table.request::<()>("panic", &()).await.unwrap_err()), "handler_panicked");
    assert_eq!(soon("the work is done", pending).await.unwrap().unwrap(), 11);
    // When it moves because its worker wants to end.
    let second = stand.worker();
    stand.workers(2).await;
    let pending = later(2);
    assert_eq!(table.request::<u64>("add", &10).await.unwrap(), 21);
    first.signal("-TERM");
    assert_eq!(soon("the work is done", pending).await.unwrap().unwrap(), 23);
    // When its process ends.
    let (pending, third) = (later(3), stand.worker());
    assert_eq!(table.request::<u64>("add", &10).await.unwrap(), 33);
    stand.workers(2).await;
    drop((second, third));
    let _fourth = stand.worker();
    assert_eq!(soon("the work is done", pending).await.unwrap().unwrap(), 36);
}
