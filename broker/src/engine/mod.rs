//! What a room needs from beneath: to be the only one of its name, and a log of its inputs.

pub mod embedded;

use parlor_protocol::RoomId;
use parlor_protocol::room::Input;

/// The ground that rooms stand on. One broker process has the embedded one.
pub trait Engine: Send + Sync {
    /// Takes a room for this broker alone.
    ///
    /// # Errors
    /// [`ClaimError::Taken`] while somebody else has it.
    fn claim(&self, room: &RoomId) -> Result<Claim, ClaimError>;
}

/// The exclusive right to a room. Dropping it gives the room up.
pub struct Claim {
    /// Rises with each claim of the same room: what an older owner still says is refused by it.
    pub epoch: u64,
    /// Where the room's inputs go.
    pub log: Box<dyn RoomLog>,
}

/// The input log of one room.
pub trait RoomLog: Send {
    /// Appends the next input in `seq` order.
    fn append(&mut self, input: &Input);

    /// When this returns, all that was appended is as safe as the room's tier promises, and its outputs may go out.
    fn commit(&mut self);
}

/// Why a room cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// It is open somewhere.
    #[error("the room is open already")]
    Taken,
}
