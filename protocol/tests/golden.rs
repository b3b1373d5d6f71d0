//! The wire, pinned: `fixtures/frames.json` holds each frame in both codecs, and this crate reads and writes just that.
//!
//! `PARLOR_BLESS=1 cargo test -p parlor-protocol --test golden` writes the file anew from `common/`. An entry that is
//! there already must never change: a client in the field reads it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::collections::HashSet;
use std::sync::LazyLock;

use common::{Direction, Frame, Golden, frames};
use parlor_protocol::Codec;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/frames.json");

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
    assert_eq!(made.len(), STORED.len());
    for (made, stored) in made.iter().zip(&*STORED) {
        assert_eq!((&made.name, made.direction), (&stored.name, stored.direction));
        assert_eq!(made.msgpack, stored.msgpack, "{}", made.name);
        assert_eq!(made.json_value(), stored.json_value(), "{}", made.name);
    }
}

#[test]
fn fixtures_decode_to_the_frames() {
    for ((name, frame), stored) in frames().iter().zip(&*STORED) {
        assert_eq!(*name, stored.name);
        for codec in Codec::ALL {
            let decoded = Frame::decode(stored.direction, codec, &stored.bytes(codec)).unwrap();
            assert_eq!(decoded, *frame, "{name} in {codec:?}");
        }
    }
}

#[test]
fn every_op_is_there_and_names_differ() {
    let names: HashSet<_> = STORED.iter().map(|entry| &entry.name).collect();
    assert_eq!(names.len(), STORED.len());
    let ops = |direction| -> HashSet<u64> {
        let entries = STORED.iter().filter(|entry| entry.direction == direction);
        entries.map(|entry| entry.json_value()[0].as_u64().unwrap()).collect()
    };
    assert_eq!(ops(Direction::ToBroker), (1..=10).collect());
    assert_eq!(ops(Direction::FromBroker), (33..=44).chain(48..=50).collect());
}
