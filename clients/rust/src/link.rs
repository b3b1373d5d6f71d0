//! What the handles and the connection's task share: frames that wait to be written, and callers that wait for an answer.
//!
//! One lock guards both, so that a frame and its waiter are registered together, before the end or not at all, and so that
//! the number of a message is taken in the order in which messages are written. The lock is never held across an await.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use parlor_protocol::frame::Welcome;
use parlor_protocol::{ClientFrame, Codec, ErrorCode, Failure};
use tokio::sync::{Notify, broadcast, oneshot, watch};
use tokio::time::{Instant, sleep};
use tokio_tungstenite::tungstenite::Message;

use crate::clock::Clock;
use crate::error::ClientError;
use crate::lifecycle::{End, REMEMBERED};
use crate::member::{Member, Seat};
use crate::options::Options;
use crate::silence::Silence;

/// What a waiting frame costs beyond its bytes, so that many tiny frames are bounded too.
const FRAME_OVERHEAD: usize = 32;

/// How long after the end of a membership the requests that were under way may still be answered.
const AFTERMATH: Duration = Duration::from_secs(1);

/// Waiting frames for which an emptied queue keeps room.
const KEPT: usize = 1024;

/// Everything that handles and the connection's task share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) welcome: Welcome,
    pub(crate) clock: Mutex<Clock>,
    pub(crate) errors: broadcast::Sender<Failure>,
    link: Mutex<Link>,
    pub(crate) silence: Silence,
    /// Wakes the writer.
    pub(crate) wake: Notify,
    phase: watch::Sender<Phase>,
    ids: AtomicU64,
    began: Instant,
}

#[derive(Debug, Default)]
struct Link {
    frames: VecDeque<Message>,
    bytes: usize,
    waiting: HashMap<u64, Waiter>,
    end: Option<End>,
}

/// How far the connection's life has come. Only goes forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Open,
    /// A handle asked for the end; what is queued is still written.
    Closing,
    /// Nothing goes in or out any more.
    Ended,
    /// The socket is gone too.
    Gone,
}

/// What an operation waits for.
#[derive(Debug)]
pub(crate) enum Answer {
    Joined(Seat),
    Reply(Bytes),
    Done,
}

#[derive(Debug)]
struct Waiter {
    kind: Kind,
    to: oneshot::Sender<Result<Answer, ClientError>>,
}

/// What the end of the connection means for a waiter.
#[derive(Debug, PartialEq)]
enum Kind {
    /// A request, which may have had an effect that outlives the connection.
    Request,
    /// A join or a subscription, which ends with the connection.
    Session,
}

impl Kind {
    fn of(numbered: Option<&Member>) -> Self {
        if numbered.is_some() { Self::Request } else { Self::Session }
    }
}

impl Shared {
    /// `began` is the zero of local time, `clock` has learned from the welcome.
    pub(crate) fn new(options: Options, welcome: Welcome, clock: Clock, began: Instant) -> Self {
        Self {
            options,
            welcome,
            clock: Mutex::new(clock),
            errors: broadcast::Sender::new(REMEMBERED),
            silence: Silence::default(),
            link: Mutex::default(),
            wake: Notify::new(),
            phase: watch::Sender::new(Phase::Open),
            ids: AtomicU64::new(1),
            began,
        }
    }

    /// Local time in milliseconds since the connection began.
    pub(crate) fn now(&self) -> f64 {
        self.began.elapsed().as_secs_f64() * 1000.0
    }

    /// Queues a numbered frame without waiting; returns its number.
    pub(crate) fn send(&self, member: &Member, frame: &ClientFrame) -> Result<u64, ClientError> {
        let message = self.encode(frame)?;
        let mut link = self.link.lock();
        link.admit(&message, &self.options)?;
        let no = member.next_no()?;
        link.push(message);
        drop(link);
        self.wake.notify_one();
        Ok(no)
    }

    /// Queues a frame that is answered, and waits for the answer. With `numbered` it is a request in that room.
    pub(crate) async fn ask(
        &self,
        numbered: Option<&Member>,
        frame: impl FnOnce(u64) -> ClientFrame,
    ) -> Result<Answer, ClientError> {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let message = self.encode(&frame(id))?;
        let (to, answer) = oneshot::channel();
        {
            let mut link = self.link.lock();
            link.admit(&message, &self.options)?;
            if let Some(member) = numbered {
                member.next_no()?;
            }
            link.waiting.insert(id, Waiter { kind: Kind::of(numbered), to });
            link.push(message);
        }
        self.wake.notify_one();
        let _forget = Forget { shared: self, id };
        tokio::select! {
            biased;
            // The sender is dropped unused only with everything else of the connection.
            answer = answer => answer.unwrap_or(Err(ClientError::OutcomeUnknown)),
            () = forsaken(numbered) => Err(ClientError::OutcomeUnknown),
            () = sleep(self.options.request_timeout) => Err(ClientError::Timeout),
        }
    }

