//! What a client says. Keys of payload maps are written in alphabetical order, so that nothing depends on map order.

use parlor_protocol::codec::NIL;
use parlor_protocol::frame::{Hello, Join, JoinMode, ResumeWish, Role, TypeRef};
use parlor_protocol::limits::MAX_UINT;
use parlor_protocol::{ClientFrame, RoomNo};
use serde_json::{Value, json};

use super::payload;

const ROOM: RoomNo = RoomNo(7);

pub(super) fn frames() -> Vec<(&'static str, ClientFrame)> {
    let mut frames = hellos();
    frames.extend(joins());
    frames.extend(sends());
    frames.extend(requests());
    frames.extend([
        ("leave", ClientFrame::Leave { room: ROOM }),
        ("leave_largest_room", ClientFrame::Leave { room: RoomNo(u32::MAX) }),
        ("subscribe", ClientFrame::Subscribe { id: 4, room: ROOM, topic: "scores".into() }),
        ("subscribe_unicode", ClientFrame::Subscribe { id: 5, room: ROOM, topic: "équipe/赤".into() }),
        ("unsubscribe", ClientFrame::Unsubscribe { id: 6, room: ROOM, topic: "scores".into() }),
        ("ping", ClientFrame::Ping { time: 81234.5 }),
        ("ping_whole", ClientFrame::Ping { time: 1_785_931_200_123.0 }),
        ("ping_negative", ClientFrame::Ping { time: -0.25 }),
        ("ack", ClientFrame::Ack { received: 17 }),
        ("ack_large", ClientFrame::Ack { received: MAX_UINT }),
        ("token", ClientFrame::Token { id: 8, token: "t0ken".into() }),
    ]);
    frames
}

fn hellos() -> Vec<(&'static str, ClientFrame)> {
    let full = Hello {
        client: "parlor-ts/0.1.0".into(),
        game: Some("1.4.2".into()),
        name: Some("Zoë 🎲".into()),
        token: Some("t0ken".into()),
        resume: None,
    };
    let resuming = |token: Option<&str>, received| Hello {
        resume: Some(ResumeWish { token: token.map(Into::into), received }),
        ..hello()
    };
    let named = Hello { name: Some("Ann".into()), ..hello() };
    vec![
        ("hello", ClientFrame::Hello(named)),
        ("hello_least", ClientFrame::Hello(hello())),
        ("hello_full", ClientFrame::Hello(full)),
        ("hello_to_be_kept", ClientFrame::Hello(resuming(None, None))),
        ("hello_resume", ClientFrame::Hello(resuming(Some("AAAAAAAAAAE"), Some(17)))),
        ("hello_resume_afresh", ClientFrame::Hello(resuming(Some("AAAAAAAAAAE"), None))),
    ]
}

fn hello() -> Hello {
    Hello { client: "parlor-ts/0.1.0".into(), ..Hello::default() }
}

fn joins() -> Vec<(&'static str, ClientFrame)> {
    let find = Join {
        mode: JoinMode::FindOrCreate,
        kind: Some("arena".into()),
        invite: None,
        ticket: None,
        room: None,
        role: Role::Player,
        private: false,
    };
    let create = Join { mode: JoinMode::Create, ..find.clone() };
    let private = Join { private: true, ..create.clone() };
    let by_id = Join { mode: JoinMode::Id, kind: None, room: Some("k3F9xQ2m".into()), ..find.clone() };
    let invited = Join { mode: JoinMode::Invite, kind: None, invite: Some("7KQ2-XM4P".into()), ..find.clone() };
    let ticket = Join { mode: JoinMode::Ticket, kind: None, ticket: Some("dGlja2V0".into()), ..find.clone() };
    let watch = Join { role: Role::Spectator, ..by_id.clone() };
    let map = || payload(json!({"map": "dust"}));
    vec![
        ("join_find_or_create", ClientFrame::Join { id: 1, join: find.clone(), options: map() }),
        ("join_nil_options", ClientFrame::Join { id: 2, join: find, options: NIL }),
        ("join_create", ClientFrame::Join { id: 3, join: create, options: map() }),
        ("join_create_private", ClientFrame::Join { id: 300, join: private, options: payload(json!({"laps": 3})) }),
        ("join_id", ClientFrame::Join { id: 70_000, join: by_id, options: NIL }),
        ("join_invite", ClientFrame::Join { id: 5, join: invited, options: NIL }),
        ("join_ticket", ClientFrame::Join { id: 6, join: ticket, options: NIL }),
        ("join_id_spectator", ClientFrame::Join { id: MAX_UINT, join: watch, options: NIL }),
    ]
}

fn sends() -> Vec<(&'static str, ClientFrame)> {
    let send = |type_, value: Value| ClientFrame::Send { room: ROOM, type_, payload: payload(value) };
    let mv = || TypeRef::Number(0);
    vec![
        ("send", send(mv(), json!({"x": 1.5, "y": -2}))),
        ("send_by_name", send(TypeRef::Name("move".into()), json!({"x": 1.5, "y": -2}))),
        ("send_by_unicode_name", send(TypeRef::Name("bewegung/⬆".into()), json!(true))),
        ("send_by_large_number", send(TypeRef::Number(u32::MAX), json!(false))),
        ("send_nil", send(mv(), Value::Null)),
        ("send_negative", send(mv(), json!([-1, -32, -33, -128, -129, -32769, -2147483649_i64]))),
        ("send_smallest_integer", send(mv(), json!(-9_007_199_254_740_991_i64))),
        ("send_largest_integer", send(mv(), json!(MAX_UINT))),
        ("send_integers", send(mv(), json!([0, 127, 128, 255, 256, 65535, 65536, 4294967295_u64, 4294967296_u64]))),
        ("send_floats", send(mv(), json!([0.1, -0.5, 3.0, 1e300, 5e-324]))),
        ("send_unicode", send(TypeRef::Number(1), json!({"text": "héllo \"wörld\" \\ 🎮\n\u{1}"}))),
        ("send_empty_text", send(TypeRef::Number(1), json!(""))),
        ("send_text_of_32", send(TypeRef::Number(1), json!("a".repeat(32)))),
        ("send_text_of_300", send(TypeRef::Number(1), json!("b".repeat(300)))),
        ("send_empty_map", send(mv(), json!({}))),
        ("send_empty_array", send(mv(), json!([]))),
        ("send_array_of_20", send(mv(), json!((0..20).collect::<Vec<_>>()))),
        ("send_nested", send(mv(), json!({"a": [1, {"b": [null, true, {"c": {}}]}], "z": [[[]]]}))),
    ]
}

fn requests() -> Vec<(&'static str, ClientFrame)> {
    let request = |type_, id, value: Value| ClientFrame::Request { room: ROOM, type_, id, payload: payload(value) };
    vec![
        ("request", request(TypeRef::Number(1), 2, json!({"item": 7}))),
        ("request_by_name", request(TypeRef::Name("buy".into()), 3, json!({"item": 7}))),
        ("request_nil", request(TypeRef::Number(200), MAX_UINT, Value::Null)),
    ]
}
