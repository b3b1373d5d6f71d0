//! What only rooms and sessions do with an outbox, for fuzzing from outside.

use bytes::Bytes;
use parlor_protocol::RoomNo;

use super::{Frame, Kind, Outbox, Resumed};

/// An outbox with everything that may be done to it.
#[derive(Clone, Copy, Debug)]
#[doc(hidden)]
pub struct Opened<'o>(pub &'o Outbox);

impl Opened<'_> {
    /// A frame of any kind.
    pub fn frame(kind: Kind, room: Option<RoomNo>, bytes: Bytes) -> Frame {
        Frame { bytes, kind, room }
    }

    /// From now on counted frames are kept.
    pub fn keep(self) {
        self.0.keep();
    }

    /// Whether the client can have had so many counted frames.
    pub fn ack(self, received: u64) -> bool {
        self.0.ack(received).is_ok()
    }

    /// The connection is gone.
    pub fn leave(self) {
        self.0.leave();
    }

    /// The client is back: the rooms that owe a view, and the counted frames that follow; none if it has had what it was not sent.
    pub fn resume(self, received: Option<u64>, rooms: &[RoomNo], greeting: Bytes) -> Option<(Vec<RoomNo>, u64)> {
        let resumed = self.0.resume(received, rooms, |_| greeting).ok()?;
        let Resumed { due, missed } = resumed;
        Some((due, missed.values().sum()))
    }

    /// Rooms that are to be asked for views.
    pub fn ask(self) -> Vec<RoomNo> {
        self.0.ask_when_read()
    }

    /// The writer adds bytes of its own.
    pub fn lend(self, bytes: usize) {
        self.0.lend(bytes);
    }

    /// Bytes that may be owed beyond the bound at present.
    pub fn allowance(self) -> usize {
        self.0.inner.lock().ring.allowance()
    }

    /// Whether what had to be kept did not fit.
    pub fn is_over(self) -> bool {
        self.0.is_over()
    }
}
