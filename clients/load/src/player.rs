//! One player: it does what it is told when it is told, and sees what becomes of it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use parlor_client::{ClientError, LifecycleEvent, Parlor, Room, RoomEvent, ViewReason};
use serde::de::IgnoredAny;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep_until;

use crate::script::Script;
use crate::tally::Tally;
use crate::template::{Filled, Filling};
use crate::waiting::{Sent, Waiting};

/// How long answers are waited for once nothing more is sent, and how long a reply is waited for at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// What is the same for all players.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) script: Script,
    pub(crate) tally: Tally,
}

/// Something to be done now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due {
    pub(crate) at: Instant,
    pub(crate) action: usize,
    pub(crate) n: u64,
    /// Whether it belongs to the measured time.
    pub(crate) measured: bool,
}

/// How a player is led: dropping `dues` says that there is nothing more to do, `leave` lets it go.
pub(crate) struct Leash {
    pub(crate) dues: mpsc::UnboundedReceiver<Due>,
    /// Dropped when everything is answered.
    pub(crate) busy: mpsc::Sender<()>,
    pub(crate) leave: watch::Receiver<bool>,
}

type Requested = Pin<Box<dyn Future<Output = (usize, Sent, Result<IgnoredAny, ClientError>)> + Send>>;

/// A player in its room.
pub(crate) struct Player {
    shared: Arc<Shared>,
    /// Keeps the session open.
    parlor: Parlor,
    room: Room,
    index: u64,
    /// One for each action.
    waiting: Vec<Option<Waiting>>,
    requests: FuturesUnordered<Requested>,
    /// The number of the first message of the measured time.
    measured_from: Option<u64>,
}

/// How far a player has come.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Playing,
    /// Nothing more to do but to wait for answers, until then.
    Draining(tokio::time::Instant),
    /// Waiting for the others to be done.
    Done,
    Leaving,
}

impl Player {
    pub(crate) fn new(shared: Arc<Shared>, parlor: Parlor, room: Room, index: u64) -> Self {
        let waiting = shared.script.actions.iter().map(|action| action.answered_by.clone().map(Waiting::new)).collect();
        Self { shared, parlor, room, index, waiting, requests: FuturesUnordered::new(), measured_from: None }
    }

    /// Plays until it may leave, or has to.
    pub(crate) async fn play(mut self, leash: Leash) {
        let Leash { mut dues, busy, mut leave } = leash;
        let mut busy = Some(busy);
        let mut lifecycle = self.parlor.lifecycle();
        let mut stage = Stage::Playing;
        loop {
            if matches!(stage, Stage::Draining(until) if self.is_answered() || until <= tokio::time::Instant::now()) {
                self.give_up();
                stage = Stage::Done;
                busy = None;
            }
            let until = if let Stage::Draining(until) = stage { until } else { tokio::time::Instant::now() };
            tokio::select! {
                biased;
                event = lifecycle.recv() => if !self.hears(event) { break },
                // Before anything else is done, for a request is made when it is first looked at.
                Some((action, sent, answer)) = self.requests.next(), if !self.requests.is_empty() => {
                    self.replied(action, sent, answer);
                }
                due = dues.recv(), if stage == Stage::Playing => match due {
                    Some(due) => self.acts(due),
                    None => stage = Stage::Draining(tokio::time::Instant::now() + PATIENCE),
                },
                event = self.room.recv() => if !self.sees(event, stage) { break },
                () = sleep_until(until), if matches!(stage, Stage::Draining(_)) => {}
                _ = leave.wait_for(|leave| *leave), if stage == Stage::Done => {
                    // Behind everything that was sent, so that all refusals are heard before it is confirmed.
                    self.room.sender().leave();
                    stage = Stage::Leaving;
                }
            }
        }
        drop(busy);
        self.give_up();
        drop(self.room);
        self.parlor.close().await;
    }

