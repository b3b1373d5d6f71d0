//! The golden frames of the worker protocol as Rust values: what `fixtures/worker-frames.json` is made from and checked against.

mod from_worker;
mod to_worker;

use bytes::Bytes;
use parlor_protocol::worker::{FromWorker, ToWorker, WorkerFrameError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::to_hex;

/// Large enough for every frame of the tests.
pub(crate) const MAX: usize = 1 << 20;

/// Which side says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Direction {
    FromWorker,
    ToWorker,
}

impl Direction {
    pub(crate) const BOTH: [Self; 2] = [Self::FromWorker, Self::ToWorker];
}

/// A frame of either direction.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Frame {
    FromWorker(FromWorker),
    ToWorker(ToWorker),
}

impl Frame {
    pub(crate) fn direction(&self) -> Direction {
        match self {
            Self::FromWorker(_) => Direction::FromWorker,
            Self::ToWorker(_) => Direction::ToWorker,
        }
    }

    pub(crate) fn decode(direction: Direction, bytes: &[u8], max: usize) -> Result<Self, WorkerFrameError> {
        let bytes = Bytes::copy_from_slice(bytes);
        match direction {
            Direction::FromWorker => FromWorker::decode(&bytes, max).map(Self::FromWorker),
            Direction::ToWorker => ToWorker::decode(&bytes, max).map(Self::ToWorker),
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::FromWorker(frame) => frame.encode(),
            Self::ToWorker(frame) => frame.encode(),
        }
    }
}

/// One entry of the fixture file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Golden {
    pub(crate) name: String,
    pub(crate) direction: Direction,
    /// For people: the same frame, with what is binary as `{"$bin": hexadecimal}`.
    pub(crate) json: Value,
    pub(crate) msgpack: String,
}

impl Golden {
    pub(crate) fn of(name: &str, frame: &Frame) -> Self {
        let bytes = frame.encode();
        let json = shown(&rmpv::decode::read_value(&mut &bytes[..]).unwrap());
        Self { name: name.to_owned(), direction: frame.direction(), json, msgpack: to_hex(&bytes) }
    }
}

fn shown(value: &rmpv::Value) -> Value {
    match value {
        rmpv::Value::Binary(bytes) => json!({"$bin": to_hex(bytes)}),
        rmpv::Value::Array(items) => items.iter().map(shown).collect(),
        rmpv::Value::Map(fields) => {
            Value::Object(fields.iter().map(|(key, value)| (key.as_str().unwrap().to_owned(), shown(value))).collect())
        }
        plain => rmpv::ext::from_value(plain.clone()).unwrap(),
    }
}

/// Every golden frame with its name, in the order of the file.
pub(crate) fn frames() -> Vec<(&'static str, Frame)> {
    let from_worker = from_worker::frames().into_iter().map(|(name, frame)| (name, Frame::FromWorker(frame)));
    let to_worker = to_worker::frames().into_iter().map(|(name, frame)| (name, Frame::ToWorker(frame)));
    from_worker.chain(to_worker).collect()
}
