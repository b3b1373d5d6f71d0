//! A load test from its beginning to its report.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::cpu;
use crate::crowd::{Crowd, gather};
use crate::player::{Due, PATIENCE, Shared};
use crate::report::{Cost, Report};
use crate::schedule::{Phases, Schedule};
use crate::script::Script;
use crate::tally::Tally;

/// A load test: who plays what, where, and for how long.
#[derive(Clone, Debug)]
pub struct Load {
    /// `ws://host[:port]`, or `wss://…`.
    pub url: String,
    /// What each player does.
    pub script: Script,
    /// How many there are.
    pub players: usize,
    /// Into which rooms they go.
    pub rooms: Rooms,
    /// The time from one player's coming to the next one's.
    pub ramp: Duration,
    /// How long is played before anything is measured.
    pub warmup: Duration,
    /// How long is measured.
    pub window: Duration,
    /// A token for each player; players without one come as guests.
    pub tokens: Vec<String>,
    /// The p99 that neither round trips nor deliveries may exceed.
    pub fail_p99: Option<Duration>,
}

/// Into which rooms the players go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rooms {
    /// Into so many rooms that are made for them, divided evenly.
    Made(usize),
    /// Into those that the broker finds or makes for each.
    Found,
}

impl Load {
    /// Lets the players in, lets them play, and tells what was seen. It needs a tokio runtime with timers and IO.
    pub async fn run(&self) -> Report {
        let shared = Arc::new(Shared { script: self.script.clone(), tally: Tally::new(self.script.actions.len()) });
        let mut crowd = gather(self, &shared).await;
        let phases = Phases { warmup: self.warmup, window: self.window };
        let (cost, in_time) =
            if crowd.dues.is_empty() { Default::default() } else { play(&mut crowd, &shared, phases).await };
        // What is late is what was not confirmed: it ends with the players.
        let _ = timeout(PATIENCE, async { while crowd.players.join_next().await.is_some() {} }).await;
        crowd.players.shutdown().await;
        Report::new(self, &shared.tally, &crowd.joins, in_time, cost)
    }
}

/// Plays, and lets the players go. Gives what the measured time cost this process, and what was received in it.
async fn play(crowd: &mut Crowd, shared: &Shared, phases: Phases) -> (Cost, u64) {
    let dues = std::mem::take(&mut crowd.dues);
    let schedule = Schedule::new(&shared.script.actions, dues.len(), phases);
    if phases.warmup.is_zero() {
        // The first answers may be there before this task has its turn again.
        shared.tally.measure();
    }
    let began = Instant::now();
    let pacer = tokio::task::spawn_blocking(move || pace(schedule, &dues, began, phases));
    let until = |at| tokio::time::sleep_until(tokio::time::Instant::from_std(began + at));
    until(phases.warmup).await;
    shared.tally.measure();
    let (before, since) = (cpu::used(), Instant::now());
    until(phases.end()).await;
    let cpu = cpu::used().zip(before).map(|(after, before)| after.saturating_sub(before));
    let (cost, in_time) = (Cost { cpu, time: since.elapsed() }, shared.tally.received.load(Ordering::Relaxed));
    // It drops the players' channels, which tells them that there is nothing more to do.
    let _ = pacer.await;
    // Until all are answered, or have given up by themselves. Nobody is the reason for another's missing answer.
    let _ = crowd.busy.recv().await;
    crowd.leave.send_replace(true);
    (cost, in_time)
}

/// Tells each player when its turn has come. In a thread, for tokio's timers are exact to a millisecond only, which is more than many
/// of the latencies to be measured.
fn pace(schedule: Schedule, dues: &[mpsc::UnboundedSender<Due>], began: Instant, phases: Phases) {
    for turn in schedule {
        let at = began + turn.at;
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        let measured = turn.at >= phases.warmup;
        // One that has lost its room hears nothing more.
        let _ = dues[turn.player].send(Due { at, action: turn.action, n: turn.n, measured });
        if dues.iter().all(mpsc::UnboundedSender::is_closed) {
            return;
        }
    }
}
