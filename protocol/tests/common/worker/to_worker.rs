//! What the broker says to a worker.

use parlor_protocol::codec::NIL;
use parlor_protocol::frame::Role;
use parlor_protocol::limits::MAX_UINT;
use parlor_protocol::room::{Cause, CloseWhy, Input, Leave, Origin, Player, TimerId, UsedTicket, WorkId};
use parlor_protocol::worker::{SavedState, ToWorker, Welcome, WorkerRoom};
use parlor_protocol::{ErrorCode, Failure, Place, PlayerId, RoomId, Seq};
use serde_json::json;

use crate::common::payload;

const ROOM: WorkerRoom = WorkerRoom(3);
const ANN: PlayerId = PlayerId(2);
const NOW_MS: u64 = 1_785_931_200_000;

pub(super) fn frames() -> Vec<(&'static str, ToWorker)> {
    let mut frames = connection();
    frames.extend(rooms());
    frames.extend(inputs());
    frames.extend([
        ("beat_of_broker", ToWorker::Beat),
        ("snap", ToWorker::Snap { room: ROOM, epoch: 1, meant_for: None }),
        ("snap_for_another", ToWorker::Snap { room: ROOM, epoch: 1, meant_for: Some("1.5.0".into()) }),
        ("close", ToWorker::Close { room: ROOM, epoch: 1 }),
        ("end", ToWorker::End),
    ]);
    frames.extend(skips());
    frames
}

fn connection() -> Vec<(&'static str, ToWorker)> {
    let welcome = Welcome {
        worker: 1,
        server: "parlor/0.1.0".into(),
        beat_ms: 1000,
        lost_after_ms: 3000,
        max_frame_bytes: 16 << 20,
    };
    vec![
        ("welcome", ToWorker::Welcome(welcome)),
        ("refused", ToWorker::Refused { error: ErrorCode::TokenInvalid.into() }),
    ]
}

fn id() -> RoomId {
    RoomId::parse("k3F9xQ2m").unwrap()
}

fn at(seq: u64, index: u32) -> Place {
    Place { seq: Seq(seq), index }
}

fn rooms() -> Vec<(&'static str, ToWorker)> {
    let of = |version: &str, bytes| SavedState { version: version.into(), bytes };
    let open = |snapshot| ToWorker::Open { room: ROOM, epoch: 1, id: id(), kind: "arena".into(), snapshot };
    let again = |snapshot| ToWorker::Open { room: WorkerRoom(4), epoch: 2, id: id(), kind: "arena".into(), snapshot };
    let run = ToWorker::Run {
        room: ROOM,
        epoch: 1,
        id: WorkId(at(7, 0)),
        key: "k3F9xQ2m/7/0".into(),
        name: "load".into(),
        arguments: payload(json!({"from": 2})),
    };
    vec![
        ("open", open(None)),
        ("open_from_snapshot", again(Some((Seq(8), of("1.4.2", payload(json!({"coins": 3}))))))),
        ("open_from_late_snapshot", again(Some((Seq(MAX_UINT), of(&"é".repeat(32), NIL))))),
        ("run", run),
    ]
}

fn player(name: &str, role: Role) -> Player {
    Player { id: ANN, account: "guest-8Jq2".into(), name: name.into(), role }
}

fn join(role: Role, ticket: Option<UsedTicket>) -> Cause {
    Cause::Join { player: player("Ann", role), options: payload(json!({"team": "red"})), ticket }
}

fn origin(no: u64, request: Option<u64>) -> Origin {
    Origin { player: ANN, no, request }
}

