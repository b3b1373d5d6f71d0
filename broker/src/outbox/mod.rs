//! What waits for one session: shared frames in order, bounded in count and bytes.
//!
//! Rooms push whole batches. If the session sleeps on the same thread and owes nothing, they are written at once; else it is woken, takes
//! what is there and writes it. A client that does not keep up gets a view in place of what it missed, or is let go: nobody else waits
//! for it.

mod frame;
mod opened;
mod pen;
mod ring;
#[cfg(test)]
mod tests;

use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use parking_lot::Mutex;
use parlor_protocol::{CloseCode, Codec, RoomNo};

use crate::config::Limits;
use ring::{Bound, Fit, Ring};

pub use frame::{Frame, Kind};
#[doc(hidden)]
pub use opened::Opened;
pub use pen::Hand;
pub(crate) use pen::{PIECES, Pen, Wrote};
pub(crate) use ring::{Impossible, Resumed};

/// What a frame costs beyond its bytes: its place in the ring (48 bytes, and as many that a growing ring has free), and its
/// allocation. Without it small frames would take several times the memory that the bound allows.
pub(crate) const OVERHEAD: usize = 128;
/// Bytes that the writer takes at once: what it holds is beyond the bound.
const WRITE: usize = 64 << 10;

/// The queue between rooms and one session's writer. All methods are non-blocking.
#[derive(Debug)]
pub struct Outbox {
    codec: Codec,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    ring: Ring,
    /// Set once for a connection: nothing is taken in any more, and the connection ends after what is here.
    closing: Option<CloseCode>,
    /// What had to be kept did not fit: the session cannot be taken up again.
    over: bool,
    waker: Option<Waker>,
    /// Where the socket is to be written to from here.
    pen: Option<Pen>,
    /// The session sleeps, and has nothing in hand: the pen may be used.
    resting: bool,
    /// What the pen could not write.
    left: Hand,
}

/// What became of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It will be written in its turn, or a view in its place.
    Queued,
    /// The bound was hit: the outbox was emptied and the session is closed as a slow consumer.
    Overflow,
    /// The session is closing already.
    Closing,
}

/// What the writer finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// More frames were added to the writer's.
    Frames,
    /// Everything has been taken, and the connection is to end for this reason.
    Close(CloseCode),
}

impl Outbox {
    /// An empty outbox for a connection of this codec.
    pub fn new(codec: Codec, limits: &Limits) -> Self {
        let bound = Bound { frames: limits.outbox_frames, bytes: limits.outbox_bytes, overhead: OVERHEAD };
        Self::bounded(codec, bound)
    }

    fn bounded(codec: Codec, bound: Bound) -> Self {
        let inner = Inner {
            ring: Ring::new(bound),
            closing: None,
            over: false,
            waker: None,
            pen: None,
            resting: false,
            left: Hand::default(),
        };
        Self { codec, inner: Mutex::new(inner) }
    }

    /// How frames in here must be encoded.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// From now on counted frames are kept until the client acknowledges them.
    pub(crate) fn keep(&self) {
        self.inner.lock().ring.keep();
    }

    /// Adds frames, emptying `frames`, and wakes the session once. `allowance` bytes may be owed on top of the bound for as long as
    /// that much is: a view may be larger than what a client may leave unread.
    pub fn push_all(&self, frames: &mut Vec<Frame>, allowance: usize) -> Pushed {
        let mut inner = self.inner.lock();
        let pushed = inner.push_all(frames, allowance);
        frames.clear();
        let waker = inner.waker.take();
        drop(inner);
        wake(waker);
        pushed
    }

    /// The same, and writes them at once if that can be done.
    pub(crate) fn send_all(&self, frames: &mut Vec<Frame>, allowance: usize) -> (Pushed, Wrote) {
        let mut inner = self.inner.lock();
        let pushed = inner.push_all(frames, allowance);
        frames.clear();
        let wrote = inner.write();
        let waker = if wrote.is_some() && inner.resting { None } else { inner.waker.take() };
        drop(inner);
        wake(waker);
        (pushed, wrote.unwrap_or_default())
    }

    /// Sends one frame at once, as [`Self::send_all`] would, if nothing goes before it and the socket takes any of it; `None` leaves it
    /// to that. It spares those who share a frame with many others to queue it.
    pub(crate) fn send(&self, frame: &Frame) -> Option<Wrote> {
        let mut inner = self.inner.lock();
        let wrote = inner.send(frame)?;
        let waker = if inner.resting { None } else { inner.waker.take() };
        drop(inner);
        wake(waker);
        Some(wrote)
    }

    /// From now on the socket may be written to by [`Self::send_all`] and [`Self::send`].
    pub(crate) fn lend_pen(&self, pen: Pen) {
        self.inner.lock().pen = Some(pen);
    }

