//! The events of one room between the connection, which fills the queue, and the application, which empties it.
//!
//! The queue is bounded. When it is full the connection stops reading: TCP then holds the broker back, whose own bound
//! for slow readers applies. Nothing is dropped here.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::event::RoomEvent;
use crate::options::Options;

/// The capacity that an emptied queue keeps.
const KEPT: usize = 1024;

#[derive(Debug)]
pub(crate) struct EventQueue {
    inner: Mutex<Inner>,
    count_bound: usize,
    bytes_bound: usize,
    arrived: Notify,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    events: VecDeque<RoomEvent>,
    bytes: usize,
    reader: Reader,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Reader {
    /// More events may come, and somebody may read them.
    #[default]
    Present,
    /// No more events will come; those that are there may be read.
    Finished,
    /// Nobody will ever read.
    Gone,
}

/// Whether the connection may go on reading.
#[derive(Debug, PartialEq)]
pub(crate) enum Room {
    Left,
    Full,
}

impl EventQueue {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            inner: Mutex::default(),
            count_bound: options.event_count.max(1),
            bytes_bound: options.event_bytes.max(1),
            arrived: Notify::new(),
            freed: Notify::new(),
        }
    }

    /// Adds an event, even to a full queue: the connection stops *after* the event that filled it.
    pub(crate) fn push(&self, event: RoomEvent) -> Room {
        let mut inner = self.inner.lock();
        if inner.reader != Reader::Present {
            return Room::Left;
        }
        inner.bytes += event.bytes();
        inner.events.push_back(event);
        let full = inner.events.len() >= self.count_bound || inner.bytes >= self.bytes_bound;
        drop(inner);
        self.arrived.notify_one();
        if full { Room::Full } else { Room::Left }
    }

    /// Waits until half of both bounds is free, so that the connection does not stop and go for each event.
    pub(crate) async fn half_free(&self) {
        while !self.is_half_free() {
            self.freed.notified().await;
        }
    }

    fn is_half_free(&self) -> bool {
        let inner = self.inner.lock();
        let half = inner.events.len() <= self.count_bound / 2 && inner.bytes <= self.bytes_bound / 2;
        half || inner.reader != Reader::Present
    }

    /// The next event, or why there is none.
    pub(crate) fn try_pop(&self) -> Result<RoomEvent, Empty> {
        let mut inner = self.inner.lock();
        let Some(event) = inner.events.pop_front() else {
            return Err(if inner.reader == Reader::Present { Empty::Yet } else { Empty::ForEver });
        };
        inner.bytes -= event.bytes();
        if inner.events.is_empty() && inner.events.capacity() > KEPT {
            inner.events.shrink_to(KEPT);
        }
        let half = inner.events.len() <= self.count_bound / 2 && inner.bytes <= self.bytes_bound / 2;
        drop(inner);
        if half {
            self.freed.notify_one();
        }
        Ok(event)
    }

    /// The next event; `None` when there will be no more.
    pub(crate) async fn pop(&self) -> Option<RoomEvent> {
        loop {
            match self.try_pop() {
                Ok(event) => return Some(event),
                Err(Empty::ForEver) => return None,
                Err(Empty::Yet) => self.arrived.notified().await,
            }
        }
    }

    /// Nothing more will come.
    pub(crate) fn finish(&self) {
        let mut inner = self.inner.lock();
        if inner.reader == Reader::Present {
            inner.reader = Reader::Finished;
        }
        drop(inner);
        self.arrived.notify_one();
    }

    /// Nobody reads any more: what is there and what comes is thrown away, and the connection is held up no longer.
    pub(crate) fn abandon(&self) {
        let mut inner = self.inner.lock();
        *inner = Inner { reader: Reader::Gone, ..Inner::default() };
        drop(inner);
        self.freed.notify_one();
    }
}

/// Why a queue gave no event.
#[derive(Debug, PartialEq)]
pub(crate) enum Empty {
    Yet,
    ForEver,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handled(no: u64) -> RoomEvent {
        RoomEvent::Handled { no, tick: 0 }
    }

    fn queue(count: usize) -> EventQueue {
        EventQueue::new(&Options::default().event_bound(count, 100))
    }

    #[tokio::test]
    async fn a_full_queue_asks_for_a_stop_until_half_is_free() {
        let queue = queue(4);
        assert!((1..4).all(|no| queue.push(handled(no)) == Room::Left));
        assert_eq!(queue.push(handled(4)), Room::Full);
        let _ = queue.try_pop();
        assert!(!queue.is_half_free());
        let _ = queue.try_pop();
        queue.half_free().await;
    }

    #[test]
    fn bytes_count_too() {
        let queue = queue(1000);
        let result = vec![0; 100].into();
        assert_eq!(queue.push(RoomEvent::Closed { code: "closed".into(), result }), Room::Full);
        assert!(queue.try_pop().is_ok());
        assert!(queue.is_half_free());
    }

    #[tokio::test]
    async fn what_is_there_is_read_before_the_end() {
        let queue = queue(4);
        let _ = queue.push(handled(1));
        queue.finish();
        let _ = queue.push(handled(2));
        assert_eq!(queue.pop().await, Some(handled(1)));
        assert_eq!(queue.pop().await, None);
    }

    #[tokio::test]
    async fn an_abandoned_queue_holds_nobody_up() {
        let queue = queue(1);
        assert_eq!(queue.push(handled(1)), Room::Full);
        queue.abandon();
        queue.half_free().await;
        assert_eq!(queue.push(handled(2)), Room::Left);
    }
}