fn inputs() -> Vec<(&'static str, ToWorker)> {
    let of = |inputs| ToWorker::Inputs { room: ROOM, epoch: 1, inputs };
    let one = |seq, cause| of(vec![Input { seq: Seq(seq), now_ms: NOW_MS, cause }]);
    // A payload of 60 bytes.
    let text = payload(json!({"text": "x".repeat(52)}));
    let say = Cause::Message { from: origin(1, None), name: "say".into(), payload: text };
    let buy = Cause::Message { from: origin(3, Some(2)), name: "buy".into(), payload: payload(json!({"item": 7})) };
    let open = Cause::Open { room: id(), seed: MAX_UINT, options: payload(json!({"map": "dust"})) };
    let ticket = UsedTicket { id: "t-1".into(), expires_s: 1_785_931_260 };
    let loaded = Ok(payload(json!({"items": [7]})));
    let loaded = Cause::Work { id: WorkId(at(7, 0)), name: "load".into(), result: loaded };
    let opening = vec![
        Input { seq: Seq(1), now_ms: NOW_MS, cause: open.clone() },
        Input { seq: Seq(2), now_ms: NOW_MS + 1, cause: join(Role::Player, None) },
    ];
    let mut frames = vec![
        ("inputs", one(6, say)),
        ("inputs_request", one(7, buy)),
        ("inputs_work", one(8, loaded)),
        ("inputs_none", of(Vec::new())),
        ("inputs_open", one(1, open)),
        ("inputs_open_and_join", of(opening)),
        ("inputs_join_by_ticket", one(2, join(Role::Spectator, Some(ticket)))),
    ];
    frames.extend(stays().into_iter().map(|(name, cause)| (name, one(8, cause))));
    frames.extend(events().into_iter().map(|(name, cause)| (name, one(MAX_UINT, cause))));
    frames
}

fn skips() -> Vec<(&'static str, ToWorker)> {
    let of = |seq, cause| ToWorker::Skip {
        room: WorkerRoom(4),
        epoch: 2,
        input: Input { seq: Seq(seq), now_ms: NOW_MS, cause },
    };
    let buy = Cause::Message { from: origin(3, Some(2)), name: "buy".into(), payload: payload(json!({"item": 7})) };
    vec![
        ("skip", of(9, buy)),
        ("skip_leave", of(10, Cause::Leave { player: ANN, why: Leave::Left })),
        ("skip_tick", of(MAX_UINT, Cause::Tick { count: 120, elapsed_us: 50_000 })),
    ]
}

fn stays() -> Vec<(&'static str, Cause)> {
    let left = |why| Cause::Leave { player: ANN, why };
    let follow = |follows| Cause::Follow { player: ANN, topic: "scores".into(), follows };
    vec![
        ("inputs_drop", Cause::Drop { player: ANN }),
        ("inputs_resume", Cause::Resume { player: ANN }),
        ("inputs_view", Cause::View { player: ANN }),
        ("inputs_leave_left", left(Leave::Left)),
        ("inputs_leave_disconnected", left(Leave::Disconnected)),
        ("inputs_leave_replaced", left(Leave::Replaced)),
        ("inputs_leave_kicked", left(Leave::Kicked)),
        ("inputs_follow", follow(true)),
        ("inputs_unfollow", follow(false)),
    ]
}

fn events() -> Vec<(&'static str, Cause)> {
    let timer = TimerId(at(9, 1));
    let lost = Failure::from(ErrorCode::HandlerPanicked).because("the work ended without a result");
    let lost = Cause::Work { id: WorkId(at(7, 0)), name: "load".into(), result: Err(lost.into()) };
    let close = |why| Cause::Close { why, grace_ms: 8000 };
    vec![
        ("inputs_tick", Cause::Tick { count: 120, elapsed_us: 50_000 }),
        ("inputs_timer", Cause::Timer { id: timer, event: "round_over".into(), payload: payload(json!({"round": 3})) }),
        ("inputs_work_failed", lost),
        ("inputs_event", Cause::Event { name: "announce".into(), payload: payload(json!({"text": "héllo"})) }),
        ("inputs_close_requested", close(CloseWhy::Requested)),
        ("inputs_close_empty", close(CloseWhy::Empty)),
        ("inputs_close_shutting_down", close(CloseWhy::ShuttingDown)),
    ]
}
