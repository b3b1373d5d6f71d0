//! The golden frames as Rust values: what `fixtures/frames.json` is made from and checked against.
#![allow(dead_code, reason = "each test uses its own part")]

mod from_broker;
mod to_broker;
pub(crate) mod worker;

use bytes::Bytes;
use parlor_protocol::codec::NotRepresentable;
use parlor_protocol::{BrokerFrame, ClientFrame, Codec, FrameError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// Which side says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Direction {
    ToBroker,
    FromBroker,
}

/// A frame of either direction.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Frame {
    ToBroker(ClientFrame),
    FromBroker(BrokerFrame),
}

impl Frame {
    pub(crate) fn direction(&self) -> Direction {
        match self {
            Self::ToBroker(_) => Direction::ToBroker,
            Self::FromBroker(_) => Direction::FromBroker,
        }
    }

    pub(crate) fn decode(direction: Direction, codec: Codec, bytes: &[u8]) -> Result<Self, FrameError> {
        let bytes = Bytes::copy_from_slice(bytes);
        match direction {
            Direction::ToBroker => ClientFrame::decode(codec, &bytes).map(Self::ToBroker),
            Direction::FromBroker => BrokerFrame::decode(codec, &bytes).map(Self::FromBroker),
        }
    }

    pub(crate) fn encode(&self, codec: Codec) -> Result<Vec<u8>, NotRepresentable> {
        match self {
            Self::ToBroker(frame) => frame.encode(codec),
            Self::FromBroker(frame) => {
                let mut out = Vec::new();
                frame.encode_into(codec, &mut out).map(|()| out)
            }
        }
    }
}

/// One entry of a fixture file. Its JSON is kept as the encoder wrote it, so that maps have the same order as in MessagePack.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Golden {
    pub(crate) name: String,
    pub(crate) direction: Direction,
    pub(crate) json: Box<RawValue>,
    pub(crate) msgpack: String,
}

impl Golden {
    pub(crate) fn of(name: &str, frame: &Frame) -> Self {
        let json = String::from_utf8(frame.encode(Codec::Json).unwrap()).unwrap();
        Self {
            name: name.to_owned(),
            direction: frame.direction(),
            json: RawValue::from_string(json).unwrap(),
            msgpack: to_hex(&frame.encode(Codec::MsgPack).unwrap()),
        }
    }

    /// The entry's frame as it stands in the file, in one codec.
    pub(crate) fn bytes(&self, codec: Codec) -> Vec<u8> {
        match codec {
            Codec::MsgPack => from_hex(&self.msgpack).unwrap(),
            Codec::Json => self.json.get().as_bytes().to_vec(),
        }
    }

    pub(crate) fn json_value(&self) -> Value {
        serde_json::from_str(self.json.get()).unwrap()
    }
}

/// Every golden frame with its name, in the order of the file.
pub(crate) fn frames() -> Vec<(&'static str, Frame)> {
    let to_broker = to_broker::frames().into_iter().map(|(name, frame)| (name, Frame::ToBroker(frame)));
    let from_broker = from_broker::frames().into_iter().map(|(name, frame)| (name, Frame::FromBroker(frame)));
    to_broker.chain(from_broker).collect()
}

/// The payload that stands for this JSON.
pub(crate) fn payload(value: impl Serialize) -> Bytes {
    parlor_protocol::codec::to_payload(&value).unwrap()
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads hexadecimal text, blanks allowed; `None` when it is something else.
pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).ok()).collect()
}
