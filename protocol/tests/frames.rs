//! What is refused, and how, when a message is no frame; and what a reader passes over.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use bytes::Bytes;
use common::payload;
use parlor_protocol::codec::{FieldError, NIL, to_payload};
use parlor_protocol::frame::{Hello, JoinMode, Role, TypeRef};
use parlor_protocol::limits::MAX_UINT;
use parlor_protocol::msgpack::Malformed;
use parlor_protocol::{BrokerFrame, ClientFrame, Codec, FrameError, RoomNo};
use serde_json::{Value, json};

fn json_frame(text: impl Into<String>) -> Result<ClientFrame, FrameError> {
    ClientFrame::decode(Codec::Json, &Bytes::from(text.into()))
}

fn msgpack_frame(bytes: &[u8]) -> Result<ClientFrame, FrameError> {
    ClientFrame::decode(Codec::MsgPack, &Bytes::copy_from_slice(bytes))
}

/// Decodes the same frame in both codecs, which must agree.
fn both(frame: &Value) -> Result<ClientFrame, FrameError> {
    let json = json_frame(frame.to_string());
    let msgpack = msgpack_frame(&to_payload(frame).unwrap());
    match (&json, &msgpack) {
        // The text comes from one decoder or the other.
        (Err(FrameError::Field(FieldError::Map(a, _))), Err(FrameError::Field(FieldError::Map(b, _)))) => {
            assert_eq!(a, b, "{frame}");
        }
        _ => assert_eq!(json, msgpack, "{frame}"),
    }
    msgpack
}

fn field(frame: &Value) -> FieldError {
    match both(frame) {
        Err(FrameError::Field(error)) => error,
        other => panic!("{frame} gave {other:?}"),
    }
}

#[test]
fn a_frame_is_an_array() {
    assert_eq!(msgpack_frame(&[0x80]), Err(FieldError::NotAnArray.into()));
    assert_eq!(msgpack_frame(&[0xc0]), Err(FieldError::NotAnArray.into()));
    for text in ["{}", "null", "1", "\"x\"", "", "[", "[3,7", "[3,7]]", "[3,7][]", "[3,,7]", "nonsense"] {
        assert!(matches!(json_frame(text), Err(FrameError::Field(FieldError::Json(_)))), "{text}");
    }
    let not_utf8 = Bytes::from_static(b"[4,7,0,\"\xff\"]");
    assert!(matches!(ClientFrame::decode(Codec::Json, &not_utf8), Err(FrameError::Field(FieldError::Json(_)))));
}

#[test]
fn msgpack_must_be_well_formed() {
    let malformed = |bytes: &[u8]| match msgpack_frame(bytes) {
        Err(FrameError::Field(FieldError::Malformed(error))) => error,
        other => panic!("{bytes:02x?} gave {other:?}"),
    };
    assert_eq!(malformed(&[]), Malformed::Truncated);
    assert_eq!(malformed(&[0x92, 3]), Malformed::Truncated);
    assert_eq!(malformed(&[0x92, 3, 7, 0]), Malformed::Trailing);
    assert_eq!(malformed(&[0x92, 3, 0xc1]), Malformed::Reserved);
    assert_eq!(malformed(&[0x94, 4, 7, 0, 0xa1, 0xff]), Malformed::NotUtf8);
    assert_eq!(malformed(&[0xdd, 0xff, 0xff, 0xff, 0xff, 4, 7]), Malformed::Truncated);
}

#[test]
fn an_op_must_be_known() {
    for op in [0, 11, 12, 32, 33, 44, 255, 256, 257, 260, MAX_UINT] {
        assert_eq!(both(&json!([op, 7])), Err(FrameError::UnknownOp(op)));
    }
    let from_broker = Bytes::from_static(b"[1,{}]");
    assert_eq!(BrokerFrame::decode(Codec::Json, &from_broker), Err(FrameError::UnknownOp(1)));
    assert_eq!(field(&json!([])), FieldError::Missing("op"));
    for op in [json!("4"), json!(-4), json!(4.0), json!(null), json!(MAX_UINT + 1)] {
        assert_eq!(field(&json!([op, 7])), FieldError::Wrong("op", "an unsigned integer below 2^53"));
    }
}

