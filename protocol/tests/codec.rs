//! Payloads between the two codecs: what passes, what changes its form, and what is refused.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use parlor_protocol::codec::{json_from_msgpack, msgpack_from_json, to_payload};
use parlor_protocol::limits::MAX_DEPTH;
use serde_json::json;

fn to_json(payload: &[u8]) -> Result<String, String> {
    let mut out = b"before:".to_vec();
    json_from_msgpack(payload, &mut out).map_err(|error| error.to_string())?;
    Ok(String::from_utf8(out).unwrap().strip_prefix("before:").unwrap().to_owned())
}

fn to_msgpack(text: &str) -> Result<Vec<u8>, String> {
    msgpack_from_json(text).map(Vec::from).map_err(|error| error.to_string())
}

#[test]
fn plain_values_pass_unchanged() {
    for text in
        ["null", "true", "0", "-1", "9007199254740991", "-9007199254740991", "0.1", "3.0", "\"é\\n\"", "[]", "{}"]
    {
        assert_eq!(to_json(&to_msgpack(text).unwrap()).unwrap(), text);
    }
    let value = json!({"a": [1, -2, 3.5, "x", null, {"b": [[], {}]}]});
    assert_eq!(to_msgpack(&value.to_string()).unwrap(), to_payload(&value).unwrap());
}

#[test]
fn the_order_of_keys_is_kept() {
    assert_eq!(to_json(&to_msgpack(r#"{"b":1,"a":2}"#).unwrap()).unwrap(), r#"{"b":1,"a":2}"#);
}

#[test]
fn floats_come_back_exactly() {
    for number in [0.1 + 0.2, 1.0 / 3.0, 5e-324, f64::MAX, 2.225_073_858_507_201_4e-308, 31.245_270_191_439_438] {
        let payload = to_payload(&number).unwrap();
        assert_eq!(to_msgpack(&to_json(&payload).unwrap()).unwrap(), payload);
    }
}

#[test]
fn a_whole_float_stays_a_float() {
    assert_eq!(to_msgpack("3").unwrap(), [3]);
    assert_eq!(to_msgpack("3.0").unwrap(), [0xcb, 0x40, 8, 0, 0, 0, 0, 0, 0]);
    assert_eq!(to_json(&[0xca, 0x40, 0x40, 0, 0]).unwrap(), "3.0", "32 bits");
}

#[test]
fn numbers_beyond_what_there_is() {
    for float in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(to_json(&to_payload(&float).unwrap()).unwrap(), "null");
    }
    assert!(to_msgpack("1e400").unwrap_err().contains("out of range"));
    assert!(to_msgpack("NaN").is_err());
    assert_eq!(
        to_msgpack("123456789012345678901234567890").unwrap(),
        *to_payload(&1.234_567_890_123_456_8e29).unwrap()
    );
    assert_eq!(to_json(&[&[0xcf], &[0xff; 8][..]].concat()).unwrap(), u64::MAX.to_string());
}

#[test]
fn binary_becomes_an_array_of_numbers() {
    assert_eq!(to_json(&[0xc4, 3, 0, 1, 255]).unwrap(), "[0,1,255]");
    assert_eq!(to_json(&[0xc4, 0]).unwrap(), "[]");
}

#[test]
fn keys_become_texts() {
    assert_eq!(to_json(&[0x82, 1, 2, 0xff, 3]).unwrap(), r#"{"1":2,"-1":3}"#);
    assert_eq!(to_json(&[0x81, 0xc3, 2]).unwrap(), r#"{"true":2}"#);
    for key in [&[0xc0][..], &[0x90], &[0x80], &[0xc4, 1, 65]] {
        let map = [&[0x81], key, &[1]].concat();
        assert!(to_json(&map).unwrap_err().contains("key must be a string"), "{key:02x?}");
    }
}

#[test]
fn extension_types_are_refused_wherever_they_are() {
    for ext in
        [&[0xd4, 1, 2][..], &[0xd6, 0xff, 0, 0, 0, 1], &[0xc7, 1, 5, 9], &[0xc8, 0, 1, 5, 9], &[0xc9, 0, 0, 0, 0, 5]]
    {
        for before in [&[][..], &[0x91], &[0x81, 0xa1, b'k'], &[0x92, 0xc4, 1, 0xd4]] {
            assert!(to_json(&[before, ext].concat()).unwrap_err().contains("extension"), "{before:02x?} {ext:02x?}");
        }
    }
    assert_eq!(to_json(&[0xa1, b'\xd4' & 0x7f]).unwrap(), "\"T\"", "bytes of a text are no markers");
    assert_eq!(to_json(&[0xc4, 1, 0xd4]).unwrap(), "[212]", "nor are bytes of a binary");
}

#[test]
fn text_must_be_one_json_value() {
    for text in ["", "tru", "1 2", "[1,]", "{\"a\"}", "'a'", "[1", "\"\\ud800\"", "\u{feff}1"] {
        assert!(to_msgpack(text).is_err(), "{text}");
    }
    assert_eq!(to_msgpack(" \n1\t").unwrap(), [1]);
}

#[test]
fn deep_values_end_in_an_error() {
    let nested = |levels: usize| [vec![0x91; levels], vec![0]].concat();
    assert_eq!(to_json(&nested(MAX_DEPTH)).unwrap().len(), 2 * MAX_DEPTH + 1);
    for levels in [200, 100_000] {
        assert!(to_json(&nested(levels)).is_err());
        assert!(to_msgpack(&"[".repeat(levels)).is_err());
        assert!(to_msgpack(&"{\"a\":".repeat(levels)).is_err());
    }
}

#[test]
fn a_broken_payload_ends_in_an_error() {
    for payload in [&[][..], &[0x92, 1], &[0xa5, b'a'], &[0xdd, 0xff, 0xff, 0xff, 0xff]] {
        assert!(to_json(payload).is_err(), "{payload:02x?}");
    }
}
