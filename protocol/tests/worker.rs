//! Frames between broker and worker: what is refused, what is passed over, what a room can take.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use bytes::Bytes;
use common::payload;
use common::worker::{Direction, Frame, MAX, frames};
use parlor_protocol::codec::{FieldError, NIL, to_payload};
use parlor_protocol::limits::MAX_UINT;
use parlor_protocol::msgpack::Malformed;
use parlor_protocol::room::{Audience, Cause, Fault, Origin, Outcome, Output, TimerId, Topic};
use parlor_protocol::worker::{
    FromWorker, MAX_BATCH, MAX_ENVELOPE, MAX_VALUE_DEPTH, SavedState, ToWorker, Unfit, WorkerFrameError, WorkerRoom,
    check_outcome,
};
use parlor_protocol::{ErrorCode, Failure, Place, PlayerId, Policy, RoomId, Seq};
use serde_json::{Value, json};

fn from_worker(frame: &Value) -> Result<FromWorker, WorkerFrameError> {
    FromWorker::decode(&to_payload(frame).unwrap(), MAX)
}

fn to_worker(frame: &Value) -> Result<ToWorker, WorkerFrameError> {
    ToWorker::decode(&to_payload(frame).unwrap(), MAX)
}

fn wrong(field: &'static str, what: &'static str) -> WorkerFrameError {
    FieldError::Wrong(field, what).into()
}

/// A `hello` with one field otherwise; null leaves it out.
fn hello(field: &str, value: Value) -> Result<FromWorker, WorkerFrameError> {
    let mut hello = json!({
        "token": "t", "name": "n", "version": "v", "sdk": "s", "capacity": 1, "kinds": [{"name": "arena"}],
    });
    if !field.is_empty() {
        hello[field] = value;
    }
    from_worker(&json!([65, hello]))
}

#[test]
fn an_op_must_be_known() {
    for op in [0, 1, 10, 33, 64, 72, 96, 107, 255, 256, 321, MAX_UINT] {
        assert_eq!(from_worker(&json!([op, 3])), Err(WorkerFrameError::UnknownOp(op)));
        assert_eq!(to_worker(&json!([op, 3])), Err(WorkerFrameError::UnknownOp(op)));
    }
    assert_eq!(from_worker(&json!([])), Err(FieldError::Missing("op").into()));
    assert_eq!(from_worker(&json!({})), Err(FieldError::NotAnArray.into()));
    assert_eq!(from_worker(&json!(["beat"])), Err(wrong("op", "an unsigned integer below 2^53")));
}

#[test]
fn every_field_must_be_there() {
    for (frame, name) in [
        (json!([65]), "hello"),
        (json!([66]), "room"),
        (json!([66, 3]), "epoch"),
        (json!([66, 3, 1]), "first"),
        (json!([66, 3, 1, 6]), "outcomes"),
        (json!([67, 3, 1]), "seq"),
        (json!([67, 3, 1, 6]), "error"),
        (json!([67, 3, 1, 6, null]), "version"),
        (json!([67, 3, 1, 6, null, "1"]), "state"),
        (json!([68, 3, 1]), "error"),
        (json!([69, 3, 1, 6]), "index"),
        (json!([69, 3, 1, 6, 0]), "error"),
        (json!([69, 3, 1, 6, 0, null]), "result"),
    ] {
        assert_eq!(from_worker(&frame), Err(FieldError::Missing(name).into()), "{frame}");
    }
    for (frame, name) in [
        (json!([97]), "welcome"),
        (json!([98]), "error"),
        (json!([99, 3, 1]), "id"),
        (json!([99, 3, 1, "r"]), "kind"),
        (json!([99, 3, 1, "r", "arena"]), "seq"),
        (json!([99, 3, 1, "r", "arena", 6]), "version"),
        (json!([99, 3, 1, "r", "arena", 6, "1"]), "state"),
        (json!([100, 3, 1]), "inputs"),
        (json!([101, 3]), "epoch"),
        (json!([101, 3, 1]), "version"),
        (json!([102, 3, 1, 6, 1]), "key"),
        (json!([102, 3, 1, 6, 1, "k"]), "name"),
        (json!([102, 3, 1, 6, 1, "k", "load"]), "arguments"),
        (json!([103]), "room"),
        (json!([106, 3, 1]), "input"),
    ] {
        assert_eq!(to_worker(&frame), Err(FieldError::Missing(name).into()), "{frame}");
    }
}