    /// The end of that. What was taken and not written is left in `hand`, which has to be empty.
    pub(crate) fn return_pen(&self, hand: &mut Hand) -> Option<Pen> {
        let mut inner = self.inner.lock();
        inner.get_up(hand);
        inner.pen.take()
    }

    /// The session is to write by itself. What could not be written without it goes into `hand`, which has to be empty.
    pub(crate) fn get_up(&self, hand: &mut Hand) {
        self.inner.lock().get_up(hand);
    }

    /// Adds one frame.
    pub fn push(&self, frame: Frame) -> Pushed {
        self.push_all(&mut vec![frame], 0)
    }

    /// Ends the connection, for this reason, after what is queued. The first reason stays.
    pub fn close(&self, code: CloseCode) {
        let mut inner = self.inner.lock();
        inner.closing.get_or_insert(code);
        let waker = inner.waker.take();
        drop(inner);
        wake(waker);
    }

    /// Takes up to `max` frames into `hand`; the session is woken when there is something to take. A session with an empty hand may be
    /// written for from then on.
    pub fn poll_take(&self, cx: &mut Context<'_>, hand: &mut Hand, max: usize) -> Poll<Taken> {
        let mut inner = self.inner.lock();
        if inner.get_up(hand) || inner.ring.take(&mut hand.frames, max, WRITE) > 0 {
            return Poll::Ready(Taken::Frames);
        }
        if let Some(code) = inner.closing {
            return Poll::Ready(Taken::Close(code));
        }
        if !inner.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            inner.waker = Some(cx.waker().clone());
        }
        inner.resting = hand.frames.is_empty();
        Poll::Pending
    }

    /// The client has had so many counted frames.
    ///
    /// # Errors
    /// [`Impossible`] when that is more than it was sent.
    pub(crate) fn ack(&self, received: u64) -> Result<(), Impossible> {
        self.inner.lock().ring.ack(received)
    }

    /// The connection is gone, and the session waits for another.
    pub(crate) fn leave(&self) {
        let mut inner = self.inner.lock();
        inner.waker = None;
        if !inner.over {
            inner.closing = None;
            inner.ring.leave();
        }
    }

    /// Whether what had to be kept did not fit, so that nobody can take the session up again.
    pub(crate) fn is_over(&self) -> bool {
        self.inner.lock().over
    }

    /// The client is back on another connection. `greet` makes the frame that comes before everything else.
    ///
    /// # Errors
    /// [`Impossible`] when it has had more than it was sent.
    pub(crate) fn resume(
        &self,
        received: Option<u64>,
        rooms: &[RoomNo],
        greet: impl FnOnce(&Resumed) -> Bytes,
    ) -> Result<Resumed, Impossible> {
        let mut inner = self.inner.lock();
        inner.closing = None;
        let resumed = inner.ring.resume(received, rooms)?;
        inner.ring.push_first(greet(&resumed));
        Ok(resumed)
    }

    /// Rooms that owe a view and have not been asked for it, once nothing else waits; they count as asked.
    pub(crate) fn ask_when_read(&self) -> Vec<RoomNo> {
        let mut inner = self.inner.lock();
        if inner.ring.has_unsent() { Vec::new() } else { inner.ring.ask() }
    }

    /// The same, whatever waits.
    pub(crate) fn ask(&self) -> Vec<RoomNo> {
        self.inner.lock().ring.ask()
    }

    /// Publishes that were dropped since this was last asked.
    pub(crate) fn take_dropped(&self) -> u64 {
        self.inner.lock().ring.take_dropped()
    }

    /// Whether so much of the views that it was sent is unread that another one would be too much.
    pub(crate) fn owes_views(&self, max_bytes: usize) -> bool {
        self.inner.lock().ring.allowance() > max_bytes
    }

    /// Whether the connection is to end.
    pub(crate) fn closing(&self) -> Option<CloseCode> {
        self.inner.lock().closing
    }

    /// Counts bytes that the writer adds by itself, such as control frames.
    pub(crate) fn lend(&self, bytes: usize) {
        self.inner.lock().ring.lend(bytes);
    }

    /// Tells that `bytes` of what was taken have left.
    pub fn written(&self, bytes: usize) {
        self.inner.lock().ring.written(bytes);
    }

    /// Frames and bytes that are held.
    pub fn len(&self) -> (usize, usize) {
        self.inner.lock().ring.len()
    }
}

impl Inner {
    /// The full-policy: publishes that do not fit are replaced by views, and what must be kept and does not fit ends the session.
    fn push_all(&mut self, frames: &mut Vec<Frame>, allowance: usize) -> Pushed {
        if self.closing.is_some() {
            return Pushed::Closing;
        }
        if self.ring.push(frames, allowance) == Fit::No {
            self.ring.clear();
            (self.closing, self.over) = (Some(CloseCode::SlowConsumer), true);
            return Pushed::Overflow;
        }
        Pushed::Queued
    }

