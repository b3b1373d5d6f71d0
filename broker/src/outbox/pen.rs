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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll, Wake, Waker};
    use std::time::Duration;

    use parlor_protocol::{CloseCode, Codec, RoomNo};
    use tokio::io::AsyncReadExt;
    use tokio::net::tcp::OwnedReadHalf;
    use tokio::net::{TcpListener, TcpStream};

    use super::super::{Frame, Kind, Outbox, Pushed, Taken};
    use crate::config::Limits;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A session that sleeps, and its client.
    struct Session {
        outbox: Outbox,
        wakes: Arc<Wakes>,
        client: TcpStream,
        _read: OwnedReadHalf,
    }

    impl Session {
        async fn new(limits: &Limits) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (read, write) = listener.accept().await.unwrap().0.into_split();
            let outbox = Outbox::new(Codec::MsgPack, limits);
            outbox.keep();
            outbox.lend_pen(Pen::new(write));
            let session = Self { outbox, wakes: Arc::default(), client, _read: read };
            assert_eq!(session.poll(&mut Hand::default()), Poll::Pending);
            session
        }

        fn poll(&self, hand: &mut Hand) -> Poll<Taken> {
            let waker = Waker::from(self.wakes.clone());
            self.outbox.poll_take(&mut Context::from_waker(&waker), hand, PIECES)
        }

        fn woken(&self) -> usize {
            self.wakes.0.load(Ordering::SeqCst)
        }

        async fn reads(&mut self, expected: &[u8]) {
            let mut read = vec![0; expected.len()];
            // Only if something is missing does it wait for so long.
            let all = tokio::time::timeout(Duration::from_secs(20), self.client.read_exact(&mut read)).await;
            all.expect("the client waits for more").unwrap();
            assert!(read == expected, "what the client reads is what was sent");
        }
    }

    fn publish(bytes: Vec<u8>) -> Frame {
        Frame { bytes: bytes.into(), kind: Kind::Publish, room: Some(RoomNo(1)) }
    }

    #[tokio::test]
    async fn what_a_sleeping_session_owes_is_written_without_waking_it() {
        let mut session = Session::new(&Limits::default()).await;
        let (pushed, wrote) = session.outbox.send_all(&mut vec![publish(b"a".to_vec()), publish(b"bc".to_vec())], 0);
        assert_eq!((pushed, wrote), (Pushed::Queued, Wrote { calls: 1, bytes: 3 }));
        assert_eq!(session.outbox.send(&publish(b"d".to_vec())), Some(Wrote { calls: 1, bytes: 1 }));
        session.reads(b"abcd").await;
        assert_eq!(
            (session.woken(), session.outbox.len().0),
            (0, 3),
            "it sleeps, and all is kept until it is acknowledged"
        );
        assert!(session.outbox.ack(3).is_ok());
        assert_eq!(session.outbox.len(), (0, 0));
    }

    #[tokio::test]
    async fn what_the_socket_does_not_take_the_session_writes_from_where_it_stopped() {
        let limits = Limits { outbox_bytes: 64 << 20, ..Limits::default() };
        for shared in [false, true] {
            let mut session = Session::new(&limits).await;
            let mut sent = Vec::new();
            for n in 0_u8.. {
                let frame = publish(vec![n; 300_000]);
                sent.extend_from_slice(&frame.bytes);
                if !shared || session.outbox.send(&frame).is_none() {
                    session.outbox.send_all(&mut vec![frame], 0);
                }
                if session.woken() > 0 {
                    break;
                }
            }
            // It comes to rest no more before it has written this.
            let late = publish(b"late".to_vec());
            assert_eq!(session.outbox.send(&late), None);
            session.outbox.send_all(&mut vec![late], 0);
            sent.extend_from_slice(b"late");
            let mut hand = Hand::default();
            assert_eq!(session.poll(&mut hand), Poll::Ready(Taken::Frames));
            assert_eq!(session.poll(&mut hand), Poll::Ready(Taken::Frames));
            let rest = hand.frames.make_contiguous().concat();
            let (out, left) = sent.split_at(sent.len() - rest.len());
            assert!(left == rest && hand.begun == (out.len() % 300_000 > 0), "the rest, and where it begins");
            session.reads(out).await;
            let unread = session.client.try_read(&mut [0]).map_err(|error| error.kind());
            assert_eq!(unread, Err(io::ErrorKind::WouldBlock), "and nothing else");
        }
    }

    #[tokio::test]
    async fn whoever_is_awake_elsewhere_or_at_its_end_is_left_to_write_by_itself() {
        let session = Session::new(&Limits::default()).await;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                assert_eq!(session.outbox.send(&publish(b"a".to_vec())), None);
                assert_eq!(session.outbox.send_all(&mut vec![publish(b"a".to_vec())], 0).1, Wrote::default());
            });
        });
        assert_eq!(session.woken(), 1, "it lives on another thread");
        let mut hand = Hand::default();
        assert_eq!(session.poll(&mut hand), Poll::Ready(Taken::Frames));
        assert_eq!(session.outbox.send_all(&mut vec![publish(b"b".to_vec())], 0).1, Wrote::default());
        assert_eq!(session.poll(&mut hand), Poll::Ready(Taken::Frames));
        assert_eq!(session.poll(&mut hand), Poll::Pending);
        assert_eq!(session.outbox.send(&publish(b"c".to_vec())), None, "it has something in hand");
        hand = Hand::default();
        assert_eq!(session.poll(&mut hand), Poll::Pending);
        session.outbox.close(CloseCode::ShuttingDown);
        assert_eq!(session.outbox.send(&publish(b"d".to_vec())), None);
        assert_eq!(session.poll(&mut hand), Poll::Ready(Taken::Close(CloseCode::ShuttingDown)));
    }

    #[tokio::test]
    async fn too_much_at_once_wakes_the_session_to_its_end() {
        let session = Session::new(&Limits { outbox_frames: 2, ..Limits::default() }).await;
        let mut many = vec![Frame::kept("a".into()); 3];
        assert_eq!(session.outbox.send_all(&mut many, 0).0, Pushed::Overflow);
        assert_eq!(session.woken(), 1);
    }
}
