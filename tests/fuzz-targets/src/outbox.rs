//! What may be done to an outbox, in any order: its bounds hold, and what was told to be kept comes once and in order.

use std::task::{Context, Waker};

use bytes::Bytes;
use parlor_broker::Limits;
use parlor_broker::outbox::{Frame, Hand, Kind, Opened, Outbox, Pushed};
use parlor_protocol::{CloseCode, Codec, RoomNo};

const FRAMES: usize = 16;
const BYTES: usize = 400;
const ROOMS: u32 = 3;

/// Two bytes are one step; the first one of all says whether the session is kept.
pub fn outbox(data: &[u8]) {
    let Some((kept, steps)) = data.split_first() else { return };
    let limits = Limits { outbox_frames: FRAMES, outbox_bytes: BYTES, ..Limits::default() };
    let outbox = Outbox::new(Codec::MsgPack, &limits);
    let kept = kept & 1 == 1;
    if kept {
        Opened(&outbox).keep();
    }
    let mut world =
        World { outbox: &outbox, kept, away: false, wire: Hand::default(), next: 0, read: 0, counted: 0, extra: 0 };
    for step in steps.chunks_exact(2) {
        if outbox.push_all(&mut Vec::new(), 0) == Pushed::Closing && Opened(&outbox).is_over() {
            break;
        }
        world.step(step[0], step[1]);
        world.check();
    }
}

struct World<'o> {
    outbox: &'o Outbox,
    kept: bool,
    away: bool,
    /// What the writer holds.
    wire: Hand,
    /// The number of the next frame that must be kept.
    next: u32,
    /// That of the next one to be read.
    read: u32,
    /// Counted frames that were read.
    counted: u64,
    /// Frames that came on top of the bound.
    extra: usize,
}

impl World<'_> {
    fn step(&mut self, what: u8, how: u8) {
        let opened = Opened(self.outbox);
        let room = RoomNo(u32::from(how) % ROOMS);
        match what % 12 {
            0 | 1 => self.push(what >> 4, how, 0),
            2 => self.push(what >> 4, how, usize::from(how)),
            3 | 4 if !self.away => self.take(usize::from(how % 8)),
            5 if !self.away => self.read(usize::from(how % 8)),
            6 if !self.away && self.kept => assert!(opened.ack(self.counted)),
            7 => assert!(!opened.ack(u64::MAX - u64::from(how)), "more than was ever sent"),
            8 if self.kept && !self.away => {
                opened.leave();
                (self.away, self.extra) = (true, 0);
                self.wire = Hand::default();
            }
            9 if self.away => self.come_back(),
            10 if !self.away => {
                opened.lend(usize::from(how));
                self.outbox.written(usize::from(how));
            }
            11 if how == 255 => self.outbox.close(CloseCode::ShuttingDown),
            11 => {
                for room in opened.ask() {
                    self.send(Opened::frame(Kind::View, Some(room), Bytes::from_static(b"view")), 4);
                }
            }
            _ => {
                self.send(Opened::frame(Kind::End, Some(room), Bytes::from_static(b"end")), 0);
            }
        }
    }

    fn push(&mut self, kind: u8, how: u8, allowance: usize) {
        let room = Some(RoomNo(u32::from(how) % ROOMS));
        let size = usize::from(how) / 4;
        let (kind, bytes) = match kind % 4 {
            0 => (Kind::Publish, vec![b'p'; size + 1]),
            1 => (Kind::Latest(u32::from(how) % 5), vec![b'l'; size + 1]),
            2 => (Kind::Passing, vec![b'x'; size % 8 + 1]),
            _ => (Kind::Kept, [&b"k"[..], &self.next.to_be_bytes()].concat()),
        };
        if self.send(Opened::frame(kind, room, bytes.into()), allowance) == Pushed::Queued && kind == Kind::Kept {
            self.next += 1;
        }
    }

    fn send(&mut self, frame: Frame, allowance: usize) -> Pushed {
        self.outbox.push_all(&mut vec![frame], allowance)
    }

    fn take(&mut self, most: usize) {
        let before = self.wire.frames.len();
        let _ = self.outbox.poll_take(&mut Context::from_waker(Waker::noop()), &mut self.wire, most);
        assert!(self.wire.frames.len() - before <= most);
    }

    fn read(&mut self, most: usize) {
        for bytes in self.wire.frames.drain(..most.min(self.wire.frames.len())).collect::<Vec<_>>() {
            self.outbox.written(bytes.len());
            self.counted += u64::from(!matches!(bytes.first(), Some(b'l' | b'x' | b'g')));
            if let Some((b'k', number)) = bytes.split_first() {
                let number = u32::from_be_bytes(number.try_into().expect("four bytes"));
                assert_eq!(number, self.read, "once and in order");
                self.read = number + 1;
            }
        }
    }

    fn come_back(&mut self) {
        let rooms: Vec<_> = (0..ROOMS).map(RoomNo).collect();
        let greeting = Bytes::from_static(b"greeting");
        self.extra = greeting.len();
        let back = Opened(self.outbox).resume(Some(self.counted), &rooms, greeting);
        assert!(back.is_some_and(|(due, _)| due.len() <= rooms.len()), "what was read was sent");
        self.away = false;
    }

    fn check(&self) {
        let (frames, bytes) = self.outbox.len();
        if Opened(self.outbox).is_over() {
            // It was emptied; what the writer has already is still to go out.
            assert_eq!(frames, 0);
            return;
        }
        // A greeting comes on top, and so may one that it takes the place of.
        assert!(frames <= FRAMES + 2, "{frames} frames");
        assert!(bytes <= BYTES + Opened(self.outbox).allowance() + 2 * self.extra, "{bytes} bytes");
    }
}
