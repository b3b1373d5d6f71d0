//! Handlers in workers, as rooms see them: the [`Host`] of a room is its place with a worker, and its desk.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use parlor_protocol::room::{Fault, Input, Outcome};
use parlor_protocol::worker::{KindOffer, ToWorker, WorkerRoom, check_outcome};
use parlor_protocol::{ErrorCode, Failure, Policy, RoomId, Seq};
use tokio::sync::Semaphore;

use super::desk::{Desk, Settled};
use super::fleet::{Fleet, Post};
use crate::host::{Begin, Gone, Host, HostMaker, Making, MayFail, Parting, SavedState, Unsaved, WorkDone};
use crate::room::Kind;

/// Bytes of a panic's text that are kept.
const PANIC: usize = 4096;

/// A kind of room that a worker offers, in its version.
pub(super) fn kind(offer: &KindOffer, version: &Arc<str>, fleet: &Arc<Fleet>) -> Kind {
    let maker = RemoteMaker {
        fleet: fleet.clone(),
        kind: offer.name.as_str().into(),
        version: version.clone(),
        policy: offer.policy.clone().into(),
    };
    let texts = |list: &[String]| list.iter().map(|text| Arc::from(text.as_str())).collect();
    Kind::of(&offer.name, offer.policy.clone(), texts(&offer.routes), texts(&offer.events), Box::new(maker))
        .of_version(version.clone())
}

struct RemoteMaker {
    fleet: Arc<Fleet>,
    kind: Arc<str>,
    version: Arc<str>,
    policy: Arc<Policy>,
}

impl HostMaker for RemoteMaker {
    fn make(&self, room: &RoomId, begin: Begin) -> Making {
        let (fleet, room, policy) = (self.fleet.clone(), room.clone(), self.policy.clone());
        let (kind, version) = (self.kind.clone(), self.version.clone());
        let within = Duration::from_millis(match begin {
            Begin::New => fleet.terms.wait_ms,
            Begin::Again | Begin::From(..) => fleet.terms.gone_ms,
            Begin::Moved(..) => 0,
        });
        let (moved, from) = (matches!(begin, Begin::Moved(..)), matches!(begin, Begin::From(..)));
        Box::pin(async move {
            let nobody = || Failure::from(ErrorCode::NoWorker).with("kind", &kind);
            let post = fleet.place(&kind, &version, within).await.ok_or_else(nobody)?;
            let host = RemoteHost::open(post, fleet.next_epoch(), room, &kind, policy, begin);
            // Whether a state can be read is known before anything is said to it.
            if moved || from {
                match poll_fn(|cx| host.desk.poll_opened(cx)).await {
                    Ok(()) => {}
                    Err(Gone::Broken(why)) => return Err(why),
                    Err(Gone::Lost(_)) if moved => return Err(nobody()),
                    // Which the host itself will say.
                    Err(Gone::Lost(_)) => {}
                }
            }
            Ok(Box::new(host) as Box<dyn Host>)
        })
    }

    fn may_fail(&self) -> MayFail {
        MayFail::Dies
    }

    fn workers(&self) -> Option<usize> {
        Some(self.fleet.offering(&self.kind, &self.version))
    }

    fn alone(&self) -> Option<&Arc<Semaphore>> {
        Some(&self.fleet.alone)
    }
}

struct RemoteHost {
    post: Post,
    room: WorkerRoom,
    epoch: u64,
    desk: Arc<Desk>,
    policy: Arc<Policy>,
    /// The version that the state is meant for which is being saved, if that is another one.
    meant_for: Option<String>,
}

impl RemoteHost {
    /// Asks a worker to open the room. What is said to it next need not wait for the answer.
    fn open(post: Post, epoch: u64, id: RoomId, kind: &str, policy: Arc<Policy>, begin: Begin) -> Self {
        let snapshot = match begin {
            Begin::From(seq, state) | Begin::Moved(seq, state) => Some((seq, state)),
            Begin::New | Begin::Again => None,
        };
        let behind = snapshot.as_ref().map_or(Seq(0), |(seq, _)| *seq);
        let desk = Arc::new(Desk::new(epoch, behind, post.worker.ask()));
        let room = post.worker.enlist(desk.clone());
        post.worker.line.push(ToWorker::Open { room, epoch, id, kind: kind.to_owned(), snapshot }.encode());
        Self { post, room, epoch, desk, policy, meant_for: None }
    }
}

impl Host for RemoteHost {
    fn submit(&mut self, input: &Input) {
        if self.desk.give(input.seq, self.post.worker.ask()) {
            let mut frame = Vec::with_capacity(128);
            ToWorker::encode_inputs(self.room, self.epoch, std::slice::from_ref(input), &mut frame);
            self.post.worker.line.push(frame);
        } else {
            self.post.worker.settle(Settled::UNASKED);
        }
    }