    /// The pen, if the session lets it be used.
    fn pen(&self) -> Option<&Pen> {
        self.pen.as_ref().filter(|pen| self.resting && self.closing.is_none() && pen.is_here())
    }

    fn send(&mut self, frame: &Frame) -> Option<Wrote> {
        let pen = self.pen()?;
        if !self.ring.lets_pass(frame) {
            return None;
        }
        let bytes = pen.write_frame(&frame.bytes);
        if bytes == 0 {
            return None;
        }
        self.ring.pass(frame);
        self.ring.written(bytes);
        if bytes < frame.bytes.len() {
            self.left = Hand { frames: [frame.bytes.slice(bytes..)].into(), begun: true };
            self.resting = false;
        }
        Some(Wrote { calls: 1, bytes: bytes as u64 })
    }

    /// Writes what waits, if the session lets it. It rests no more if there is something left for it to do.
    fn write(&mut self) -> Option<Wrote> {
        self.pen()?;
        let (pen, ring) = (self.pen.as_ref()?, &mut self.ring);
        let wrote = pen.write(&mut self.left, |frames, max| ring.take(frames, max, WRITE));
        ring.written(wrote.bytes as usize);
        // A room that owes a view is asked for it by the session.
        self.resting = self.left.frames.is_empty() && !ring.owes();
        Some(wrote)
    }

    /// Whether there was something left.
    fn get_up(&mut self, hand: &mut Hand) -> bool {
        self.resting = false;
        let left = !self.left.frames.is_empty();
        if left {
            debug_assert!(hand.frames.is_empty(), "who rests has nothing in hand");
            *hand = std::mem::take(&mut self.left);
        }
        left
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod queue_tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn outbox(frames: usize, bytes: usize) -> Outbox {
        Outbox::bounded(Codec::MsgPack, Bound { frames, bytes, overhead: 0 })
    }

    fn kept(bytes: usize) -> Frame {
        Frame::kept(vec![0; bytes].into())
    }

    #[test]
    fn wakes_once_per_batch_and_keeps_order() {
        let (outbox, wakes) = (outbox(8, 100), Arc::new(Wakes::default()));
        let waker = wakes.clone().into();
        let (mut cx, mut taken) = (Context::from_waker(&waker), Hand::default());
        assert_eq!(outbox.poll_take(&mut cx, &mut taken, 64), Poll::Pending);
        outbox.push_all(&mut ["a", "b", "c"].map(|text| Frame::kept(text.into())).to_vec(), 0);
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
        assert_eq!(outbox.poll_take(&mut cx, &mut taken, 2), Poll::Ready(Taken::Frames));
        assert_eq!(outbox.poll_take(&mut cx, &mut taken, 2), Poll::Ready(Taken::Frames));
        assert_eq!(taken.frames, ["a", "b", "c"]);
    }

    #[test]
    fn counts_what_is_taken_but_not_written() {
        let (outbox, mut taken) = (outbox(8, 10), Hand::default());
        assert_eq!(outbox.push(kept(8)), Pushed::Queued);
        let waker = Waker::noop();
        assert!(outbox.poll_take(&mut Context::from_waker(waker), &mut taken, 64).is_ready());
        assert_eq!(outbox.len(), (0, 8));
        outbox.written(8);
        assert_eq!(outbox.push(kept(8)), Pushed::Queued);
    }

    #[test]
    fn a_view_may_be_larger_than_the_bound_until_it_has_left() {
        let (outbox, mut taken) = (outbox(8, 10), Hand::default());
        assert_eq!(outbox.push_all(&mut vec![kept(50)], 50), Pushed::Queued);
        assert_eq!(outbox.push(kept(10)), Pushed::Queued);
        assert!(outbox.poll_take(&mut Context::from_waker(Waker::noop()), &mut taken, 64).is_ready());
        outbox.written(60);
        assert_eq!(outbox.push(kept(11)), Pushed::Overflow);
    }

    #[test]
    fn overflow_by_bytes_or_frames_closes_and_frees() {
        for (limits, size) in [((8, 10), 11), ((1, 100), 1)] {
            let outbox = outbox(limits.0, limits.1);
            let pushed = outbox.push_all(&mut vec![kept(size), kept(size)], 0);
            assert_eq!(pushed, Pushed::Overflow);
            assert_eq!(outbox.len().0, 0);
            let mut taken = Hand::default();
            let ended = outbox.poll_take(&mut Context::from_waker(Waker::noop()), &mut taken, 64);
            assert_eq!(ended, Poll::Ready(Taken::Close(CloseCode::SlowConsumer)));
            assert_eq!(outbox.push(kept(1)), Pushed::Closing);
        }
    }
}
