//! Rooms whose handler runs inside the broker's process, on the room's own thread.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use parlor_broker::host::{Host, HostMaker, WorkDone};
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
    fn make(&self, _room: &RoomId) -> Box<dyn Host> {
        Box::new(LocalHost { runner: self.kind.runner(), outcome: None, with: self.clone() })
    }
}

struct LocalHost {
    runner: Box<dyn Runner>,
    outcome: Option<Outcome>,
    with: LocalMaker,
}

impl Host for LocalHost {
    fn submit(&mut self, input: &Input) {
        self.outcome = Some(self.runner.handle(input));
    }

    fn poll_outcome(&mut self, _cx: &mut Context<'_>) -> Poll<Outcome> {
        self.outcome.take().map_or(Poll::Pending, Poll::Ready)
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