    fn skip(&mut self, input: &Input) {
        self.desk.skip(input.seq);
        let skip = ToWorker::Skip { room: self.room, epoch: self.epoch, input: input.clone() };
        self.post.worker.line.push(skip.encode());
    }

    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Result<Outcome, Gone>> {
        let mut outcome = match ready!(self.desk.poll_answer(cx)) {
            Ok(outcome) => outcome,
            Err(gone) => return Poll::Ready(Err(gone)),
        };
        // It is for the log and the list of what was set aside.
        if let Err(Fault::Panicked(text)) = &mut outcome.result {
            let end = text.char_indices().map(|(at, _)| at).find(|at| *at >= PANIC);
            text.truncate(end.unwrap_or(text.len()));
        }
        Poll::Ready(match check_outcome(&outcome, &self.policy) {
            Ok(()) => Ok(outcome),
            Err(unfit) => {
                let why = format!("the worker breaks its contract: {unfit}");
                Err(Gone::Broken(Failure::from(ErrorCode::RoomFailed).because(why)))
            }
        })
    }

    fn run(&mut self, name: &str, arguments: Bytes, done: WorkDone) {
        let (id, key) = (done.id(), done.key());
        if self.desk.run(done) {
            let (room, epoch, name) = (self.room, self.epoch, name.to_owned());
            self.post.worker.line.push(ToWorker::Run { room, epoch, id, key, name, arguments }.encode());
        }
    }

    fn save(&mut self, meant_for: Option<&str>) {
        self.meant_for = meant_for.map(str::to_owned);
        if self.desk.save(self.post.worker.ask()) {
            let (room, epoch, meant_for) = (self.room, self.epoch, self.meant_for.clone());
            self.post.worker.line.push(ToWorker::Snap { room, epoch, meant_for }.encode());
        } else {
            self.post.worker.settle(Settled::UNASKED);
        }
    }

    fn poll_saved(&mut self, cx: &mut Context<'_>) -> Poll<Result<SavedState, Unsaved>> {
        let state = ready!(self.desk.poll_saved(cx))?;
        let its = *state.version == *self.post.worker.version || Some(&state.version) == self.meant_for.as_ref();
        Poll::Ready(if its { Ok(state) } else { Err(Unsaved::Failed(mislabelled(&state.version))) })
    }

    fn poll_parting(&mut self, cx: &mut Context<'_>) -> Poll<Parting> {
        self.desk.poll_parting(cx)
    }
}

/// A state that nobody could take for what it says to be.
fn mislabelled(version: &str) -> Failure {
    Failure::from(ErrorCode::Internal).because(format!("the worker says that its state is of version `{version}`"))
}

impl Drop for RemoteHost {
    fn drop(&mut self) {
        let worker = &self.post.worker;
        worker.strike(self.room);
        worker.settle(self.desk.leave());
        worker.line.push(ToWorker::Close { room: self.room, epoch: self.epoch }.encode());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Workers;
    use crate::telemetry::Metrics;
    use parlor_protocol::worker::Hello;
    use std::task::Waker;

    fn hello(version: &str) -> Hello {
        let kind =
            KindOffer { name: "k".into(), policy: Policy::default(), routes: vec![], events: vec![], works: vec![] };
        let text = || "x".to_owned();
        Hello { token: text(), name: text(), version: version.into(), sdk: text(), capacity: 1, kinds: vec![kind] }
    }

    /// A worker of version 1, and a room with it.
    async fn room() -> (Arc<Desk>, RemoteHost) {
        let fleet = Arc::new(Fleet::new(Workers::default(), Metrics::default()));
        fleet.enter(&hello("1"));
        let post = fleet.place("k", "1", Duration::ZERO).await.unwrap();
        let id = RoomId::parse("room").unwrap();
        let host = RemoteHost::open(post, 1, id, "k", Arc::default(), Begin::New);
        let desk = host.desk.clone();
        host.post.worker.settle(desk.opened(Ok(())).unwrap());
        (desk, host)
    }

    /// What is made of a state that says to be of `version`, when one was asked for that is `meant_for`.
    async fn saved(meant_for: Option<&str>, version: &str) -> Result<SavedState, Unsaved> {
        let (desk, mut host) = room().await;
        host.save(meant_for);
        desk.saved(Seq(0), Ok(SavedState { version: version.into(), bytes: Bytes::new() })).unwrap();
        match host.poll_saved(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(saved) => saved,
            Poll::Pending => panic!("it was saved"),
        }
    }

    #[tokio::test]
    async fn a_state_is_the_worker_s_own_or_the_one_that_was_asked_for() {
        assert_eq!(&*saved(None, "1").await.unwrap().version, "1");
        assert_eq!(&*saved(Some("2"), "2").await.unwrap().version, "2");
        // One that knows no other says so.
        assert_eq!(&*saved(Some("2"), "1").await.unwrap().version, "1");
        for (meant_for, version) in [(None, "2"), (Some("2"), "3"), (None, "")] {
            let unsaved = saved(meant_for, version).await.unwrap_err();
            assert!(matches!(&unsaved, Unsaved::Failed(failure) if failure.text.contains(version)), "{unsaved:?}");
        }
    }

    #[tokio::test]
    async fn what_a_room_does_not_ask_any_more_is_not_owed() {
        let (desk, mut host) = room().await;
        let worker = host.post.worker.clone();
        assert!(!worker.owes());
        host.save(None);
        assert!(worker.owes());
        worker.settle(desk.saved(Seq(0), Err(ErrorCode::Internal.into())).unwrap());
        assert!(!worker.owes());
        // Of a room that the worker cannot go on with.
        desk.end(crate::host::Owing::Among);
        host.save(None);
        assert!(!worker.owes());
    }
}
