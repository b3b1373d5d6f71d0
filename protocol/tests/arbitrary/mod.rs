//! Arbitrary frames, with payloads made of arbitrary nested values.
#![allow(dead_code, reason = "each test uses its own part")]

pub(crate) mod worker;

use bytes::Bytes;
use parlor_protocol::codec::to_payload;
use parlor_protocol::frame::{
    Hello, Join, JoinMode, Joined, Recovered, Recovery, ResumeTerms, ResumeWish, Role, TypeRef, Welcome,
};
use parlor_protocol::limits::{MAX_DEPTH, MAX_UINT};
use parlor_protocol::{BrokerFrame, ClientFrame, ErrorCode, Failure, Place, PlayerId, RoomId, RoomNo, Seq};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use rmpv::Value;

use crate::common::Frame;

/// Frames whose payloads are anything that MessagePack has.
pub(crate) fn any_frame() -> impl Strategy<Value = Frame> {
    frame_with(any_value(true).prop_map(|value| encoded(&value).into()).boxed())
}

/// Frames whose payloads have a JSON form that reads back as the same.
pub(crate) fn json_frame() -> impl Strategy<Value = Frame> {
    // Through our own encoder, which chooses the shortest integers, as reading JSON does.
    frame_with(any_value(false).prop_map(|value| to_payload(&value).unwrap()).boxed())
}

/// Any value of at most [`MAX_DEPTH`] levels; without `exotic`, only what JSON can say too.
pub(crate) fn any_value(exotic: bool) -> impl Strategy<Value = Value> {
    let wraps = prop_oneof![4 => Just(0), 1 => 0..=MAX_DEPTH - BRANCHING, 1 => Just(MAX_DEPTH - BRANCHING)];
    (shallow_value(exotic), wraps)
        .prop_map(|(value, wraps)| (0..wraps).fold(value, |inner, _| Value::Array(vec![inner])))
}

/// Levels that have more than one element.
const BRANCHING: usize = 4;

fn shallow_value(exotic: bool) -> impl Strategy<Value = Value> {
    leaf(exotic).prop_recursive(BRANCHING as u32, 24, 6, move |inner| {
        let key = if exotic { inner.clone() } else { text().prop_map(Value::from).boxed() };
        prop_oneof![vec(inner.clone(), 0..6).prop_map(Value::Array), vec((key, inner), 0..6).prop_map(Value::Map),]
    })
}

pub(crate) fn encoded(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    rmpv::encode::write_value(&mut out, value).unwrap();
    out
}

fn leaf(exotic: bool) -> BoxedStrategy<Value> {
    let plain = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-200_i64..70_000).prop_map(Value::from),
        finite().prop_map(Value::from),
        text().prop_map(Value::from),
        "[a-z]{30,300}".prop_map(Value::from),
    ];
    if !exotic {
        return plain.boxed();
    }
    prop_oneof![
        5 => plain,
        1 => any::<f32>().prop_map(Value::from),
        1 => select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY]).prop_map(Value::from),
        1 => vec(any::<u8>(), 0..300).prop_map(Value::from),
        1 => (any::<i8>(), vec(any::<u8>(), 0..300)).prop_map(|(kind, data)| Value::Ext(kind, data)),
    ]
    .boxed()
}

fn finite() -> impl Strategy<Value = f64> {
    prop_oneof![
        proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO,
        (-1e6..1e6_f64),
        (-1000..1000_i32).prop_map(f64::from),
    ]
}

/// At most 64 bytes of any text.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z_]{0,64}", any::<[char; 4]>().prop_map(String::from_iter), "\\PC{0,16}"]
}

fn uint() -> impl Strategy<Value = u64> {
    prop_oneof![0..300_u64, 0..=MAX_UINT, Just(MAX_UINT)]
}

fn room() -> impl Strategy<Value = RoomNo> {
    prop_oneof![(0..300_u32), any::<u32>()].prop_map(RoomNo)
}

fn place() -> impl Strategy<Value = Place> {
    (uint(), any::<u32>()).prop_map(|(seq, index)| Place { seq: Seq(seq), index })
}

fn role() -> impl Strategy<Value = Role> {
    select(vec![Role::Player, Role::Spectator])
}

fn json_value() -> impl Strategy<Value = serde_json::Value> {
    shallow_value(false).prop_map(|value| rmpv::ext::from_value(value).unwrap())
}

fn failure() -> impl Strategy<Value = Failure> {
    let code = prop_oneof![
        select(ErrorCode::ALL.to_vec()).prop_map(Failure::from),
        (text(), text()).prop_map(|(code, text)| Failure::app(&code, text)),
    ];
    let about = option::of((room(), uint()));
    (code, btree_map(text(), json_value(), 0..3), about, any::<bool>()).prop_map(|(failure, params, about, retry)| {
        let failure = params.into_iter().fold(failure, |failure, (name, value)| failure.with(name, value));
        let failure = if retry { failure.retry() } else { failure };
        about.map_or(failure.clone(), |(room, no)| failure.about(room, no))
    })
}

fn frame_with(payload: BoxedStrategy<Bytes>) -> impl Strategy<Value = Frame> {
    prop_oneof![to_broker(payload.clone()).prop_map(Frame::ToBroker), from_broker(payload).prop_map(Frame::FromBroker)]
}

