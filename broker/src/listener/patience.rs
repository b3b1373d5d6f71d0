//! How long HTTP waits: for a client to take its response, and for the body of its request.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::HttpBody;
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::session::Socket;
use crate::telemetry::{HandshakeFault, Metrics};

/// A timer that runs only while something is waited for.
#[derive(Debug)]
struct Deadline {
    after: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    fn new(after: Duration) -> Self {
        Self { after, sleep: None }
    }

    /// Whether the wait, which begins now unless it has begun, has been too long.
    fn passed(&mut self, cx: &mut Context<'_>) -> bool {
        let after = self.after;
        self.sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + after)))
            .as_mut()
            .poll(cx)
            .is_ready()
    }

    fn reset(&mut self) {
        self.sleep = None;
    }
}

/// A socket while it speaks HTTP: a client that does not read its responses is dropped.
#[derive(Debug)]
pub(crate) struct Patient {
    socket: Socket,
    deadline: Deadline,
    metrics: Arc<Metrics>,
}

impl Patient {
    pub(crate) fn new(socket: Socket, write_deadline: Duration, metrics: Arc<Metrics>) -> Self {
        Self { socket, deadline: Deadline::new(write_deadline), metrics }
    }

    pub(crate) fn into_inner(self) -> Socket {
        self.socket
    }

    fn check<T>(&mut self, cx: &mut Context<'_>, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if done.is_ready() || self.socket.take_progress() {
            self.deadline.reset();
        }
        if done.is_pending() && self.deadline.passed(cx) {
            self.metrics.handshake_failed(HandshakeFault::Unread);
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        done
    }
}

impl AsyncRead for Patient {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_read(cx, buf)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let done = Pin::new(&mut this.socket).poll_write(cx, buf);
        this.check(cx, done)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let done = Pin::new(&mut this.socket).poll_write_vectored(cx, bufs);
        this.check(cx, done)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let done = Pin::new(&mut this.socket).poll_flush(cx);
        this.check(cx, done)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let done = Pin::new(&mut this.socket).poll_shutdown(cx);
        this.check(cx, done)
    }
}

/// The body of a request, which has to come along: a client that stops in the middle of it is answered with an error.
#[derive(Debug)]
pub(crate) struct Timely {
    body: Incoming,
    deadline: Deadline,
    metrics: Arc<Metrics>,
}

impl Timely {
    pub(crate) fn new(body: Incoming, each: Duration, metrics: Arc<Metrics>) -> Self {
        Self { body, deadline: Deadline::new(each), metrics }
    }
}

impl HttpBody for Timely {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.deadline.reset();
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        if this.deadline.passed(cx) {
            this.metrics.handshake_failed(HandshakeFault::BodyTimeout);
            return Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::TimedOut).into())));
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