#[test]
fn every_field_but_the_payload_must_be_there() {
    for (frame, name) in [
        (json!([1]), "hello"),
        (json!([2]), "id"),
        (json!([2, 1]), "join"),
        (json!([3]), "room"),
        (json!([4]), "room"),
        (json!([4, 7]), "type"),
        (json!([5, 7, 0]), "id"),
        (json!([6, 1]), "room"),
        (json!([6, 1, 7]), "topic"),
        (json!([7, 1, 7]), "topic"),
        (json!([8]), "time"),
    ] {
        assert_eq!(field(&frame), FieldError::Missing(name));
    }
}

#[test]
fn a_missing_payload_is_nil() {
    assert_eq!(
        both(&json!([4, 7, 0])).unwrap(),
        ClientFrame::Send { room: RoomNo(7), type_: TypeRef::Number(0), payload: NIL }
    );
    assert!(matches!(both(&json!([5, 7, 0, 1])).unwrap(), ClientFrame::Request { payload, .. } if payload == NIL));
    let join = both(&json!([2, 1, {"mode": "id", "room": "r"}])).unwrap();
    assert!(matches!(join, ClientFrame::Join { options, .. } if options == NIL));
}

#[test]
fn numbers_must_fit() {
    let room = |n: Value| field(&json!([3, n]));
    assert_eq!(room(json!(1_u64 << 32)), FieldError::Wrong("room", "an unsigned integer below 2^32"));
    for n in [json!(-1), json!(1.5), json!("7"), json!(null), json!([7]), json!(1_u64 << 53)] {
        assert_eq!(room(n), FieldError::Wrong("room", "an unsigned integer below 2^53"));
    }
    assert!(both(&json!([5, 7, 0, MAX_UINT, null])).is_ok());
    assert_eq!(field(&json!([5, 7, 0, MAX_UINT + 1, null])), FieldError::Wrong("id", "an unsigned integer below 2^53"));
}

#[test]
fn a_type_is_a_number_or_a_name() {
    for wrong in [json!(-1), json!(1_u64 << 32), json!(0.5), json!(null), json!(["move"]), json!({})] {
        assert_eq!(field(&json!([4, 7, wrong, null])), FieldError::Wrong("type", "a type number or a type name"));
    }
    let named = both(&json!([4, 7, "0", null])).unwrap();
    assert!(matches!(named, ClientFrame::Send { type_: TypeRef::Name(name), .. } if name == "0"));
}

#[test]
fn maps_and_texts_must_fit() {
    for (frame, name) in [
        (json!([1, {}]), "hello"),
        (json!([1, {"client": 7}]), "hello"),
        (json!([1, "parlor"]), "hello"),
        (json!([2, 1, {}]), "join"),
        (json!([2, 1, {"mode": "guess"}]), "join"),
        (json!([2, 1, {"mode": "id", "role": "referee"}]), "join"),
        (json!([2, 1, {"mode": "create", "private": 1}]), "join"),
        (json!([6, 1, 7, 8]), "topic"),
        (json!([8, "now"]), "time"),
        (json!([8, null]), "time"),
    ] {
        assert!(matches!(field(&frame), FieldError::Map(at, text) if at == name && !text.is_empty()), "{frame}");
    }
}

#[test]
fn names_may_have_64_bytes() {
    let frames = |name: String| {
        [
            ("client", json!([1, {"client": &name}])),
            ("game", json!([1, {"client": "c", "game": &name}])),
            ("name", json!([1, {"client": "c", "name": &name}])),
            ("kind", json!([2, 1, {"mode": "create", "kind": &name}])),
            ("room", json!([2, 1, {"mode": "id", "room": &name}])),
            ("type", json!([4, 7, &name, null])),
            ("type", json!([5, 7, &name, 1, null])),
            ("topic", json!([6, 1, 7, &name])),
            ("topic", json!([7, 1, 7, &name])),
        ]
    };
    for (_, frame) in frames("é".repeat(32)) {
        assert!(both(&frame).is_ok(), "{frame}");
    }
    for (field, frame) in frames("a".repeat(65)).into_iter().chain(frames("é".repeat(33))) {
        assert_eq!(both(&frame), Err(FrameError::TooLong(field)));
    }
    assert_eq!(FrameError::TooLong("kind").to_string(), "field `kind` is longer than 64 bytes");
    assert!(both(&json!([1, {"client": "c", "token": "t".repeat(5000)}])).is_ok(), "a token may be longer");
}

