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

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    fn terms() -> Option<ResumeTerms> {
        Some(ResumeTerms { token: "t".into(), ack_frames: 4, ack_bytes: 100 })
    }

    fn numbered(number: u64) -> Message {
        Message::binary(number.to_be_bytes().to_vec())
    }

    /// A session to come back to, with so many frames pushed.
    fn kept(frames: u64) -> Positions {
        let mut positions = Positions::default();
        positions.begin(terms());
        (1..=frames).for_each(|number| positions.push(numbered(number)));
        positions
    }

    #[test]
    fn what_was_written_is_written_again_before_anything_else() {
        let mut positions = kept(3);
        assert_eq!([(); 2].map(|()| positions.next()), [1, 2].map(|n| Some(Out::Frame(numbered(n)))));
        positions.resume(1, terms()).unwrap();
        let expected = [Out::Frame(numbered(2)), Out::Ack(0), Out::Frame(numbered(3))];
        assert_eq!([(); 3].map(|()| positions.next().unwrap()), expected);
        assert_eq!(positions.next(), None);
    }

    #[test]
    fn positions_that_cannot_be_are_refused() {
        let mut positions = kept(3);
        let _ = [(); 2].map(|()| positions.next());
        assert!(positions.acked(3).is_err() && positions.acked(u64::MAX).is_err());
        positions.acked(1).unwrap();
        positions.acked(0).unwrap();
        assert!(positions.resume(0, terms()).is_err() && positions.resume(3, terms()).is_err());
        // On the new connection nothing was written yet.
        positions.resume(1, terms()).unwrap();
        assert!(positions.acked(2).is_err());
    }

    #[test]
    fn without_terms_nothing_is_kept_or_acknowledged() {
        let mut positions = Positions::default();
        positions.begin(None);
        positions.push(numbered(1));
        assert!(!positions.heard(1000) && !positions.ask_ack());
        assert_eq!(positions.next(), Some(Out::Frame(numbered(1))));
        assert_eq!((positions.next(), positions.up.bytes), (None, 0));
        // An acknowledgement that nobody asked for.
        positions.acked(7).unwrap();
    }

    #[test]
    fn a_new_session_begins_with_what_was_queued_for_it() {
        let mut positions = kept(2);
        assert!(positions.next().is_some());
        positions.lose();
        positions.push(numbered(9));
        positions.begin(terms());
        assert_eq!((positions.next(), positions.next()), (Some(Out::Frame(numbered(9))), None));
        positions.acked(1).unwrap();
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Push,
        /// The next thing is written, and gets through.
        Write,
        /// The next thing is written, and is lost with the connection.
        WriteAndCut,
        /// The broker acknowledges what it has.
        Ack,
        Cut,
        /// A frame of the broker arrives; one that was missed, if there is any.
        Hear,
    }

    /// What the broker knows.
    #[derive(Default)]
    struct Peer {
        taken: Vec<u64>,
        /// Counted frames that it has written, and that were acknowledged.
        said: u64,
        acked: u64,
    }

    impl Peer {
        fn take(&mut self, out: Option<Out>) {
            match out {
                Some(Out::Frame(message)) => {
                    self.taken.push(u64::from_be_bytes(message.into_data().as_ref().try_into().unwrap()));
                }
                Some(Out::Ack(received)) => {
                    assert!(self.acked <= received && received <= self.said);
                    self.acked = received;
                }
                None => {}
            }
        }

        fn cut(&mut self, positions: &mut Positions) {
            // What the client has had and not acknowledged is known to both from its hello.
            assert!(self.acked <= positions.received() && positions.received() <= self.said);
            positions.resume(self.taken.len() as u64, terms()).unwrap();
        }
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        use Step::{Ack, Cut, Hear, Push, Write, WriteAndCut};
        let step = prop_oneof![
            4 => Just(Push), 4 => Just(Write), 1 => Just(WriteAndCut), 1 => Just(Ack), 1 => Just(Cut), 2 => Just(Hear)
        ];
        prop::collection::vec(step, 0..200)
    }

    proptest! {
        #[test]
        fn every_frame_arrives_once_and_in_order(steps in steps()) {
            let (mut positions, mut peer, mut pushed) = (kept(0), Peer::default(), 0);
            for step in steps {
                match step {
                    Step::Push => {
                        pushed += 1;
                        positions.push(numbered(pushed));
                    }
                    Step::Write => peer.take(positions.next()),
                    Step::WriteAndCut => {
                        let _ = positions.next();
                        peer.cut(&mut positions);
                    }
                    Step::Ack => positions.acked(peer.taken.len() as u64).unwrap(),
                    Step::Cut => peer.cut(&mut positions),
                    Step::Hear => {
                        peer.said += 1;
                        positions.heard(8);
                    }
                }
            }
            peer.cut(&mut positions);
            while let Some(out) = positions.next() {
                peer.take(Some(out));
            }
            prop_assert_eq!(&peer.taken, &(1..=pushed).collect::<Vec<_>>());
            prop_assert_eq!((peer.acked, positions.received()), (peer.said, peer.said));
            positions.acked(pushed).unwrap();
            prop_assert_eq!((positions.up.bytes, positions.up.frames.len()), (0, 0));
        }
    }
}
