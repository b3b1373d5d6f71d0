//! What the handles and the client's task share: frames that wait to be written, and callers that wait for an answer.
//!
//! One lock guards both, so that a frame and its waiter are registered together, before the end or not at all, and so that
//! the number of a message is taken in the order in which messages are written. The lock is never held across an await.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use parlor_protocol::frame::Welcome;
use parlor_protocol::{ClientFrame, Codec, ErrorCode};
use tokio::sync::{Notify, broadcast, oneshot, watch};
use tokio::time::{Instant, sleep};
use tokio_tungstenite::tungstenite::Message;

use crate::clock::Clock;
use crate::error::ClientError;
use crate::lifecycle::{End, LifecycleEvent, REMEMBERED};
use crate::member::{Member, Seat};
use crate::options::Options;
use crate::positions::{Out, Positions};
use crate::silence::Silence;

/// How long after the end of a membership the requests that were under way may still be answered.
const AFTERMATH: Duration = Duration::from_secs(1);

/// Everything that handles and the client's task share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    /// The newest one: of the first connection, or of the last that was made.
    welcome: Mutex<Arc<Welcome>>,
    pub(crate) clock: Mutex<Clock>,
    pub(crate) events: broadcast::Sender<LifecycleEvent>,
    link: Mutex<Link>,
    pub(crate) silence: Silence,
    /// Wakes the writer.
    pub(crate) wake: Notify,
    phase: watch::Sender<Phase>,
    ids: AtomicU64,
    /// The zero of local time.
    began: Instant,
}

#[derive(Debug, Default)]
struct Link {
    positions: Positions,
    waiting: BTreeMap<u64, Waiter>,
    end: Option<End>,
}

/// How far the client's life has come. Only goes forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Connected, or about to come back.
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

/// What the end of the session means for a waiter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// A numbered message, which may have had an effect that outlives the session.
    Request,
    /// What ends with the session: a join, a subscription.
    Subscription,
}

impl Shared {
    /// `began` is the zero of local time, `clock` has learned from the welcome.
    pub(crate) fn new(options: Options, welcome: Welcome, clock: Clock, began: Instant) -> Self {
        let mut link = Link::default();
        link.positions.begin(welcome.resume.clone());
        Self {
            options,
            welcome: Mutex::new(Arc::new(welcome)),
            clock: Mutex::new(clock),
            events: broadcast::Sender::new(REMEMBERED),
            silence: Silence::default(),
            link: Mutex::new(link),
            wake: Notify::new(),
            phase: watch::Sender::new(Phase::Open),
            ids: AtomicU64::new(1),
            began,
        }
    }

    /// Local time in milliseconds since the client began.
    pub(crate) fn now(&self) -> f64 {
        self.began.elapsed().as_secs_f64() * 1000.0
    }

    /// The server's clock.
    pub(crate) fn server_now(&self) -> u64 {
        self.clock.lock().server_now(self.now())
    }

    pub(crate) fn welcome(&self) -> Arc<Welcome> {
        Arc::clone(&self.welcome.lock())
    }

    pub(crate) fn set_welcome(&self, welcome: Welcome) {
        *self.welcome.lock() = Arc::new(welcome);
    }

    /// Tells the lifecycle.
    pub(crate) fn tell(&self, event: LifecycleEvent) {
        // Fails only when nobody listens.
        let _ = self.events.send(event);
    }

    /// Queues a numbered frame without waiting; returns its number.
    pub(crate) fn send(&self, member: &Member, frame: &ClientFrame) -> Result<u64, ClientError> {
        let message = self.encode(frame)?;
        let mut link = self.link.lock();
        link.admit(&message, &self.options)?;
        let no = member.next_no()?;
        link.positions.push(message);
        drop(link);
        self.wake.notify_one();
        Ok(no)
    }

    /// Queues a frame of a room that is answered, and waits for the answer.
    pub(crate) async fn ask(
        &self,
        member: &Member,
        kind: Kind,
        frame: impl FnOnce(u64) -> ClientFrame,
    ) -> Result<Answer, ClientError> {
        let admit = || match kind {
            Kind::Request => member.next_no().map(drop),
            Kind::Subscription => member.may_send(),
        };
        // Only a request has an outcome that the end of the room leaves open.
        let forsaken = async {
            match kind {
                Kind::Request => forsaken(member).await,
                Kind::Subscription => std::future::pending().await,
            }
        };
        self.answered(kind, admit, frame, forsaken).await
    }

    /// The same for a frame that belongs to no room.
    pub(crate) async fn ask_session(&self, frame: impl FnOnce(u64) -> ClientFrame) -> Result<Answer, ClientError> {
        self.answered(Kind::Subscription, || Ok(()), frame, std::future::pending()).await
    }

