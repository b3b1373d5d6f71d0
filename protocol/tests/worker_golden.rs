//! The worker protocol, pinned: `fixtures/worker-frames.json` holds each frame, and this crate reads and writes just that.
//!
//! `PARLOR_BLESS=1 cargo test -p parlor-protocol --test worker_golden` writes the file anew from `common/worker`. An entry that is
//! there already must never change, but for the `hello` frame when a policy gets another key: a worker in the field reads it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::collections::HashSet;
use std::sync::LazyLock;

use common::from_hex;
use common::worker::{Direction, Frame, Golden, MAX, frames};
use parlor_protocol::FrameError;
use parlor_protocol::codec::{Codec, FieldError};
use parlor_protocol::msgpack::Malformed;
use parlor_protocol::worker::WorkerFrameError;
use parlor_protocol::{BrokerFrame, ClientFrame};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/worker-frames.json");

/// What the file holds, written anew before if that is asked for.
static STORED: LazyLock<Vec<Golden>> = LazyLock::new(|| {
    if std::env::var_os("PARLOR_BLESS").is_some() {
        std::fs::write(FILE, write(&made())).unwrap();
    }
    serde_json::from_str(&std::fs::read_to_string(FILE).unwrap()).unwrap()
});

fn made() -> Vec<Golden> {
    frames().iter().map(|(name, frame)| Golden::of(name, frame)).collect()
}

/// One entry a line, so that a change shows as one.
fn write(entries: &[Golden]) -> String {
    let lines: Vec<String> = entries.iter().map(|entry| serde_json::to_string(entry).unwrap()).collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

#[test]
fn fixtures_are_what_the_frames_encode_to() {
    let made = made();
    for (made, stored) in made.iter().zip(&*STORED) {
        assert_eq!(made, stored);
    }
    assert_eq!(made.len(), STORED.len());
}

#[test]
fn fixtures_decode_to_the_frames() {
    for ((name, frame), stored) in frames().iter().zip(&*STORED) {
        let bytes = from_hex(&stored.msgpack).unwrap();
        assert_eq!(Frame::decode(stored.direction, &bytes, bytes.len()).unwrap(), *frame, "{name}");
    }
}

#[test]
fn every_op_is_there_and_names_differ() {
    let names: HashSet<_> = STORED.iter().map(|entry| &entry.name).collect();
    assert_eq!(names.len(), STORED.len());
    let ops = |direction| -> HashSet<u64> {
        STORED
            .iter()
            .filter(|entry| entry.direction == direction)
            .map(|entry| entry.json[0].as_u64().unwrap())
            .collect()
    };
    assert_eq!(ops(Direction::FromWorker), (65..=71).collect());
    assert_eq!(ops(Direction::ToWorker), (97..=106).collect());
}

#[test]
fn a_frame_cut_off_anywhere_is_refused() {
    for entry in &*STORED {
        let bytes = from_hex(&entry.msgpack).unwrap();
        let truncated = WorkerFrameError::Field(FieldError::Malformed(Malformed::Truncated));
        for cut in 0..bytes.len() {
            let error = Frame::decode(entry.direction, &bytes[..cut], MAX).unwrap_err();
            assert_eq!(error, truncated, "{} at {cut}", entry.name);
        }
        let error = Frame::decode(entry.direction, &bytes, bytes.len() - 1).unwrap_err();
        assert_eq!(error, WorkerFrameError::TooLarge { len: bytes.len(), max: bytes.len() - 1 });
    }
}

/// A frame that gets to the wrong reader is no other frame there.
#[test]
fn no_reader_takes_another_ones_frames() {
    for entry in &*STORED {
        let (op, bytes) = (entry.json[0].as_u64().unwrap(), from_hex(&entry.msgpack).unwrap());
        for direction in Direction::BOTH.into_iter().filter(|direction| *direction != entry.direction) {
            assert_eq!(Frame::decode(direction, &bytes, MAX), Err(WorkerFrameError::UnknownOp(op)));
        }
        let bytes = bytes.into();
        assert_eq!(ClientFrame::decode(Codec::MsgPack, &bytes), Err(FrameError::UnknownOp(op)));
        assert_eq!(BrokerFrame::decode(Codec::MsgPack, &bytes), Err(FrameError::UnknownOp(op)));
    }
}
