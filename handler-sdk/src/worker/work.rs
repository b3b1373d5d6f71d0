//! Outside work: it runs on the program's own runtime, beside the rooms, and comes back over a channel.

use std::task::{Context, Poll};

use bytes::Bytes;
use parlor_protocol::room::WorkId;
use parlor_protocol::worker::{FromWorker, MAX_ENVELOPE, WorkerRoom};
use parlor_protocol::{ErrorCode, Failure};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::hook::{Hook, Point};
use super::size;
use crate::{Env, Payload, WorkFn};

/// Which piece of work of which room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// The connection that it was asked for on: no other hears of its result.
    pub(super) connection: u64,
    pub(super) room: WorkerRoom,
    pub(super) epoch: u64,
    pub(super) id: WorkId,
}

/// A piece of work that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) piece: Piece,
    pub(super) result: Result<Bytes, Failure>,
}

/// The work of one thread's rooms. It outlives connections, as it does rooms: what is to be saved at a room's end must be saved.
#[derive(Debug)]
pub(super) struct Works {
    runtime: Handle,
    env: Env,
    hook: Hook,
    /// Grows with what runs, and each piece is one entry of it.
    ended: UnboundedReceiver<Ended>,
    to: UnboundedSender<Ended>,
    running: usize,
}

impl Works {
    pub(super) fn new(runtime: Handle, env: Env, hook: Hook) -> Self {
        let (to, ended) = unbounded_channel();
        Self { runtime, env, hook, ended, to, running: 0 }
    }

    pub(super) fn start(&mut self, piece: Piece, key: &str, work: &WorkFn, arguments: Bytes) {
        self.running += 1;
        let due = Due { piece, to: self.to.clone(), ended: false };
        let (work, env, hook) = (work.clone(), self.env.for_work(key), self.hook.clone());
        // The function is called there, too: what it does before its first await may panic.
        self.runtime.spawn(async move {
            hook.at(Point::Work);
            let result = work.call(env, Payload(arguments)).await;
            hook.at(Point::WorkDone);
            due.finish(result);
        });
    }

    /// What has ended next.
    pub(super) fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        match self.ended.poll_recv(cx) {
            Poll::Ready(Some(ended)) => {
                self.running -= 1;
                Poll::Ready(ended)
            }
            // There is always one who can send: this.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    /// Whether nothing runs.
    pub(super) fn at_rest(&self) -> bool {
        self.running == 0
    }

    /// Waits for what runs, whose results nobody will hear.
    pub(super) async fn rest(&mut self) {
        while !self.at_rest() {
            std::future::poll_fn(|cx| self.poll_ended(cx)).await;
        }
    }
}

/// The way back for a result. Dropping it unused says that the work was lost.
struct Due {
    piece: Piece,
    to: UnboundedSender<Ended>,
    ended: bool,
}

impl Due {
    fn finish(mut self, result: Result<Bytes, Failure>) {
        self.ended = true;
        self.send(result);
    }

    fn send(&self, result: Result<Bytes, Failure>) {
        // The thread may have ended before.
        let _ = self.to.send(Ended { piece: self.piece, result });
    }
}

impl Drop for Due {
    fn drop(&mut self) {
        if !self.ended {
            self.send(Err(Failure::from(ErrorCode::HandlerPanicked).because("the work ended without a result")));
        }
    }
}

/// A result as a frame, or why it cannot be one.
pub(super) fn done(Ended { piece, result }: Ended, max_frame: usize) -> FromWorker {
    let max = max_frame.saturating_sub(MAX_ENVELOPE);
    let size = result.as_ref().map_or_else(size::of_failure, Bytes::len);
    let Piece { room, epoch, id, .. } = piece;
    let result = if size <= max {
        result
    } else {
        let why = format!("a result of {size} bytes is over the limit of {max}");
        Err(Failure::from(ErrorCode::OutputFailed).because(why))
    };
    FromWorker::WorkDone { room, epoch, id, result }
}
