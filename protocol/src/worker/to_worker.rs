//! Frames from the broker to a worker.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{MAX_BATCH, SavedState, WorkerFrameError, WorkerRoom, about, named, op, room};
use crate::codec::{Codec, FrameReader, FrameWriter};
use crate::failure::Failure;
use crate::id::{Place, RoomId, Seq};
use crate::room::{Input, WorkId};

/// What the broker says to a worker.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "PROTOCOL.md describes each frame")]
pub enum ToWorker {
    Welcome(Welcome),
    Refused { error: Failure },
    Open { room: WorkerRoom, epoch: u64, id: RoomId, kind: String, snapshot: Option<(Seq, SavedState)> },
    Inputs { room: WorkerRoom, epoch: u64, inputs: Vec<Input> },
    Snap { room: WorkerRoom, epoch: u64, meant_for: Option<String> },
    Run { room: WorkerRoom, epoch: u64, id: WorkId, key: String, name: String, arguments: Bytes },
    Close { room: WorkerRoom, epoch: u64 },
    Beat,
    End,
    Skip { room: WorkerRoom, epoch: u64, input: Input },
}

/// The answer to hello.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The worker's number with this broker.
    pub worker: u64,
    /// Broker and version.
    pub server: String,
    /// Each side says something at least this often, in milliseconds …
    pub beat_ms: u64,
    /// … and counts as lost when nothing was heard of it for so long.
    pub lost_after_ms: u64,
    /// The largest frame that either side may send from now on.
    pub max_frame_bytes: u64,
}

impl ToWorker {
    /// The frame in bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        self.encode_into(&mut out);
        out
    }

    /// Writes the frame behind whatever `out` holds already.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        let frame = FrameWriter::new(Codec::MsgPack, out);
        let frame = match self {
            Self::Inputs { room, epoch, inputs } => written(frame, *room, *epoch, inputs),
            Self::Welcome(welcome) => frame.begin(2, op::WELCOME).value(welcome),
            Self::Refused { error } => frame.begin(2, op::REFUSED).value(error),
            Self::Open { room, epoch, id, kind, snapshot } => {
                let fields = 6 + 2 * u32::from(snapshot.is_some());
                let frame = about(frame.begin(fields, op::OPEN), *room, *epoch).value(id).value(kind);
                match snapshot {
                    Some((seq, state)) => state.write(frame.uint(seq.0)),
                    None => frame.value(&()),
                }
            }
            Self::Snap { room, epoch, meant_for } => about(frame.begin(4, op::SNAP), *room, *epoch).value(meant_for),
            Self::Run { room, epoch, id: WorkId(place), key, name, arguments } => {
                let frame = about(frame.begin(8, op::RUN), *room, *epoch).uint(place.seq.0).uint(place.index);
                frame.value(key).value(name).bin(arguments)
            }
            Self::Close { room, epoch } => about(frame.begin(3, op::CLOSE), *room, *epoch),
            Self::Beat => frame.begin(1, op::BROKER_BEAT),
            Self::End => frame.begin(1, op::END),
            Self::Skip { room, epoch, input } => about(frame.begin(4, op::SKIP), *room, *epoch).value(input),
        };
        // Only JSON can fail.
        let _ = frame.finish();
    }

    /// Writes a frame with these inputs, as [`encode_into`](Self::encode_into) does, without owning them.
    pub fn encode_inputs(room: WorkerRoom, epoch: u64, inputs: &[Input], out: &mut Vec<u8>) {
        let _ = written(FrameWriter::new(Codec::MsgPack, out), room, epoch, inputs).finish();
    }

    /// Reads one frame of at most `max` bytes.
    ///
    /// # Errors
    /// [`WorkerFrameError`], for any bytes whatever.
    pub fn decode(frame: &Bytes, max: usize) -> Result<Self, WorkerFrameError> {
        let mut fields = super::open(frame, max)?;
        let f = &mut fields;
        let number = f.uint("op")?;
        Ok(match u8::try_from(number).unwrap_or(0) {
            op::INPUTS => {
                let (room, epoch) = room(f)?;
                Self::Inputs { room, epoch, inputs: f.list("inputs", MAX_BATCH)? }
            }
            op::WELCOME => Self::Welcome(f.value("welcome")?),
            op::REFUSED => Self::Refused { error: f.value("error")? },
            op::OPEN => {
                let (room, epoch) = room(f)?;
                let (id, kind) = (f.value("id")?, f.value::<String>("kind")?);
                named("kind", &kind)?;
                Self::Open { room, epoch, id, kind, snapshot: snapshot(f)? }
            }
            op::SNAP => {
                let (room, epoch) = room(f)?;
                let meant_for = f.value::<Option<String>>("version")?;
                meant_for.iter().try_for_each(|version| named("version", version))?;
                Self::Snap { room, epoch, meant_for }
            }
            op::RUN => {
                let (room, epoch) = room(f)?;
                let id = WorkId(Place { seq: Seq(f.uint("seq")?), index: f.uint32("index")? });
                let (key, name) = (f.value("key")?, f.value("name")?);
                Self::Run { room, epoch, id, key, name, arguments: f.bin("arguments")? }
            }
            op::CLOSE => {
                let (room, epoch) = room(f)?;
                Self::Close { room, epoch }
            }
            op::BROKER_BEAT => Self::Beat,
            op::END => Self::End,
            op::SKIP => {
                let (room, epoch) = room(f)?;
                Self::Skip { room, epoch, input: f.value("input")? }
            }
            _ => return Err(WorkerFrameError::UnknownOp(number)),
        })
    }
}

fn written<'a>(frame: FrameWriter<'a>, room: WorkerRoom, epoch: u64, inputs: &[Input]) -> FrameWriter<'a> {
    about(frame.begin(4, op::INPUTS), room, epoch).value(inputs)
}

/// Where the room goes on: as of which input, and its state then.
fn snapshot(fields: &mut FrameReader<'_>) -> Result<Option<(Seq, SavedState)>, WorkerFrameError> {
    let seq = fields.uint_or_nil("seq")?;
    seq.map(|seq| Ok((Seq(seq), SavedState::read(fields)?))).transpose()
}