#[test]
fn fields_must_be_what_they_are() {
    let uint = "an unsigned integer below 2^53";
    assert_eq!(from_worker(&json!([68, 1_u64 << 32, 1, null])), Err(wrong("room", "an unsigned integer below 2^32")));
    assert_eq!(from_worker(&json!([68, 3, MAX_UINT + 1, null])), Err(wrong("epoch", uint)));
    assert_eq!(to_worker(&json!([99, 3, 1, "r", "arena", MAX_UINT + 1, null])), Err(wrong("seq", uint)));
    for state in [json!("text"), json!([1, 2]), json!(null), json!(7)] {
        assert_eq!(from_worker(&json!([67, 3, 1, 6, null, "1", state])), Err(wrong("state", "binary")));
        assert_eq!(to_worker(&json!([99, 3, 1, "r", "arena", 6, "1", state])), Err(wrong("state", "binary")));
    }
    assert_eq!(to_worker(&json!([100, 3, 1, {}])), Err(wrong("inputs", "an array")));
    for (frame, name) in [
        (json!([66, 3, 1, 6, [{"outputs": [{"shout": {}}]}]]), "outcomes"),
        (json!([66, 3, 1, 6, [{"outputs": ["lock"]}]]), "outcomes"),
        (json!([66, 3, 1, 6, [{"outputs": [{"lock": "ajar"}]}]]), "outcomes"),
        (json!([66, 3, 1, 6, [{"fault": {"refused": {"code": "app.x"}}}]]), "outcomes"),
        (json!([66, 3, 1, 6, [7]]), "outcomes"),
        (json!([68, 3, 1, "broken"]), "error"),
    ] {
        let error = from_worker(&frame).unwrap_err();
        assert!(matches!(error, WorkerFrameError::Field(FieldError::Map(at, _)) if at == name), "{frame}: {error}");
    }
    for input in [json!({"seq": 1, "now_ms": 2}), json!({"seq": 1, "now_ms": 2, "cause": "tick"}), json!([])] {
        let error = to_worker(&json!([106, 3, 1, input])).unwrap_err();
        assert!(matches!(error, WorkerFrameError::Field(FieldError::Map("input", _))), "{input}: {error}");
    }
    let bad_id = to_worker(&json!([99, 3, 1, "a b", "arena", null])).unwrap_err();
    assert!(bad_id.to_string().contains("a room id has 1 to 64 characters"), "{bad_id}");
}

#[test]
fn names_have_1_to_64_bytes() {
    assert!(hello("", Value::Null).is_ok());
    for field in ["name", "version", "sdk"] {
        for name in [String::new(), "a".repeat(65), "é".repeat(33)] {
            let error = hello(field, json!(name)).unwrap_err();
            assert_eq!(error.to_string(), format!("`{field}` must have 1 to 64 bytes"));
        }
        assert!(hello(field, json!("é".repeat(32))).is_ok());
    }
    for list in ["routes", "events", "works"] {
        let kinds = |name: &str| json!([{"name": "arena", list: ["fine", name]}]);
        for name in ["", &"a".repeat(65)] {
            let error = hello("kinds", kinds(name)).unwrap_err();
            assert_eq!(error.to_string(), format!("`kinds.{list}` must have 1 to 64 bytes"));
        }
        assert!(hello("kinds", kinds(&"a".repeat(64))).is_ok());
    }
    for name in ["", &"a".repeat(65)] {
        assert_eq!(hello("kinds", json!([{"name": name}])), Err(WorkerFrameError::Name("kinds.name")));
        assert_eq!(to_worker(&json!([99, 3, 1, "r", name, null])), Err(WorkerFrameError::Name("kind")));
        assert_eq!(to_worker(&json!([99, 3, 1, "r", "arena", 6, name])), Err(WorkerFrameError::Name("version")));
        assert_eq!(to_worker(&json!([101, 3, 1, name])), Err(WorkerFrameError::Name("version")));
        assert_eq!(from_worker(&json!([67, 3, 1, 6, null, name])), Err(WorkerFrameError::Name("version")));
    }
    assert!(hello("token", json!("t".repeat(5000))).is_ok(), "a token may be longer");
}

