//! Frames as they leave: encoded once per codec, WebSocket header included, and shared: one by one, or a whole batch in one piece.

use std::cell::OnceCell;

use bytes::{Buf, Bytes};
use parlor_protocol::codec::{NIL, NotRepresentable};
use parlor_protocol::{BrokerFrame, Codec, ErrorCode, Failure, RoomNo};

use crate::outbox::{Frame, Kind};

/// Room for the longest header of a frame from a server (RFC 6455, section 5.2: no mask).
const HEADER: usize = 10;
/// Bytes beyond which frames for all members are not joined: the copy would cost more than it saves, and a writer takes no more at once.
const MAX_JOINED: usize = 64 << 10;

/// Encodes one frame for connections of `codec`. What has no form in JSON becomes a `not_representable` error.
pub fn encode(codec: Codec, frame: &BrokerFrame) -> Bytes {
    encode_or_replace(codec, frame).bytes
}

/// One frame for the outbox of a connection of `codec`.
pub fn outgoing(codec: Codec, frame: &BrokerFrame) -> Frame {
    let bytes = encode(codec, frame);
    match frame.is_counted() {
        true => Frame::kept(bytes),
        false => Frame::passing(bytes),
    }
}

/// Any message as it goes out, of the WebSocket type that stands for the codec.
pub(crate) fn message(codec: Codec, message: &[u8]) -> Bytes {
    with_header(codec, [&[0; HEADER], message].concat())
}

/// A frame as it goes out, and whether it is the one that was to go out.
#[derive(Debug)]
struct Encoded {
    bytes: Bytes,
    whole: bool,
}

fn encode_or_replace(codec: Codec, frame: &BrokerFrame) -> Encoded {
    let mut out = Vec::with_capacity(room_for(codec, 1, payload_len(frame)));
    out.resize(HEADER, 0);
    let encoded = frame.encode_into(codec, &mut out);
    let whole = encoded.is_ok();
    if let Err(error) = encoded {
        out.truncate(HEADER);
        // What stands in for it has JSON form by its type.
        let _ = replacement(frame, &error).encode_into(codec, &mut out);
    }
    Encoded { bytes: with_header(codec, out), whole }
}

/// A frame that is encoded when the first reader of a codec asks for it, and shared from then on.
#[derive(Debug)]
pub struct SharedFrame {
    frame: BrokerFrame,
    /// Of a latest value: what it is the newest value of.
    slot: u32,
    encoded: [OnceCell<Encoded>; 2],
}

impl SharedFrame {
    /// A frame that nobody has asked for yet.
    pub fn new(frame: BrokerFrame) -> Self {
        Self::latest(frame, 0)
    }

    /// The newest value of a slot.
    pub(crate) fn latest(frame: BrokerFrame, slot: u32) -> Self {
        Self { frame, slot, encoded: [OnceCell::new(), OnceCell::new()] }
    }

    /// The frame for an outbox of this codec.
    pub(crate) fn outgoing(&self, codec: Codec) -> Frame {
        let (kind, room) = self.kind();
        Frame { bytes: self.bytes(codec), kind, room }
    }

    /// What it is to an outbox, and whose.
    fn kind(&self) -> (Kind, Option<RoomNo>) {
        match &self.frame {
            BrokerFrame::Publish { room, .. } | BrokerFrame::Types { room, .. } | BrokerFrame::Handled { room, .. } => {
                (Kind::Publish, Some(*room))
            }
            BrokerFrame::View { joined, .. } => (Kind::View, Some(joined.room)),
            BrokerFrame::Closed { room, .. } => (Kind::End, Some(*room)),
            BrokerFrame::Latest { room, .. } => (Kind::Latest(self.slot), Some(*room)),
            BrokerFrame::Joined { joined, .. } => (Kind::Kept, Some(joined.room)),
            BrokerFrame::Reply { room, .. } | BrokerFrame::Refused { room, .. } => (Kind::Kept, Some(*room)),
            BrokerFrame::Error { error, .. } => (Kind::Kept, error.room),
            frame if frame.is_counted() => (Kind::Kept, None),
            _ => (Kind::Passing, None),
        }
    }

    /// What it says.
    pub fn frame(&self) -> &BrokerFrame {
        &self.frame
    }

    /// The bytes for connections of `codec`.
    pub fn bytes(&self, codec: Codec) -> Bytes {
        self.encoded(codec).bytes.clone()
    }

    /// Whether connections of `codec` get it as it is, and not an error in its place.
    pub fn fits(&self, codec: Codec) -> bool {
        self.encoded(codec).whole
    }

    /// Adds the bytes for connections of `codec` to those of other frames. `false` when it has no form in the codec; what was added is then
    /// of no use.
    fn append_to(&self, codec: Codec, out: &mut Vec<u8>) -> bool {
        if let Some(encoded) = self.encoded[codec as usize].get() {
            out.extend_from_slice(&encoded.bytes);
            return encoded.whole;
        }
        let start = out.len();
        out.resize(start + HEADER, 0);
        let whole = self.frame.encode_into(codec, out).is_ok();
        let begins = start + write_header(codec, &mut out[start..]);
        out.drain(start..begins);
        whole
    }

