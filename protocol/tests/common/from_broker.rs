//! What the broker says. Keys of payload maps are written in alphabetical order, so that nothing depends on map order.

use std::collections::BTreeMap;

use parlor_protocol::codec::NIL;
use parlor_protocol::frame::{Joined, Recovered, Recovery, ResumeTerms, Role, Welcome};
use parlor_protocol::limits::MAX_UINT;
use parlor_protocol::{BrokerFrame, ErrorCode, Failure, Place, PlayerId, RoomId, RoomNo, Seq};
use serde_json::{Value, json};

use super::payload;

const ROOM: RoomNo = RoomNo(7);

pub(super) fn frames() -> Vec<(&'static str, BrokerFrame)> {
    let mut frames = sessions();
    frames.extend(joins());
    frames.extend(latest());
    frames.extend(types());
    frames.extend(publishes());
    frames.extend(answers());
    frames.extend(closes());
    frames.extend(errors());
    frames.extend([
        ("done", BrokerFrame::Done { id: 4 }),
        ("done_largest_id", BrokerFrame::Done { id: MAX_UINT }),
        ("pong", BrokerFrame::Pong { time: 81234.5, server_time: 1_785_931_200_150 }),
        ("pong_whole", BrokerFrame::Pong { time: 1_785_931_200_123.0, server_time: 1_785_931_200_150 }),
        ("handled", BrokerFrame::Handled { room: ROOM, no: 1, tick: 120 }),
        ("handled_large", BrokerFrame::Handled { room: ROOM, no: 4_294_967_296, tick: 0 }),
    ]);
    frames
}

fn at(seq: u64, index: u32) -> Place {
    Place { seq: Seq(seq), index }
}

fn welcome() -> Welcome {
    Welcome {
        session: "s-8Jq2".into(),
        account: "guest-8Jq2".into(),
        server: "parlor/0.1.0".into(),
        time: 1_785_931_200_000,
        max_frame: 65536,
        expires: None,
        resume: None,
        lost: None,
    }
}

fn sessions() -> Vec<(&'static str, BrokerFrame)> {
    let terms = ResumeTerms { token: "AAAAAAAAAAE".into(), ack_frames: 1024, ack_bytes: 65536 };
    let next = ResumeTerms { token: "AAAAAAAAAAI".into(), ..terms.clone() };
    let kept = Welcome { resume: Some(terms), ..welcome() };
    let lost = Welcome { lost: Some("expired".into()), ..kept.clone() };
    let known = Welcome { account: "ann".into(), expires: Some(1_785_934_800_000), ..welcome() };
    let resumed = Box::new(Welcome { resume: Some(next), ..welcome() });
    let room = |room, no, outcome| Recovery { room: RoomNo(room), no, outcome, frames: None, reason: None };
    let recovered = Recovery { frames: Some(3), ..room(7, 12, Recovered::Frames) };
    let closed = Recovery { reason: Some("closed".into()), ..room(9, 0, Recovered::Lost) };
    let rooms = vec![recovered.clone(), room(8, 4, Recovered::View), closed];
    vec![
        ("welcome", BrokerFrame::Welcome(welcome().into())),
        ("welcome_kept", BrokerFrame::Welcome(kept.into())),
        ("welcome_lost", BrokerFrame::Welcome(lost.into())),
        ("welcome_token", BrokerFrame::Welcome(known.into())),
        ("resumed", BrokerFrame::Resumed { welcome: resumed.clone(), received: 13, rooms: vec![recovered] }),
        ("resumed_all_outcomes", BrokerFrame::Resumed { welcome: resumed.clone(), received: MAX_UINT, rooms }),
        ("resumed_no_rooms", BrokerFrame::Resumed { welcome: resumed, received: 0, rooms: Vec::new() }),
        ("acked", BrokerFrame::Acked { received: 13 }),
        ("acked_large", BrokerFrame::Acked { received: MAX_UINT }),
    ]
}

fn joins() -> Vec<(&'static str, BrokerFrame)> {
    let player = Joined {
        room: ROOM,
        id: RoomId::parse("k3F9xQ2m").unwrap(),
        kind: "arena".into(),
        player: PlayerId(2),
        role: Role::Player,
        seq: Seq(4),
        index: 0,
        routes: 2,
        types: ["move", "buy", "moved"].map(String::from).to_vec(),
        properties: BTreeMap::from([("map".into(), json!("dust"))]),
        invite: None,
    };
    let bare =
        Joined { role: Role::Spectator, routes: 0, types: Vec::new(), properties: BTreeMap::new(), ..player.clone() };
    let late =
        Joined { room: RoomNo(u32::MAX), player: PlayerId(70_000), seq: Seq(MAX_UINT), index: 9, ..player.clone() };
    let relay = Joined {
        kind: "relay".into(),
        routes: 0,
        types: ["set", "joined", "left", "chat"].map(String::from).to_vec(),
        properties: BTreeMap::new(),
        ..player.clone()
    };
    let kept = json!({"members": {"1": "Zoë", "2": "Ann"}, "values": {"flag": {"x": 1}, "round": 3}});
    let view = || payload(json!({"players": {"1": [0.5, 0.25]}}));
    let open = Joined { invite: Some("7KQ2-XM4P".into()), ..player.clone() };
    let again = Joined { seq: Seq(41), ..player.clone() };
    vec![
        ("view", BrokerFrame::View { joined: again.into(), handled: 12, view: view() }),
        ("view_nil", BrokerFrame::View { joined: bare.clone().into(), handled: 0, view: NIL }),
        ("joined_invite", BrokerFrame::Joined { id: 1, joined: open.into(), view: view() }),
        ("joined", BrokerFrame::Joined { id: 1, joined: player.into(), view: view() }),
        ("joined_spectator", BrokerFrame::Joined { id: MAX_UINT, joined: bare.into(), view: NIL }),
        ("joined_late", BrokerFrame::Joined { id: 70_000, joined: late.into(), view: view() }),
        ("joined_relay", BrokerFrame::Joined { id: 1, joined: relay.into(), view: payload(kept) }),
    ]
}