#[test]
fn an_offer_must_make_sense() {
    assert_eq!(hello("capacity", json!(0)), Err(wrong("capacity", "at least 1")));
    let twice = hello("kinds", json!([{"name": "arena"}, {"name": "lobby"}, {"name": "arena"}])).unwrap_err();
    assert_eq!(twice.to_string(), "kind `arena` is offered twice");
    let policy = hello("kinds", json!([{"name": "arena", "policy": {"tick_hz": 2000}}])).unwrap_err();
    assert_eq!(policy.to_string(), "kind `arena`: tick_hz must be at most 1000");
    let FromWorker::Hello(hello) = hello("", Value::Null).unwrap() else { panic!("a hello") };
    assert_eq!(hello.kinds[0].policy, Policy::default(), "what is left out is the default");
}

#[test]
fn what_is_not_known_is_passed_over() {
    let kinds = json!([{"name": "arena", "policy": {"later": 1}, "later": [{}]}]);
    assert_eq!(hello("kinds", kinds), hello("later", json!({"a": [1]})));
    assert_eq!(from_worker(&json!([70, 1, {}])), Ok(FromWorker::Beat));
    let outcome =
        json!({"later": 1, "outputs": [{"lock": "open"}, {"forget": {"topic": {"name": "t"}, "key": "k", "l": 0}}]});
    let FromWorker::Outcomes { outcomes, .. } = from_worker(&json!([66, 3, 1, 6, [outcome], "later"])).unwrap() else {
        panic!("outcomes")
    };
    assert_eq!(outcomes[0].outputs.len(), 2);
    let input = json!({"seq": 1, "now_ms": 2, "later": {}, "cause": {"drop": {"player": 2, "later": 1}}});
    let ToWorker::Inputs { inputs, .. } = to_worker(&json!([100, 3, 1, [input]])).unwrap() else { panic!("inputs") };
    assert_eq!(inputs[0].cause, Cause::Drop { player: PlayerId(2) });
}