fn to_broker(payload: BoxedStrategy<Bytes>) -> impl Strategy<Value = ClientFrame> {
    let type_ref = || prop_oneof![any::<u32>().prop_map(TypeRef::Number), text().prop_map(TypeRef::Name)];
    prop_oneof![
        hello().prop_map(ClientFrame::Hello),
        (uint(), join(), payload.clone()).prop_map(|(id, join, options)| ClientFrame::Join { id, join, options }),
        room().prop_map(|room| ClientFrame::Leave { room }),
        (room(), type_ref(), payload.clone()).prop_map(|(room, type_, payload)| ClientFrame::Send {
            room,
            type_,
            payload
        }),
        (room(), type_ref(), uint(), payload).prop_map(|(room, type_, id, payload)| ClientFrame::Request {
            room,
            type_,
            id,
            payload
        }),
        (uint(), room(), text()).prop_map(|(id, room, topic)| ClientFrame::Subscribe { id, room, topic }),
        (uint(), room(), text()).prop_map(|(id, room, topic)| ClientFrame::Unsubscribe { id, room, topic }),
        finite().prop_map(|time| ClientFrame::Ping { time }),
        uint().prop_map(|received| ClientFrame::Ack { received }),
        (uint(), text()).prop_map(|(id, token)| ClientFrame::Token { id, token }),
    ]
}

fn hello() -> impl Strategy<Value = Hello> {
    let wish = (option::of(text()), option::of(uint())).prop_map(|(token, received)| ResumeWish { token, received });
    (text(), option::of(text()), option::of(text()), option::of("[a-z]{0,200}"), option::of(wish))
        .prop_map(|(client, game, name, token, resume)| Hello { client, game, name, token, resume })
}

fn join() -> impl Strategy<Value = Join> {
    use JoinMode::{Create, FindOrCreate, Id, Invite, Ticket};
    let texts = (option::of(text()), option::of(text()), option::of(text()), option::of(text()));
    (select(vec![FindOrCreate, Create, Id, Invite, Ticket]), texts, role(), any::<bool>()).prop_map(
        |(mode, (kind, room, invite, ticket), role, private)| Join { mode, kind, room, invite, ticket, role, private },
    )
}

fn from_broker(payload: BoxedStrategy<Bytes>) -> impl Strategy<Value = BrokerFrame> {
    let id = || option::of(uint());
    let welcome = || welcome().prop_map(Box::new);
    let joined = || joined().prop_map(Box::new);
    let failure = || failure().prop_map(Box::new);
    prop_oneof![
        welcome().prop_map(BrokerFrame::Welcome),
        (uint(), joined(), payload.clone()).prop_map(|(id, joined, view)| BrokerFrame::Joined { id, joined, view }),
        (room(), any::<u32>(), vec(text(), 0..20)).prop_map(|(room, first, names)| BrokerFrame::Types {
            room,
            first,
            names
        }),
        (room(), place(), any::<u32>(), payload.clone())
            .prop_map(|(room, place, type_, payload)| BrokerFrame::Publish { room, place, type_, payload }),
        (room(), place(), uint(), payload.clone()).prop_map(|(room, place, id, payload)| BrokerFrame::Reply {
            room,
            place,
            id,
            payload
        }),
        (room(), place(), uint(), id(), failure()).prop_map(|(room, place, no, id, error)| BrokerFrame::Refused {
            room,
            place,
            no,
            id,
            error
        }),
        (room(), place(), text(), payload.clone()).prop_map(|(room, place, code, result)| BrokerFrame::Closed {
            room,
            place,
            code,
            result
        }),
        (id(), failure()).prop_map(|(id, error)| BrokerFrame::Error { id, error }),
        uint().prop_map(|id| BrokerFrame::Done { id }),
        (finite(), uint()).prop_map(|(time, server_time)| BrokerFrame::Pong { time, server_time }),
        (room(), uint(), uint()).prop_map(|(room, no, tick)| BrokerFrame::Handled { room, no, tick }),
        uint().prop_map(|received| BrokerFrame::Acked { received }),
        (welcome(), uint(), vec(recovery(), 0..4)).prop_map(|(welcome, received, rooms)| BrokerFrame::Resumed {
            welcome,
            received,
            rooms
        }),
        (joined(), uint(), payload.clone()).prop_map(|(joined, handled, view)| BrokerFrame::View {
            joined,
            handled,
            view
        }),
        (room(), place(), any::<u32>(), text(), payload)
            .prop_map(|(room, place, type_, key, payload)| BrokerFrame::Latest { room, place, type_, key, payload }),
    ]
}

fn welcome() -> impl Strategy<Value = Welcome> {
    let terms = (text(), uint(), uint()).prop_map(|(token, ack_frames, ack_bytes)| ResumeTerms {
        token,
        ack_frames,
        ack_bytes,
    });
    let more = (option::of(uint()), option::of(terms), option::of(text()));
    (text(), text(), text(), uint(), uint(), more).prop_map(
        |(session, account, server, time, max_frame, (expires, resume, lost))| Welcome {
            session,
            account,
            server,
            time,
            max_frame,
            expires,
            resume,
            lost,
        },
    )
}

fn recovery() -> impl Strategy<Value = Recovery> {
    let outcome = select(vec![Recovered::Frames, Recovered::View, Recovered::Lost]);
    (room(), uint(), outcome, option::of(uint()), option::of(text()))
        .prop_map(|(room, no, outcome, frames, reason)| Recovery { room, no, outcome, frames, reason })
}

fn joined() -> impl Strategy<Value = Joined> {
    let room_id = "[A-Za-z0-9_-]{1,64}".prop_map(|id| RoomId::parse(&id).unwrap());
    let named = (room(), room_id, text(), any::<u32>(), role());
    let shown = (btree_map(text(), json_value(), 0..3), option::of(text()));
    (named, place(), any::<u32>(), vec(text(), 0..20), shown).prop_map(
        |((room, id, kind, player, role), place, routes, types, (properties, invite))| Joined {
            room,
            id,
            kind,
            player: PlayerId(player),
            role,
            seq: place.seq,
            index: place.index,
            routes,
            types,
            properties,
            invite,
        },
    )
}
