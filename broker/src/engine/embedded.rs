//! The engine inside the broker process: claims in a map, and the `memory` tier, whose promise ends with the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashSet;
use parlor_protocol::room::Input;
use parlor_protocol::{RoomId, Seq};

use super::{Claim, ClaimError, Engine, RoomLog};

/// Claims that hold within this process.
#[derive(Debug, Default)]
pub struct Embedded {
    claimed: Arc<DashSet<RoomId>>,
    epochs: AtomicU64,
}

impl Engine for Embedded {
    fn claim(&self, room: &RoomId) -> Result<Claim, ClaimError> {
        if !self.claimed.insert(room.clone()) {
            return Err(ClaimError::Taken);
        }
        let log = MemoryTier { claimed: self.claimed.clone(), room: room.clone(), last: Seq(0) };
        Ok(Claim { epoch: self.epochs.fetch_add(1, Ordering::Relaxed) + 1, log: Box::new(log) })
    }
}

/// Nothing of a `memory` room outlives the process, so its log keeps the position only; the room's state is the history.
struct MemoryTier {
    claimed: Arc<DashSet<RoomId>>,
    room: RoomId,
    last: Seq,
}

impl RoomLog for MemoryTier {
    fn append(&mut self, input: &Input) {
        debug_assert_eq!(input.seq.0, self.last.0 + 1, "inputs are logged in order, without gaps");
        self.last = input.seq;
    }

    fn commit(&mut self) {}
}

impl Drop for MemoryTier {
    fn drop(&mut self) {
        self.claimed.remove(&self.room);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_is_claimed_once_until_given_up() {
        let (engine, room) = (Embedded::default(), RoomId::parse("a").unwrap());
        let first = engine.claim(&room).unwrap();
        assert_eq!(engine.claim(&room).err(), Some(ClaimError::Taken));
        let epoch = first.epoch;
        drop(first);
        assert!(engine.claim(&room).unwrap().epoch > epoch);
    }
}
