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

replayed! { broker_frame client_frame config echo head keys outbox session }

/// The golden frames, and each of them cut off, and with one byte changed, at every place.
#[test]
fn golden_frames_and_what_is_near_them() {
    let golden = fs::read_to_string(root().join("protocol/fixtures/frames.json")).unwrap();
    let golden: Vec<Value> = serde_json::from_str(&golden).unwrap();
    for entry in &golden {
        let target: Target =
            if entry["direction"] == "to_broker" { targets::client_frame } else { targets::broker_frame };
        let packed = entry["msgpack"].as_str().unwrap().as_bytes().chunks(2);
        let packed: Vec<u8> =
            packed.map(|hex| u8::from_str_radix(std::str::from_utf8(hex).unwrap(), 16).unwrap()).collect();
        for bytes in [packed, entry["json"].to_string().into_bytes()] {
            target(&bytes);
            for at in 0..bytes.len() {
                target(&bytes[..at]);
                let mut changed = bytes.clone();
                changed[at] = TELLING[at % TELLING.len()];
                target(&changed);
            }
        }
    }
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
