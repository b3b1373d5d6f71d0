//! The worker protocol: what the broker and a process that runs rooms' handlers say to each other, over one WebSocket connection.
//!
//! One binary message holds one frame, which is always MessagePack. What a room's handler gets and gives ([`Input`] and
//! [`Outcome`]) travels as it is; here are the frames around it. A payload is binary on this wire: it is for the handler and its
//! clients, and a frame's nesting stays known.
//!
//! Payloads within inputs and outcomes are copied when a frame is read. Slices of the frame would keep all of it for as long as a
//! room keeps any of them: a timer's payload, a retained value. What is large by nature, a room's state and what work takes and
//! gives, stands last in its frame and is a slice.
//!
//! [`Input`]: crate::room::Input
//! [`Outcome`]: crate::room::Outcome

mod check;
mod from_worker;
mod to_worker;

use bytes::Bytes;

use crate::codec::{FieldError, FrameReader, FrameWriter};
pub use crate::id::WorkerRoom;
use crate::limits::MAX_NAME;
use crate::msgpack::MAX_LEVELS;

pub use check::{MAX_VALUE_DEPTH, OUTPUT_OVERHEAD, Unfit, check_outcome, is_shallow, output_size};
pub use from_worker::{FromWorker, Hello, KindOffer};
pub use to_worker::{ToWorker, Welcome};

/// The WebSocket sub-protocol.
pub const SUBPROTOCOL: &str = "parlor.worker.v1";

/// Where the broker listens for workers.
pub const PATH: &str = "/worker";

/// Inputs that are with a worker at most, for each room, and so outcomes of one frame.
pub const MAX_BATCH: u32 = 256;

/// The largest frame before the `welcome` frame has said what the largest is, in bytes.
pub const MAX_HELLO_BYTES: usize = 256 << 10;

/// Bytes that a frame may need around one payload. So a payload can be that much smaller than the largest frame.
pub const MAX_ENVELOPE: usize = 1024;

/// All that is needed to go on with a room elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedState {
    /// The version of the game whose form it has.
    pub version: String,
    /// For that version alone to read, and for newer ones.
    pub bytes: Bytes,
}

impl SavedState {
    fn write<'a>(&self, frame: FrameWriter<'a>) -> FrameWriter<'a> {
        frame.value(&self.version).bin(&self.bytes)
    }

    fn read(fields: &mut FrameReader<'_>) -> Result<Self, WorkerFrameError> {
        let version = fields.value::<String>("version")?;
        named("version", &version)?;
        Ok(Self { version, bytes: fields.bin("state")? })
    }
}

/// Why a message is no frame of the worker protocol.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkerFrameError {
    /// It is larger than it may be.
    #[error("a frame of {len} bytes is over the limit of {max}")]
    TooLarge {
        /// Its size.
        len: usize,
        /// What is allowed.
        max: usize,
    },
    /// Its op is not known. A reader passes over such a frame.
    #[error("op {0} is not known")]
    UnknownOp(u64),
    /// Its fields are not what the op asks for.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// A name is empty, or longer than it may be.
    #[error("`{0}` must have 1 to {max} bytes", max = MAX_NAME)]
    Name(&'static str),
    /// A worker offers what cannot be.
    #[error("{0}")]
    Offer(String),
}

/// The op numbers of both directions, as in PROTOCOL.md. They are none of the [client protocol's](crate::frame::op).
pub mod op {
    #![allow(missing_docs, reason = "each is the frame of its name")]
    pub const HELLO: u8 = 65;
    pub const OUTCOMES: u8 = 66;
    pub const SNAPSHOT: u8 = 67;
    pub const OPENED: u8 = 68;
    pub const WORK_DONE: u8 = 69;
    pub const BEAT: u8 = 70;
    pub const DRAIN: u8 = 71;
    pub const WELCOME: u8 = 97;
    pub const REFUSED: u8 = 98;
    pub const OPEN: u8 = 99;
    pub const INPUTS: u8 = 100;
    pub const SNAP: u8 = 101;
    pub const RUN: u8 = 102;
    pub const CLOSE: u8 = 103;
    pub const BROKER_BEAT: u8 = 104;
    pub const END: u8 = 105;
    pub const SKIP: u8 = 106;
}

fn open(frame: &Bytes, max: usize) -> Result<FrameReader<'_>, WorkerFrameError> {
    if frame.len() > max {
        return Err(WorkerFrameError::TooLarge { len: frame.len(), max });
    }
    Ok(FrameReader::open_packed(frame, MAX_LEVELS)?)
}

/// Which room a frame is about, and which of its lives.
fn room(fields: &mut FrameReader<'_>) -> Result<(WorkerRoom, u64), FieldError> {
    Ok((WorkerRoom(fields.uint32("room")?), fields.uint("epoch")?))
}

fn about(frame: FrameWriter<'_>, room: WorkerRoom, epoch: u64) -> FrameWriter<'_> {
    frame.uint(room.0).uint(epoch)
}

fn named(field: &'static str, name: &str) -> Result<(), WorkerFrameError> {
    if (1..=MAX_NAME).contains(&name.len()) { Ok(()) } else { Err(WorkerFrameError::Name(field)) }
}
