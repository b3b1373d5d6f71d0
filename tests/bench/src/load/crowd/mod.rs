//! Clients in numbers that lose their connections, come back, or stop reading, or whose
//! rooms' process dies: what `idle`, `stalled`, `storm` and `crash` are played by.
//!
//! One thread and one epoll, as in the engine, but connecting never blocks either, so that thousands can come back at once.
//! One member of each room sends; the others only read.

mod backoff;
mod member;
mod pauses;
mod report;
mod scenario;
mod tally;

pub use report::{Crash, CrowdReport, Idle, Stalled, Storm};
pub use scenario::{Scene, crash, idle, stalled, storm};

use super::dial::{Buffers, dial};
use super::pacing::Schedule;
use super::{Failure, Pacing, Plan, Stay};
use crate::check::Layout;
use member::{Hearing, Member, Stage};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};
use tally::{Phase, Tally};

/// Bytes taken from a socket at once.
const READ: usize = 64 * 1024;
/// Sockets reported by one wait.
const EVENTS: usize = 512;
/// How soon a full socket is tried again.
const RETRY_NS: u64 = 1_000_000;
/// How often whoever runs a crowd is asked whether it is over.
const ASK_NS: u64 = 10_000_000;
/// How many enter at a time: fewer than the backlog of a listening socket.
const ENTER_AT_ONCE: usize = 100;
/// How long so many may take.
const ENTER_PATIENCE_NS: u64 = 30_000_000_000;
/// How long a connection and its hello may take, as in the client libraries.
const ATTEMPT_NS: u64 = 10_000_000_000;

/// What a crowd is made of.
#[derive(Debug, Clone)]
struct Cast {
    address: SocketAddr,
    layout: Layout,
    stay: Stay,
    /// Messages of each room's sender a second; 0 for none.
    hz: f64,
    /// Part of the rooms' names, so that crowds do not mix.
    name: &'static str,
    /// The last so many members of each room, who may stop reading.
    stalling: u32,
}

/// Clients and their rooms.
struct Crowd {
    cast: Cast,
    poll: OwnedFd,
    members: Vec<Member>,
    /// Who connects when; also who is given up when.
    due: BinaryHeap<Reverse<(u64, u32)>>,
    owing: Vec<u32>,
    scratch: Vec<u8>,
    origin: Instant,
    /// When sending began.
    schedule: Option<(u64, Schedule)>,
    tally: Tally,
}

impl Crowd {
    fn new(cast: Cast, phase: Phase) -> Result<Self, Failure> {
        let Cast { layout, stay, name, .. } = cast.clone();
        let member = |number| Member::new(number, format!("{name}-{}", layout.room(number)), stay == Stay::Kept);
        Ok(Self {
            cast,
            poll: epoll::create(CreateFlags::CLOEXEC)?,
            members: (0..layout.clients()).map(member).collect(),
            due: BinaryHeap::new(),
            owing: Vec::new(),
            scratch: vec![0; READ],
            origin: Instant::now(),
            schedule: None,
            tally: Tally::new(phase)?,
        })
    }

    /// Brings everybody in, then begins to send.
    fn enter(&mut self) -> Result<(), Failure> {
        let all: Vec<u32> = (0..self.cast.layout.clients()).collect();
        for some in all.chunks(ENTER_AT_ONCE) {
            let now = self.now();
            self.due.extend(some.iter().map(|&number| Reverse((now, number))));
            let last = *some.last().expect("a chunk is not empty") as usize;
            let first = some[0] as usize;
            if !self.run(ENTER_PATIENCE_NS, |crowd| crowd.members[first..=last].iter().all(is_in))? {
                let (_, told) = self.tally.violations();
                return Err(format!("clients {first} to {last} are not all in: {told:?}").into());
            }
        }
        let plan = Plan { pacing: Pacing::Open { hz: self.cast.hz }, warmup_ns: 0, window_ns: u64::MAX / 4 };
        if self.cast.hz > 0.0 {
            // The first member of each room, whose number is the room's.
            let senders = Layout { rooms: self.cast.layout.rooms, members: 1 };
            self.schedule = Schedule::new(&plan, senders).map(|schedule| (self.now(), schedule));
        }
        Ok(())
    }