#[test]
fn what_is_not_known_is_passed_over() {
    let hello = both(&json!([1, {"client": "c", "later": {"a": [1]}, "name": null}, "later", [2]])).unwrap();
    assert_eq!(hello, ClientFrame::Hello(Hello { client: "c".into(), ..Hello::default() }));
    let join = both(&json!([2, 1, {"mode": "find_or_create", "kind": "arena", "later": 1}, null, {}])).unwrap();
    let ClientFrame::Join { join, .. } = join else { panic!("{join:?}") };
    assert_eq!((join.mode, join.role, join.private), (JoinMode::FindOrCreate, Role::Player, false));
    assert!(both(&json!([8, 1, 2, 3])).is_ok());
}

#[test]
fn integers_may_be_written_in_any_width() {
    for bytes in [&[0x92, 3, 7][..], &[0x92, 0xcc, 3, 0xcd, 0, 7], &[0xdc, 0, 2, 0xd0, 3, 0xd3, 0, 0, 0, 0, 0, 0, 0, 7]]
    {
        assert_eq!(msgpack_frame(bytes).unwrap(), ClientFrame::Leave { room: RoomNo(7) });
    }
    assert_eq!(json_frame(" [ 3 ,\n7 ] ").unwrap(), ClientFrame::Leave { room: RoomNo(7) });
}

#[test]
fn a_payload_may_nest_64_levels_in_either_codec() {
    let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    let frame = |levels| json!([4, 7, 0, nested(levels)]);
    let send = both(&frame(64)).unwrap();
    assert!(matches!(&send, ClientFrame::Send { payload: p, .. } if *p == payload(nested(64))));
    assert_eq!(field(&frame(65)), FieldError::Malformed(Malformed::TooDeep));
}

#[test]
fn bombs_do_not_exhaust_a_small_stack() {
    let run = || {
        for open in ["[", "{\"a\":", "[{\"a\":"] {
            let bomb = open.repeat(100_000);
            let closing: String = open.chars().rev().filter_map(|c| "[{".find(c).map(|at| &"]}"[at..=at])).collect();
            let whole = format!("{bomb}1{}", closing.repeat(100_000));
            for text in [format!("[4,7,0,{bomb}"), format!("[4,7,0,{whole}]"), format!("[1,{whole}]"), bomb.clone()] {
                assert!(json_frame(text).is_err());
            }
            assert!(json_frame(format!("[{whole}]")).is_err());
            // What is not known is not looked into.
            assert!(json_frame(format!("[1,{{\"client\":\"c\",\"x\":{whole}}}]")).is_ok());
            assert!(json_frame(format!("[8,1,{whole}]")).is_ok());
        }
        for level in [0x91, 0x81] {
            assert!(msgpack_frame(&vec![level; 100_000]).is_err());
        }
    };
    std::thread::Builder::new().stack_size(512 * 1024).spawn(run).unwrap().join().unwrap();
}

#[test]
fn an_output_without_a_json_form_fails_only_in_json() {
    let frame = BrokerFrame::Closed {
        room: RoomNo(7),
        place: parlor_protocol::Place::default(),
        code: "closed".into(),
        result: Bytes::from_static(&[0xd4, 1, 2]),
    };
    assert!(frame.encode_into(Codec::Json, &mut Vec::new()).is_err());
    let mut out = Vec::new();
    frame.encode_into(Codec::MsgPack, &mut out).unwrap();
    assert_eq!(BrokerFrame::decode(Codec::MsgPack, &out.into()).unwrap(), frame);
}

/// A room moves these for each message, several times; what is rare and large is boxed.
#[test]
fn what_a_message_is_made_of_is_small() {
    assert!(size_of::<BrokerFrame>() <= 96, "{}", size_of::<BrokerFrame>());
    assert!(size_of::<parlor_protocol::room::Input>() <= 144, "{}", size_of::<parlor_protocol::room::Input>());
    assert!(size_of::<parlor_protocol::room::Outcome>() <= 96, "{}", size_of::<parlor_protocol::room::Outcome>());
    assert!(size_of::<parlor_protocol::room::Output>() <= 112, "{}", size_of::<parlor_protocol::room::Output>());
}
