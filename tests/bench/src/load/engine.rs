//! The loop: send what is due, read what has come, measure inside the window, drain, judge.

use super::client::{Client, Listener};
use super::pacing::{Pacing, Plan, Schedule};
use super::report::{Quantiles, Report};
use super::window::Window;
use super::{Failure, Options};
use crate::check::Checker;
use crate::frames::ServerFrame;
use hdrhistogram::Histogram;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// Bytes taken from a socket at once.
const READ: usize = 64 * 1024;
/// Sockets reported by one wait.
const EVENTS: usize = 512;
/// How long the drain waits for a message before the rest counts as lost.
const DRAIN_PATIENCE_NS: u64 = 5_000_000_000;
/// How long the drain listens on when all has come, for what should not come.
const AFTERMATH_NS: u64 = 200_000_000;
/// How soon a full socket is tried again.
const RETRY_NS: u64 = 1_000_000;

/// One run over connected clients.
pub(super) struct Engine {
    poll: OwnedFd,
    clients: Vec<Client>,
    /// Clients with something to write.
    owing: Vec<u32>,
    scratch: Vec<u8>,
    origin: Instant,
    plan: Plan,
    /// Those who send are the first so many.
    senders: usize,
    hearers: u64,
    schedule: Option<Schedule>,
    window: Window,
    tally: Tally,
}

/// What has come in.
struct Tally {
    checker: Checker,
    /// The senders of messages that all have heard now, once for each.
    complete: Vec<u32>,
    delivered: u64,
    last_arrival_ns: u64,
    latency: Histogram<u64>,
    send_lag: Histogram<u64>,
}

impl Engine {
    /// Registers the sockets; nothing is sent yet.
    pub(super) fn new(options: &Options, clients: Vec<Client>) -> Result<Self, Failure> {
        let poll = epoll::create(CreateFlags::CLOEXEC)?;
        for (number, client) in (0..).zip(&clients) {
            epoll::add(&poll, &client.io, EventData::new_u64(number), EventFlags::IN)?;
        }
        // The kernel may otherwise wake us 50 us late, to save wake-ups.
        rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
        let senders = options.game.senders(options.layout);
        let histogram = || Histogram::new_with_bounds(1, 60_000_000_000, 3);
        Ok(Self {
            poll,
            clients,
            owing: Vec::new(),
            scratch: vec![0; READ],
            origin: Instant::now(),
            plan: options.plan,
            senders: senders.clients() as usize,
            hearers: u64::from(options.game.hearers(options.layout)),
            schedule: Schedule::new(&options.plan, senders),
            window: Window::new(options.server_pid),
            tally: Tally {
                checker: Checker::new(options.layout, options.game),
                complete: Vec::new(),
                delivered: 0,
                last_arrival_ns: 0,
                latency: histogram()?,
                send_lag: histogram()?,
            },
        })
    }

    /// Plays the plan to its end.
    pub(super) fn run(&mut self) -> Result<Report, Failure> {
        let mut events = Vec::with_capacity(EVENTS);
        self.origin = Instant::now();
        if let Pacing::Closed { flight } = self.plan.pacing {
            (0..self.senders).for_each(|client| self.send(client, 0, flight));
        }
        loop {
            let now = nanos(self.origin);
            self.window.mark(&self.plan, now, self.tally.delivered)?;
            self.send_due(now);
            self.write_owed()?;
            if self.is_over(now) {
                return self.judge();
            }
            self.wait(&mut events, now)?;
            for event in events.drain(..) {
                self.read_client(event.data.u64())?;
            }
        }
    }

    fn send_due(&mut self, now: u64) {
        while let Some((client, due)) = self.schedule.as_mut().and_then(|schedule| schedule.take_due(now)) {
            if self.plan.in_window(due) {
                self.tally.send_lag.saturating_record(now - due);
            }
            self.send(client as usize, due, 1);
        }
    }

    fn send(&mut self, client: usize, intended_ns: u64, messages: u32) {
        let number = u32::try_from(client).expect("clients are counted in 32 bits");
        let client = &mut self.clients[client];
        if !client.owes() {
            self.owing.push(number);
        }
        (0..messages).for_each(|_| client.queue_move(number, intended_ns));
    }

    /// One write per client that owes something; a full socket stays in the list.
    fn write_owed(&mut self) -> Result<(), Failure> {
        let mut full = Vec::new();
        for client in self.owing.drain(..) {
            if self.clients[client as usize].write_out()? {
                full.push(client);
            }
        }
        full.dedup();
        self.owing = full;
        Ok(())
    }

