//! The frames that one session is owed, and those that it may have to be sent again: positions and bounds, without locks and wakers.
//!
//! A session that can be taken up again keeps counted frames until its client acknowledges them. When the bound is hit, publishes go
//! first: those that were sent already cost exactness of a later resume only; those that were not are replaced by a view. What
//! must not be lost (replies, errors, ends) is never dropped: a session in which even that does not fit is over.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use parlor_protocol::RoomNo;

use super::frame::{Frame, Kind};

/// A room that owes a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Due {
    room: RoomNo,
    /// Whether the room has been asked for it.
    asked: bool,
}

/// The bounds of a ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    pub(crate) frames: usize,
    pub(crate) bytes: usize,
    /// Bytes that a frame costs beyond those that it says.
    pub(crate) overhead: usize,
}

/// Whether a push went in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    Yes,
    /// Not even what must be kept did.
    No,
}

/// A client speaks of frames that it cannot have had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Impossible;

/// What a client that came back is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resumed {
    /// Rooms that owe a view.
    pub(crate) due: Vec<RoomNo>,
    /// Counted frames that follow, by room.
    pub(crate) missed: HashMap<RoomNo, u64>,
}

#[derive(Debug)]
pub(crate) struct Ring {
    bound: Bound,
    /// Whether what was sent is kept until it is acknowledged.
    keeps: bool,
    /// Whether there is no connection.
    away: bool,
    /// Counted frames that the writer has taken and the client has not acknowledged.
    sent: VecDeque<Frame>,
    /// The number of the last frame before those.
    base: u64,
    /// The last number that the client has acknowledged.
    acked: u64,
    /// How many numbers they stand for.
    sent_count: u64,
    unsent: VecDeque<Frame>,
    /// The number of the place at the front of `unsent`, so that `newest` can name places in it.
    left: u64,
    /// Frames in `unsent` that have been replaced by newer ones and are passed over.
    void: usize,
    newest: HashMap<(RoomNo, u32), u64>,
    /// Frames that are held, and what they weigh.
    frames: usize,
    bytes: usize,
    /// Bytes that the writer has taken and not written, in a session that keeps nothing.
    lent: usize,
    /// Bytes beyond the bound that were allowed since nothing was owed.
    allowance: usize,
    /// Frames on top of the bound until the writer takes some.
    greetings: usize,
    due: Vec<Due>,
    /// Rooms of which publishes were forgotten that had been sent, and the number of the last such.
    holes: Vec<(RoomNo, u64)>,
    /// Publishes that were dropped since this was last taken.
    dropped: u64,
}

impl Ring {
    pub(crate) fn new(bound: Bound) -> Self {
        Self {
            bound,
            keeps: false,
            away: false,
            sent: VecDeque::new(),
            base: 0,
            acked: 0,
            sent_count: 0,
            unsent: VecDeque::new(),
            left: MIDDLE,
            void: 0,
            newest: HashMap::new(),
            frames: 0,
            bytes: 0,
            lent: 0,
            allowance: 0,
            greetings: 0,
            due: Vec::new(),
            holes: Vec::new(),
            dropped: 0,
        }
    }

    /// From now on counted frames are kept until they are acknowledged; what is here already was said before counting began.
    pub(crate) fn keep(&mut self) {
        self.keeps = true;
        self.unsent.iter_mut().for_each(|frame| frame.kind = Kind::Passing);
    }

    /// Adds a batch, emptying it. `allowance` bytes may be owed on top of the bound.
    pub(crate) fn push(&mut self, batch: &mut Vec<Frame>, allowance: usize) -> Fit {
        self.allowance += allowance;
        let bytes = batch.iter().map(|frame| self.weight(frame)).sum();
        let frames = batch.iter().map(Frame::held).sum();
        if self.keeps && !self.fits(frames, bytes) {
            self.forget(frames, bytes);
            if !self.fits(frames, bytes) {
                self.shed(batch);
            }
        }
        for frame in batch.drain(..) {
            self.append(frame);
        }
        if self.fits(0, 0) { Fit::Yes } else { Fit::No }
    }

    /// Puts a frame that is not counted before all that waits.
    pub(crate) fn push_first(&mut self, bytes: Bytes) {
        let greeting = Frame::passing(bytes);
        self.charge(&greeting);
        // Coming back costs nothing of what was kept.
        (self.greetings, self.allowance) = (1, self.allowance + self.weight(&greeting));
        self.left = self.left.saturating_sub(1);
        self.unsent.push_front(greeting);
    }

