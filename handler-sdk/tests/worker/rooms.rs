//! What a worker does with rooms.

use parlor::{App, PlayerId};
use parlor_protocol::Seq;
use parlor_protocol::codec::to_payload;
use parlor_protocol::room::{Audience, Cause, Fault, Input, Leave, Output};
use parlor_protocol::worker::{FromWorker, SavedState, ToWorker, Welcome, WorkerRoom};

use crate::broker::{ANN, BOB, FakeBroker, Peer, decoded, id, join, message, nothing, open, refused, soon, welcome};
use crate::game::{Counter, GATE};
use crate::{connected, options, started};

type Who = (Vec<(PlayerId, bool)>, Vec<String>, u64);

async fn a_room_runs(broker: FakeBroker) {
    let worker = App::new().version("1").room::<Counter>().start_worker(&options(&broker)).unwrap();
    let mut peer = broker.accept().await;
    let hello = peer.welcome(welcome()).await;
    assert_eq!((&*hello.token, &*hello.version, hello.capacity), ("t0ken", "1", 10_000));
    assert!(hello.sdk.starts_with("parlor/") && hello.name.ends_with(&format!("-{}", std::process::id())));
    let [kind] = &hello.kinds[..] else { panic!("{:?}", hello.kinds) };
    assert_eq!((&*kind.name, kind.policy.max_players), ("counter", 8));
    assert_eq!(
        (&kind.routes[0], &kind.events[..], &kind.works[..]),
        (&"add".to_owned(), &["poke".to_owned()][..], &["load".to_owned()][..])
    );
    soon(worker.welcomed()).await.unwrap();

    let poke = Cause::Event { name: "poke".into(), payload: to_payload(&4).unwrap() };
    peer.open_from(None).await;
    peer.inputs([open(), join(ANN), message("add", &3), message("count", &()), message("shout", &()), poke]).await;
    let (first, outcomes) = peer.outcomes().await;
    assert_eq!((first, outcomes.len()), (1, 6), "one frame for a batch");
    assert_eq!(outcomes[0], nothing());
    assert_eq!(decoded::<(u64, String)>(outcomes[1].view.as_ref().unwrap()), (0, String::new()));
    let payload = to_payload(&serde_json::json!({"count": 3})).unwrap();
    let to = Audience::All;
    assert_eq!(outcomes[2].outputs, [Output::Publish { to, name: "count".into(), payload }]);
    let [Output::Reply { payload, .. }] = &outcomes[3].outputs[..] else { panic!("{outcomes:?}") };
    assert_eq!(decoded::<u64>(payload), 3);
    assert_eq!(refused(&outcomes[4]), "unknown_type");
    assert_eq!(peer.asked::<u64>("count").await, 7, "an event was heard");
}

#[tokio::test]
async fn a_room_runs_over_tcp() {
    a_room_runs(FakeBroker::tcp().await).await;
}

#[tokio::test]
async fn a_room_runs_over_a_socket_of_the_system() {
    a_room_runs(FakeBroker::unix("runs")).await;
}

/// Only the runner's own outcome says that the handler was called: an input behind a cut must not be.
#[tokio::test]
async fn behind_a_cut_nothing_is_handled() {
    let (_broker, _worker, mut peer) = connected().await;
    peer.open().await;
    let cuts = [message("kick", &BOB), message("panic", &"oh no")];
    for (count, cut) in (1..).zip(cuts) {
        let first = peer.seq + 1;
        peer.inputs([message("add", &1), cut, message("add", &100)]).await;
        let (heard, outcomes) = peer.outcomes().await;
        assert_eq!((heard, outcomes.len()), (first, 2));
        assert!(outcomes[1].cuts(), "{outcomes:?}");
        // What is left comes anew, or something else in its place.
        peer.seq -= 1;
        assert_eq!(peer.asked::<u64>("count").await, count);
    }
}

#[tokio::test]
async fn a_room_goes_on_elsewhere_as_it_was() {
    let (broker, _worker, mut peer) = connected().await;
    peer.open().await;
    peer.inputs([join(ANN), message("add", &5), Cause::Drop { player: ANN }]).await;
    peer.outcomes().await;
    let (seq, state) = peer.snap().await;
    assert_eq!(seq.0, 4, "as of the last input");
    let drawn: u64 = peer.asked("drawn").await;
    drop(peer);

    let mut peer = broker.welcomed().await;
    (peer.room, peer.epoch) = (WorkerRoom(9), 2);
    peer.open_from(Some((seq, state.unwrap()))).await;
    assert_eq!(peer.asked::<u64>("drawn").await, drawn, "the seed is part of the state");
    assert_eq!(peer.asked::<u64>("count").await, 5);
    assert_eq!(peer.asked::<Who>("who").await, (vec![(ANN, false)], vec!["p1".to_owned()], 0));
}

