//! Rooms whose handler runs inside the broker's process, on the room's own thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use parlor_broker::host::{Begin, Gone, Host, HostMaker, Making, MayFail, SavedState, Unsaved, WorkDone};
use parlor_protocol::room::{Input, Outcome};
use parlor_protocol::{ErrorCode, RoomId};
use tokio::runtime::Handle;

use crate::{Env, Failure, Kind, Payload, Runner};

/// The kind as the broker takes it. Work runs on `runtime`, away from the threads of the rooms.
pub(crate) fn kind(kind: Kind, env: Env, runtime: Handle) -> parlor_broker::Kind {
    let (name, policy, routes, events) = (kind.name, kind.policy.clone(), kind.routes, kind.events);
    let maker = LocalMaker { kind: Arc::new(kind), env, runtime };
    parlor_broker::Kind::new(name, policy, routes, events, Box::new(maker))
}

#[derive(Clone)]
struct LocalMaker {
    kind: Arc<Kind>,
    env: Env,
    runtime: Handle,
}

impl HostMaker for LocalMaker {
    fn make(&self, _room: &RoomId, begin: Begin) -> Making {
        let runner = match begin {
            Begin::New | Begin::Again => Ok(self.kind.runner()),
            Begin::From(_, state) | Begin::Moved(_, state) => self.kind.restore(&state.bytes),
        };
        Box::pin(std::future::ready(runner.map(|runner| self.host(runner))))
    }

    fn may_fail(&self) -> MayFail {
        MayFail::Panics
    }
}

impl LocalMaker {
    fn host(&self, runner: Box<dyn Runner>) -> Box<dyn Host> {
        Box::new(LocalHost { runner: Some(runner), outcome: None, with: self.clone() })
    }
}

struct LocalHost {
    /// Always there until this is dropped.
    runner: Option<Box<dyn Runner>>,
    outcome: Option<Outcome>,
    with: LocalMaker,
}

impl Host for LocalHost {
    fn submit(&mut self, input: &Input) {
        self.outcome = self.runner.as_mut().map(|runner| runner.handle(input));
    }

    fn skip(&mut self, input: &Input) {
        if let Some(runner) = &mut self.runner {
            runner.skip(input);
        }
    }

    fn poll_outcome(&mut self, _cx: &mut Context<'_>) -> Poll<Result<Outcome, Gone>> {
        self.outcome.take().map_or(Poll::Pending, |outcome| Poll::Ready(Ok(outcome)))
    }

    /// The program is its own and only version.
    fn save(&mut self, _meant_for: Option<&str>) {}

    fn poll_saved(&mut self, _cx: &mut Context<'_>) -> Poll<Result<SavedState, Unsaved>> {
        let state = self.runner.as_ref().ok_or_else(|| ErrorCode::Internal.into()).and_then(|runner| runner.snapshot());
        let saved = |bytes| SavedState { version: String::new(), bytes };
        Poll::Ready(state.map(saved).map_err(Unsaved::Failed))
    }

    fn run(&mut self, name: &str, arguments: Bytes, done: WorkDone) {
        let Some(work) = self.with.kind.works.iter().find(|work| work.name() == name) else {
            done.finish(Err(Failure::from(ErrorCode::HandlerFailed)
                .because("no such work function")
                .with("work", name)));
            return;
        };
        let running = work.call(self.with.env.for_work(&done.key()), Payload(arguments));
        // It goes on when its room ends: what a room saves at its end must be saved. A panic drops `done`, which tells the room
        // that the work was lost.
        self.with.runtime.spawn(async move { done.finish(running.await) });
    }
}

impl Drop for LocalHost {
    /// The state of a handler that has panicked may panic once more as it goes, which must not end the room.
    fn drop(&mut self) {
        let runner = self.runner.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(runner)));
    }
}