    /// Moves frames to the writer: at most so many, and none once so many bytes are reached.
    pub(crate) fn take(&mut self, into: &mut VecDeque<Bytes>, frames: usize, bytes: usize) -> usize {
        let (mut taken, mut size) = (0, 0);
        self.greetings = 0;
        while taken < frames && size < bytes {
            let Some(frame) = self.unsent.pop_front() else { break };
            self.left += 1;
            match frame.kind {
                Kind::Gone(_) => {
                    self.void -= 1;
                    continue;
                }
                Kind::Latest(slot) => {
                    frame.room.and_then(|room| self.newest.remove(&(room, slot)));
                }
                _ => {}
            }
            (taken, size) = (taken + 1, size + frame.bytes.len());
            if self.keeps && frame.is_counted() {
                into.push_back(frame.bytes.clone());
                self.sent_count += u64::from(frame.count());
                self.sent.push_back(frame);
            } else {
                self.discharge(&frame);
                self.lend(frame.bytes.len());
                into.push_back(frame.bytes);
            }
        }
        if self.unsent.is_empty() && self.unsent.capacity() > LASTING {
            self.unsent = VecDeque::new();
        }
        taken
    }

    /// Whether a frame of many readers could go out without a detour: nothing waits, and there is room for it.
    pub(crate) fn lets_pass(&self, frame: &Frame) -> bool {
        self.unsent.is_empty() && self.due.is_empty() && self.fits(frame.held(), self.weight(frame))
    }

    /// Counts a frame that went out without having waited here.
    pub(crate) fn pass(&mut self, frame: &Frame) {
        debug_assert!(frame.publishes() > 0, "what replaces other frames, or is replaced, goes the usual way");
        if self.keeps {
            self.charge(frame);
            self.sent_count += u64::from(frame.count());
            self.sent.push_back(frame.clone());
        } else {
            self.lend(frame.bytes.len());
        }
    }

    /// Whether something waits for the writer.
    pub(crate) fn has_unsent(&self) -> bool {
        self.unsent.len() > self.void
    }

    /// Counts bytes that are in the writer's hands.
    pub(crate) fn lend(&mut self, bytes: usize) {
        if !self.keeps {
            self.lent += bytes;
        }
    }

    /// Counts bytes that have left.
    pub(crate) fn written(&mut self, bytes: usize) {
        self.lent = self.lent.saturating_sub(bytes);
        self.settle();
    }

    /// The client has had so many counted frames.
    pub(crate) fn ack(&mut self, received: u64) -> Result<(), Impossible> {
        if received > self.base + self.sent_count {
            return Err(Impossible);
        }
        self.acked = self.acked.max(received);
        let mut left = received.saturating_sub(self.base);
        self.sent_count -= left;
        self.base += left;
        while left > 0 {
            let Some(mut frame) = self.sent.pop_front() else { break };
            self.discharge(&frame);
            let count = u64::from(frame.count());
            if count > left {
                frame.skip(left as u32);
                self.charge(&frame);
                self.sent.push_front(frame);
                break;
            }
            left -= count;
        }
        if self.sent.is_empty() && self.sent.capacity() > LASTING {
            self.sent = VecDeque::new();
        }
        self.holes.retain(|(_, last)| *last > received);
        self.settle();
        Ok(())
    }

    /// The connection is gone: what is worth something only now is dropped.
    pub(crate) fn leave(&mut self) {
        self.away = true;
        (self.lent, self.greetings) = (0, 0);
        self.retain_unsent(Frame::is_counted);
    }

    /// The client is back, has had so many counted frames (`None` when it remembers nothing), and is still in these rooms.
    pub(crate) fn resume(&mut self, received: Option<u64>, rooms: &[RoomNo]) -> Result<Resumed, Impossible> {
        self.away = false;
        match received {
            Some(received) => self.rewind(received, rooms)?,
            None => self.start_over(rooms),
        }
        self.holes.clear();
        let due = std::mem::take(&mut self.due);
        self.retain_unsent(|frame| {
            frame.is_counted() && !(is_of(frame, &due) && (frame.publishes() > 0 || frame.kind == Kind::View))
        });
        self.due = due;
        // Of a room that the client has left the end pays, which may have been said already.
        let ended = |room| self.unsent.iter().any(|frame| frame.kind == Kind::End && frame.room == Some(room));
        self.due.retain(|due| rooms.contains(&due.room) || !ended(due.room));
        let mut missed = HashMap::new();
        for frame in self.unsent.iter().filter(|frame| frame.is_counted()) {
            frame.room.into_iter().for_each(|room| *missed.entry(room).or_default() += u64::from(frame.count()));
        }
        Ok(Resumed { due: self.due.iter().map(|due| due.room).collect(), missed })
    }

