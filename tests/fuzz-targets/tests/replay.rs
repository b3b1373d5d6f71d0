//! What the fuzzers have found, and what they begin with, over and over.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

use parlor_fuzz_targets as targets;
use parlor_protocol::limits::MAX_DEPTH;
use serde_json::Value;
use targets::{TARGETS, Target};

/// The largest frame of a client, by default.
const FRAME: usize = 16 << 10;

/// Bytes that mean something to one codec or the other.
const TELLING: [u8; 11] = [0, 0x7f, 0x80, 0x93, 0xc1, 0xc7, 0xdd, 0xff, b'[', b'"', b'9'];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn replay(name: &str) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).unwrap();
    let mut inputs: Vec<_> =
        fs::read_dir(root().join("fuzz/corpus").join(name)).unwrap().map(|file| file.unwrap().path()).collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "nothing to begin with");
    for input in inputs {
        // Which one it was is in the output of a test that fails.
        println!("{}", input.display());
        target(&fs::read(&input).unwrap());
    }
}

macro_rules! replayed {
    ($($name:ident)*) => {
        $(#[test] fn $name() { replay(stringify!($name)); })*

        #[test]
        fn every_target_is_replayed_and_has_a_fuzzer() {
            let names = [$(stringify!($name)),*];
            assert_eq!(TARGETS.map(|(name, _)| name), names);
            let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
            for name in names {
                assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
                assert!(root().join(format!("fuzz/fuzz_targets/{name}.rs")).exists(), "{name}");
            }
        }
    };
}

replayed! { broker_frame client_frame config echo head keys outbox session worker_frame }

/// What is in a fixture file.
fn golden(file: &str) -> Vec<Value> {
    let golden = fs::read_to_string(root().join("protocol/fixtures").join(file)).unwrap();
    serde_json::from_str(&golden).unwrap()
}

fn packed(entry: &Value) -> Vec<u8> {
    let digits = entry["msgpack"].as_str().unwrap().as_bytes().chunks(2);
    digits.map(|hex| u8::from_str_radix(std::str::from_utf8(hex).unwrap(), 16).unwrap()).collect()
}

/// These bytes, and cut off, and with one byte changed, at every place.
fn near(bytes: &[u8], target: Target) {
    target(bytes);
    for at in 0..bytes.len() {
        target(&bytes[..at]);
        let mut changed = bytes.to_vec();
        changed[at] = TELLING[at % TELLING.len()];
        target(&changed);
    }
}

#[test]
fn golden_frames_and_what_is_near_them() {
    for entry in golden("frames.json") {
        let target: Target =
            if entry["direction"] == "to_broker" { targets::client_frame } else { targets::broker_frame };
        near(&packed(&entry), target);
        near(entry["json"].to_string().as_bytes(), target);
    }
}

#[test]
fn golden_frames_of_workers_and_what_is_near_them() {
    golden("worker-frames.json").iter().for_each(|entry| near(&packed(entry), targets::worker_frame));
}

/// Frames of the largest size that are made to cost their reader the most.
#[test]
fn no_frame_costs_its_reader_more_than_it_weighs() {
    let fill = |open: &str, piece: &str, close: &str| {
        let count = (FRAME - open.len() - close.len()) / piece.len();
        format!("{open}{}{close}", piece.repeat(count)).into_bytes()
    };
    let frames = [
        fill("[4,1,1,0", ",0", "]"),
        fill("[4,1,1,[0", ",0", "]]"),
        fill("[4,1,1,{\"\":0", ",\"\":0", "}]"),
        fill("[4,1,1,\"", "\\n", "\"]"),
        fill("[4,1,1,\"\\n", "a", "\"]"),
        fill("[4,1,\"", "\\n", "\",0]"),
        fill("[1,{\"client\":\"x\",\"token\":\"\\n", "a", "\"}]"),
        fill("[1,{\"client\":\"x\"", ",\"x\":0", "}]"),
        fill("[2,1,{\"mode\":\"", "m", "\"},0]"),
        fill("[7,1,1,\"\\n", "t", "\"]"),
        fill("[8,", "9", "]"),
        fill("[8,\"", "9", "\"]"),
        fill("", "[", ""),
        fill("[", "[],", "0]"),
        [&[0xdc, 0x3f, 0xf0, 4, 1, 1][..], &[0xc0; FRAME]].concat(),
        [&[0x94, 4, 1, 1][..], &[0x91; MAX_DEPTH]].concat(),
        [&[0x92, 1, 0x81, 0xdb][..], &(FRAME as u32).to_be_bytes(), &[b'x'; FRAME], &[0]].concat(),
        [0x92, 1, 0xdf, 0xff, 0xff, 0xff, 0xff].to_vec(),
        [0xdd, 0xff, 0xff, 0xff, 0xff].to_vec(),
        [0x94, 4, 1, 1, 0xc6, 0xff, 0xff, 0xff, 0xff].to_vec(),
    ];
    for frame in frames {
        targets::client_frame(&frame);
        targets::broker_frame(&frame);
    }
}

/// The same between broker and worker.
#[test]
fn no_worker_s_frame_costs_the_broker_more_than_it_weighs() {
    let list = |before: &[u8], piece: &[u8]| {
        let count = (FRAME - before.len()) / piece.len();
        [before, &[0xdc], &(count as u16).to_be_bytes(), &piece.repeat(count)].concat()
    };
    let text = |text: &str| [&[0xa0 | text.len() as u8][..], text.as_bytes()].concat();
    let outcome = |field: &str| [&[0x95, 66, 3, 1, 6, 0x91, 0x81][..], &text(field)].concat();
    let property = [
        &outcome("outputs")[..],
        &[0x91, 0x81],
        &text("set_property"),
        &[0x82],
        &text("name"),
        &[0xa0],
        &text("value"),
    ];
    let property = property.concat();
    let hello = [&[0x92, 65, 0x81][..], &text("kinds")].concat();
    let routes = [&hello[..], &[0x91, 0x82], &text("name"), &text("k"), &text("routes")].concat();
    let frames = [
        list(&[0x95, 66, 3, 1, 6], &[0x80]),
        list(&[0x94, 100, 3, 1], &[0x80]),
        list(&outcome("outputs"), &[0xc0]),
        list(&outcome("outputs"), &[&[0x81][..], &text("lock"), &text("open")].concat()),
        list(&property, &[0xc0]),
        list(&property, &[0x90]),
        list(&property, &[0x81, 0xa0, 0xc0]),
        list(&property, &[&[0x81, 0xa0].repeat(MAX_DEPTH - 2)[..], &[0xc0]].concat()),
        list(&hello, &[0x80]),
        list(&routes, &[0xa0]),
        [&outcome("view")[..], &[0xc6, 0xff, 0xff, 0xff, 0xff]].concat(),
        [&outcome("fault")[..], &[0xdb, 0, 0, 0x3f, 0xff], &[0xc3; 0x3fff]].concat(),
        [&outcome("fault")[..], &[0xdb, 0, 0, 0x3f, 0xff], &[b'\n'; 0x3fff]].concat(),
    ];
    frames.iter().for_each(|frame| targets::worker_frame(frame));
}
