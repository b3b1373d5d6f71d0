//! What goes over the wire to and from one client, written down frame by frame by somebody who believes neither side.

use std::sync::{Arc, Mutex};

use parlor_protocol::{BrokerFrame, ClientFrame, Codec};
use tokio::time::Instant;

use crate::game::SharedRecord;
use crate::net::{Fault, Head};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// To the broker.
    Up,
    Down,
}

/// Something on the wire.
#[derive(Clone, Debug)]
pub(crate) enum Wire {
    Connects(#[allow(dead_code, reason = "for the trace")] Fault),
    /// A frame that has arrived at the broker's door.
    Up(ClientFrame),
    /// A frame that has arrived at the client's.
    Down(BrokerFrame),
    Cut,
}

/// A line of the minutes. `seen` is how far each room was by then.
#[derive(Clone, Debug)]
pub(crate) struct Minute {
    pub(crate) at_ms: u64,
    pub(crate) seen: Vec<u64>,
    /// Which connection.
    pub(crate) line: u64,
    pub(crate) wire: Wire,
}

/// Listens in on all connections of one client.
#[derive(Clone, Debug)]
pub(crate) struct Tap(Arc<Mutex<Inner>>);

/// Listens in on one of them.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    tap: Tap,
    no: u64,
}

#[derive(Debug)]
struct Inner {
    codec: Codec,
    began: Instant,
    rooms: Vec<SharedRecord>,
    minutes: Vec<Minute>,
    /// By connection, upward and downward.
    ears: Vec<[Ear; 2]>,
}

/// Bytes of one direction of a connection.
#[derive(Debug, Default)]
struct Ear {
    head: Head,
    bytes: Vec<u8>,
    /// A message in pieces, which nobody here sends, or nonsense.
    lost: bool,
}

impl Tap {
    pub(crate) fn new(codec: Codec, rooms: Vec<SharedRecord>) -> Self {
        let (minutes, ears) = (Vec::new(), Vec::new());
        Self(Arc::new(Mutex::new(Inner { codec, began: Instant::now(), rooms, minutes, ears })))
    }

    pub(crate) fn connects(&self, fault: &Fault) -> Line {
        let mut inner = self.0.lock().unwrap();
        inner.ears.push(Default::default());
        let no = inner.ears.len() as u64 - 1;
        inner.note(no, Wire::Connects(*fault));
        Line { tap: self.clone(), no }
    }

    pub(crate) fn minutes(&self) -> Vec<Minute> {
        self.0.lock().unwrap().minutes.clone()
    }
}

impl Line {
    pub(crate) fn cut(&self) {
        self.tap.0.lock().unwrap().note(self.no, Wire::Cut);
    }

    pub(crate) fn heard(&self, direction: Direction, bytes: &[u8]) {
        let mut inner = self.tap.0.lock().unwrap();
        let codec = inner.codec;
        let ear = inner.ear(self.no, direction);
        let skipped = ear.head.skip(bytes);
        ear.bytes.extend_from_slice(&bytes[skipped..]);
        while let Some((opcode, payload)) = inner.ear(self.no, direction).next() {
            if !matches!(opcode, 1 | 2) {
                continue;
            }
            let wire = match direction {
                Direction::Up => ClientFrame::decode(codec, &payload.into()).map(Wire::Up),
                Direction::Down => BrokerFrame::decode(codec, &payload.into()).map(Wire::Down),
            };
            inner.note(self.no, wire.expect("both sides write frames that can be read"));
        }
    }
}

impl Inner {
    fn ear(&mut self, line: u64, direction: Direction) -> &mut Ear {
        &mut self.ears[line as usize][direction as usize]
    }

    fn note(&mut self, line: u64, wire: Wire) {
        let seen = match &wire {
            // Only around a return does it matter.
            Wire::Up(ClientFrame::Hello(_)) => {
                let last = |room: &SharedRecord| room.lock().unwrap().entries.last().map_or(0, |entry| entry.seq);
                self.rooms.iter().map(last).collect()
            }
            _ => Vec::new(),
        };
        let at_ms = self.began.elapsed().as_millis() as u64;
        self.minutes.push(Minute { at_ms, seen, line, wire });
    }
}

impl Ear {
    /// The next WebSocket frame (RFC 6455, section 5.2), once all of it is there: its opcode and payload.
    fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        let (first, second) = (*self.bytes.first()?, *self.bytes.get(1)?);
        if self.lost || first & 0x80 == 0 {
            self.lost = true;
            return None;
        }
        let (masked, short) = (second & 0x80 != 0, usize::from(second & 0x7f));
        let (mut at, len) = match short {
            126 => (4, usize::from(u16::from_be_bytes(self.bytes.get(2..4)?.try_into().ok()?))),
            127 => (10, u64::from_be_bytes(self.bytes.get(2..10)?.try_into().ok()?) as usize),
            short => (2, short),
        };
        let mask: [u8; 4] = match masked {
            true => self.bytes.get(at..at + 4)?.try_into().ok()?,
            false => [0; 4],
        };
        at += if masked { 4 } else { 0 };
        let payload = self.bytes.get(at..at + len)?;
        let mut payload = payload.to_vec();
        if masked {
            payload.iter_mut().enumerate().for_each(|(at, byte)| *byte ^= mask[at % 4]);
        }
        self.bytes.drain(..at + len);
        Some((first & 0x0f, payload))
    }
}