    /// Ends a membership, once. The frame is tiny and comes at most once for each room, so it needs no admission.
    pub(crate) fn leave(&self, member: &Member) {
        let Ok(message) = self.encode(&ClientFrame::Leave { room: member.no }) else { return };
        let mut link = self.link.lock();
        if link.end.is_none() && member.end_sending() {
            link.push(message);
            drop(link);
            self.wake.notify_one();
        }
    }

    /// The next frame to write.
    pub(crate) fn next_frame(&self) -> Option<Message> {
        let mut link = self.link.lock();
        let message = link.frames.pop_front()?;
        link.bytes -= cost(&message);
        if link.frames.is_empty() && link.frames.capacity() > KEPT {
            link.frames.shrink_to(KEPT);
        }
        Some(message)
    }

    /// Hands an answer to whoever waits for it. An answer that came too late is dropped, and a seat in it given back.
    pub(crate) fn answer(&self, id: u64, answer: Result<Answer, ClientError>) {
        let waiter = self.link.lock().waiting.remove(&id);
        if let Some(waiter) = waiter {
            let _ = waiter.to.send(answer);
        }
    }

    /// Ends everything that goes through this connection.
    pub(crate) fn finish(&self, end: &End) {
        let mut link = self.link.lock();
        if link.end.is_some() {
            return;
        }
        let waiting = std::mem::take(&mut *link).waiting;
        link.end = Some(end.clone());
        drop(link);
        for waiter in waiting.into_values() {
            let error = if waiter.kind == Kind::Request { ClientError::OutcomeUnknown } else { end.into() };
            let _ = waiter.to.send(Err(error));
        }
        self.advance(Phase::Ended);
    }

    /// How the connection ended, once it has.
    pub(crate) fn end(&self) -> Option<End> {
        self.link.lock().end.clone()
    }

    pub(crate) fn advance(&self, to: Phase) {
        self.phase.send_if_modified(|phase| {
            let forward = *phase < to;
            *phase = (*phase).max(to);
            forward
        });
        self.wake.notify_one();
    }

    pub(crate) fn has_reached(&self, phase: Phase) -> bool {
        *self.phase.borrow() >= phase
    }

    pub(crate) async fn reached(&self, phase: Phase) {
        // The sender lives in `self`, so this cannot fail.
        let _ = self.phase.subscribe().wait_for(|now| *now >= phase).await;
    }

    fn encode(&self, frame: &ClientFrame) -> Result<Message, ClientError> {
        let message = encode(self.options.codec, frame)?;
        if message.len() as u64 > self.welcome.max_frame {
            // The broker would refuse it; here it uses up no number.
            return Err(ErrorCode::FrameTooLarge.into());
        }
        Ok(message)
    }
}

impl Link {
    /// The full-policy of the outgoing queue: refuse, and leave it to the caller.
    fn admit(&self, message: &Message, options: &Options) -> Result<(), ClientError> {
        if let Some(end) = &self.end {
            return Err(end.into());
        }
        let fits = self.frames.is_empty() || self.bytes + cost(message) <= options.send_bytes;
        if fits { Ok(()) } else { Err(ClientError::BufferFull) }
    }

    fn push(&mut self, message: Message) {
        self.bytes += cost(&message);
        self.frames.push_back(message);
    }
}

/// Waits until nothing can be hoped for from the room any more. What it had not handled when it closed is still answered.
async fn forsaken(member: Option<&Member>) {
    match member {
        Some(member) => {
            member.over().await;
            sleep(AFTERMATH).await;
        }
        None => std::future::pending().await,
    }
}

/// Takes a waiter back when its caller no longer waits.
struct Forget<'a> {
    shared: &'a Shared,
    id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.shared.link.lock().waiting.remove(&self.id);
    }
}

/// Held by every handle: when the last one goes, the connection is closed.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.advance(Phase::Closing);
    }
}

/// A frame as the WebSocket message of its codec.
pub(crate) fn encode(codec: Codec, frame: &ClientFrame) -> Result<Message, ClientError> {
    let invalid = |error: &dyn std::fmt::Display| ClientError::Invalid(error.to_string());
    let bytes = frame.encode(codec).map_err(|error| invalid(&error))?;
    Ok(match codec {
        Codec::MsgPack => Message::Binary(bytes.into()),
        Codec::Json => Message::Text(bytes.try_into().map_err(|error| invalid(&error))?),
    })
}

fn cost(message: &Message) -> usize {
    message.len() + FRAME_OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_waits_no_more_is_forgotten() {
        let welcome = Welcome { session: "s".into(), account: "a".into(), server: "x".into(), time: 0, max_frame: 100 };
        let shared = Shared::new(Options::default(), welcome, Clock::default(), Instant::now());
        assert!(matches!(
            shared.ask(None, |id| ClientFrame::Ping { time: id as f64 }).await,
            Err(ClientError::Timeout)
        ));
        assert!(shared.link.lock().waiting.is_empty());
    }
}
