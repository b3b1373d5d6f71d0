//! Rooms: the ordered queue, the state that numbers and fans out, the actor that drives it, and the directory of them all.

mod actor;
mod aside;
mod handle;
mod invite;
mod journal;
mod keeper;
mod kind;
mod latest;
mod link;
mod members;
mod queue;
mod registry;
mod rollout;
pub mod state;
mod timers;
mod types;

pub use aside::{Aside, SetAside};
pub use handle::{Listing, RoomHandle, RoomInfo};
pub use kind::{Kind, OpenTypes};
pub(crate) use link::MemberLink;
pub use link::{MemberSlot, Membership};
pub use queue::{Arrival, JoinArrival, PushError, RoomQueue};
pub use registry::{CreateRoom, Registry, Seat};
pub(crate) use rollout::OpenRooms;
pub use rollout::{KindInfo, Left, VersionInfo};