    /// Rooms that owe a view and have not been asked for it; they count as asked from now on.
    pub(crate) fn ask(&mut self) -> Vec<RoomNo> {
        let unasked = self.due.iter_mut().filter(|due| !due.asked);
        unasked.map(|due| (due.room, due.asked = true).0).collect()
    }

    /// Whether a room owes a view and has not been asked for it.
    pub(crate) fn owes(&self) -> bool {
        self.due.iter().any(|due| !due.asked)
    }

    /// Frames and bytes that are held.
    pub(crate) fn len(&self) -> (usize, usize) {
        (self.frames, self.bytes + self.lent)
    }

    /// Bytes of views that are not read yet, beyond the bound.
    pub(crate) fn allowance(&self) -> usize {
        self.allowance
    }

    /// Publishes that were dropped since this was last asked.
    pub(crate) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// Frees everything.
    pub(crate) fn clear(&mut self) {
        *self = Self { keeps: self.keeps, lent: self.lent, ..Self::new(self.bound) };
    }

    fn append(&mut self, frame: Frame) {
        match (frame.kind, frame.room) {
            (Kind::Publish | Kind::Run(_), _) if is_of(&frame, &self.due) => {
                self.dropped += u64::from(frame.count());
                return;
            }
            (Kind::Latest(_), _) if self.away || is_of(&frame, &self.due) => return,
            (Kind::Latest(slot), Some(room)) => self.replace(room, slot),
            (Kind::Passing, _) if self.away => return,
            (Kind::View | Kind::End, Some(room)) => self.due.retain(|due| due.room != room),
            _ => {}
        }
        self.charge(&frame);
        self.unsent.push_back(frame);
    }

    /// An older value that has not been taken yet will not be: the newer one goes behind all that came between.
    fn replace(&mut self, room: RoomNo, slot: u32) {
        let next = self.left + self.unsent.len() as u64;
        let Some(older) = self.newest.insert((room, slot), next) else { return };
        if let Some(frame) = self.unsent.get_mut(older.saturating_sub(self.left) as usize) {
            let replaced = std::mem::replace(frame, GONE);
            self.discharge(&replaced);
            self.void += 1;
        }
        if self.void > LASTING && self.void * 2 > self.unsent.len() {
            self.retain_unsent(|_| true);
            self.newest.insert((room, slot), self.left + self.unsent.len() as u64);
        }
    }

    /// What a frame costs; nothing once it is gone. A run costs what its frames would.
    fn weight(&self, frame: &Frame) -> usize {
        frame.bytes.len() + frame.held() * self.bound.overhead
    }

    fn charge(&mut self, frame: &Frame) {
        self.frames += frame.held();
        self.bytes += self.weight(frame);
    }

    fn discharge(&mut self, frame: &Frame) {
        self.frames -= frame.held();
        self.bytes -= self.weight(frame);
    }

    fn fits(&self, frames: usize, bytes: usize) -> bool {
        let (held, size) = self.len();
        held + frames <= self.bound.frames + self.greetings && size + bytes <= self.bound.bytes + self.allowance
    }

    /// Drops publishes that have been sent, oldest first, until there is room for so much and a quarter of the bound.
    fn forget(&mut self, frames: usize, bytes: usize) {
        let frames = frames + self.bound.frames / 4;
        let bytes = bytes + self.bound.bytes / 4;
        let (mut number, mut stay) = (self.base, 0);
        // In place: who is behind has a long queue already, and need not have another beside it.
        for at in 0..self.sent.len() {
            let frame = std::mem::replace(&mut self.sent[at], GONE);
            number += u64::from(frame.count());
            let enough = self.frames + frames <= self.bound.frames && self.bytes + bytes <= self.bound.bytes;
            match (frame.kind, frame.room) {
                (Kind::Publish | Kind::Run(_), Some(room)) if !enough => {
                    self.discharge(&frame);
                    self.dig(room, number);
                    stay = self.note_gone(stay, frame.count());
                }
                (Kind::Gone(count), _) => stay = self.note_gone(stay, count),
                _ => {
                    self.sent[stay] = frame;
                    stay += 1;
                }
            }
        }
        self.sent.truncate(stay);
        self.sent.shrink_to(LASTING.max(2 * stay));
        if let Some(Frame { kind: Kind::Gone(count), .. }) = self.sent.front() {
            // Their holes are remembered; their places need not be.
            self.base += u64::from(*count);
            self.sent_count -= u64::from(*count);
            self.sent.pop_front();
        }
    }