    fn encoded(&self, codec: Codec) -> &Encoded {
        self.encoded[codec as usize].get_or_init(|| encode_or_replace(codec, &self.frame))
    }
}

/// What a batch has said to all members of a room: joined once per codec, for all who get the whole of it.
#[derive(Debug)]
pub struct Run<'f> {
    frames: &'f [SharedFrame],
    joined: [OnceCell<Option<Frame>>; 2],
}

impl<'f> Run<'f> {
    /// Publishes of one room, in their order.
    pub fn new(frames: &'f [SharedFrame]) -> Self {
        Self { frames, joined: [OnceCell::new(), OnceCell::new()] }
    }

    /// What it is made of.
    pub fn frames(&self) -> &'f [SharedFrame] {
        self.frames
    }

    /// All of it as one frame for an outbox of this codec. `None` when it is too much to be copied, or one has no form in the codec.
    pub(crate) fn joined(&self, codec: Codec) -> Option<&Frame> {
        self.joined[codec as usize].get_or_init(|| self.join(codec)).as_ref()
    }

    fn join(&self, codec: Codec) -> Option<Frame> {
        if let [only] = self.frames {
            return only.fits(codec).then(|| only.outgoing(codec));
        }
        // Seen beforehand where it can be, so that little is encoded in vain.
        let expected: usize = self.frames.iter().map(|frame| payload_len(&frame.frame)).sum();
        if expected > MAX_JOINED {
            return None;
        }
        // Straight into one piece, and not once more for each: those who get them one by one, as who has sent one that is for all others,
        // have asked for them before or are few.
        let mut bytes = Vec::with_capacity(MAX_JOINED.min(room_for(codec, self.frames.len(), expected)));
        let mut fits = |frame: &SharedFrame| frame.append_to(codec, &mut bytes) && bytes.len() <= MAX_JOINED;
        if !self.frames.iter().all(&mut fits) {
            return None;
        }
        let room = self.frames.first().and_then(|frame| frame.kind().1);
        Some(Frame { bytes: bytes.into(), kind: Kind::Run(self.frames.len() as u32), room })
    }
}

/// The frame that begins at [`HEADER`], with its WebSocket header right before it.
fn with_header(codec: Codec, mut out: Vec<u8>) -> Bytes {
    let start = write_header(codec, &mut out);
    let mut bytes = Bytes::from(out);
    bytes.advance(start);
    bytes
}

/// Puts the WebSocket header right before the frame that begins at [`HEADER`]. Returns where it begins.
fn write_header(codec: Codec, out: &mut [u8]) -> usize {
    const FIN: u8 = 0x80;
    let opcode = match codec {
        Codec::MsgPack => 2,
        Codec::Json => 1,
    };
    let len = out.len() - HEADER;
    let start = match len {
        0..126 => {
            out[HEADER - 1] = len as u8;
            HEADER - 2
        }
        126..65_536 => {
            out[HEADER - 3] = 126;
            out[HEADER - 2..HEADER].copy_from_slice(&(len as u16).to_be_bytes());
            HEADER - 4
        }
        _ => {
            out[1] = 127;
            out[2..HEADER].copy_from_slice(&(len as u64).to_be_bytes());
            0
        }
    };
    out[start] = FIN | opcode;
    start
}

/// Bytes that so many small frames with so much payload take, or a little more: what is left of the room is held for as long as they wait.
fn room_for(codec: Codec, frames: usize, payload: usize) -> usize {
    const FRAMING: usize = 20;
    const SMALL: usize = 512;
    let longer = match codec {
        Codec::MsgPack => 0,
        // What takes one byte there seldom takes more than two here.
        Codec::Json => payload.min(frames * SMALL),
    };
    frames * (HEADER + FRAMING) + payload + longer
}

fn payload_len(frame: &BrokerFrame) -> usize {
    match frame {
        BrokerFrame::Publish { payload, .. } | BrokerFrame::Reply { payload, .. } => payload.len(),
        BrokerFrame::Joined { view, .. } | BrokerFrame::View { view, .. } => view.len() + 256,
        BrokerFrame::Latest { payload, .. } => payload.len() + 64,
        BrokerFrame::Closed { result, .. } => result.len(),
        _ => 64,
    }
}

