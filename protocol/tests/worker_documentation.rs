//! PROTOCOL.md says what is so about workers: its examples are golden frames, and its tables list every op and every choice.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use common::worker::{Direction, Frame, Golden, MAX, frames};
use common::{from_hex, to_hex};
use parlor_protocol::limits::{MAX_DEPTH, MAX_NAME};
use parlor_protocol::worker::{MAX_BATCH, MAX_ENVELOPE, MAX_HELLO_BYTES, MAX_VALUE_DEPTH, PATH, SUBPROTOCOL};
use serde_json::Value;

static PAGE: LazyLock<String> =
    LazyLock::new(|| std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../PROTOCOL.md")).unwrap());

/// The golden frames, which `worker_golden.rs` proves to be those of the fixture file.
static GOLDEN: LazyLock<Vec<Golden>> =
    LazyLock::new(|| frames().iter().map(|(name, frame)| Golden::of(name, frame)).collect());

fn section() -> &'static str {
    PAGE.split("\n## ").find(|section| section.starts_with("16. Workers")).unwrap()
}

/// The rows of all tables of the section that begin with this header.
fn tables(header: &str) -> Vec<Vec<Vec<&'static str>>> {
    let header = format!("\n{header}");
    let tables = section().split(header.as_str()).skip(1);
    let rows = |table: &'static str| -> Vec<Vec<&'static str>> {
        let rows = table.lines().skip(2).map_while(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
        rows.map(|row| row.split(" | ").collect()).collect()
    };
    tables.map(rows).collect()
}

/// The names in the first column of such a table.
fn listed(header: &str) -> BTreeSet<String> {
    let tables = tables(header);
    assert_eq!(tables.len(), 1, "{header}");
    tables[0].iter().map(|row| row[0].trim_matches('`').to_owned()).collect()
}

/// The fenced blocks of the section: the word behind the fence, and what is within.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let fences = section().split("\n```").skip(1).step_by(2);
    fences.map(|block| block.split_once('\n').unwrap()).collect()
}

/// A frame as it is shown, in bytes.
fn packed(shown: &Value) -> rmpv::Value {
    match shown {
        Value::Object(fields) if fields.contains_key("$bin") => {
            from_hex(fields["$bin"].as_str().unwrap()).unwrap().into()
        }
        Value::Object(fields) => rmpv::Value::Map(fields.iter().map(|(k, v)| (k.as_str().into(), packed(v))).collect()),
        Value::Array(items) => rmpv::Value::Array(items.iter().map(packed).collect()),
        plain => rmpv::ext::to_value(plain).unwrap(),
    }
}

fn read(direction: Direction, json: &str) -> Frame {
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, &packed(&serde_json::from_str(json).unwrap())).unwrap();
    Frame::decode(direction, &bytes, MAX).unwrap_or_else(|error| panic!("{json}: {error}"))
}

#[test]
fn every_line_of_an_example_reads_as_a_golden_frame() {
    let mut shown = BTreeSet::new();
    for line in blocks().into_iter().filter(|(kind, _)| *kind == "worker").flat_map(|(_, lines)| lines.lines()) {
        let (who, json) = line.split_once(": ").unwrap();
        let direction = if who == "worker" { Direction::FromWorker } else { Direction::ToWorker };
        let frame = read(direction, json);
        assert!(frames().iter().any(|(_, golden)| *golden == frame), "no golden frame is {json}");
        shown.insert(frame.encode()[1]);
    }
    assert_eq!(shown, (65..=71).chain(97..=106).collect(), "each op has an example");
}

#[test]
fn every_example_in_bytes_is_a_golden_frame() {
    let shown: Vec<_> = blocks().into_iter().filter(|(kind, _)| *kind == "worker-msgpack").collect();
    for (_, lines) in &shown {
        let hex: String = lines.lines().map(|line| line.split_once(" ; ").unwrap().0).collect();
        let hex = to_hex(&from_hex(&hex).unwrap());
        assert!(GOLDEN.iter().any(|entry| entry.msgpack == hex), "{lines}");
    }
    assert_eq!(shown.len(), 2);
}

#[test]
fn every_frame_is_in_the_tables_of_ops() {
    let ops = |rows: &Vec<Vec<&str>>| -> Vec<u64> {
        let number =
            |row: &Vec<&str>| row[2].trim_start_matches("`[").split([',', ']']).next().unwrap().parse().unwrap();
        let forms: Vec<u64> = rows.iter().map(number).collect();
        assert_eq!(forms, rows.iter().map(|row| row[0].parse().unwrap()).collect::<Vec<u64>>());
        forms
    };
    let tables = tables("| op | frame | form |");
    assert_eq!(tables.iter().map(ops).collect::<Vec<_>>(), [(65..=71).collect::<Vec<_>>(), (97..=106).collect()]);
}