    /// Adds to the frames that are gone before place `at` of what was sent. Returns the place behind them.
    fn note_gone(&mut self, at: usize, more: u32) -> usize {
        match at.checked_sub(1).and_then(|before| self.sent.get_mut(before)) {
            Some(Frame { kind: Kind::Gone(count), .. }) => {
                *count += more;
                at
            }
            _ => {
                self.sent[at] = Frame { kind: Kind::Gone(more), ..GONE };
                at + 1
            }
        }
    }

    fn dig(&mut self, room: RoomNo, number: u64) {
        match self.holes.iter_mut().find(|(other, _)| *other == room) {
            Some((_, last)) => *last = number,
            None => self.holes.push((room, number)),
        }
    }

    /// Drops all publishes that have not been sent, those of the batch among them: their rooms owe views.
    fn shed(&mut self, batch: &[Frame]) {
        for at in 0..self.unsent.len() {
            self.owe_publish(at, None);
        }
        for frame in batch {
            self.owe_publish(0, Some(frame));
        }
        let due = std::mem::take(&mut self.due);
        let before = self.frames;
        self.retain_unsent(|frame| {
            !(is_of(frame, &due) && (frame.publishes() > 0 || matches!(frame.kind, Kind::Latest(_))))
        });
        self.dropped += (before - self.frames) as u64;
        self.due = due;
    }

    fn owe_publish(&mut self, at: usize, frame: Option<&Frame>) {
        let frame = frame.or_else(|| self.unsent.get(at));
        if let Some(room) = frame.filter(|frame| frame.publishes() > 0).and_then(|frame| frame.room) {
            self.owe(room);
        }
    }

    fn owe(&mut self, room: RoomNo) {
        if !self.due.iter().any(|due| due.room == room) {
            self.due.push(Due { room, asked: false });
        }
    }

    fn rewind(&mut self, received: u64, rooms: &[RoomNo]) -> Result<(), Impossible> {
        let forgotten = received < self.acked;
        self.ack(received)?;
        for (room, last) in std::mem::take(&mut self.holes) {
            if last > received {
                self.owe(room);
            }
        }
        if forgotten {
            // It has said before that it had more: what it asks for now was let go.
            rooms.iter().for_each(|room| self.owe(*room));
        }
        for frame in std::mem::take(&mut self.sent).into_iter().rev() {
            if !matches!(frame.kind, Kind::Gone(_)) {
                self.left = self.left.saturating_sub(1);
                self.unsent.push_front(frame);
            }
        }
        (self.base, self.acked, self.sent_count) = (received, received, 0);
        Ok(())
    }

    fn start_over(&mut self, rooms: &[RoomNo]) {
        self.unsent.extend(std::mem::take(&mut self.sent));
        self.retain_unsent(|frame| frame.kind == Kind::End);
        self.due.retain(|due| rooms.contains(&due.room));
        rooms.iter().for_each(|room| self.owe(*room));
        (self.base, self.acked, self.sent_count) = (0, 0, 0);
    }

    /// Keeps what waits and is wanted; all places are new.
    fn retain_unsent(&mut self, wanted: impl Fn(&Frame) -> bool) {
        let (mut frames, mut bytes) = (0, 0);
        self.unsent.retain(|frame| {
            let stays = !matches!(frame.kind, Kind::Gone(_)) && wanted(frame);
            if !stays {
                (frames, bytes) = (frames + frame.held(), bytes + frame.bytes.len());
            }
            stays
        });
        (self.frames, self.bytes) = (self.frames - frames, self.bytes - bytes - frames * self.bound.overhead);
        self.void = 0;
        self.newest.clear();
        for (at, frame) in (self.left..).zip(&self.unsent) {
            if let (Kind::Latest(slot), Some(room)) = (frame.kind, frame.room) {
                self.newest.insert((room, slot), at);
            }
        }
        self.settle();
    }

    /// What of the views is left is at most what is left of everything.
    fn settle(&mut self) {
        self.allowance = self.allowance.min(self.bytes + self.lent);
    }
}

/// The first place: frames are put before it, too, and never so many.
const MIDDLE: u64 = 1 << 40;
/// What is left of a frame that is there no more.
const GONE: Frame = Frame { bytes: Bytes::new(), kind: Kind::Gone(0), room: None };
/// Frames for which an emptied queue keeps room, so that a long burst does not pin its ring for the connection's life.
const LASTING: usize = 64;

/// Whether it belongs to one of these rooms.
fn is_of(frame: &Frame, rooms: &[Due]) -> bool {
    frame.room.is_some_and(|room| rooms.iter().any(|due| due.room == room))
}
