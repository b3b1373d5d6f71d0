//! The room queue: everything that may change a room, in the order in which it came.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use parking_lot::Mutex;
use parlor_protocol::room::{CloseWhy, Leave, UsedTicket, WorkId};
use parlor_protocol::{ErrorCode, Failure, Policy};

use super::link::{MemberLink, MemberSlot};

/// What arrives at a room, not yet numbered.
#[derive(Debug)]
pub enum Arrival {
    /// Somebody wants in.
    Join(Box<JoinArrival>),
    /// A member is gone or wants to go.
    Leave {
        /// Who.
        slot: Arc<MemberSlot>,
        /// Why.
        why: Leave,
    },
    /// A member has lost its connection.
    Drop {
        /// Who.
        slot: Arc<MemberSlot>,
    },
    /// A member has a connection again.
    Resume {
        /// Who.
        slot: Arc<MemberSlot>,
    },
    /// A member has missed something and needs a fresh view.
    View {
        /// Who.
        slot: Arc<MemberSlot>,
    },
    /// A member says something.
    Message {
        /// Who.
        slot: Arc<MemberSlot>,
        /// Its number of the message.
        no: u64,
        /// The id to answer to.
        request: Option<u64>,
        /// The message's type.
        name: Arc<str>,
        /// MessagePack.
        payload: Bytes,
    },
    /// A member begins or ceases to follow a topic.
    Follow {
        /// Who.
        slot: Arc<MemberSlot>,
        /// The id to answer to.
        id: u64,
        /// The topic.
        topic: String,
        /// Whether from now on it follows.
        follows: bool,
    },
    /// The server side says something.
    Event {
        /// The event's type.
        name: Arc<str>,
        /// MessagePack.
        payload: Bytes,
    },
    /// Outside work has ended.
    WorkDone {
        /// Which.
        id: WorkId,
        /// The work function.
        name: String,
        /// What came of it. Boxed, so that the other arrivals are no larger for it.
        result: Result<Bytes, Box<Failure>>,
    },
    /// The room is to be closed.
    Close(CloseWhy),
    /// The room is to go on in another version of its kind: in which, the registry knows when it is its turn.
    Move,
}

/// Who wants in, and how it is reached.
#[derive(Debug)]
pub struct JoinArrival {
    /// The client's id of the join.
    pub id: u64,
    /// Its account.
    pub account: String,
    /// The name that others may see.
    pub name: String,
    /// What it says to the handler.
    pub options: Bytes,
    /// The ticket that shall let it in.
    pub ticket: Option<UsedTicket>,
    pub(crate) link: MemberLink,
}

/// Why an arrival was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushError {
    /// The queue is at its bound.
    Full,
    /// The room's state cannot be saved, and it keeps as much besides as it may.
    Overdue,
    /// The room has closed.
    Closed,
}

impl From<PushError> for ErrorCode {
    fn from(error: PushError) -> Self {
        match error {
            PushError::Full => Self::QueueFull,
            PushError::Overdue => Self::SnapshotOverdue,
            PushError::Closed => Self::RoomClosed,
        }
    }
}

/// Joins, client messages and server events are refused when the queue is full. Everything else is bounded by what it
/// belongs to (one leave a member, one result a piece of work, and so on) and always finds room.
#[derive(Debug)]
pub struct RoomQueue {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    max_len: usize,
    max_bytes: usize,
    items: VecDeque<Arrival>,
    refusable: usize,
    bytes: usize,
    overdue: bool,
    closed: bool,
    waker: Option<Waker>,
}

impl RoomQueue {
    pub(crate) fn new(policy: &Policy) -> Self {
        let queue = Self { inner: Mutex::default() };
        queue.set_bounds(policy);
        queue
    }

    /// Has these bounds from now on. What waits already is not looked at again.
    pub(crate) fn set_bounds(&self, policy: &Policy) {
        let mut inner = self.inner.lock();
        inner.max_len = policy.queue_len as usize;
        inner.max_bytes = usize::try_from(policy.queue_bytes).unwrap_or(usize::MAX);
    }

