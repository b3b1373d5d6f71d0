//! What is to be said to a worker: frames from rooms on all threads, in the order in which they came, for the connection to write.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use parking_lot::Mutex;

/// Frames on their way to one worker. Rooms wait for an answer before they say more, so that what is in here is bounded by their number.
#[derive(Debug, Default)]
pub(super) struct Line {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    frames: VecDeque<Bytes>,
    waker: Option<Waker>,
    /// Nobody takes any more.
    closed: bool,
}

impl Line {
    /// Adds a frame. For a connection that has ended it is dropped.
    pub(super) fn push(&self, frame: Vec<u8>) {
        let mut inner = self.inner.lock();
        if inner.closed {
            return;
        }
        inner.frames.push_back(frame.into());
        let waker = inner.waker.take();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes all frames; registers for waking when there are none.
    pub(super) fn poll_take(&self, cx: &mut Context<'_>, into: &mut VecDeque<Bytes>) -> Poll<()> {
        let mut inner = self.inner.lock();
        if inner.frames.is_empty() {
            inner.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        into.append(&mut inner.frames);
        Poll::Ready(())
    }

    /// Takes no more.
    pub(super) fn close(&self) {
        let mut inner = self.inner.lock();
        inner.closed = true;
        inner.frames.clear();
    }
}
