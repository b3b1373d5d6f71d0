//! The scenarios: what is done to a crowd, and when is looked.

use super::super::dial::allow_sockets;
use super::super::report::{Quantiles, thousandths};
use super::super::sample::Sample;
use super::super::workers::{self, Workers};
use super::super::{Failure, Stay};
use super::report::{Crash, CrowdReport, Idle, Stalled, Storm, latencies};
use super::tally::Phase;
use super::{Cast, Crowd, is_in};
use crate::check::Layout;
use std::net::SocketAddr;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long a server gets to settle before its memory is looked at.
const SETTLE: Duration = Duration::from_secs(2);
/// How long everybody gets to come back before the run is given up.
const RETURN_NS: u64 = 60_000_000_000;
/// How often memory is looked at while it may grow.
const LOOK: Duration = Duration::from_millis(500);
/// The room that nothing happens to, in `storm`: its members, and how often one of them sends.
const BYSTANDERS: Layout = Layout { rooms: 1, members: 10 };
const BYSTANDERS_HZ: f64 = 200.0;

/// Against whom a scenario is played, and how large.
#[derive(Debug, Clone, Copy)]
pub struct Scene {
    /// The server.
    pub address: SocketAddr,
    /// Its process.
    pub server_pid: u32,
    /// Rooms and their members, a sender among them.
    pub layout: Layout,
    /// Whether sessions are kept.
    pub stay: Stay,
    /// Messages of each room's sender a second.
    pub hz: f64,
    /// How long latency is measured before something happens, and again in `stalled` while it goes on.
    pub window: Duration,
    /// How many members of each room stop reading, in `stalled`.
    pub stalling: u32,
    /// How often a worker process is killed, in `crash`, besides once that does not count.
    pub kills: u32,
}

impl Scene {
    fn crowd(&self, stalling: u32, hz: f64, phase: &Phase) -> Result<Crowd, Failure> {
        let Self { address, layout, stay, .. } = *self;
        Crowd::new(Cast { address, layout, stay, hz, name: "crowd", stalling }, phase.clone())
    }

    fn rss_kib(&self) -> Result<u64, Failure> {
        Ok(Sample::take(&self.server_pid.to_string())?.rss_kib)
    }
}

/// Sessions come and do nothing.
pub fn idle(scene: &Scene) -> Result<CrowdReport, Failure> {
    let sessions = scene.layout.clients();
    allow_sockets(sessions)?;
    let mut crowd = scene.crowd(0, 0.0, &Phase::default())?;
    let rss_before_kib = scene.rss_kib()?;
    crowd.enter()?;
    let enter_s = seconds(crowd.now());
    crowd.run_for(SETTLE)?;
    let rss_kib = scene.rss_kib()?;
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let bytes = rss_kib.saturating_sub(rss_before_kib) as f64 * 1024.0;
    Ok(CrowdReport::Idle(Idle {
        kept: scene.stay == Stay::Kept,
        sessions,
        rooms: scene.layout.rooms,
        rss_before_kib,
        rss_kib,
        kib_per_session: thousandths(bytes / 1024.0 / f64::from(sessions)),
        bytes_per_session: thousandths(bytes / f64::from(sessions)),
        enter_s,
        violations: crowd.tally.violations().1,
    }))
}

/// Some readers of each room stop reading for a while.
pub fn stalled(scene: &Scene) -> Result<CrowdReport, Failure> {
    allow_sockets(scene.layout.clients())?;
    let phase = Phase::default();
    let mut crowd = scene.crowd(scene.stalling, scene.hz, &phase)?;
    crowd.enter()?;
    crowd.run_for(SETTLE)?;
    phase.set(Phase::BEFORE);
    crowd.run_for(scene.window)?;
    let rss_before_kib = scene.rss_kib()?;
    crowd.stall()?;
    phase.set(Phase::DURING);
    let end = crowd.now() + u64::try_from(scene.window.as_nanos())?;
    let mut most = rss_before_kib;
    while crowd.now() < end {
        crowd.run_for(LOOK)?;
        most = most.max(scene.rss_kib()?);
    }
    phase.set(Phase::NONE);
    let views = crowd.tally.views;
    crowd.unstall()?;
    let stalled = crowd.stalling();
    // Who was not cut has everything behind it once it has read what the kernel kept; that takes a moment.
    crowd.run_for(SETTLE)?;
    crowd.run(RETURN_NS, Crowd::is_complete)?;
    let (before_us, during_us, p99_ratio) = latencies(&crowd.tally);
    let growth_kib = most - rss_before_kib;
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let growth_kib_per_stalled = growth_kib as f64 / f64::from((stalled.end - stalled.start).max(1));
    Ok(CrowdReport::Stalled(Stalled {
        clients: scene.layout.clients(),
        stalled: stalled.end - stalled.start,
        before_us,
        during_us,
        p99_ratio,
        rss_before_kib,
        growth_kib,
        growth_kib_per_stalled: thousandths(growth_kib_per_stalled),
        cut: crowd.tally.cut,
        views: crowd.tally.views - views,
        back: count(crowd.members.iter().filter(|member| is_in(member))),
        violations: crowd.tally.violations().1,
    }))
}