    fn run_for(&mut self, time: Duration) -> Result<(), Failure> {
        self.run(u64::try_from(time.as_nanos())?, |_| false).map(drop)
    }

    /// Goes on until it is `over`, which is the answer, or the time is.
    fn run(&mut self, time_ns: u64, mut over: impl FnMut(&Self) -> bool) -> Result<bool, Failure> {
        let end = self.now() + time_ns;
        let mut events = Vec::with_capacity(EVENTS);
        let mut asked = 0;
        loop {
            let now = self.now();
            if now >= asked + ASK_NS {
                asked = now;
                if over(self) {
                    return Ok(true);
                }
            }
            if now >= end {
                return Ok(false);
            }
            self.connect_due(now);
            self.send_due(now);
            self.write_owed(now);
            self.wait(&mut events, now)?;
            for event in events.drain(..) {
                let number = u32::try_from(event.data.u64()).expect("the data of an event is a client's number");
                self.attend(number);
            }
        }
    }

    fn is_complete(&self) -> bool {
        self.members.iter().all(is_in)
    }

    /// Members that may stop reading.
    fn stalling(&self) -> std::ops::Range<u32> {
        let layout = self.cast.layout;
        layout.rooms * (layout.members - self.cast.stalling)..layout.clients()
    }

    /// From now on these do not read.
    fn stall(&mut self) -> Result<(), Failure> {
        for number in self.stalling() {
            let member = &mut self.members[number as usize];
            member.stalled = true;
            if let Some(io) = &member.io {
                epoll::delete(&self.poll, io)?;
            }
        }
        Ok(())
    }

    /// They read again.
    fn unstall(&mut self) -> Result<(), Failure> {
        for number in self.stalling() {
            let member = &mut self.members[number as usize];
            if let Some(io) = &member.io {
                epoll::add(&self.poll, io, EventData::new_u64(number.into()), EventFlags::IN)?;
            }
        }
        Ok(())
    }

    /// Cuts everybody off but the rooms' senders; they come back by their back-off.
    fn drop_all(&mut self) -> u32 {
        let now = self.now();
        let dropped = self.cast.layout.rooms..self.cast.layout.clients();
        for number in dropped.clone() {
            self.lose(number, now);
        }
        dropped.end - dropped.start
    }

    /// From now on it is looked for each room's next output.
    fn await_rooms(&mut self) {
        let now = self.now();
        let senders = &self.members[..self.cast.layout.rooms as usize];
        self.tally.pauses.begin(now, senders.iter().map(|sender| sender.sent));
    }

    /// Sends no more, and waits until everybody has been told everything; whoever has not is a violation.
    fn drain(&mut self, time_ns: u64) -> Result<(), Failure> {
        self.schedule = None;
        self.run(time_ns, |crowd| crowd.owing.is_empty() && crowd.lacking().next().is_none())?;
        for number in self.lacking().collect::<Vec<_>>() {
            self.tally.violation(|| format!("client {number}: the last messages are missing"));
        }
        Ok(())
    }