    /// Sleeps until something comes or something is due.
    fn wait(&self, events: &mut Vec<Event>, now: u64) -> Result<(), Failure> {
        let mut until = self.window.next_due(&self.plan).unwrap_or(now + AFTERMATH_NS);
        if let Some(due) = self.schedule.as_ref().and_then(Schedule::next_due) {
            until = until.min(due);
        }
        if !self.owing.is_empty() {
            until = until.min(now + RETRY_NS);
        }
        let pause = Duration::from_nanos(until.saturating_sub(nanos(self.origin)));
        let pause = Timespec::try_from(pause)?;
        match epoll::wait(&self.poll, spare_capacity(events), Some(&pause)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn read_client(&mut self, number: u64) -> Result<(), Failure> {
        let number = u32::try_from(number).expect("the data of an event is a client's number");
        let Self { clients, tally, scratch, origin, plan, .. } = self;
        let mut ear = Ear { receiver: number, tally, origin: *origin, plan, now: None };
        if clients[number as usize].read_in(scratch, &mut ear)? {
            self.owing.push(number);
        }
        let complete = std::mem::take(&mut self.tally.complete);
        if self.schedule.is_none() && !complete.is_empty() {
            let now = nanos(self.origin);
            if now < self.plan.end_ns() {
                complete.iter().for_each(|&client| self.send(client as usize, now, 1));
            }
        }
        self.tally.complete = complete;
        self.tally.complete.clear();
        Ok(())
    }

    /// Whether all is sent and all is received, or nothing comes any more.
    fn is_over(&self, now: u64) -> bool {
        if !self.window.is_over() || self.schedule.as_ref().and_then(Schedule::next_due).is_some() {
            return false;
        }
        let silence = now.saturating_sub(self.tally.last_arrival_ns.max(self.plan.end_ns()));
        let complete = self.tally.delivered >= self.expected();
        silence >= if complete { AFTERMATH_NS } else { DRAIN_PATIENCE_NS }
    }

    fn expected(&self) -> u64 {
        self.clients.iter().map(|client| u64::from(client.sent)).sum::<u64>() * self.hearers
    }

    fn judge(&mut self) -> Result<Report, Failure> {
        let sent: Vec<u32> = self.clients.iter().map(|client| client.sent).collect();
        self.tally.checker.finish(&sent);
        let cost = self.window.cost(1)?;
        let (errors, told) = self.tally.checker.violations();
        Ok(Report {
            kept: self.clients.iter().any(|client| client.kept.is_some()),
            hz: match self.plan.pacing {
                Pacing::Open { hz } => Some(hz),
                Pacing::Closed { .. } => None,
            },
            flight: match self.plan.pacing {
                Pacing::Open { .. } => None,
                Pacing::Closed { flight } => Some(flight),
            },
            seconds: Duration::from_nanos(self.plan.window_ns).as_secs_f64(),
            sent: sent.iter().map(|&sent| u64::from(sent)).sum(),
            delivered: self.tally.delivered,
            expected: self.expected(),
            errors,
            violations: told.to_vec(),
            window_deliveries: cost.done,
            deliveries_per_s: cost.done_per_s,
            latency_us: Quantiles::of(&self.tally.latency),
            send_lag_us: Quantiles::of(&self.tally.send_lag),
            client_cpu_s: cost.client_cpu_s,
            generator_full: cost.generator_full,
            others_cpu_s: cost.others_cpu_s,
            server: cost.server,
        })
    }
}

/// Listens for one client, for as long as one read takes.
struct Ear<'a> {
    receiver: u32,
    tally: &'a mut Tally,
    origin: Instant,
    plan: &'a Plan,
    /// One clock reading per read: all of these frames became readable together.
    now: Option<u64>,
}

impl Ear<'_> {
    fn now(&mut self) -> u64 {
        *self.now.get_or_insert_with(|| nanos(self.origin))
    }
}

impl Listener for Ear<'_> {
    fn repeat(&mut self, bytes: &[u8]) -> (u64, usize) {
        let now = self.now();
        let Self {
            receiver, tally: Tally { checker, complete, delivered, last_arrival_ns, latency, .. }, plan, ..
        } = self;
        let before = *delivered;
        let len = checker.repeat(*receiver, bytes, |arrival| {
            *delivered += 1;
            if arrival.complete {
                complete.push(arrival.client);
            }
            if plan.in_window(arrival.intended_ns) {
                latency.saturating_record(now.saturating_sub(arrival.intended_ns));
            }
        });
        if len > 0 {
            *last_arrival_ns = now;
        }
        (*delivered - before, len)
    }

    fn hear(&mut self, raw: &[u8], frame: &[u8]) -> Result<(), Failure> {
        let (receiver, now) = (self.receiver, self.now());
        let tally = &mut *self.tally;
        match ServerFrame::parse(frame)? {
            ServerFrame::Publish(publish) => {
                let arrival = tally.checker.publish(receiver, raw, &publish)?;
                tally.delivered += 1;
                tally.last_arrival_ns = now;
                if arrival.complete {
                    tally.complete.push(arrival.client);
                }
                if self.plan.in_window(arrival.intended_ns) {
                    tally.latency.saturating_record(now.saturating_sub(arrival.intended_ns));
                }
            }
            ServerFrame::Fault(op, rest) => {
                let text = String::from_utf8_lossy(rest);
                tally.checker.violation(|| format!("client {receiver}: the server answered with op {op}: {text:?}"));
            }
            _ => {}
        }
        Ok(())
    }
}

fn nanos(origin: Instant) -> u64 {
    u64::try_from(origin.elapsed().as_nanos()).expect("a run ends within 584 years")
}
