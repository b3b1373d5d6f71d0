//! What waits for one connection: shared frames in order, bounded in count and bytes.
//!
//! Rooms push whole batches and wake the session once; the session takes what is there and writes it at once. A connection
//! that does not keep up loses its outbox and is closed: nobody else waits for it.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use parking_lot::Mutex;
use parlor_protocol::{CloseCode, Codec};

use crate::config::Limits;

/// The queue between rooms and one session's writer. All methods are non-blocking.
#[derive(Debug)]
pub struct Outbox {
    codec: Codec,
    max_frames: usize,
    max_bytes: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    frames: VecDeque<Bytes>,
    /// Of `frames`, and of what the writer has taken but not yet written.
    bytes: usize,
    /// Bytes beyond the bound that were allowed since nothing was owed.
    allowance: usize,
    /// Set once: nothing is taken in any more, and the session ends after what is here.
    closing: Option<CloseCode>,
    waker: Option<Waker>,
}

/// What became of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It will be written in its turn.
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
    /// Everything has been taken, and the session is to end for this reason.
    Close(CloseCode),
}

impl Outbox {
    /// An empty outbox for a connection of this codec.
    pub fn new(codec: Codec, limits: &Limits) -> Self {
        Self { codec, max_frames: limits.outbox_frames, max_bytes: limits.outbox_bytes, inner: Mutex::default() }
    }

    /// How frames in here must be encoded.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Adds frames, emptying `frames`, and wakes the session once.
    pub fn push_all(&self, frames: &mut Vec<Bytes>) -> Pushed {
        self.push_with(frames, 0)
    }

    /// The same, with `allowance` bytes on top of the bound for as long as that much is owed: a view may be larger than what a
    /// client may leave unread.
    pub(crate) fn push_with(&self, frames: &mut Vec<Bytes>, allowance: usize) -> Pushed {
        let mut inner = self.inner.lock();
        inner.allowance += allowance;
        let pushed = inner.push_all(frames, self.max_frames, self.max_bytes);
        frames.clear();
        let waker = inner.waker.take();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
        pushed
    }

    /// Adds one frame.
    pub fn push(&self, frame: Bytes) -> Pushed {
        self.push_all(&mut vec![frame])
    }

