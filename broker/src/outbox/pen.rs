//! Writing to a socket without its session: while that sleeps and has nothing in hand, whoever adds frames on its thread sends them
//! at once, which saves waking it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::{Buf, Bytes};
use tokio::net::tcp::OwnedWriteHalf;

/// Frames that one call may take; the kernel takes at most 1024 pieces.
pub(crate) const PIECES: usize = 64;

/// Frames on their way into a socket.
#[derive(Debug, Default)]
pub struct Hand {
    /// In their order.
    pub frames: VecDeque<Bytes>,
    /// Whether the first is partly out.
    pub(crate) begun: bool,
}

/// Calls and bytes, for metrics and for the write deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wrote {
    pub(crate) calls: u64,
    pub(crate) bytes: u64,
}

/// The writing half of a session's socket, and the thread that the session lives on.
#[derive(Debug)]
pub(crate) struct Pen {
    socket: OwnedWriteHalf,
    thread: usize,
}

thread_local! {
    /// What is taken and written at once: it is empty between calls.
    static BUSY: RefCell<Hand> = RefCell::default();
    /// Its address tells threads that are alive apart, for less than the standard library's number does.
    static HERE: u8 = const { 0 };
}

fn here() -> usize {
    HERE.with(|here| std::ptr::from_ref(here).addr())
}

impl Hand {
    /// The frames as the pieces of one call, the first [`PIECES`] of them.
    pub(crate) fn pieces(&self) -> ([IoSlice<'_>; PIECES], usize) {
        let mut pieces = [IoSlice::new(&[]); PIECES];
        let mut count = 0;
        for (piece, frame) in pieces.iter_mut().zip(&self.frames) {
            *piece = IoSlice::new(frame);
            count += 1;
        }
        (pieces, count)
    }

    /// Strikes off what has been written; whether the frame at the front is another one now.
    pub(crate) fn advance(&mut self, mut count: usize) -> bool {
        let mut done = false;
        self.begun &= count == 0;
        while let Some(front) = self.frames.front_mut() {
            if count < front.len() {
                front.advance(count);
                self.begun |= count > 0;
                break;
            }
            count -= front.len();
            self.frames.pop_front();
            done = true;
        }
        done
    }
}

impl Pen {
    /// For a session that lives on this thread.
    pub(crate) fn new(socket: OwnedWriteHalf) -> Self {
        Self { socket, thread: here() }
    }

    pub(crate) fn into_socket(self) -> OwnedWriteHalf {
        self.socket
    }

    /// Whether the session lives on this thread. From others it is woken: a large room's sessions write on all threads.
    pub(super) fn is_here(&self) -> bool {
        self.thread == here()
    }

    /// Writes all that `take` gives, as long as the socket takes it without waiting; `written` hears of it call by call. What was taken
    /// and is not written, because the socket is full or broken, ends up in `left`.
    pub(super) fn write(&self, left: &mut Hand, mut take: impl FnMut(&mut VecDeque<Bytes>, usize) -> usize) -> Wrote {
        let mut wrote = Wrote::default();
        BUSY.with_borrow_mut(|hand| {
            while take(&mut hand.frames, PIECES) > 0 {
                while !hand.frames.is_empty() {
                    // Whatever the error is, the session will meet it, too.
                    let Ok(count @ 1..) = self.write_once(hand) else {
                        *left = std::mem::take(hand);
                        return;
                    };
                    wrote.calls += 1;
                    wrote.bytes += count as u64;
                    hand.advance(count);
                }
            }
        });
        wrote
    }

    /// Writes one frame; how many bytes of it the socket has taken, which is nothing if it is full or broken.
    pub(super) fn write_frame(&self, frame: &[u8]) -> usize {
        self.socket.try_write(frame).unwrap_or_default()
    }

    fn write_once(&self, hand: &Hand) -> io::Result<usize> {
        if let [only] = hand.frames.as_slices().0
            && hand.frames.len() == 1
        {
            return self.socket.try_write(only);
        }
        let (pieces, count) = hand.pieces();
        self.socket.try_write_vectored(&pieces[..count])
    }
}