    /// Adds an arrival.
    ///
    /// # Errors
    /// [`PushError`]; the arrival is then dropped.
    pub fn push(&self, arrival: Arrival) -> Result<(), PushError> {
        let weight = weight(&arrival);
        let mut inner = self.inner.lock();
        inner.admit(weight)?;
        inner.items.push_back(arrival);
        let waker = inner.waker.take();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    /// Takes everything that waits; registers for waking when nothing does.
    pub(crate) fn poll_drain(&self, cx: &mut Context<'_>, into: &mut VecDeque<Arrival>) -> Poll<()> {
        let mut inner = self.inner.lock();
        if inner.items.is_empty() {
            inner.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        inner.take(into);
        Poll::Ready(())
    }

    /// Whether what may be refused is, since the room's state cannot be saved.
    pub(crate) fn set_overdue(&self, overdue: bool) {
        self.inner.lock().overdue = overdue;
    }

    /// Refuses everything from now on, and takes what still waits.
    pub(crate) fn close(&self, into: &mut VecDeque<Arrival>) {
        let mut inner = self.inner.lock();
        inner.closed = true;
        inner.take(into);
    }
}

impl Inner {
    /// The full-policy.
    fn admit(&mut self, weight: Option<usize>) -> Result<(), PushError> {
        if self.closed {
            return Err(PushError::Closed);
        }
        if let Some(bytes) = weight {
            if self.overdue {
                return Err(PushError::Overdue);
            }
            if self.refusable >= self.max_len || self.bytes + bytes > self.max_bytes {
                return Err(PushError::Full);
            }
            self.refusable += 1;
            self.bytes += bytes;
        }
        Ok(())
    }

    fn take(&mut self, into: &mut VecDeque<Arrival>) {
        // Nearly always there is nothing to add to, and so nothing to move.
        match into.is_empty() {
            true => std::mem::swap(into, &mut self.items),
            false => into.append(&mut self.items),
        }
        (self.refusable, self.bytes) = (0, 0);
    }
}

/// The payload bytes of what may be refused; `None` for what always finds room.
fn weight(arrival: &Arrival) -> Option<usize> {
    match arrival {
        Arrival::Join(join) => Some(join.options.len()),
        Arrival::Message { payload, .. } | Arrival::Event { payload, .. } => Some(payload.len()),
        Arrival::Follow { topic, .. } => Some(topic.len()),
        Arrival::Leave { .. } | Arrival::WorkDone { .. } | Arrival::Close(_) => None,
        // An operator's.
        Arrival::Move => None,
        // Each has its opposite, or is answered, before the next one comes.
        Arrival::Drop { .. } | Arrival::Resume { .. } | Arrival::View { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(bytes: usize) -> Arrival {
        Arrival::Event { name: "e".into(), payload: vec![0; bytes].into() }
    }

    fn queue(len: u32, bytes: u64) -> RoomQueue {
        RoomQueue::new(&Policy { queue_len: len, queue_bytes: bytes, ..Policy::default() })
    }

    #[test]
    fn refuses_by_count_and_by_bytes_but_never_what_must_go_in() {
        let by_count = queue(1, 100);
        assert_eq!(by_count.push(event(1)), Ok(()));
        assert_eq!(by_count.push(event(1)), Err(PushError::Full));
        assert_eq!(by_count.push(Arrival::Close(CloseWhy::Requested)), Ok(()));
        assert_eq!(by_count.push(Arrival::Move), Ok(()));
        let by_bytes = queue(10, 100);
        assert_eq!(by_bytes.push(event(60)), Ok(()));
        assert_eq!(by_bytes.push(event(60)), Err(PushError::Full));
    }

    #[test]
    fn bounds_may_change_and_hold_from_then_on() {
        let queue = queue(2, 100);
        assert_eq!((queue.push(event(1)), queue.push(event(1))), (Ok(()), Ok(())));
        queue.set_bounds(&Policy { queue_len: 1, queue_bytes: 100, ..Policy::default() });
        assert_eq!(queue.push(event(1)), Err(PushError::Full));
        queue.set_bounds(&Policy { queue_len: 3, queue_bytes: 100, ..Policy::default() });
        assert_eq!((queue.push(event(1)), queue.push(event(1))), (Ok(()), Err(PushError::Full)));
    }

    #[test]
    fn has_room_again_after_a_drain_and_none_once_closed() {
        let (queue, mut items) = (queue(1, 100), VecDeque::new());
        assert_eq!(queue.push(event(1)), Ok(()));
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(queue.poll_drain(&mut cx, &mut items), Poll::Ready(()));
        assert_eq!(queue.poll_drain(&mut cx, &mut items), Poll::Pending);
        assert_eq!(queue.push(event(1)), Ok(()));
        queue.close(&mut items);
        assert_eq!(items.len(), 2);
        assert_eq!(queue.push(Arrival::Close(CloseWhy::Empty)), Err(PushError::Closed));
    }
}