    /// Ends the session, for this reason, after what is queued. The first reason stays.
    pub fn close(&self, code: CloseCode) {
        let mut inner = self.inner.lock();
        inner.closing.get_or_insert(code);
        let waker = inner.waker.take();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes up to `max` frames into `into`; the session is woken when there is something to take.
    pub fn poll_take(&self, cx: &mut Context<'_>, into: &mut VecDeque<Bytes>, max: usize) -> Poll<Taken> {
        let mut inner = self.inner.lock();
        if !inner.frames.is_empty() {
            let count = inner.frames.len().min(max);
            into.extend(inner.frames.drain(..count));
            return Poll::Ready(Taken::Frames);
        }
        if let Some(code) = inner.closing {
            return Poll::Ready(Taken::Close(code));
        }
        // A long burst must not pin its ring for the connection's life.
        if inner.frames.capacity() > 256 {
            inner.frames = VecDeque::new();
        }
        if !inner.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            inner.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Whether so much of the views that it was sent is unread that another one would be too much.
    pub(crate) fn owes_views(&self) -> bool {
        self.inner.lock().allowance > self.max_bytes
    }

    /// Whether the session is to end.
    pub(crate) fn closing(&self) -> Option<CloseCode> {
        self.inner.lock().closing
    }

    /// Counts bytes that the writer adds by itself, such as control frames.
    pub(crate) fn lend(&self, bytes: usize) {
        self.inner.lock().bytes += bytes;
    }

    /// Tells that `bytes` of what was taken have left.
    pub fn written(&self, bytes: usize) {
        let mut inner = self.inner.lock();
        inner.bytes = inner.bytes.saturating_sub(bytes);
        // What of the views is left is at most what is left of everything.
        inner.allowance = inner.allowance.min(inner.bytes);
    }

    /// Frames and bytes that wait, the writer's included in the bytes.
    pub fn len(&self) -> (usize, usize) {
        let inner = self.inner.lock();
        (inner.frames.len(), inner.bytes)
    }
}

impl Inner {
    /// The full-policy: a batch that does not fit ends the session.
    fn push_all(&mut self, frames: &mut Vec<Bytes>, max_frames: usize, max_bytes: usize) -> Pushed {
        if self.closing.is_some() {
            return Pushed::Closing;
        }
        let bytes: usize = frames.iter().map(Bytes::len).sum();
        if self.frames.len() + frames.len() > max_frames || self.bytes + bytes > max_bytes + self.allowance {
            self.frames = VecDeque::new();
            self.closing = Some(CloseCode::SlowConsumer);
            return Pushed::Overflow;
        }
        self.bytes += bytes;
        self.frames.extend(frames.drain(..));
        Pushed::Queued
    }
}

#[cfg(test)]
mod tests {
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
        let limits = Limits { outbox_frames: frames, outbox_bytes: bytes, ..Limits::default() };
        Outbox::new(Codec::MsgPack, &limits)
    }

    #[test]
    fn wakes_once_per_batch_and_keeps_order() {
        let (outbox, wakes) = (outbox(8, 100), Arc::new(Wakes::default()));
        let waker = wakes.clone().into();
        let (mut cx, mut taken) = (Context::from_waker(&waker), VecDeque::new());
        assert_eq!(outbox.poll_take(&mut cx, &mut taken, 64), Poll::Pending);
        outbox.push_all(&mut vec!["a".into(), "b".into(), "c".into()]);
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
        assert_eq!(outbox.poll_take(&mut cx, &mut taken, 2), Poll::Ready(Taken::Frames));
        assert_eq!(outbox.poll_take(&mut cx, &mut taken, 2), Poll::Ready(Taken::Frames));
        assert_eq!(taken, ["a", "b", "c"]);
    }

    #[test]
    fn counts_what_is_taken_but_not_written() {
        let (outbox, mut taken) = (outbox(8, 10), VecDeque::new());
        assert_eq!(outbox.push(Bytes::from(vec![0; 8])), Pushed::Queued);
        let waker = Waker::noop();
        assert!(outbox.poll_take(&mut Context::from_waker(waker), &mut taken, 64).is_ready());
        assert_eq!(outbox.len(), (0, 8));
        outbox.written(8);
        assert_eq!(outbox.push(Bytes::from(vec![0; 8])), Pushed::Queued);
    }

    #[test]
    fn a_view_may_be_larger_than_the_bound_until_it_has_left() {
        let (outbox, mut taken) = (outbox(8, 10), VecDeque::new());
        assert_eq!(outbox.push_with(&mut vec![Bytes::from(vec![0; 50])], 50), Pushed::Queued);
        assert_eq!(outbox.push(Bytes::from(vec![0; 10])), Pushed::Queued);
        assert!(outbox.poll_take(&mut Context::from_waker(Waker::noop()), &mut taken, 64).is_ready());
        outbox.written(60);
        assert_eq!(outbox.push(Bytes::from(vec![0; 11])), Pushed::Overflow);
    }

    #[test]
    fn overflow_by_bytes_or_frames_closes_and_frees() {
        for (limits, frame) in [((8, 10), vec![0; 11]), ((1, 100), vec![0; 1])] {
            let outbox = outbox(limits.0, limits.1);
            let pushed = outbox.push_all(&mut vec![frame.clone().into(), frame.into()]);
            assert_eq!(pushed, Pushed::Overflow);
            assert_eq!(outbox.len().0, 0);
            let mut taken = VecDeque::new();
            let ended = outbox.poll_take(&mut Context::from_waker(Waker::noop()), &mut taken, 64);
            assert_eq!(ended, Poll::Ready(Taken::Close(CloseCode::SlowConsumer)));
            assert_eq!(outbox.push("late".into()), Pushed::Closing);
        }
    }
}