#[tokio::test]
async fn a_state_says_of_which_version_it_is_and_another_version_may_write_it_and_read_it() {
    let (_broker, _worker, mut peer) = connected().await;
    peer.open().await;
    peer.inputs([join(ANN), message("add", &5)]).await;
    peer.outcomes().await;
    let own = peer.snap().await.1.unwrap();
    for known_as_it_is in [None, Some("1"), Some("0.9"), Some("2")] {
        assert_eq!(peer.snap_for(known_as_it_is).await.1.unwrap(), own);
    }
    assert_eq!(own.version, "1");
    let (seq, older) = peer.snap_for(Some("0")).await;
    let older = older.unwrap();
    assert_eq!((seq.0, &*older.version), (3, "0"));
    let of = |version: &str, from: &SavedState| SavedState { version: version.into(), bytes: from.bytes.clone() };
    for (state, handlers) in [(older.clone(), vec![]), (own.clone(), vec!["p1"]), (of("0.9", &own), vec!["p1"])] {
        peer.epoch += 1;
        peer.open_from(Some((seq, state))).await;
        assert_eq!(peer.asked::<u64>("count").await, 5);
        let handlers: Vec<String> = handlers.into_iter().map(str::to_owned).collect();
        assert_eq!(peer.asked::<Who>("who").await, (vec![(ANN, true)], handlers, 0), "the library's part is for all");
    }
    for mislabelled in [of("0", &own), of("1", &older), of("2", &older)] {
        peer.epoch += 1;
        let (room, epoch, kind) = (peer.room, peer.epoch, "counter".to_owned());
        peer.say(ToWorker::Open { room, epoch, id: id(), kind, snapshot: Some((seq, mislabelled)) }).await;
        let FromWorker::Opened { result: Err(failure), .. } = peer.heard().await else { panic!("opened") };
        assert!(failure.text.contains("snapshot:") || failure.text.contains("from version `"), "{failure}");
    }
}

#[tokio::test]
async fn a_replay_may_leave_inputs_out() {
    let (_broker, _worker, mut peer) = connected().await;
    peer.open().await;
    let (seq, state) = peer.snap().await;
    peer.epoch = 2;
    peer.open_from(Some((seq, state.unwrap()))).await;
    peer.seq += 3;
    assert_eq!(peer.asked::<u64>("count").await, 0);
}

#[tokio::test]
async fn what_is_no_snapshot_is_refused() {
    let (_broker, _worker, mut peer) = connected().await;
    let open =
        |kind: &str, snapshot| ToWorker::Open { room: peer.room, epoch: 1, id: id(), kind: kind.into(), snapshot };
    let state = SavedState { version: "1".into(), bytes: "nonsense".into() };
    let bad = open("counter", Some((Seq(7), state)));
    let unknown = open("ludo", None);
    for (frame, code) in [(bad, "internal"), (unknown, "unknown_kind")] {
        peer.say(frame).await;
        let FromWorker::Opened { result: Err(failure), .. } = peer.heard().await else { panic!("opened") };
        assert_eq!(failure.code, code);
        // Inputs were on their way, and are void.
        peer.seq = 7;
        peer.inputs([message("add", &1)]).await;
    }
    peer.open().await;
}

#[tokio::test]
async fn a_skip_changes_only_who_is_here() {
    let (_broker, _worker, mut peer) = connected().await;
    peer.open().await;
    peer.inputs([join(ANN), join(BOB), message("add", &1)]).await;
    peer.outcomes().await;
    peer.skip(message("add", &100)).await;
    peer.skip(Cause::Drop { player: ANN }).await;
    peer.skip(Cause::Leave { player: BOB, why: Leave::Left }).await;
    peer.skip(Cause::Tick { count: 7, elapsed_us: 1 }).await;
    let handlers = vec!["p1".to_owned(), "p2".to_owned()];
    let (seq, _) = peer.snap().await;
    assert_eq!(seq.0, peer.seq, "a skip has a place in the order");
    assert_eq!(peer.asked::<Who>("who").await, (vec![(ANN, false)], handlers.clone(), 7));
    peer.skip(Cause::Resume { player: ANN }).await;
    assert_eq!(peer.asked::<Who>("who").await, (vec![(ANN, true)], handlers, 7));
    assert_eq!(peer.asked::<u64>("count").await, 1);
}

#[tokio::test]
async fn frames_of_other_rooms_and_other_lives_are_passed_over() {
    let (_broker, _worker, mut peer) = connected().await;
    peer.open().await;
    for (room, epoch) in [(peer.room, 2), (peer.room, 0), (WorkerRoom(4), 1)] {
        let inputs = vec![Input { seq: Seq(2), now_ms: 0, cause: message("add", &1) }];
        peer.say(ToWorker::Skip { room, epoch, input: inputs[0].clone() }).await;
        peer.say(ToWorker::Inputs { room, epoch, inputs }).await;
        peer.say(ToWorker::Snap { room, epoch, meant_for: None }).await;
        peer.say(ToWorker::Close { room, epoch }).await;
    }
    assert_eq!(peer.asked::<u64>("count").await, 0);
    let (room, epoch) = (peer.room, peer.epoch);
    peer.say(ToWorker::Close { room, epoch }).await;
    peer.inputs([message("add", &1)]).await;
    peer.epoch = 2;
    peer.open().await;
    assert_eq!(peer.asked::<u64>("count").await, 0, "another life");
}

