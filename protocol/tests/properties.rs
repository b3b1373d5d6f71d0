//! What must hold for every frame and for any bytes whatever.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod arbitrary;
mod common;
mod mutation;

use std::cmp::Ordering;

use arbitrary::{any_frame, any_value, encoded, json_frame};
use common::{Direction, Frame, frames, payload};
use mutation::{mutation, telling_byte};
use parlor_protocol::Codec;
use parlor_protocol::codec::{json_from_msgpack, msgpack_from_json};
use parlor_protocol::limits::MAX_DEPTH;
use parlor_protocol::msgpack::{self, Malformed};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::FileFailurePersistence;
use serde_json::json;

fn config() -> ProptestConfig {
    let regressions = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/properties.regressions");
    ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(regressions))),
        ..ProptestConfig::with_cases(256)
    }
}

/// Decodes as everything that it could be; a panic is what the test looks for. What decodes must survive a round trip.
fn decode_all(bytes: &[u8]) -> Result<(), TestCaseError> {
    for direction in [Direction::ToBroker, Direction::FromBroker] {
        for codec in Codec::ALL {
            let Ok(frame) = Frame::decode(direction, codec, bytes) else { continue };
            let once = frame.encode(Codec::MsgPack).unwrap();
            let again = Frame::decode(direction, Codec::MsgPack, &once).unwrap().encode(Codec::MsgPack).unwrap();
            prop_assert_eq!(once, again);
            let _ = frame.encode(Codec::Json);
        }
    }
    Ok(())
}

fn depth(value: &rmpv::Value) -> usize {
    match value {
        rmpv::Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        rmpv::Value::Map(pairs) => 1 + pairs.iter().map(|(k, v)| depth(k).max(depth(v))).max().unwrap_or(0),
        _ => 0,
    }
}

