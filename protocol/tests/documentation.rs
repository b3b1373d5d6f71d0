//! PROTOCOL.md says what is so: its examples are golden frames, and its tables list every code.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::collections::HashSet;
use std::sync::LazyLock;

use common::{Direction, Golden, frames, from_hex, to_hex};
use parlor_protocol::code::CloseKind;
use parlor_protocol::limits::{MAX_DEPTH, MAX_LABEL, MAX_NAME, MAX_UINT};
use parlor_protocol::{CloseCode, Codec, ErrorCode};
use serde_json::Value;

static PAGE: LazyLock<String> =
    LazyLock::new(|| std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../PROTOCOL.md")).unwrap());

/// The golden frames, which `golden.rs` proves to be those of the fixture file.
static GOLDEN: LazyLock<Vec<Golden>> =
    LazyLock::new(|| frames().iter().map(|(name, frame)| Golden::of(name, frame)).collect());

/// The fenced blocks of the page: the word behind the fence, and the lines within. Those of workers are another test's.
fn blocks() -> Vec<(&'static str, Vec<&'static str>)> {
    let mut blocks = Vec::new();
    let (clients, _) = PAGE.split_once("\n## 16. Workers").unwrap();
    let mut lines = clients.lines();
    while let Some(line) = lines.next() {
        if let Some(kind) = line.strip_prefix("```") {
            blocks.push((kind, lines.by_ref().take_while(|line| *line != "```").collect()));
        }
    }
    blocks
}

/// The cells of all table rows of a section.
fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let section = PAGE.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    rows.map(|row| row.split(" | ").collect()).collect()
}

fn entry_of(json: &Value) -> &'static Golden {
    GOLDEN.iter().find(|entry| entry.json_value() == *json).unwrap_or_else(|| panic!("no golden frame is {json}"))
}

#[test]
fn every_example_is_a_golden_frame_in_both_codecs() {
    let blocks = blocks();
    let mut shown = HashSet::new();
    for (at, (kind, lines)) in blocks.iter().enumerate().filter(|(_, (kind, _))| *kind != "dialogue") {
        match *kind {
            "json" => {
                let json: Value = serde_json::from_str(&lines.join("\n")).unwrap();
                assert_eq!(blocks[at + 1].0, "msgpack", "{json} stands alone");
                shown.insert(json[0].as_u64().unwrap());
            }
            "msgpack" => {
                let hex: String = lines.iter().map(|line| line.split_once(" ; ").unwrap().0).collect();
                let json: Value = serde_json::from_str(&blocks[at - 1].1.join("\n")).unwrap();
                assert_eq!(to_hex(&from_hex(&hex).unwrap()), entry_of(&json).msgpack, "{json}");
            }
            other => panic!("what is a block of {other}?"),
        }
    }
    assert_eq!(shown, (1..=10).chain(33..=44).chain(48..=50).collect(), "each op has an example");
}

#[test]
fn every_line_of_a_dialogue_is_a_golden_frame() {
    for line in blocks().into_iter().filter(|(kind, _)| *kind == "dialogue").flat_map(|(_, lines)| lines) {
        let (who, json) = line.split_once(": ").unwrap();
        let direction = if who == "client" { Direction::ToBroker } else { Direction::FromBroker };
        assert_eq!(entry_of(&serde_json::from_str(json).unwrap()).direction, direction, "{line}");
    }
}

#[test]
fn every_error_code_is_in_the_table() {
    let rows: Vec<_> = rows("6. Errors").into_iter().filter(|row| row.len() == 4 && row[0] != "code").collect();
    for (row, code) in rows.iter().zip(ErrorCode::ALL) {
        let retryable = if code.retryable() { "yes" } else { "no" };
        assert_eq!(row[..3], [&format!("`{}`", code.as_str()), code.text(), retryable]);
    }
    assert_eq!(rows.len(), ErrorCode::ALL.len());
}

#[test]
fn every_close_code_is_in_the_table() {
    let rows: Vec<_> = rows("7. Closing").into_iter().filter(|row| row.len() == 4 && row[0] != "number").collect();
    for (row, code) in rows.iter().zip(CloseCode::ALL) {
        assert_eq!(row[..3], [&code.number().to_string(), &format!("`{}`", code.as_str()), code.text()]);
        assert_eq!(row[3].starts_with("Connects again"), code.kind() == CloseKind::Resumable, "{code:?}");
    }
    assert_eq!(rows.len(), CloseCode::ALL.len());
}

#[test]
fn every_frame_is_in_the_tables_of_ops() {
    let listed = |heading| -> Vec<u64> {
        let rows = rows(heading);
        let forms = rows.iter().filter(|row| row.len() == 3 && row[2].starts_with("`["));
        forms.map(|row| row[2].trim_start_matches("`[").split([',', ']']).next().unwrap().parse().unwrap()).collect()
    };
    assert_eq!(listed("4. From client"), (1..=10).collect::<Vec<_>>());
    assert_eq!(listed("5. From broker"), (33..=44).chain(48..=50).collect::<Vec<_>>());
}

#[test]
fn limits_and_sub_protocols_are_those_of_the_code() {
    let limits = rows("11. Limits");
    let beyond = |what: &str| limits.iter().find(|row| row[0].starts_with(what)).unwrap()[1];
    assert_eq!(beyond("kind, room id"), format!("{MAX_NAME} bytes"));
    assert_eq!(beyond("`client`"), format!("{MAX_LABEL} bytes"));
    assert_eq!(beyond("levels"), MAX_DEPTH.to_string());
    assert!(PAGE.contains(&format!("2^53 - 1 = {MAX_UINT}")));
    let offered: Vec<_> = rows("1. Transport").into_iter().skip(1).map(|row| row[0].to_owned()).collect();
    assert_eq!(offered, Codec::ALL.map(|codec| format!("`{}`", codec.subprotocol())));
}