    async fn answered(
        &self,
        kind: Kind,
        admit: impl FnOnce() -> Result<(), ClientError>,
        frame: impl FnOnce(u64) -> ClientFrame,
        forsaken: impl Future<Output = ()>,
    ) -> Result<Answer, ClientError> {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let message = self.encode(&frame(id))?;
        let (to, answer) = oneshot::channel();
        {
            let mut link = self.link.lock();
            link.admit(&message, &self.options)?;
            admit()?;
            link.waiting.insert(id, Waiter { kind, to });
            link.positions.push(message);
        }
        self.wake.notify_one();
        let _forget = Forget { shared: self, id };
        tokio::select! {
            biased;
            // The sender is dropped unused only with everything else of the client.
            answer = answer => answer.unwrap_or(Err(ClientError::OutcomeUnknown)),
            () = forsaken => Err(ClientError::OutcomeUnknown),
            () = sleep(self.options.request_timeout) => Err(ClientError::Timeout),
        }
    }

    /// Ends a membership, once. The frame is tiny and comes at most once for each room, so it needs no admission.
    pub(crate) fn leave(&self, member: &Member) {
        let Ok(message) = self.encode(&ClientFrame::Leave { room: member.no }) else { return };
        let mut link = self.link.lock();
        if link.end.is_none() && member.end_sending() {
            link.positions.push(message);
            drop(link);
            self.wake.notify_one();
        }
    }

    /// The next thing to write.
    pub(crate) fn next_out(&self) -> Option<Out> {
        self.link.lock().positions.next()
    }

    /// Looks at or changes the positions. Short, for it holds the lock.
    pub(crate) fn positions<T>(&self, look: impl FnOnce(&mut Positions) -> T) -> T {
        look(&mut self.link.lock().positions)
    }

    /// Whether the session outlives its connection.
    pub(crate) fn is_kept(&self) -> bool {
        self.positions(|positions| positions.terms().is_some())
    }

    /// Lets everything that was received be acknowledged now.
    pub(crate) fn ask_ack(&self) {
        if self.positions(Positions::ask_ack) {
            self.wake.notify_one();
        }
    }

    /// Hands an answer to whoever waits for it. An answer that came too late is dropped, and a seat in it given back.
    pub(crate) fn answer(&self, id: u64, answer: Result<Answer, ClientError>) {
        let waiter = self.link.lock().waiting.remove(&id);
        if let Some(waiter) = waiter {
            let _ = waiter.to.send(answer);
        }
    }

    /// The session is gone: nothing that was said in it is said again, nothing more can be said to its rooms. All of it
    /// under the lock, so that no message for the old session's rooms gets into the new one.
    pub(crate) fn lose<'a>(&self, reason: &str, members: impl Iterator<Item = &'a Member>) {
        let mut link = self.link.lock();
        link.positions.lose();
        for member in members {
            member.end_sending();
        }
        let waiting = std::mem::take(&mut link.waiting);
        drop(link);
        forsake(waiting, || ClientError::Lost { reason: reason.to_owned() });
    }

    /// Ends everything that goes through this client.
    pub(crate) fn finish(&self, end: &End) {
        let mut link = self.link.lock();
        if link.end.is_some() {
            return;
        }
        let waiting = std::mem::take(&mut *link).waiting;
        link.end = Some(end.clone());
        drop(link);
        forsake(waiting, || end.into());
        self.advance(Phase::Ended);
    }

    /// How the client ended, once it has.
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
        if message.len() as u64 > self.welcome.lock().max_frame {
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
        let fits = self.positions.has_room(message, options.send_frames, options.send_bytes);
        if fits { Ok(()) } else { Err(ClientError::BufferFull) }
    }
}

/// Tells all who wait that no answer will come.
fn forsake(waiting: BTreeMap<u64, Waiter>, why: impl Fn() -> ClientError) {
    for waiter in waiting.into_values() {
        let error = if waiter.kind == Kind::Request { ClientError::OutcomeUnknown } else { why() };
        let _ = waiter.to.send(Err(error));
    }
}

/// Waits until nothing can be hoped for from the room any more. What it had not handled when it closed is still answered.
async fn forsaken(member: &Member) {
    member.over().await;
    sleep(AFTERMATH).await;
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

/// Held by every handle: when the last one goes, the client is closed.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_waits_no_more_is_forgotten() {
        let (session, account, server) = ("s".into(), "a".into(), "x".into());
        let welcome =
            Welcome { session, account, server, time: 0, max_frame: 100, expires: None, resume: None, lost: None };
        let shared = Shared::new(Options::default(), welcome, Clock::default(), Instant::now());
        assert!(matches!(
            shared.ask_session(|id| ClientFrame::Ping { time: id as f64 }).await,
            Err(ClientError::Timeout)
        ));
        assert!(shared.link.lock().waiting.is_empty());
    }
}