    /// Members who have not been told all that their room's sender has sent.
    fn lacking(&self) -> impl Iterator<Item = u32> {
        let sent = |member: &Member| self.members[self.cast.layout.room(member.number) as usize].sent;
        self.members.iter().filter(move |member| !member.has_all(sent(member))).map(|member| member.number)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).expect("a run ends within 584 years")
    }

    fn connect_due(&mut self, now: u64) {
        while let Some(&Reverse((due, number))) = self.due.peek()
            && due <= now
        {
            self.due.pop();
            match self.members[number as usize].stage {
                Stage::Away => self.connect(number, now),
                Stage::Upgrading | Stage::Greeting | Stage::Joining => self.lose(number, now),
                Stage::CatchingUp | Stage::In => {}
            }
        }
    }

    fn connect(&mut self, number: u32, now: u64) {
        let buffers = if self.stalling().contains(&number) { Buffers::Small } else { Buffers::Default };
        let begun = dial(self.cast.address, number, buffers).and_then(|io| {
            epoll::add(&self.poll, &io, EventData::new_u64(number.into()), EventFlags::IN | EventFlags::OUT)?;
            Ok(io)
        });
        match begun {
            Ok(io) => {
                self.members[number as usize].begin(io, self.cast.address, now);
                self.due.push(Reverse((now + ATTEMPT_NS, number)));
            }
            Err(error) => {
                self.tally.violation(|| format!("client {number} cannot connect: {error}"));
                self.lose(number, now);
            }
        }
    }

    /// The connection is over, whoever ended it.
    fn lose(&mut self, number: u32, now: u64) {
        let member = &mut self.members[number as usize];
        member.part(now);
        self.due.push(Reverse((now + member.backoff.pause_ns(), number)));
    }

    fn send_due(&mut self, now: u64) {
        let Some((begun, schedule)) = &mut self.schedule else { return };
        while let Some((room, due)) = schedule.take_due(now - *begun) {
            self.members[room as usize].queue_move(*begun + due);
            self.owing.push(room);
        }
    }

    /// One write per client that owes something; a full socket stays in the list.
    fn write_owed(&mut self, now: u64) {
        let mut full = Vec::new();
        for number in std::mem::take(&mut self.owing) {
            match self.members[number as usize].write_out() {
                Ok(true) => full.push(number),
                Ok(false) => {}
                Err(error) => self.broken(number, &error.to_string(), now),
            }
        }
        full.dedup();
        self.owing = full;
    }

    fn wait(&self, events: &mut Vec<Event>, now: u64) -> Result<(), Failure> {
        let mut until = now + ASK_NS;
        if let Some(due) = self.schedule.as_ref().and_then(|(begun, schedule)| Some(begun + schedule.next_due()?)) {
            until = until.min(due);
        }
        if let Some(Reverse((due, _))) = self.due.peek() {
            until = until.min(*due);
        }
        if !self.owing.is_empty() {
            until = until.min(now + RETRY_NS);
        }
        let pause = Timespec::try_from(Duration::from_nanos(until.saturating_sub(self.now())))?;
        match epoll::wait(&self.poll, spare_capacity(events), Some(&pause)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Something has happened to a client's socket.
    fn attend(&mut self, number: u32) {
        let now = self.now();
        let room = self.cast.layout.room(number);
        let room_sent = self.members[room as usize].sent;
        let member = &mut self.members[number as usize];
        let connecting = member.stage == Stage::Upgrading && member.owes();
        let mut hearing = Hearing { now_ns: now, room, room_sent, tally: &mut self.tally };
        let heard = if connecting {
            member.write_out().map(drop).map_err(|error| error.to_string())
        } else {
            member.read_in(&mut self.scratch, &mut hearing)
        };
        if let Err(why) = heard {
            self.broken(number, &why, now);
            return;
        }
        if connecting
            && !member.owes()
            && let Some(io) = &member.io
        {
            // The request is out; from here on only answers are waited for.
            let _ = epoll::modify(&self.poll, io, EventData::new_u64(number.into()), EventFlags::IN);
        } else if member.owes() {
            self.owing.push(number);
        }
    }

    /// The server or the network has ended a connection. Only those that did not read may expect that.
    fn broken(&mut self, number: u32, why: &str, now: u64) {
        let member = &mut self.members[number as usize];
        if std::mem::take(&mut member.stalled) {
            self.tally.cut += 1;
        } else if matches!(member.stage, Stage::In | Stage::CatchingUp) {
            self.tally.disconnected += 1;
            self.tally.violation(|| format!("client {number} was in its room: {why}"));
        } else {
            self.tally.failed(why);
        }
        self.lose(number, now);
    }
}

fn is_in(member: &Member) -> bool {
    member.stage == Stage::In
}
