//! Where both sides of a session are: which frames were written, which arrived, and what must be written again.
//!
//! A state machine without I/O, clock or waiters. Neither side writes the numbers of its frames, so a single frame that is
//! counted wrongly would make every later resume wrong: all counting is done here and nowhere else.

use std::collections::VecDeque;

use parlor_protocol::frame::ResumeTerms;
use tokio_tungstenite::tungstenite::Message;

/// What a kept frame costs beyond its bytes, so that many tiny frames are bounded too.
const FRAME_OVERHEAD: usize = 32;

/// Frames for which an emptied queue keeps room.
const KEPT: usize = 1024;

/// The positions of one session.
#[derive(Debug, Default)]
pub(crate) struct Positions {
    /// How a lost connection is survived; none when the session ends with it.
    terms: Option<ResumeTerms>,
    up: Upward,
    down: Downward,
}

/// Frames from here to the broker.
#[derive(Debug, Default)]
struct Upward {
    /// Those that the broker is not known to have taken, the oldest first.
    frames: VecDeque<Message>,
    bytes: usize,
    /// How many the broker has taken: those before the first of `frames`.
    taken: u64,
    /// How many of `frames` were written on this connection.
    written: usize,
    /// How many of `frames` were written on any connection of the session; never less than `written`.
    tried: usize,
}

/// Frames from the broker.
#[derive(Debug, Default)]
struct Downward {
    received: u64,
    acked: u64,
    /// Bytes of the messages since the last acknowledgement.
    bytes: u64,
    /// To be acknowledged although the terms do not ask for it yet.
    asked: bool,
}

/// What is to be written next.
#[derive(Debug, PartialEq)]
pub(crate) enum Out {
    Frame(Message),
    /// An acknowledgement of so many frames.
    Ack(u64),
}

/// The broker claims a position that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the broker claims to have taken {claimed} frames, which can only be {least} to {most}")]
pub(crate) struct BadPosition {
    claimed: u64,
    least: u64,
    most: u64,
}

impl Positions {
    /// A new session begins on this connection. What was queued for it before is kept.
    pub(crate) fn begin(&mut self, terms: Option<ResumeTerms>) {
        self.terms = terms;
        self.down = Downward::default();
        (self.up.taken, self.up.written, self.up.tried) = (0, 0, 0);
    }

    /// The session goes on on a new connection, the broker having taken `received` frames. All others are written again.
    pub(crate) fn resume(&mut self, received: u64, terms: Option<ResumeTerms>) -> Result<(), BadPosition> {
        self.up.release(received, self.up.tried)?;
        self.up.written = 0;
        // The token before this one is valid until the broker hears something: it shall not have to wait for a ping.
        self.down.asked = true;
        // A broker that gives no new token leaves us the old one.
        self.terms = terms.or(self.terms.take());
        Ok(())
    }

    /// The session is gone, and with it everything that was to be said in it.
    pub(crate) fn lose(&mut self) {
        *self = Self::default();
    }

    /// What to come back with.
    pub(crate) fn terms(&self) -> Option<&ResumeTerms> {
        self.terms.as_ref()
    }

    /// Counted frames that were received.
    pub(crate) fn received(&self) -> u64 {
        self.down.received
    }

    /// Adds a counted frame behind all others.
    pub(crate) fn push(&mut self, message: Message) {
        self.up.bytes += cost(&message);
        self.up.frames.push_back(message);
    }

    /// Whether one more frame of this size stays within the bounds. One that is alone always fits.
    pub(crate) fn has_room(&self, message: &Message, frames: usize, bytes: usize) -> bool {
        let up = &self.up;
        // Without acknowledgements nothing is kept, and frames only wait for the socket.
        let few = self.terms.is_none() || up.frames.len() < frames;
        up.frames.is_empty() || few && up.bytes + cost(message) <= bytes
    }

    /// The next thing to write: first what must be written again, then an acknowledgement that is due, then what is new.
    pub(crate) fn next(&mut self) -> Option<Out> {
        let again = self.up.written < self.up.tried;
        if !again && let Some(received) = self.take_ack() {
            return Some(Out::Ack(received));
        }
        let message = self.up.frames.get(self.up.written)?.clone();
        self.up.written += 1;
        self.up.tried = self.up.tried.max(self.up.written);
        if self.terms.is_none() {
            self.up.drop_first(1);
        }
        Some(Out::Frame(message))
    }

    /// The broker has taken so many frames. Repeating an old count does no harm.
    pub(crate) fn acked(&mut self, received: u64) -> Result<(), BadPosition> {
        if self.terms.is_some() && received > self.up.taken {
            self.up.release(received, self.up.written)
        } else {
            Ok(())
        }
    }

    /// A counted frame came, in a message of so many bytes. Tells whether an acknowledgement has become due.
    pub(crate) fn heard(&mut self, bytes: usize) -> bool {
        let before = self.ack_due();
        self.down.received += 1;
        self.down.bytes = self.down.bytes.saturating_add(bytes as u64);
        self.ack_due() && !before
    }

    /// Lets what is not acknowledged yet be acknowledged soon. Tells whether there is anything.
    pub(crate) fn ask_ack(&mut self) -> bool {
        let due = self.terms.is_some() && self.down.received > self.down.acked;
        self.down.asked |= due;
        due
    }

    fn ack_due(&self) -> bool {
        let Some(terms) = &self.terms else { return false };
        let (frames, bytes) = (self.down.received - self.down.acked, self.down.bytes);
        self.down.asked || frames > 0 && (frames >= terms.ack_frames || bytes >= terms.ack_bytes)
    }

    fn take_ack(&mut self) -> Option<u64> {
        self.ack_due().then(|| {
            let received = self.down.received;
            self.down = Downward { received, acked: received, bytes: 0, asked: false };
            received
        })
    }
}

impl Upward {
    /// Forgets what the broker has taken, which can be no more than the first `most` of the frames.
    fn release(&mut self, received: u64, most: usize) -> Result<(), BadPosition> {
        let bad = BadPosition { claimed: received, least: self.taken, most: self.taken + most as u64 };
        let count = received.checked_sub(self.taken).and_then(|count| usize::try_from(count).ok());
        match count {
            Some(count) if count <= most => {
                self.drop_first(count);
                Ok(())
            }
            _ => Err(bad),
        }
    }

    fn drop_first(&mut self, count: usize) {
        for message in self.frames.drain(..count) {
            self.bytes -= cost(&message);
        }
        self.taken += count as u64;
        self.written = self.written.saturating_sub(count);
        self.tried = self.tried.saturating_sub(count);
        if self.frames.is_empty() && self.frames.capacity() > KEPT {
            self.frames.shrink_to(KEPT);
        }
    }
}

fn cost(message: &Message) -> usize {
    message.len() + FRAME_OVERHEAD
}
