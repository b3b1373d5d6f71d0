//! What a worker says.

use bytes::Bytes;
use parlor_protocol::codec::NIL;
use parlor_protocol::limits::MAX_UINT;
use parlor_protocol::policy::{Admission, Handled, OnPanic, TickWhen};
use parlor_protocol::room::{Audience, Door, Fault, Origin, Outcome, Output, TimerId, Topic, WorkId};
use parlor_protocol::worker::{FromWorker, Hello, KindOffer, SavedState, WorkerRoom};
use parlor_protocol::{ErrorCode, Failure, Place, PlayerId, Policy, Seq};
use serde_json::{Value, json};

use crate::common::payload;

const ROOM: WorkerRoom = WorkerRoom(3);
const ANN: PlayerId = PlayerId(2);

pub(super) fn frames() -> Vec<(&'static str, FromWorker)> {
    let mut frames = hellos();
    frames.extend(outcomes());
    frames.extend(answers());
    frames.extend([("beat_of_worker", FromWorker::Beat), ("drain", FromWorker::Drain)]);
    frames
}

fn hellos() -> Vec<(&'static str, FromWorker)> {
    let hello = Hello {
        token: "t0ken".into(),
        name: "box-1".into(),
        version: "1.4.2".into(),
        sdk: "parlor/0.1.0".into(),
        capacity: 500,
        kinds: Vec::new(),
    };
    let policy = Policy {
        max_players: 16,
        tick_hz: 20,
        tick_when: TickWhen::Always,
        watch: Admission::Ticket,
        match_by: vec!["map".into()],
        latest_topics: vec!["place".into()],
        handled: Handled::Told,
        on_panic: OnPanic::Close,
        ..Policy::default()
    };
    let arena = KindOffer {
        name: "arena".into(),
        policy,
        routes: vec!["move".into(), "buy".into()],
        events: vec!["loaded".into()],
        works: vec!["load".into()],
    };
    let lobby = KindOffer {
        name: "équipe".into(),
        policy: Policy::default(),
        routes: Vec::new(),
        events: Vec::new(),
        works: Vec::new(),
    };
    vec![
        ("hello", FromWorker::Hello(Hello { kinds: vec![arena, lobby], ..hello.clone() })),
        ("hello_no_kinds", FromWorker::Hello(Hello { capacity: u32::MAX, ..hello })),
    ]
}

fn origin() -> Origin {
    Origin { player: ANN, no: 3, request: Some(2) }
}

fn at(seq: u64, index: u32) -> Place {
    Place { seq: Seq(seq), index }
}

fn publish(to: Audience, name: &'static str, value: Value) -> Output {
    Output::Publish { to, name: name.into(), payload: payload(value) }
}

fn worked(outputs: Vec<Output>) -> Outcome {
    Outcome { result: Ok(()), outputs, view: None }
}

fn outcomes() -> Vec<(&'static str, FromWorker)> {
    let of = |first, outcomes| FromWorker::Outcomes { room: ROOM, epoch: 1, first: Seq(first), outcomes };
    // A payload of 60 bytes.
    let said = publish(Audience::All, "said", json!({"text": "x".repeat(52)}));
    let joined = Outcome {
        view: Some(payload(json!({"players": {"2": [0.5, 0.25]}}))),
        ..worked(vec![publish(Audience::AllBut(vec![ANN]), "came", json!({"player": 2}))])
    };
    let poor = Failure::app("too_expensive", "you have 3 coins, it costs 10").with("coins", 3).with("price", 10);
    let refused = Outcome::failed(Fault::Refused(poor.clone().into()));
    let panicked = Outcome::failed(Fault::Panicked("index out of bounds".into()));
    let kick = worked(vec![Output::Kick { player: ANN, reason: payload(json!("idle")) }]);
    let load = worked(vec![Output::Run { name: "load".into(), arguments: payload(json!({"from": 2})) }]);
    let reply = worked(vec![Output::Reply { to: origin(), payload: payload(json!({"items": [7]})) }]);
    let over = worked(vec![Output::Close { result: payload(json!({"winner": 2})) }]);
    vec![
        ("outcomes", of(6, vec![worked(vec![said])])),
        ("outcomes_run", of(7, vec![load])),
        ("outcomes_reply", of(8, vec![reply])),
        ("outcomes_of_nothing", of(7, vec![worked(Vec::new()), worked(Vec::new())])),
        ("outcomes_none", of(9, Vec::new())),
        ("outcomes_open_and_join", of(1, vec![worked(Vec::new()), joined])),
        ("outcomes_refused", of(7, vec![refused])),
        ("outcomes_panicked", of(8, vec![worked(Vec::new()), panicked])),
        ("outcomes_kick", of(9, vec![kick])),
        ("outcomes_close", of(12, vec![over])),
        ("outcomes_publishes", of(4_294_967_296, vec![worked(publishes())])),
        ("outcomes_topics", of(20, vec![worked(topics())])),
        ("outcomes_answers", of(21, vec![worked(replies(poor))])),
        ("outcomes_later", of(MAX_UINT, vec![worked(later())])),
        ("outcomes_lobby", of(23, vec![worked(lobby())])),
    ]
}