    /// Does what is due.
    fn acts(&mut self, due: Due) {
        let shared = Arc::clone(&self.shared);
        let Some(action) = shared.script.actions.get(due.action) else { return };
        let filling = Filling { player: self.room.player().0, index: self.index, n: due.n };
        let mut sent = Sent { no: None, due: due.at, measured: due.measured };
        if action.reply {
            self.requests.push(self.request(due.action, sent, filling));
        } else {
            match self.room.send(&action.send, &Filled(&action.payload, filling)) {
                Ok(no) => {
                    sent.no = Some(no);
                    if due.measured {
                        self.measured_from.get_or_insert(no);
                    }
                }
                Err(error) => return shared.tally.failed(&error, due.measured),
            }
        }
        if due.measured {
            shared.tally.late.lock().record(due.at.elapsed());
            shared.tally.actions[due.action].sent.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(waiting) = &mut self.waiting[due.action] {
            waiting.push(sent, filling);
        }
    }

    fn request(&self, action: usize, sent: Sent, filling: Filling) -> Requested {
        let (shared, sender) = (Arc::clone(&self.shared), self.room.sender().clone());
        Box::pin(async move {
            let said = &shared.script.actions[action];
            let answer = sender.request(&said.send, &Filled(&said.payload, filling)).await;
            (action, sent, answer)
        })
    }

    fn replied(&mut self, action: usize, sent: Sent, answer: Result<IgnoredAny, ClientError>) {
        let tally = &self.shared.tally;
        match answer {
            Ok(IgnoredAny) if sent.measured => {
                tally.actions[action].round_trip.lock().record(sent.due.elapsed());
            }
            Ok(IgnoredAny) => {}
            Err(error) => {
                // Nothing will be seen of it in the room either.
                if let Some(waiting) = &mut self.waiting[action] {
                    waiting.forget(sent);
                }
                if sent.measured && !matches!(error, ClientError::Refused(_)) {
                    tally.actions[action].unanswered.fetch_add(1, Ordering::Relaxed);
                }
                tally.failed(&error, sent.measured);
            }
        }
    }

    /// Something came from the room; tells whether there is a room still.
    fn sees(&mut self, event: Option<RoomEvent>, stage: Stage) -> bool {
        let tally = &self.shared.tally;
        match event {
            Some(RoomEvent::Message { name, payload, .. }) => {
                tally.received();
                for (waiting, action) in self.waiting.iter_mut().zip(&tally.actions) {
                    let Some(waiting) = waiting else { continue };
                    for sent in waiting.answered(&name, &payload).iter().filter(|sent| sent.measured) {
                        action.delivery.lock().record(sent.due.elapsed());
                    }
                }
            }
            Some(RoomEvent::Refused { no, error, .. }) => {
                self.waiting.iter_mut().flatten().for_each(|waiting| waiting.refused(no));
                if self.measured_from.is_some_and(|first| first <= no) {
                    tally.refused(&error.code);
                }
            }
            Some(RoomEvent::Closed { code, .. }) => {
                if stage != Stage::Leaving {
                    tally.error(&format!("room {code}"));
                }
                return false;
            }
            // Messages were missed.
            Some(RoomEvent::View { why: ViewReason::FellBehind, .. }) => tally.error("fell_behind"),
            Some(RoomEvent::View { .. }) => tally.error("missed_while_away"),
            Some(_) => {}
            None => return false,
        }
        true
    }

    /// Something happened to the session; tells whether it goes on.
    fn hears(&mut self, event: Option<LifecycleEvent>) -> bool {
        let tally = &self.shared.tally;
        match event {
            // Further attempts after the same loss are no further losses.
            Some(LifecycleEvent::Disconnected { end, attempt: 1, .. }) => tally.disconnect(end.code, &end.reason),
            Some(LifecycleEvent::Closed(end)) => {
                tally.disconnect(end.code, &end.reason);
                return false;
            }
            Some(LifecycleEvent::Error(failure)) => tally.error(&failure.code),
            Some(_) => {}
            None => return false,
        }
        true
    }

    fn is_answered(&self) -> bool {
        self.requests.is_empty() && self.waiting.iter().flatten().all(Waiting::is_empty)
    }

    /// Counts what was never answered.
    fn give_up(&mut self) {
        for (waiting, action) in self.waiting.iter_mut().zip(&self.shared.tally.actions) {
            let unanswered = waiting.iter_mut().flat_map(Waiting::take).filter(|sent| sent.measured).count();
            action.unanswered.fetch_add(unanswered as u64, Ordering::Relaxed);
        }
    }
}
