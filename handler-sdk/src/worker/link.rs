//! One thread of a worker: a connection to the broker, made anew whenever it ends.

use std::sync::Arc;
use std::time::Duration;

use parlor_protocol::worker::Hello;
use parlor_protocol::{ErrorCode, Failure};
use tokio::sync::watch;

use super::address::Address;
use super::connection::Connection;
use super::hook::Hook;
use super::opening::{Lost, open};
use super::rooms::Rooms;
use super::work::Works;
use super::{Order, Standing, Standings};
use crate::{Kind, Result};

/// The pause before a connection is tried again, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// All that a thread needs to run rooms.
pub(super) struct Link {
    pub(super) number: usize,
    pub(super) address: Address,
    pub(super) hello: Hello,
    pub(super) kinds: Arc<[Kind]>,
    pub(super) works: Works,
    pub(super) hook: Hook,
    /// How long work may take to finish at the end.
    pub(super) limit: Duration,
    pub(super) orders: watch::Receiver<Order>,
    pub(super) standings: watch::Sender<Standings>,
}

/// What has come of a connection.
enum Left {
    /// The broker needs this worker no more, or was not there when it wanted to end.
    Done,
    /// Nobody waits for this worker.
    Stopped,
}

impl Link {
    /// Runs until the broker or the worker's owner has had enough.
    pub(super) fn run(mut self) {
        let mut standing = Ending { number: self.number, standings: self.standings.clone(), result: Err(died()) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        standing.result = match runtime {
            Ok(runtime) => runtime.block_on(self.serve()),
            Err(error) => Err(Failure::from(ErrorCode::Internal).because(error.to_string())),
        };
    }

    async fn serve(&mut self) -> Result {
        let mut pause = PAUSES.0;
        for number in 0.. {
            let lost = match self.connection(number, &mut pause).await {
                Ok(Left::Stopped) => return Ok(()),
                Ok(Left::Done) => break,
                Err(Lost::Refused(failure)) if !failure.retryable => return Err(failure),
                Err(lost) => lost,
            };
            self.stand(Standing::Connecting);
            // Its rooms went with the connection, so that there is nothing to give back.
            if *self.orders.borrow() != Order::Serve {
                break;
            }
            tracing::warn!(broker = %self.address.uri(), why = %lost, "no connection to the broker");
            tokio::select! {
                biased;
                _ = self.orders.changed() => break,
                () = tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.0))) => {}
            }
            pause = (pause * 2).min(PAUSES.1);
        }
        tokio::select! {
            biased;
            () = stopped(&mut self.orders) => {}
            // Work that does not finish must not keep the program for ever.
            _ = tokio::time::timeout(self.limit, self.works.rest()) => {}
        }
        Ok(())
    }

    /// One connection, from its beginning to its end.
    async fn connection(&mut self, number: u64, pause: &mut Duration) -> Result<Left, Lost> {
        let (socket, welcome) = tokio::select! {
            biased;
            // Before the welcome there is nothing to give back.
            _ = self.orders.wait_for(|order| *order != Order::Serve) => return Ok(Left::Done),
            opened = open(&self.address, &self.hello) => opened?,
        };
        *pause = PAUSES.0;
        tracing::info!(server = welcome.server, worker = welcome.worker, "connected to the broker");
        self.stand(Standing::Welcomed);
        let max_frame = usize::try_from(welcome.max_frame_bytes).unwrap_or(usize::MAX);
        let rooms = Rooms::new(self.kinds.clone(), self.hello.version.clone(), max_frame, self.hook.clone());
        let mut connection = Connection::new(number, socket, &welcome, rooms, &mut self.works, self.limit);
        loop {
            tokio::select! {
                biased;
                changed = self.orders.changed() => {
                    let order = *self.orders.borrow_and_update();
                    match order {
                        Order::Drain if changed.is_ok() => connection.drain(),
                        // Nobody is left who could order anything.
                        _ => return Ok(Left::Stopped),
                    }
                }
                end = std::future::poll_fn(|cx| connection.poll_end(cx)) => {
                    end?;
                    connection.close().await;
                    return Ok(Left::Done);
                }
            }
        }
    }

    fn stand(&self, standing: Standing) {
        self.standings.send_modify(|all| all[self.number] = standing);
    }
}

/// Waits until nobody waits any more.
async fn stopped(orders: &mut watch::Receiver<Order>) {
    // That nobody is left who could stop this says the same.
    let _ = orders.wait_for(|order| *order == Order::Stop).await;
}

/// Tells the worker's owner that a thread has ended, however it did.
struct Ending {
    number: usize,
    standings: watch::Sender<Standings>,
    result: Result,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let result = std::mem::replace(&mut self.result, Ok(()));
        self.standings.send_modify(|all| all[self.number] = Standing::Ended(result));
    }
}

fn died() -> Failure {
    Failure::from(ErrorCode::Internal).because("a thread of the worker has died")
}