fn publishes() -> Vec<Output> {
    vec![
        publish(Audience::All, "moved", json!({"player": 2, "x": 1.5, "y": -2})),
        publish(Audience::AllBut(vec![ANN, PlayerId(300)]), "moved", Value::Null),
        publish(Audience::AllBut(Vec::new()), "moved", json!([])),
        publish(Audience::One(ANN), "bewegt/⬆", json!("ü")),
        publish(Audience::Topic("team".into()), "moved", json!(1)),
        publish(Audience::Topic((-3, 70_000).into()), "moved", json!(2)),
    ]
}

fn topics() -> Vec<Output> {
    let place = || Topic::from("place");
    vec![
        Output::Latest { topic: place(), key: "2".into(), name: "moved".into(), payload: payload(json!({"x": 1.5})) },
        Output::Forget { topic: place(), key: "2".into() },
        Output::SetTopics { player: ANN, topics: vec![(0, 0).into(), (0, -1).into(), "team".into()] },
        Output::SetTopics { player: ANN, topics: Vec::new() },
    ]
}

fn replies(poor: Failure) -> Vec<Output> {
    vec![
        Output::Reply { to: origin(), payload: payload(json!({"coins": 3})) },
        Output::Reply { to: Origin { no: MAX_UINT, request: None, ..origin() }, payload: NIL },
        Output::Refuse { to: origin(), error: poor.into() },
    ]
}

fn later() -> Vec<Output> {
    vec![
        Output::After { delay_ms: 1500, event: "round_over".into(), payload: payload(json!({"round": 3})) },
        Output::Cancel { timer: TimerId(at(9, 1)) },
        Output::Run { name: "load".into(), arguments: payload(json!({"from": 2})) },
    ]
}

fn lobby() -> Vec<Output> {
    vec![
        Output::SetProperty { name: "map".into(), value: json!({"name": "dust", "size": [64, -1, 0.5, null, true]}) },
        Output::SetProperty { name: "map".into(), value: Value::Null },
        Output::Lock(Door::Locked),
        Output::Lock(Door::Open),
    ]
}

fn answers() -> Vec<(&'static str, FromWorker)> {
    let broken = || Failure::from(ErrorCode::Internal).because("snapshot: a map has no end");
    let id = WorkId(at(7, 0));
    let of = |version: &str, bytes| Ok(SavedState { version: version.into(), bytes });
    let snapshot = |state| FromWorker::Snapshot { room: ROOM, epoch: 1, seq: Seq(8), state };
    let opened = |result| FromWorker::Opened { room: ROOM, epoch: 1, result };
    let work = |result| FromWorker::WorkDone { room: ROOM, epoch: 1, id, result };
    vec![
        ("snapshot", snapshot(of("1.4.2", payload(json!({"coins": 3}))))),
        ("snapshot_empty", snapshot(of("1", Bytes::new()))),
        ("snapshot_of_300", snapshot(of("1.4.2", payload("s".repeat(297))))),
        ("snapshot_failed", snapshot(Err(broken()))),
        ("opened", opened(Ok(()))),
        ("opened_largest", FromWorker::Opened { room: WorkerRoom(u32::MAX), epoch: MAX_UINT, result: Ok(()) }),
        ("open_failed", opened(Err(broken()))),
        ("work_done", work(Ok(payload(json!({"items": [7]}))))),
        ("work_failed", work(Err(Failure::app("no_such_player", "no such player").retry()))),
    ]
}