/// Everybody is cut off at once, but for the rooms' senders and one room.
pub fn storm(scene: &Scene) -> Result<CrowdReport, Failure> {
    allow_sockets(scene.layout.clients() + BYSTANDERS.clients())?;
    let phase = Phase::default();
    let others = bystanders(scene, &phase);
    let mut crowd = scene.crowd(0, scene.hz, &phase)?;
    crowd.enter()?;
    crowd.run_for(SETTLE)?;
    phase.set(Phase::BEFORE);
    crowd.run_for(scene.window)?;
    phase.set(Phase::DURING);
    let begun = crowd.now();
    let dropped = crowd.drop_all();
    crowd.run(RETURN_NS, Crowd::is_complete)?;
    let back_s = seconds(crowd.tally.last_in_ns.saturating_sub(begun));
    // As long as before, however soon they are back: a few dozen messages would have no 99th percentile.
    let window = u64::try_from(scene.window.as_nanos())?;
    crowd.run_for(Duration::from_nanos((begun + window).saturating_sub(crowd.now())))?;
    phase.set(Phase::OVER);
    let others = others.join().map_err(|_| "the bystanders' thread panicked")??;
    // What follows now shows whether those who are back go on without a gap.
    crowd.run_for(SETTLE)?;
    let (before_us, during_us, p99_ratio) = latencies(&others.tally);
    let senders = scene.layout.rooms as usize;
    let violations = [crowd.tally.violations().1, others.tally.violations().1].concat();
    Ok(CrowdReport::Storm(Storm {
        dropped,
        back: count(crowd.members[senders..].iter().filter(|member| is_in(member))),
        back_s,
        failed_attempts: crowd.tally.failed,
        failure: crowd.tally.failure.clone(),
        recovered: crowd.tally.recovered,
        views: crowd.tally.views,
        lost: crowd.tally.lost,
        before_us,
        during_us,
        p99_ratio,
        violations,
    }))
}

/// The process of all rooms' handlers is killed again and again, while another is there to take over.
pub fn crash(scene: &Scene) -> Result<CrowdReport, Failure> {
    allow_sockets(scene.layout.clients())?;
    let workers = Workers::of(scene.address, scene.server_pid)?;
    if workers.processes() != 2 {
        return Err(format!("the server has {} worker processes, not two", workers.processes()).into());
    }
    let phase = Phase::default();
    let mut crowd = scene.crowd(0, scene.hz, &phase)?;
    crowd.enter()?;
    crowd.run_for(SETTLE)?;
    phase.set(Phase::BEFORE);
    crowd.run_for(scene.window)?;
    phase.set(Phase::NONE);
    // At first the rooms are with both processes. From the first kill on nearly all are with the older one, as its successor mostly
    // comes when they have moved already: from the second on, a kill is one of nearly every room's process.
    kill_and_wait(&mut crowd, &workers)?;
    crowd.tally.pauses.forget();
    for _ in 0..scene.kills {
        kill_and_wait(&mut crowd, &workers)?;
    }
    crowd.drain(RETURN_NS)?;
    Ok(CrowdReport::Crash(Crash {
        rooms: scene.layout.rooms,
        members: scene.layout.members,
        processes: workers.processes(),
        kills: scene.kills,
        pause_us: Quantiles::of(crowd.tally.pauses.all()),
        before_us: Quantiles::of(crowd.tally.before()),
        disconnected: crowd.tally.disconnected,
        views: crowd.tally.views,
        violations: crowd.tally.violations().1,
    }))
}

/// Until every room has gone on, and there are two processes again.
fn kill_and_wait(crowd: &mut Crowd, workers: &Workers) -> Result<(), Failure> {
    let oldest = workers.oldest()?;
    crowd.await_rooms();
    workers::kill(oldest)?;
    if !crowd.run(RETURN_NS, |crowd| crowd.tally.pauses.are_over())? {
        let (left, told) = (crowd.tally.pauses.left(), crowd.tally.violations().1);
        return Err(format!("{left} rooms have said nothing since their process was killed: {told:?}").into());
    }
    let end = crowd.now() + RETURN_NS;
    while !workers.are_complete_without(oldest)? {
        if crowd.now() >= end {
            return Err("no worker process has taken the place of the one that was killed".into());
        }
        crowd.run_for(LOOK)?;
    }
    Ok(())
}

/// A room of its own on a thread of its own, so that it does not wait for the crowd on our side; until the phase is over.
fn bystanders(scene: &Scene, phase: &Phase) -> JoinHandle<Result<Crowd, String>> {
    let cast = Cast {
        address: scene.address,
        layout: BYSTANDERS,
        stay: scene.stay,
        hz: BYSTANDERS_HZ,
        name: "bystanders",
        stalling: 0,
    };
    let phase = phase.clone();
    thread::spawn(move || {
        let played = || -> Result<Crowd, Failure> {
            let mut crowd = Crowd::new(cast, phase.clone())?;
            crowd.enter()?;
            crowd.run(u64::MAX / 4, |_| phase.get() == Phase::OVER)?;
            Ok(crowd)
        };
        played().map_err(|error| error.to_string())
    })
}

fn count<T>(items: impl Iterator<Item = T>) -> u32 {
    u32::try_from(items.count()).expect("clients are counted in 32 bits")
}

fn seconds(ns: u64) -> f64 {
    thousandths(Duration::from_nanos(ns).as_secs_f64())
}