/// The name of a choice: a text, or the only field of a map.
fn choice(value: &Value) -> String {
    match value {
        Value::Object(fields) => fields.keys().next().unwrap().clone(),
        text => text.as_str().unwrap().to_owned(),
    }
}

/// What the golden frames have at this place, where `*` stands for every element, or for whatever is the only field.
fn found(op: u64, place: &[&str]) -> BTreeSet<String> {
    let frames = GOLDEN.iter().filter(|entry| entry.json[0] == op);
    let values = frames.map(|entry| entry.json.as_array().unwrap().last().unwrap());
    values.flat_map(|value| below(value, place)).map(choice).collect()
}

fn below<'a>(value: &'a Value, place: &[&str]) -> Vec<&'a Value> {
    let Some((step, rest)) = place.split_first() else { return vec![value] };
    match (value, *step) {
        (Value::Array(items), "*") => items.iter().flat_map(|item| below(item, rest)).collect(),
        (Value::Object(fields), "*") => fields.values().flat_map(|field| below(field, rest)).collect(),
        _ => value.get(step).map(|field| below(field, rest)).unwrap_or_default(),
    }
}

#[test]
fn every_choice_is_in_its_table() {
    assert_eq!(listed("| cause |"), found(100, &["*", "cause"]));
    assert_eq!(listed("| output |"), found(66, &["*", "outputs", "*"]));
    assert_eq!(listed("| fault |"), found(66, &["*", "fault"]));
    assert_eq!(listed("| audience |"), found(66, &["*", "outputs", "*", "publish", "to"]));
    let mut topics = found(66, &["*", "outputs", "*", "publish", "to", "topic"]);
    topics.extend(found(66, &["*", "outputs", "*", "set_topics", "topics", "*"]));
    assert_eq!(listed("| topic |"), topics);
}

/// Choices without a table of their own stand where their field is described.
#[test]
fn every_choice_is_written_somewhere() {
    let mut names = found(100, &["*", "cause", "leave", "why"]);
    names.extend(found(100, &["*", "cause", "close", "why"]));
    names.extend(found(100, &["*", "cause", "join", "player", "role"]));
    names.extend(found(100, &["*", "cause", "work", "result"]));
    names.extend(found(66, &["*", "outputs", "*", "lock"]));
    assert_eq!(names.len(), 4 + 3 + 2 + 2 + 2);
    for name in names {
        assert!(section().contains(&format!("`{name}`")), "{name}");
    }
}

/// Every field of a cause or an output is named in its row.
#[test]
fn every_field_is_in_its_row() {
    for (header, op, place) in [("| cause |", 100, &["*", "cause"][..]), ("| output |", 66, &["*", "outputs", "*"])] {
        let table = &tables(header)[0];
        for entry in GOLDEN.iter().filter(|entry| entry.json[0] == op) {
            for value in below(entry.json.as_array().unwrap().last().unwrap(), place) {
                let name = choice(value);
                let row = table.iter().find(|row| row[0] == format!("`{name}`")).unwrap();
                for field in value[&name].as_object().into_iter().flat_map(|fields| fields.keys()) {
                    assert!(row[1].contains(&format!("`{field}`")), "`{field}` of `{name}`");
                }
            }
        }
    }
}

#[test]
fn limits_are_those_of_the_code() {
    let limits = &tables("| what | limit |")[0];
    let limit = |what: &str| limits.iter().find(|row| row[0].starts_with(what)).unwrap_or_else(|| panic!("{what}"))[1];
    assert_eq!(limit("frame before"), format!("{MAX_HELLO_BYTES} bytes"));
    assert_eq!(limit("state"), format!("`max_frame_bytes` - {MAX_ENVELOPE}"));
    assert_eq!(limit("inputs"), MAX_BATCH.to_string());
    assert_eq!(limit("names"), format!("1 to {MAX_NAME} bytes"));
    assert_eq!(limit("levels of arrays and maps in a payload"), MAX_DEPTH.to_string());
    assert_eq!(limit("levels of arrays and maps in a property"), MAX_VALUE_DEPTH.to_string());
    assert!(section().contains(&format!("`GET {PATH}`")) && section().contains(&format!("`{SUBPROTOCOL}`")));
}