/// The first answer is with the broker while the handler behind it has not come back.
#[tokio::test]
async fn an_answer_does_not_wait_for_what_is_handled_behind_it() {
    let (_broker, _worker, mut peer) = connected().await;
    peer.open().await;
    peer.inputs([message("slow", &()), message("gate", &()), message("count", &())]).await;
    assert_eq!(peer.outcomes().await.1.len(), 1);
    GATE.open();
    let (first, outcomes) = peer.outcomes().await;
    assert_eq!((first, outcomes.len()), (3, 2));
}

/// Both write more than sockets hold, and the broker does not read before it has written all.
#[tokio::test]
async fn nobody_waits_for_the_other_to_read() {
    const ROOMS: u32 = 64;
    let (_broker, _worker, mut peer) = connected().await;
    for room in 1..=ROOMS {
        peer.room = WorkerRoom(room);
        peer.open().await;
    }
    let bytes = 400_000;
    for room in 1..=ROOMS {
        (peer.room, peer.seq) = (WorkerRoom(room), 1);
        peer.inputs([message("say", &bytes), message("pad", &"x".repeat(bytes))]).await;
    }
    let mut outcomes = 0;
    while outcomes < 2 * ROOMS as usize {
        let FromWorker::Outcomes { outcomes: more, .. } = peer.heard().await else { panic!("outcomes") };
        outcomes += more.len();
    }
}

#[tokio::test]
async fn a_batch_may_have_more_frames_than_one() {
    let (_broker, _worker, mut peer) = connected().await;
    peer.open().await;
    let first = peer.seq + 1;
    peer.inputs((0..256).map(|_| message("say", &10_000))).await;
    let (mut seq, mut frames) = (first, 0);
    while seq < first + 256 {
        let (heard, outcomes) = peer.outcomes().await;
        assert_eq!(heard, seq);
        (seq, frames) = (seq + outcomes.len() as u64, frames + 1);
    }
    assert!(frames >= 9, "{frames} frames of 256 KiB at most");
}

async fn narrow(max_frame_bytes: u64) -> (FakeBroker, parlor::Worker, Peer) {
    let (broker, worker) = started().await;
    let mut peer = broker.accept().await;
    peer.welcome(Welcome { max_frame_bytes, ..welcome() }).await;
    (broker, worker, peer)
}

#[tokio::test]
async fn what_is_over_the_largest_frame_is_refused_instead() {
    let (_broker, _worker, mut peer) = narrow(4096).await;
    peer.open().await;
    peer.outcome(join(ANN)).await;
    let said = peer.outcome(message("say", &4096)).await;
    assert_eq!((refused(&said), said.outputs.len()), ("output_failed", 0));
    assert!(peer.outcome(message("say", &3900)).await.result.is_ok());
    let Err(Fault::Panicked(text)) = peer.outcome(message("panic", &"é".repeat(1900))).await.result else { panic!() };
    assert_eq!(text, "é".repeat(1900));

    peer.outcome(message("grow", &2800)).await;
    assert!(peer.snap().await.1.is_ok());
    peer.outcome(message("grow", &3100)).await;
    let (seq, state) = peer.snap().await;
    assert_eq!(seq.0, peer.seq);
    assert!(state.unwrap_err().text.ends_with("over the limit of 3072"));
}

/// The broker will not let in whom it cannot show anything, so the handler and the library must not have them either.
#[tokio::test]
async fn who_cannot_be_shown_the_room_is_not_in_it() {
    let (_broker, _worker, mut peer) = narrow(4096).await;
    peer.open().await;
    peer.outcome(join(ANN)).await;
    peer.outcome(message("grow", &4080)).await;
    let joined = peer.outcome(join(BOB)).await;
    assert_eq!((refused(&joined), &joined.view), ("output_failed", &None));
    assert_eq!(peer.asked::<Who>("who").await, (vec![(ANN, true)], vec!["p1".to_owned()], 0));
}

#[tokio::test]
async fn a_panic_s_text_is_cut() {
    let (_broker, _worker, mut peer) = connected().await;
    peer.open().await;
    let Err(Fault::Panicked(text)) = peer.outcome(message("panic", &"é".repeat(5000))).await.result else { panic!() };
    assert_eq!(text, "é".repeat(2048));
}

#[tokio::test]
async fn a_state_that_panics_as_it_goes_harms_nobody() {
    let (_broker, _worker, mut peer) = connected().await;
    peer.open().await;
    peer.outcome(message("pad", &"drop")).await;
    peer.say(ToWorker::Close { room: peer.room, epoch: 1 }).await;
    peer.room = WorkerRoom(4);
    peer.open().await;
    assert_eq!(peer.asked::<u64>("count").await, 0);
}
