//! A frame in an outbox: how it is counted, and what may become of it.

use bytes::{Buf, Bytes};
use parlor_protocol::RoomNo;

/// Bytes up to which a frame is rather copied than written as a piece of its own: to pass a piece to the kernel, and to let go of what is
/// shared, takes longer than to copy so much.
const SMALL: usize = 512;
/// Bytes that are joined for one session at most: of what it has acknowledged in part, all is kept.
const MAX_JOINED: usize = 16 << 10;

/// A frame on its way out, and what may become of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    pub(crate) bytes: Bytes,
    pub(crate) kind: Kind,
    pub(crate) room: Option<RoomNo>,
}

/// How a frame is treated when not all can be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Is delivered, or the session ends.
    Kept,
    /// May be replaced by a view of its room.
    Publish,
    /// So many publishes of one room, one behind the other: what a batch said to all, joined once for everybody, or small
    /// ones, joined for one session.
    Run(u32),
    /// A view: what the room owes is paid.
    View,
    /// The end of a membership. Kept, and nothing is owed after it.
    End,
    /// The newest value of a slot: replaces the one before, is not counted, and is not sent again.
    Latest(u32),
    /// Not counted and not sent again.
    Passing,
    /// Where so many counted frames were that have been thrown away.
    Gone(u32),
}

impl Frame {
    /// A frame that belongs to no room and must arrive.
    pub fn kept(bytes: Bytes) -> Self {
        Self { bytes, kind: Kind::Kept, room: None }
    }

    /// A frame that is not counted.
    pub(crate) fn passing(bytes: Bytes) -> Self {
        Self { bytes, kind: Kind::Passing, room: None }
    }

    /// Makes one of what a room's batch has for one session, if all of that is small publishes. Under load that is what there is many of: who
    /// hears what happens around it, and nothing else.
    pub(crate) fn join_small(frames: &mut Vec<Self>) {
        let [first, _, ..] = &frames[..] else { return };
        let room = first.room;
        let joins = |frame: &Self| frame.kind == Kind::Publish && frame.room == room && frame.bytes.len() <= SMALL;
        let len = frames.iter().map(|frame| frame.bytes.len()).sum();
        if len > MAX_JOINED || !frames.iter().all(joins) {
            return;
        }
        let mut bytes = Vec::with_capacity(len);
        let count = frames.len() as u32;
        frames.drain(..).for_each(|frame| bytes.extend_from_slice(&frame.bytes));
        frames.push(Self { bytes: bytes.into(), kind: Kind::Run(count), room });
    }

    /// For how many counted frames it stands.
    pub(super) fn count(&self) -> u32 {
        match self.kind {
            Kind::Latest(_) | Kind::Passing => 0,
            Kind::Gone(count) | Kind::Run(count) => count,
            _ => 1,
        }
    }

    /// How many publishes it is.
    pub(super) fn publishes(&self) -> u32 {
        if matches!(self.kind, Kind::Publish | Kind::Run(_)) { self.count() } else { 0 }
    }

    /// How many frames it is, counted or not, that take up room.
    pub(crate) fn held(&self) -> usize {
        match self.kind {
            Kind::Gone(_) => 0,
            Kind::Run(count) => count as usize,
            _ => 1,
        }
    }

    pub(super) fn is_counted(&self) -> bool {
        self.count() > 0 || matches!(self.kind, Kind::Gone(_))
    }

    /// Takes the first `count` frames off a run, or off what is gone. Where they end their headers say (RFC 6455, section 5.2).
    pub(super) fn skip(&mut self, count: u32) {
        match &mut self.kind {
            Kind::Run(left) => {
                *left -= count;
                for _ in 0..count {
                    let len = wire_len(&self.bytes).min(self.bytes.len());
                    self.bytes.advance(len);
                }
            }
            Kind::Gone(left) => *left -= count,
            _ => {}
        }
    }
}

/// The length of the WebSocket frame that these bytes begin with; it is one of ours, without a mask.
fn wire_len(bytes: &[u8]) -> usize {
    match bytes {
        [_, 127, long @ ..] => 10 + long.iter().take(8).fold(0, |len, byte| len << 8 | usize::from(*byte)),
        [_, 126, high, low, ..] => 4 + usize::from(u16::from_be_bytes([*high, *low])),
        [_, short, ..] => 2 + usize::from(*short),
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(room: u32, bytes: &[u8]) -> Frame {
        Frame { bytes: Bytes::copy_from_slice(bytes), kind: Kind::Publish, room: Some(RoomNo(room)) }
    }

    #[test]
    fn small_publishes_of_a_room_become_one_run() {
        let mut frames = vec![publish(1, b"a"), publish(1, &[7; SMALL]), publish(1, b"c")];
        let all = frames.iter().flat_map(|frame| frame.bytes.clone()).collect();
        Frame::join_small(&mut frames);
        assert_eq!(frames, [Frame { bytes: all, kind: Kind::Run(3), room: Some(RoomNo(1)) }]);
    }

    #[test]
    fn whatever_else_there_is_stays_as_it_is() {
        let many = vec![publish(1, &[7; SMALL]); MAX_JOINED / SMALL + 1];
        let reply = Frame { kind: Kind::Kept, ..publish(1, b"b") };
        let large = publish(1, &[7; SMALL + 1]);
        let [one, other] = [publish(1, b"a"), publish(2, b"a")];
        for frames in
            [vec![], vec![one.clone()], vec![one.clone(), reply], vec![one.clone(), large], vec![one, other], many]
        {
            let mut joined = frames.clone();
            Frame::join_small(&mut joined);
            assert_eq!(joined, frames);
        }
    }
}
