//! The loop: send what is due, read what has come, measure inside the window, drain, judge.

use super::client::Client;
use super::pacing::{Plan, Schedule};
use super::report::{Quantiles, Report, ServerCost, thousandths};
use super::sample::{Sample, machine_seconds};
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
    members: u64,
    schedule: Option<Schedule>,
    server: Option<String>,
    window: Window,
    tally: Tally,
}

/// The samples at both ends of the measured window, of the server and of this process.
#[derive(Default)]
struct Window {
    begun: Option<Moment>,
    ended: Option<Moment>,
}

struct Moment {
    delivered: u64,
    server: Option<Sample>,
    own: Sample,
    machine_seconds: f64,
}

/// What has come in.
struct Tally {
    checker: Checker,
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
        let histogram = || Histogram::new_with_bounds(1, 60_000_000_000, 3);
        Ok(Self {
            poll,
            clients,
            owing: Vec::new(),
            scratch: vec![0; READ],
            origin: Instant::now(),
            plan: options.plan,
            members: u64::from(options.layout.members),
            schedule: Schedule::new(&options.plan, options.layout),
            server: options.server_pid.map(|pid| pid.to_string()),
            window: Window::default(),
            tally: Tally {
                checker: Checker::new(options.layout),
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
        if self.schedule.is_none() {
            (0..self.clients.len()).for_each(|client| self.send(client, 0));
        }
        loop {
            let now = nanos(self.origin);
            self.mark_window(now)?;
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

    /// Takes the samples when the measured window begins and ends.
    fn mark_window(&mut self, now: u64) -> Result<(), Failure> {
        let due = match (&self.window.begun, &self.window.ended) {
            (None, _) => now >= self.plan.warmup_ns,
            (_, None) => now >= self.plan.end_ns(),
            _ => false,
        };
        if !due {
            return Ok(());
        }
        let server = self.server.as_deref().map(Sample::take).transpose()?;
        let moment = Moment {
            delivered: self.tally.delivered,
            server,
            own: Sample::take("self")?,
            machine_seconds: machine_seconds()?,
        };
        match self.window.begun {
            None => self.window.begun = Some(moment),
            Some(_) => self.window.ended = Some(moment),
        }
        Ok(())
    }

    fn send_due(&mut self, now: u64) {
        while let Some((client, due)) = self.schedule.as_mut().and_then(|schedule| schedule.take_due(now)) {
            if self.plan.in_window(due) {
                self.tally.send_lag.saturating_record(now - due);
            }
            self.send(client as usize, due);
        }
    }

    fn send(&mut self, client: usize, intended_ns: u64) {
        let number = u32::try_from(client).expect("clients are counted in 32 bits");
        self.clients[client].queue_move(number, intended_ns);
        self.owing.push(number);
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
        let mut until = match (&self.window.begun, &self.window.ended) {
            (None, _) => self.plan.warmup_ns,
            (_, None) => self.plan.end_ns(),
            _ => now + AFTERMATH_NS,
        };
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
        let mut own_returned = false;
        // One clock reading per read: all of these frames became readable together.
        let mut arrival = None;
        let owes = clients[number as usize].read_in(scratch, |frame| {
            let now = *arrival.get_or_insert_with(|| nanos(*origin));
            own_returned |= tally.handle_frame(number, frame, now, plan)? == Some(number);
            Ok(())
        })?;
        if owes {
            self.owing.push(number);
        }
        if own_returned && self.schedule.is_none() {
            let now = nanos(self.origin);
            if now < self.plan.end_ns() {
                self.send(number as usize, now);
            }
        }
        Ok(())
    }

    /// Whether all is sent and all is received, or nothing comes any more.
    fn is_over(&self, now: u64) -> bool {
        if self.window.ended.is_none() || self.schedule.as_ref().and_then(Schedule::next_due).is_some() {
            return false;
        }
        let silence = now.saturating_sub(self.tally.last_arrival_ns.max(self.plan.end_ns()));
        let complete = self.tally.delivered >= self.expected();
        silence >= if complete { AFTERMATH_NS } else { DRAIN_PATIENCE_NS }
    }

    fn expected(&self) -> u64 {
        self.clients.iter().map(|client| u64::from(client.sent)).sum::<u64>() * self.members
    }

    fn judge(&mut self) -> Result<Report, Failure> {
        let sent: Vec<u32> = self.clients.iter().map(|client| client.sent).collect();
        self.tally.checker.finish(&sent);
        let (begun, ended) =
            self.window.begun.take().zip(self.window.ended.take()).ok_or("the window was not measured")?;
        let window_deliveries = ended.delivered - begun.delivered;
        let server = begun.server.zip(ended.server);
        let server = server.map(|(before, after)| ServerCost::between(before, after, window_deliveries));
        let own = ended.own.cpu_seconds - begun.own.cpu_seconds;
        let ours = own + server.map_or(0.0, |server| server.cpu_s);
        let (errors, told) = self.tally.checker.violations();
        Ok(Report {
            kept: self.clients.iter().any(|client| client.kept.is_some()),
            seconds: Duration::from_nanos(self.plan.window_ns).as_secs_f64(),
            sent: sent.iter().map(|&sent| u64::from(sent)).sum(),
            delivered: self.tally.delivered,
            expected: self.expected(),
            errors,
            violations: told.to_vec(),
            window_deliveries,
            latency_us: Quantiles::of(&self.tally.latency),
            send_lag_us: Quantiles::of(&self.tally.send_lag),
            client_cpu_s: thousandths(own),
            others_cpu_s: thousandths((ended.machine_seconds - begun.machine_seconds - ours).max(0.0)),
            server,
        })
    }
}

impl Tally {
    /// Checks and measures one frame; the sender of the message in it.
    fn handle_frame(&mut self, receiver: u32, frame: &[u8], now: u64, plan: &Plan) -> Result<Option<u32>, Failure> {
        match ServerFrame::parse(frame)? {
            ServerFrame::Publish(publish) => {
                let message = self.checker.handle_publish(receiver, &publish)?;
                self.delivered += 1;
                self.last_arrival_ns = now;
                if plan.in_window(message.intended_ns) {
                    self.latency.saturating_record(now.saturating_sub(message.intended_ns));
                }
                Ok(Some(message.client))
            }
            ServerFrame::Fault(op, rest) => {
                let text = String::from_utf8_lossy(rest);
                self.checker.violation(|| format!("client {receiver}: the server answered with op {op}: {text:?}"));
                Ok(None)
            }
            _ => Ok(None),
        }
    }
}

fn nanos(origin: Instant) -> u64 {
    u64::try_from(origin.elapsed().as_nanos()).expect("a run ends within 584 years")
}