#[test]
fn an_optional_field_may_be_nil_or_left_out() {
    let join = |ticket: &str| {
        let player = r#"{"id": 2, "account": "a", "name": "n", "role": "player"}"#;
        let text = format!(
            r#"[{{"seq": 1, "now_ms": 2, "cause": {{"join": {{"player": {player}, "options": []{ticket}}}}}}}]"#
        );
        to_worker(&json!([100, 3, 1, serde_json::from_str::<Value>(&text).unwrap()])).unwrap()
    };
    assert_eq!(join(""), join(r#", "ticket": null"#));
    let quiet = |outcome: Value| from_worker(&json!([66, 3, 1, 6, [outcome]])).unwrap();
    assert_eq!(quiet(json!({})), quiet(json!({"fault": null, "outputs": [], "view": null})));
    let message = |origin: Value| {
        let message = json!({"message": {"from": origin, "name": "say", "payload": []}});
        to_worker(&json!([100, 3, 1, [{"seq": 1, "now_ms": 2, "cause": message}]])).unwrap()
    };
    assert_eq!(message(json!({"player": 2, "no": 1})), message(json!({"player": 2, "no": 1, "request": null})));
}

#[test]
fn a_batch_is_bounded_before_it_is_read() {
    let batch = |op: u8, count: u16, element: &[u8]| {
        let head = [&[if op == 66 { 0x95 } else { 0x94 }, op, 3, 1][..], if op == 66 { &[6] } else { &[] }].concat();
        Bytes::from([&head[..], &[0xdc], &count.to_be_bytes(), &element.repeat(count.into())].concat())
    };
    let input = to_payload(&json!({"seq": 1, "now_ms": 2, "cause": {"drop": {"player": 2}}})).unwrap();
    assert!(FromWorker::decode(&batch(66, 256, &[0x80]), MAX).is_ok());
    assert!(ToWorker::decode(&batch(100, 256, &input), MAX).is_ok());
    let too_many = |field| Some(WorkerFrameError::from(FieldError::TooMany(field, MAX_BATCH)));
    assert_eq!(FromWorker::decode(&batch(66, 257, &[0x80]), MAX).err(), too_many("outcomes"));
    assert_eq!(ToWorker::decode(&batch(100, 257, &input), MAX).err(), too_many("inputs"));
    assert_eq!(FromWorker::decode(&batch(66, u16::MAX, &[0x80]), MAX).err(), too_many("outcomes"));
}

#[test]
fn bombs_are_refused() {
    let truncated = Err(WorkerFrameError::Field(FieldError::Malformed(Malformed::Truncated)));
    for bomb in [&[0xdd, 0xff, 0xff, 0xff, 0xff][..], &[0x95, 66, 3, 1, 6, 0xdd, 0xff, 0xff, 0xff, 0xff], &[]] {
        assert_eq!(FromWorker::decode(&Bytes::copy_from_slice(bomb), MAX), truncated);
    }
    let state = [0x96, 67, 3, 1, 6, 0xc0, 0xc6, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(FromWorker::decode(&Bytes::copy_from_slice(&state), MAX), truncated);
    let run = || {
        for level in [0x91, 0x81] {
            let deep = Bytes::from(vec![level; 100_000]);
            assert_eq!(FromWorker::decode(&deep, MAX), Err(FieldError::Malformed(Malformed::TooDeep).into()));
        }
    };
    std::thread::Builder::new().stack_size(512 * 1024).spawn(run).unwrap().join().unwrap();
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!([inner]))
}

fn worked(outputs: Vec<Output>) -> Outcome {
    Outcome { result: Ok(()), outputs, view: None }
}

fn of(outcome: Outcome) -> FromWorker {
    FromWorker::Outcomes { room: WorkerRoom(3), epoch: 1, first: Seq(6), outcomes: vec![outcome] }
}

fn to() -> Origin {
    Origin { player: PlayerId(2), no: 1, request: Some(2) }
}

/// Whatever a room can take has a frame that can be read, on a small stack too: values as deep as they may be, wherever they may stand.
#[test]
fn the_deepest_values_pass() {
    std::thread::Builder::new().stack_size(512 * 1024).spawn(deepest_values).unwrap().join().unwrap();
}

fn deepest_values() {
    let failure = |levels| Failure::app("x", "y").with("deep", nested(levels));
    let outcomes = |levels| {
        [
            worked(vec![Output::SetProperty { name: "p".into(), value: nested(levels) }]),
            worked(vec![Output::Refuse { to: to(), error: failure(levels).into() }]),
            Outcome::failed(Fault::Refused(failure(levels).into())),
        ]
    };
    for outcome in outcomes(MAX_VALUE_DEPTH) {
        assert_eq!(check_outcome(&outcome, &Policy::default()), Ok(()));
        let frame = of(outcome);
        assert_eq!(FromWorker::decode(&frame.encode().into(), MAX).unwrap(), frame);
    }
    for outcome in outcomes(MAX_VALUE_DEPTH + 1) {
        assert!(matches!(check_outcome(&outcome, &Policy::default()), Err(Unfit::TooDeep(_))));
    }
    let error = FromWorker::decode(&of(outcomes(MAX_VALUE_DEPTH + 1)[1].clone()).encode().into(), MAX).unwrap_err();
    assert_eq!(error, FieldError::Malformed(Malformed::TooDeep).into());
}

#[test]
fn what_stands_last_is_not_copied() {
    for (name, frame) in frames() {
        let bytes = Bytes::from(frame.encode());
        let data = match frame.direction() {
            Direction::FromWorker => match FromWorker::decode(&bytes, MAX).unwrap() {
                FromWorker::Snapshot { state: Ok(state), .. } => state.bytes,
                FromWorker::WorkDone { result: Ok(data), .. } => data,
                _ => continue,
            },
            Direction::ToWorker => match ToWorker::decode(&bytes, MAX).unwrap() {
                ToWorker::Open { snapshot: Some((_, state)), .. } => state.bytes,
                ToWorker::Run { arguments: data, .. } => data,
                _ => continue,
            },
        };
        assert!(data.is_empty() || bytes.as_ptr_range().contains(&data.as_ptr()), "{name}");
    }
}

/// A state that a snapshot can bring can be brought back.
#[test]
fn an_envelope_is_small() {
    let state = SavedState { version: "v".repeat(64), bytes: vec![0; 100_000].into() };
    let last = (Seq(MAX_UINT), state.clone());
    let open = ToWorker::Open {
        room: WorkerRoom(u32::MAX),
        epoch: MAX_UINT,
        id: RoomId::parse(&"r".repeat(64)).unwrap(),
        kind: "k".repeat(64),
        snapshot: Some(last),
    };
    assert!(open.encode().len() <= state.bytes.len() + MAX_ENVELOPE);
}

#[test]
fn some_outcomes_cut() {
    let publish = || Output::Publish { to: Audience::All, name: "x".into(), payload: NIL };
    let kick = Output::Kick { player: PlayerId(2), reason: NIL };
    assert!(!worked(Vec::new()).cuts() && !worked(vec![publish()]).cuts());
    assert!(!Outcome::failed(Fault::Refused(ErrorCode::BadPayload.into())).cuts());
    assert!(Outcome::failed(Fault::Panicked("x".into())).cuts());
    assert!(worked(vec![publish(), kick, publish()]).cuts());
    assert!(worked(vec![publish(), Output::Close { result: NIL }]).cuts());
}

#[test]
fn what_a_room_cannot_take_is_found() {
    let long = || "a".repeat(65);
    let far = MAX_UINT + 1;
    let bad = Bytes::from_static(&[0x92, 1]);
    let publish = |to, name: &str, payload| Output::Publish { to, name: name.to_owned().into(), payload };
    let cases = [
        (publish(Audience::All, &long(), NIL), Unfit::Name("name")),
        (publish(Audience::Topic(long().into()), "x", NIL), Unfit::Name("topic")),
        (publish(Audience::All, "x", bad.clone()), Unfit::Payload("payload", Malformed::Truncated)),
        (publish(Audience::All, "x", Bytes::new()), Unfit::Payload("payload", Malformed::Truncated)),
        (publish(Audience::All, "x", payload(nested(65))), Unfit::Payload("payload", Malformed::TooDeep)),
        (Output::Forget { topic: long().into(), key: "k".into() }, Unfit::Name("topic")),
        (
            Output::SetTopics { player: PlayerId(1), topics: vec![Topic::Cell(1, 2), long().into()] },
            Unfit::Name("topic"),
        ),
        (Output::Reply { to: Origin { no: far, ..to() }, payload: NIL }, Unfit::Number("no")),
        (Output::Reply { to: Origin { request: Some(far), ..to() }, payload: NIL }, Unfit::Number("request")),
        (Output::Refuse { to: Origin { no: far, ..to() }, error: ErrorCode::Internal.into() }, Unfit::Number("no")),
        (Output::After { delay_ms: far, event: "e".into(), payload: NIL }, Unfit::Number("delay_ms")),
        (Output::After { delay_ms: 1, event: long().into(), payload: NIL }, Unfit::Name("event")),
        (Output::Cancel { timer: TimerId(Place { seq: Seq(far), index: 0 }) }, Unfit::Number("timer")),
        (Output::Run { name: long().into(), arguments: NIL }, Unfit::Name("name")),
        (Output::Kick { player: PlayerId(1), reason: bad.clone() }, Unfit::Payload("reason", Malformed::Truncated)),
        (Output::Close { result: bad.clone() }, Unfit::Payload("result", Malformed::Truncated)),
    ];
    for (output, unfit) in cases {
        assert_eq!(check_outcome(&worked(vec![output.clone()]), &Policy::default()), Err(unfit), "{output:?}");
    }
    let blind = Outcome { view: Some(bad), ..worked(Vec::new()) };
    assert_eq!(check_outcome(&blind, &Policy::default()), Err(Unfit::Payload("view", Malformed::Truncated)));
}

/// As `Ctx` of the Rust SDK counts them.
#[test]
fn sizes_are_those_of_the_policy() {
    let policy = Policy { max_output_bytes: 100, max_outputs_bytes: 300, max_view_bytes: 200, ..Policy::default() };
    let text = |bytes: usize| payload("x".repeat(bytes - 2));
    let over = |limit, bytes| Err(Unfit::Size { bytes, limit });
    let publish = |bytes| Output::Publish { to: Audience::All, name: "x".into(), payload: text(bytes) };
    assert_eq!(check_outcome(&worked(vec![publish(100)]), &policy), Ok(()));
    assert_eq!(check_outcome(&worked(vec![publish(101)]), &policy), over("max_output_bytes", 101));
    let latest = Output::Latest { topic: "t".into(), key: "four".into(), name: "x".into(), payload: text(97) };
    assert_eq!(check_outcome(&worked(vec![latest]), &policy), over("max_output_bytes", 101));
    let property = Output::SetProperty { name: "p".into(), value: json!("x".repeat(99)) };
    assert_eq!(check_outcome(&worked(vec![property]), &policy), over("max_output_bytes", 101));
    assert_eq!(check_outcome(&worked(vec![publish(68), publish(68), publish(68)]), &policy), Ok(()));
    assert_eq!(
        check_outcome(&worked(vec![publish(68), publish(68), publish(69)]), &policy),
        over("max_outputs_bytes", 301)
    );
    let view = |bytes| Outcome { view: Some(text(bytes)), ..worked(Vec::new()) };
    assert_eq!(check_outcome(&view(200), &policy), Ok(()));
    assert_eq!(check_outcome(&view(201), &policy), over("max_view_bytes", 201));
    assert_eq!(over("max_view_bytes", 201).unwrap_err().to_string(), "201 bytes are over `max_view_bytes`");
}

/// What one message costs on this wire, for PROTOCOL.md and for whoever changes it.
#[test]
fn typical_frames_are_small() {
    let size = |name: &str| frames().into_iter().find(|(known, _)| *known == name).unwrap().1.encode().len();
    println!("inputs {}, outcomes {}, nothing {}", size("inputs"), size("outcomes"), size("outcomes_of_nothing"));
    assert!(size("inputs") <= 60 + 90 && size("outcomes") <= 60 + 60);
}

#[test]
fn slices_encode_as_frames_do() {
    for (_, frame) in frames() {
        let mut out = b"before".to_vec();
        match &frame {
            Frame::FromWorker(FromWorker::Outcomes { room, epoch, first, outcomes }) => {
                FromWorker::encode_outcomes(*room, *epoch, *first, outcomes, &mut out);
            }
            Frame::ToWorker(ToWorker::Inputs { room, epoch, inputs }) => {
                ToWorker::encode_inputs(*room, *epoch, inputs, &mut out);
            }
            _ => continue,
        }
        assert_eq!(out, [b"before", &frame.encode()[..]].concat());
    }
}
