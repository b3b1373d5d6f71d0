//! The error map: what it says on the wire, what may be left out, and how it reads.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use parlor_protocol::{ErrorCode, Failure, RoomNo};
use serde_json::{Value, json};

#[test]
fn a_broker_code_brings_its_text_and_retryability() {
    for code in ErrorCode::ALL {
        let failure = Failure::from(*code);
        assert_eq!(
            serde_json::to_value(&failure).unwrap(),
            json!({"code": code.as_str(), "text": code.text(), "retryable": code.retryable()})
        );
    }
}

#[test]
fn a_game_code_has_its_prefix() {
    let failure = Failure::app("too_expensive", "no");
    assert_eq!((failure.code.as_ref(), failure.text.as_ref(), failure.retryable), ("app.too_expensive", "no", false));
}

#[test]
fn everything_at_once() {
    let failure = Failure::from(ErrorCode::QueueFull)
        .because("wait a little")
        .with("waiting", 4096)
        .with("nested", json!({"a": [null]}))
        .about(RoomNo(7), 12);
    assert_eq!(
        serde_json::to_value(&failure).unwrap(),
        json!({
            "code": "queue_full", "text": "wait a little", "retryable": true,
            "params": {"waiting": 4096, "nested": {"a": [null]}}, "room": 7, "no": 12,
        })
    );
    assert!(Failure::app("x", "y").retry().retryable);
}

#[test]
fn a_parameter_without_a_json_form_becomes_null() {
    let failure = Failure::app("x", "y").with("nan", f64::NAN).with("odd", std::collections::BTreeMap::from([((), 1)]));
    assert_eq!(failure.params["nan"], Value::Null);
    assert_eq!(failure.params["odd"], Value::Null);
}

#[test]
fn what_may_be_left_out_may_be_left_out() {
    let least: Failure = serde_json::from_value(json!({"code": "app.x", "text": "y", "retryable": false})).unwrap();
    assert_eq!(least, Failure::app("x", "y"));
    let later = json!({"code": "app.x", "text": "y", "retryable": false, "added_later": [1]});
    assert_eq!(serde_json::from_value::<Failure>(later).unwrap(), least);
    assert!(serde_json::from_value::<Failure>(json!({"code": "app.x", "text": "y"})).is_err());
}

#[test]
fn it_reads_as_a_sentence() {
    let failure = Failure::from(ErrorCode::RoomFull);
    assert_eq!(failure.to_string(), "the room has no free seat (room_full)");
    assert_eq!(format!("{failure:?}"), "the room has no free seat (room_full)");
    assert_eq!(
        format!("{:?}", failure.with("seats", 2)),
        "the room has no free seat (room_full) {\"seats\": Number(2)}"
    );
}
