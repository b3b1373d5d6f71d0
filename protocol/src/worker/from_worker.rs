//! Frames from a worker to the broker.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{MAX_BATCH, SavedState, WorkerFrameError, WorkerRoom, about, named, op, room};
use crate::codec::{Codec, FieldError, FrameReader, FrameWriter};
use crate::failure::Failure;
use crate::id::{Place, Seq};
use crate::policy::Policy;
use crate::room::{Outcome, WorkId};

/// What a worker says.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "PROTOCOL.md describes each frame")]
pub enum FromWorker {
    Hello(Hello),
    Outcomes { room: WorkerRoom, epoch: u64, first: Seq, outcomes: Vec<Outcome> },
    Snapshot { room: WorkerRoom, epoch: u64, seq: Seq, state: Result<SavedState, Failure> },
    Opened { room: WorkerRoom, epoch: u64, result: Result<(), Failure> },
    WorkDone { room: WorkerRoom, epoch: u64, id: WorkId, result: Result<Bytes, Failure> },
    Beat,
    Drain,
}

/// Who offers to run rooms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// Proof that it may.
    pub token: String,
    /// What people call this worker.
    pub name: String,
    /// The game's version: rooms are pinned to it.
    pub version: String,
    /// Library and version.
    pub sdk: String,
    /// How many rooms it takes.
    pub capacity: u32,
    /// Which.
    pub kinds: Vec<KindOffer>,
}

/// A kind of room that a worker can run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KindOffer {
    /// The kind's name.
    pub name: String,
    /// How its rooms behave.
    #[serde(default)]
    pub policy: Policy,
    /// What clients may send.
    #[serde(default)]
    pub routes: Vec<String>,
    /// What the server side may raise.
    #[serde(default)]
    pub events: Vec<String>,
    /// What outside work its handler may ask for.
    #[serde(default)]
    pub works: Vec<String>,
}

impl FromWorker {
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
            Self::Outcomes { room, epoch, first, outcomes } => written(frame, *room, *epoch, *first, outcomes),
            Self::Hello(hello) => frame.begin(2, op::HELLO).value(hello),
            Self::Snapshot { room, epoch, seq, state } => {
                let fields = 5 + 2 * u32::from(state.is_ok());
                let frame = about(frame.begin(fields, op::SNAPSHOT), *room, *epoch).uint(seq.0);
                match state {
                    Ok(state) => state.write(frame.value(&())),
                    Err(error) => frame.value(error),
                }
            }
            Self::Opened { room, epoch, result } => {
                about(frame.begin(4, op::OPENED), *room, *epoch).value(&result.as_ref().err())
            }
            Self::WorkDone { room, epoch, id: WorkId(place), result } => {
                let fields = 6 + u32::from(result.is_ok());
                let frame = about(frame.begin(fields, op::WORK_DONE), *room, *epoch);
                ended(frame.uint(place.seq.0).uint(place.index), result)
            }
            Self::Beat => frame.begin(1, op::BEAT),
            Self::Drain => frame.begin(1, op::DRAIN),
        };
        // Only JSON can fail.
        let _ = frame.finish();
    }

    /// Writes a frame with these outcomes, as [`encode_into`](Self::encode_into) does, without owning them.
    pub fn encode_outcomes(room: WorkerRoom, epoch: u64, first: Seq, outcomes: &[Outcome], out: &mut Vec<u8>) {
        let _ = written(FrameWriter::new(Codec::MsgPack, out), room, epoch, first, outcomes).finish();
    }

    /// Reads one frame of at most `max` bytes.
    ///
    /// What outcomes hold is well-formed, no more: [`check_outcome`](super::check_outcome) says whether a room can take it. A worker
    /// has many rooms, and one that breaks a bound should not end the others.
    ///
    /// # Errors
    /// [`WorkerFrameError`], for any bytes whatever.
    pub fn decode(frame: &Bytes, max: usize) -> Result<Self, WorkerFrameError> {
        let mut fields = super::open(frame, max)?;
        let f = &mut fields;
        let number = f.uint("op")?;
        Ok(match u8::try_from(number).unwrap_or(0) {
            op::OUTCOMES => {
                let (room, epoch) = room(f)?;
                let (first, outcomes) = (Seq(f.uint("first")?), f.list("outcomes", MAX_BATCH)?);
                Self::Outcomes { room, epoch, first, outcomes }
            }
            op::HELLO => Self::Hello(f.value::<Hello>("hello")?.checked()?),
            op::SNAPSHOT => {
                let (room, epoch) = room(f)?;
                let (seq, error) = (Seq(f.uint("seq")?), error(f)?);
                let state = error.map_or_else(|| SavedState::read(f).map(Ok), |error| Ok(Err(error)))?;
                Self::Snapshot { room, epoch, seq, state }
            }
            op::OPENED => {
                let (room, epoch) = room(f)?;
                Self::Opened { room, epoch, result: error(f)?.map_or(Ok(()), Err) }
            }
            op::WORK_DONE => {
                let (room, epoch) = room(f)?;
                let place = Place { seq: Seq(f.uint("seq")?), index: f.uint32("index")? };
                Self::WorkDone { room, epoch, id: WorkId(place), result: result(f, "result")? }
            }
            op::BEAT => Self::Beat,
            op::DRAIN => Self::Drain,
            _ => return Err(WorkerFrameError::UnknownOp(number)),
        })
    }
}

impl Hello {
    fn checked(self) -> Result<Self, WorkerFrameError> {
        named("name", &self.name)?;
        named("version", &self.version)?;
        named("sdk", &self.sdk)?;
        if self.capacity == 0 {
            return Err(FieldError::Wrong("capacity", "at least 1").into());
        }
        let mut kinds = BTreeSet::new();
        for kind in &self.kinds {
            kind.check()?;
            if !kinds.insert(&kind.name) {
                return Err(WorkerFrameError::Offer(format!("kind `{}` is offered twice", kind.name)));
            }
        }
        Ok(self)
    }
}

impl KindOffer {
    fn check(&self) -> Result<(), WorkerFrameError> {
        named("kinds.name", &self.name)?;
        self.routes.iter().try_for_each(|route| named("kinds.routes", route))?;
        self.events.iter().try_for_each(|event| named("kinds.events", event))?;
        self.works.iter().try_for_each(|work| named("kinds.works", work))?;
        self.policy.check().map_err(|why| WorkerFrameError::Offer(format!("kind `{}`: {why}", self.name)))
    }
}

fn written<'a>(
    frame: FrameWriter<'a>,
    room: WorkerRoom,
    epoch: u64,
    first: Seq,
    outcomes: &[Outcome],
) -> FrameWriter<'a> {
    about(frame.begin(5, op::OUTCOMES), room, epoch).uint(first.0).value(outcomes)
}

/// What went wrong or nil; then, if nothing did, what came of it.
fn ended<'a>(frame: FrameWriter<'a>, result: &Result<Bytes, Failure>) -> FrameWriter<'a> {
    match result {
        Ok(payload) => frame.value(&()).bin(payload),
        Err(error) => frame.value(error),
    }
}

fn result(fields: &mut FrameReader<'_>, name: &'static str) -> Result<Result<Bytes, Failure>, FieldError> {
    Ok(match error(fields)? {
        Some(error) => Err(error),
        None => Ok(fields.bin(name)?),
    })
}

fn error(fields: &mut FrameReader<'_>) -> Result<Option<Failure>, FieldError> {
    fields.value("error")
}
