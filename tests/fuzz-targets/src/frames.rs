//! The frames of both directions, in both codecs: whatever decodes can be encoded and decoded again, and decoding costs no more memory
//! than the bytes are worth.

use std::fmt::Debug;

use bytes::Bytes;
use parlor_protocol::codec::NotRepresentable;
use parlor_protocol::{BrokerFrame, ClientFrame, Codec, FrameError};

/// What decoding a client's frame from MessagePack may take for each of its bytes, at any one time …
const CLIENT_SHARE: u64 = 2;
/// … from JSON, whose reader unescapes texts into a buffer that doubles, and whose maps and lists are collected in buffers that double, as
/// their length comes first in MessagePack; and to find out that it is none, since errors of serde repeat a text that they did not
/// expect, and copy that …
const CLIENT_TEXT_SHARE: u64 = 8;
/// … and what the broker's may. They hold maps and lists of values that their reader keeps; and who reads them has chosen the broker.
const BROKER_SHARE: u64 = 100;
/// Beside that: errors with their texts.
const CONSTANT: u64 = 4 << 10;

trait Frame: Sized + Debug {
    const SHARE: u64;
    const TEXT_SHARE: u64;
    fn decode(codec: Codec, bytes: &Bytes) -> Result<Self, FrameError>;
    fn encode(&self, codec: Codec) -> Result<Vec<u8>, NotRepresentable>;
}

impl Frame for ClientFrame {
    const SHARE: u64 = CLIENT_SHARE;
    const TEXT_SHARE: u64 = CLIENT_TEXT_SHARE;

    fn decode(codec: Codec, bytes: &Bytes) -> Result<Self, FrameError> {
        Self::decode(codec, bytes)
    }

    fn encode(&self, codec: Codec) -> Result<Vec<u8>, NotRepresentable> {
        self.encode(codec)
    }
}

impl Frame for BrokerFrame {
    const SHARE: u64 = BROKER_SHARE;
    const TEXT_SHARE: u64 = BROKER_SHARE;

    fn decode(codec: Codec, bytes: &Bytes) -> Result<Self, FrameError> {
        Self::decode(codec, bytes)
    }

    fn encode(&self, codec: Codec) -> Result<Vec<u8>, NotRepresentable> {
        let mut out = Vec::new();
        self.encode_into(codec, &mut out).map(|()| out)
    }
}

/// What a client says, as the broker reads it.
pub fn client_frame(data: &[u8]) {
    check::<ClientFrame>(data);
}

/// What the broker says, as a client reads it.
pub fn broker_frame(data: &[u8]) {
    check::<BrokerFrame>(data);
}

fn check<F: Frame>(data: &[u8]) {
    for codec in Codec::ALL {
        let bytes = Bytes::copy_from_slice(data);
        let mut decoded = None;
        let cost = allocation_counter::measure(|| decoded = Some(F::decode(codec, &bytes)));
        let packed = codec == Codec::MsgPack && matches!(decoded, Some(Ok(_)));
        let share = if packed { F::SHARE } else { F::TEXT_SHARE };
        let bound = share * data.len() as u64 + CONSTANT;
        assert!(cost.bytes_max <= bound, "{} bytes for {} in {codec:?}", cost.bytes_max, data.len());
        if let Some(Ok(frame)) = decoded {
            comes_back(&frame);
        }
    }
}

fn comes_back<F: Frame>(frame: &F) {
    let packed = Bytes::from(frame.encode(Codec::MsgPack).expect("everything has a form in MessagePack"));
    let again = F::decode(Codec::MsgPack, &packed).expect("what was encoded can be decoded");
    assert_eq!(again.encode(Codec::MsgPack).expect("a frame"), packed, "{frame:?}");

    let Ok(text) = frame.encode(Codec::Json) else { return };
    // A number that is not finite becomes null, which is no number.
    let Ok(first) = F::decode(Codec::Json, &text.into()) else { return };
    // A 32-bit number may be written otherwise than the 64-bit one that it is read as; from then on nothing changes.
    let text = Bytes::from(first.encode(Codec::Json).expect("what came from JSON has a form in it"));
    let second = F::decode(Codec::Json, &text).expect("what was encoded can be decoded");
    assert_eq!(second.encode(Codec::Json).expect("a frame"), text, "{frame:?}");
}