/// Compares [`msgpack::value_len`] with a decoder that builds the value.
fn agrees_with_rmpv(bytes: &[u8]) -> Result<(), TestCaseError> {
    let mut rest = bytes;
    let decoded = rmpv::decode::read_value_with_max_depth(&mut rest, 1000);
    match msgpack::value_len(bytes) {
        Ok(len) => {
            let value = decoded.unwrap();
            prop_assert_eq!(len, bytes.len() - rest.len());
            prop_assert!(depth(&value) <= MAX_DEPTH);
            let check = msgpack::check(bytes);
            prop_assert_eq!(check, if rest.is_empty() { Ok(()) } else { Err(Malformed::Trailing) });
        }
        Err(Malformed::TooDeep) => prop_assert!(decoded.map_or(true, |value| depth(&value) > MAX_DEPTH)),
        Err(Malformed::Truncated) => prop_assert!(decoded.is_err()),
        // The decoder lets both of these pass.
        Err(Malformed::NotUtf8) => prop_assert!(std::str::from_utf8(bytes).is_err()),
        Err(Malformed::Reserved) => prop_assert!(bytes.contains(&0xc1)),
        Err(Malformed::Trailing) => prop_assert!(false, "only `check` looks behind the value"),
    }
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_frame_survives_msgpack(frame in any_frame()) {
        let bytes = frame.encode(Codec::MsgPack).unwrap();
        prop_assert_eq!(msgpack::check_frame(&bytes), Ok(()));
        prop_assert_eq!(Frame::decode(frame.direction(), Codec::MsgPack, &bytes).unwrap(), frame);
    }

    #[test]
    fn every_representable_frame_survives_json(frame in json_frame()) {
        let text = frame.encode(Codec::Json).unwrap();
        prop_assert!(serde_json::from_slice::<Vec<serde_json::Value>>(&text).is_ok());
        prop_assert_eq!(Frame::decode(frame.direction(), Codec::Json, &text).unwrap(), frame);
    }

    /// The wire is only ever extended at the end, and readers of today must bear it.
    #[test]
    fn more_elements_are_passed_over(frame in json_frame(), more in vec(any_value(false), 1..4)) {
        let mut bytes = frame.encode(Codec::MsgPack).unwrap();
        bytes[0] += u8::try_from(more.len()).unwrap();
        let mut text = frame.encode(Codec::Json).unwrap();
        prop_assert_eq!(text.pop(), Some(b']'));
        for value in &more {
            bytes.extend(encoded(value));
            text.push(b',');
            json_from_msgpack(&encoded(value), &mut text).unwrap();
        }
        text.push(b']');
        prop_assert_eq!(&Frame::decode(frame.direction(), Codec::MsgPack, &bytes).unwrap(), &frame);
        prop_assert_eq!(&Frame::decode(frame.direction(), Codec::Json, &text).unwrap(), &frame);
    }

    #[test]
    fn any_bytes_decode_or_are_refused(bytes in vec(telling_byte(), 0..200)) {
        decode_all(&bytes)?;
    }

    #[test]
    fn arrays_of_anything_decode_or_are_refused(op in 0..50_u8, fields in vec(any_value(true), 0..8)) {
        let array = [vec![op.into()], fields].concat();
        decode_all(&encoded(&rmpv::Value::Array(array)))?;
    }

    #[test]
    fn mutated_frames_decode_or_are_refused(
        (_, frame) in select(frames()),
        codec in select(Codec::ALL.to_vec()),
        mutations in vec(mutation(), 1..6),
    ) {
        let mut bytes = frame.encode(codec).unwrap();
        for mutation in &mutations {
            mutation.apply(&mut bytes);
            decode_all(&bytes)?;
        }
    }

    #[test]
    fn lengths_agree_with_a_decoder(value in any_value(true), tail in vec(any::<u8>(), 0..4), mutations in vec(mutation(), 0..4)) {
        let mut bytes = encoded(&value);
        let len = bytes.len();
        bytes.extend(tail);
        prop_assert_eq!(msgpack::value_len(&bytes), Ok(len));
        agrees_with_rmpv(&bytes)?;
        for mutation in &mutations {
            mutation.apply(&mut bytes);
            agrees_with_rmpv(&bytes)?;
        }
    }

    #[test]
    fn lengths_of_any_bytes_agree_with_a_decoder(bytes in vec(telling_byte(), 0..100)) {
        agrees_with_rmpv(&bytes)?;
    }

    #[test]
    fn extensions_are_found(value in any_value(true)) {
        fn has_ext(value: &rmpv::Value) -> bool {
            match value {
                rmpv::Value::Ext(..) => true,
                rmpv::Value::Array(items) => items.iter().any(has_ext),
                rmpv::Value::Map(pairs) => pairs.iter().any(|(k, v)| has_ext(k) || has_ext(v)),
                _ => false,
            }
        }
        prop_assert_eq!(msgpack::holds_extension(&encoded(&value)), has_ext(&value));
    }

    /// Whatever a MessagePack client sends either has a JSON form that reads back, or is refused.
    #[test]
    fn transcoding_is_total(value in any_value(true)) {
        let mut text = Vec::new();
        if json_from_msgpack(&encoded(&value), &mut text).is_ok() {
            let back = msgpack_from_json(std::str::from_utf8(&text).unwrap()).unwrap();
            let mut again = Vec::new();
            json_from_msgpack(&back, &mut again).unwrap();
            // As values: a 32-bit float is written another way than the same number in 64 bits.
            let value = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).unwrap();
            prop_assert_eq!(value(&text), value(&again));
        }
    }

    #[test]
    fn depth_is_judged_alike_in_both_codecs(levels in 0..140_usize, maps in any::<u64>()) {
        let value = (0..levels).fold(json!(1), |inner, level| {
            if maps >> (level % 64) & 1 == 1 { json!({"k": inner}) } else { json!([inner]) }
        });
        let frame = json!([4, 7, 0, value]);
        let as_json = Frame::decode(Direction::ToBroker, Codec::Json, frame.to_string().as_bytes());
        let as_msgpack = Frame::decode(Direction::ToBroker, Codec::MsgPack, &payload(frame));
        prop_assert_eq!(as_json.is_ok(), levels.cmp(&MAX_DEPTH) != Ordering::Greater);
        prop_assert_eq!(as_json.ok(), as_msgpack.ok());
    }
}