/// What a client gets whose codec cannot say the frame: the end of a membership all the same, otherwise an error.
fn replacement(frame: &BrokerFrame, why: &NotRepresentable) -> BrokerFrame {
    let mut error = Failure::from(ErrorCode::NotRepresentable).because(why.to_string());
    let id = match frame {
        BrokerFrame::Closed { room, place, code, .. } => {
            return BrokerFrame::Closed { room: *room, place: *place, code: code.clone(), result: NIL };
        }
        BrokerFrame::Joined { id, .. } => Some(*id),
        BrokerFrame::Reply { room, id, .. } => {
            error.room = Some(*room);
            Some(*id)
        }
        BrokerFrame::Publish { room, .. } | BrokerFrame::Latest { room, .. } => {
            error.room = Some(*room);
            None
        }
        _ => None,
    };
    BrokerFrame::Error { id, error: error.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parlor_protocol::{Place, Seq};
    use tokio_tungstenite::tungstenite::protocol::Role;
    use tokio_tungstenite::tungstenite::{Message, WebSocket};

    fn publish(payload: Vec<u8>) -> BrokerFrame {
        let mut value = vec![0xc6];
        value.extend((payload.len() as u32).to_be_bytes());
        value.extend(payload);
        let place = Place { seq: Seq(1), index: 0 };
        BrokerFrame::Publish { room: RoomNo(7), place, type_: 0, payload: value.into() }
    }

    #[test]
    fn headers_of_all_lengths_read_as_websocket_frames() {
        for size in [0, 50, 115, 116, 117, 125, 126, 127, 65_520, 65_535, 65_536, 200_000] {
            let frame = publish(vec![9; size]);
            let bytes = encode(Codec::MsgPack, &frame);
            let mut socket = WebSocket::from_raw_socket(std::io::Cursor::new(bytes.to_vec()), Role::Client, None);
            let Ok(Message::Binary(data)) = socket.read() else { panic!("size {size}") };
            assert_eq!(BrokerFrame::decode(Codec::MsgPack, &data), Ok(frame));
        }
    }

    #[test]
    fn a_shared_frame_is_encoded_once_per_codec() {
        let shared = SharedFrame::new(publish(vec![1, 2, 3]));
        let (first, second) = (shared.bytes(Codec::MsgPack), shared.bytes(Codec::MsgPack));
        assert_eq!(first.as_ptr(), second.as_ptr());
        assert_eq!(shared.bytes(Codec::Json)[0], 0x81);
    }

    #[test]
    fn a_run_is_its_frames_one_behind_the_other() {
        for codec in [Codec::MsgPack, Codec::Json] {
            let frames: Vec<_> =
                [0, 50, 118, 126, 127, 5_000].map(|size| SharedFrame::new(publish(vec![7; size]))).into();
            // Some have been asked for already.
            let _ = (frames[1].bytes(codec), frames[5].bytes(codec));
            let joined = Run::new(&frames).joined(codec).cloned().expect("not too much");
            let one_by_one: Vec<u8> = frames.iter().flat_map(|frame| frame.bytes(codec)).collect();
            assert_eq!((&joined.bytes[..], joined.kind, joined.room), (&one_by_one[..], Kind::Run(6), Some(RoomNo(7))));
        }
    }

    #[test]
    fn what_is_too_much_or_has_no_form_is_not_joined() {
        let shared = |payload: Bytes| {
            let (room, place) = (RoomNo(7), Place::default());
            SharedFrame::new(BrokerFrame::Publish { room, place, type_: 0, payload })
        };
        let frames = [shared(NIL), shared(Bytes::from_static(&[0xd4, 1, 2]))];
        for run in [&frames[..], &frames[1..]] {
            assert!(Run::new(run).joined(Codec::Json).is_none() && Run::new(run).joined(Codec::MsgPack).is_some());
        }
        // The same where the error in its place has been asked for already.
        assert!(!frames[1].fits(Codec::Json) && Run::new(&frames).joined(Codec::Json).is_none());
        let [half, tenth] = [MAX_JOINED / 2, MAX_JOINED / 10].map(|size| SharedFrame::new(publish(vec![200; size])));
        let frames = [half, tenth];
        // As JSON each byte becomes several.
        assert!(Run::new(&frames).joined(Codec::Json).is_none() && Run::new(&frames).joined(Codec::MsgPack).is_some());
        let frames = [publish(vec![7; MAX_JOINED]), publish(vec![7; 1])].map(SharedFrame::new);
        assert!(Run::new(&frames).joined(Codec::MsgPack).is_none());
        // Payloads that would fit, were it not for what is around them.
        let frames: Vec<_> = (0..MAX_JOINED / 8).map(|_| shared(NIL)).collect();
        assert!(Run::new(&frames).joined(Codec::MsgPack).is_none());
    }

    #[test]
    fn what_json_cannot_say_becomes_an_error() {
        let extension = Bytes::from_static(&[0xd4, 1, 2]);
        let place = Place::default();
        let bytes = encode(Codec::Json, &BrokerFrame::Reply { room: RoomNo(0), place, id: 5, payload: extension });
        let text = std::str::from_utf8(&bytes[2..]).unwrap().trim_start_matches(|c| c != '[');
        assert!(text.starts_with("[40,5,"), "{text}");
        assert!(text.contains("not_representable"), "{text}");
    }

    #[test]
    fn the_end_of_a_membership_is_told_even_when_its_result_cannot_be() {
        let result = Bytes::from_static(&[0xd4, 1, 2]);
        let closed = BrokerFrame::Closed { room: RoomNo(3), place: Place::default(), code: "closed".into(), result };
        let shared = SharedFrame::new(closed);
        assert_eq!(&shared.bytes(Codec::Json)[2..], br#"[39,3,0,0,"closed",null]"#);
        assert!(!shared.fits(Codec::Json) && shared.fits(Codec::MsgPack));
    }
}