fn types() -> Vec<(&'static str, BrokerFrame)> {
    let types = |first, names: &[&str]| BrokerFrame::Types {
        room: ROOM,
        first,
        names: names.iter().map(ToString::to_string).collect(),
    };
    vec![
        ("types", types(3, &["bought"])),
        ("types_several", types(4, &["ended", "score", "тип"])),
        ("types_none", types(7, &[])),
    ]
}

fn publishes() -> Vec<(&'static str, BrokerFrame)> {
    let publish = |seq, index, type_, value: Value| BrokerFrame::Publish {
        room: ROOM,
        place: at(seq, index),
        type_,
        payload: payload(value),
    };
    vec![
        ("publish", publish(5, 0, 2, json!({"player": 2, "x": 1.5, "y": -2}))),
        ("publish_nil", publish(5, 1, 2, Value::Null)),
        ("publish_large_place", publish(MAX_UINT, u32::MAX, 300, json!(MAX_UINT))),
        ("publish_negative", publish(6, 0, 2, json!([-1, -9_007_199_254_740_991_i64]))),
        ("publish_floats", publish(6, 1, 2, json!([0.1, 3.0, -1e-7]))),
        ("publish_unicode", publish(6, 2, 3, json!({"ключ": "значение 🎲"}))),
        ("publish_nested", publish(6, 3, 3, json!({"grid": [[1, 2], [3, [4, {"deep": [true, null]}]]]}))),
        ("publish_relay_set", publish(7, 0, 0, json!({"from": 2, "key": "flag", "value": {"x": 1}}))),
        ("publish_relay_unset", publish(8, 0, 0, json!({"from": 2, "key": "flag", "value": null}))),
        ("publish_relay_joined", publish(9, 0, 1, json!({"name": "Ann", "player": 2}))),
        ("publish_relay_left", publish(10, 0, 2, json!({"player": 2}))),
        ("publish_relay_message", publish(11, 0, 3, json!({"data": {"text": "hi"}, "from": 2}))),
    ]
}

fn latest() -> Vec<(&'static str, BrokerFrame)> {
    let latest = |seq, key: &str, value: Value| BrokerFrame::Latest {
        room: ROOM,
        place: at(seq, 1),
        type_: 2,
        key: key.into(),
        payload: payload(value),
    };
    vec![
        ("latest", latest(6, "2", json!({"player": 2, "x": 1.5, "y": -2}))),
        ("latest_nil", latest(MAX_UINT, "", Value::Null)),
        ("latest_unicode", latest(7, "ключ", json!([1, 2]))),
    ]
}

fn answers() -> Vec<(&'static str, BrokerFrame)> {
    let reply = |id, value| BrokerFrame::Reply { room: ROOM, place: at(6, 0), id, payload: payload(value) };
    let refused = |no, id, error| BrokerFrame::Refused { room: ROOM, place: at(7, 0), no, id, error: Box::new(error) };
    let poor = || Failure::app("too_expensive", "you have 3 coins, it costs 10").with("coins", 3).with("price", 10);
    vec![
        ("reply", reply(2, json!({"coins": 3, "item": 7}))),
        ("reply_nil", reply(MAX_UINT, Value::Null)),
        ("refused_request", refused(3, Some(3), poor())),
        ("refused_send", refused(4, None, ErrorCode::BadPayload.into())),
        ("refused_retryable", refused(4_294_967_296, None, Failure::app("not_your_turn", "wait").retry())),
    ]
}

fn closes() -> Vec<(&'static str, BrokerFrame)> {
    let closed = |code: &str, value| BrokerFrame::Closed {
        room: ROOM,
        place: at(9, 1),
        code: code.into(),
        result: payload(value),
    };
    vec![
        ("closed", closed("closed", json!({"winner": 2}))),
        ("closed_nil", closed("closed", Value::Null)),
        ("closed_left", closed("left", Value::Null)),
        ("closed_kicked", closed("kicked", json!("afk"))),
        ("closed_room_failed", closed("room_failed", Value::Null)),
        ("closed_expired", closed("expired", Value::Null)),
        ("closed_replaced", closed("replaced", Value::Null)),
        ("closed_shutting_down", closed("shutting_down", Value::Null)),
    ]
}

fn errors() -> Vec<(&'static str, BrokerFrame)> {
    let error = |id, error| BrokerFrame::Error { id, error: Box::new(error) };
    let full = Failure::from(ErrorCode::RoomFull).with("max_players", 16).with("kind", "arena");
    let odd = Failure::from(ErrorCode::Internal)
        .with("float", 0.5)
        .with("nested", json!({"list": [1, -1, null], "text": "ö"}))
        .with("none", Value::Null);
    vec![
        ("error", error(None, ErrorCode::BadFrame.into())),
        ("error_of_join", error(Some(1), full)),
        ("error_of_send", error(None, Failure::from(ErrorCode::QueueFull).about(ROOM, 12))),
        ("error_of_request", error(Some(2), Failure::from(ErrorCode::QueueFull).about(ROOM, 13))),
        ("error_of_subscribe", error(Some(4), Failure::from(ErrorCode::TopicDenied).with("topic", "scores"))),
        ("error_with_text", error(Some(MAX_UINT), Failure::from(ErrorCode::UnknownKind).because("no kind `arenå`"))),
        ("error_with_params", error(None, odd)),
    ]
}
