//! Rooms that come and go: `churn`. One thread, one epoll, so many cycles at once.

mod cycle;

use super::dial::{Buffers, allow_sockets, dial};
use super::report::{Quantiles, ServerCost, thousandths};
use super::window::Window;
use super::{Failure, Plan};
use cycle::{Cycle, MESSAGES, PLAYERS};
use hdrhistogram::Histogram;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use serde::Serialize;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// Bytes taken from a socket at once.
const READ: usize = 64 * 1024;
/// Sockets reported by one wait.
const EVENTS: usize = 512;
/// How often is looked whether a cycle is stuck, and how long it may take.
const LOOK_NS: u64 = 100_000_000;
const PATIENCE_NS: u64 = 10_000_000_000;
/// How many violations are told in words; the rest is only counted.
const TOLD: usize = 20;

/// What to play, and against whom.
#[derive(Debug, Clone, Copy)]
pub struct ChurnOptions {
    /// The server.
    pub address: SocketAddr,
    /// The process whose CPU and context switches are measured.
    pub server_pid: Option<u32>,
    /// Cycles at once.
    pub flight: u32,
    /// How long; the pacing says nothing here.
    pub warmup_ns: u64,
    /// The measured window.
    pub window_ns: u64,
}

/// What a run gave.
#[derive(Debug, Clone, Serialize)]
pub struct ChurnReport {
    /// Cycles at once.
    pub flight: u32,
    /// Length of the measured window.
    pub seconds: f64,
    /// Cycles that ended in it.
    pub cycles: u64,
    /// The same by the second.
    pub cycles_per_s: f64,
    /// Cycles that began, warm-up included, and how many of them ended well.
    pub begun: u64,
    /// See there.
    pub ended: u64,
    /// Violations of order or completeness, and faults answered by the server.
    pub errors: u64,
    /// The first of them in words.
    pub violations: Vec<String>,
    /// From the first dial to the end of the second connection.
    pub latency_us: Quantiles,
    /// The generator's own CPU time in the window.
    pub client_cpu_s: f64,
    /// Whether the generator used all of its core: then it may have been the bottleneck.
    pub generator_full: bool,
    /// CPU time of everybody else on the machine in the window.
    pub others_cpu_s: f64,
    /// The server's CPU time by cycle.
    pub server_cpu_us_per_cycle: Option<f64>,
    /// What the window cost the server, when its process is known.
    pub server: Option<ServerCost>,
}

impl ChurnReport {
    /// Whether every cycle was whole and in order.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.errors == 0 && self.begun == self.ended
    }
}

/// Plays, drains and checks.
pub fn churn(options: &ChurnOptions) -> Result<ChurnReport, Failure> {
    allow_sockets(options.flight.saturating_mul(2))?;
    let mut churn = Churn::new(options)?;
    churn.run()?;
    churn.report()
}

/// One cycle with its sockets.
struct Slot {
    cycle: Cycle,
    sockets: [TcpStream; PLAYERS],
    begun_ns: u64,
}

struct Churn {
    options: ChurnOptions,
    plan: Plan,
    host: String,
    poll: OwnedFd,
    slots: Vec<Option<Slot>>,
    scratch: Vec<u8>,
    origin: Instant,
    window: Window,
    begun: u32,
    ended: u64,
    latency: Histogram<u64>,
    errors: u64,
    violations: Vec<String>,
}

impl Churn {
    fn new(options: &ChurnOptions) -> Result<Self, Failure> {
        let ChurnOptions { address, server_pid, flight, warmup_ns, window_ns } = *options;
        Ok(Self {
            options: *options,
            plan: Plan { pacing: super::Pacing::Closed { flight }, warmup_ns, window_ns },
            host: address.to_string(),
            poll: epoll::create(CreateFlags::CLOEXEC)?,
            slots: (0..flight).map(|_| None).collect(),
            scratch: vec![0; READ],
            origin: Instant::now(),
            window: Window::new(server_pid),
            begun: 0,
            ended: 0,
            latency: Histogram::new_with_bounds(1, 60_000_000_000, 3)?,
            errors: 0,
            violations: Vec::new(),
        })
    }

    fn run(&mut self) -> Result<(), Failure> {
        let mut events = Vec::with_capacity(EVENTS);
        for slot in 0..self.slots.len() {
            self.begin(slot)?;
        }
        let mut looked = 0;
        loop {
            let now = self.now();
            self.window.mark(&self.plan, now, self.ended)?;
            if now >= looked + LOOK_NS {
                looked = now;
                self.look(now)?;
            }
            if self.window.is_over() && self.slots.iter().all(Option::is_none) {
                return Ok(());
            }
            let until = self.window.next_due(&self.plan).unwrap_or(u64::MAX).min(looked + LOOK_NS);
            let pause = Timespec::try_from(Duration::from_nanos(until.saturating_sub(self.now())))?;
            match epoll::wait(&self.poll, spare_capacity(&mut events), Some(&pause)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in events.drain(..) {
                self.attend(event)?;
            }
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).expect("a run ends within 584 years")
    }

    /// Begins a cycle, unless the time is over.
    fn begin(&mut self, slot: usize) -> Result<(), Failure> {
        self.slots[slot] = None;
        let begun_ns = self.now();
        if begun_ns >= self.plan.end_ns() {
            return Ok(());
        }
        let number = self.begun;
        self.begun += 1;
        let place = |place: usize| -> Result<TcpStream, Failure> {
            let socket = dial(self.options.address, 0, Buffers::Default)?;
            // Both directions from the start and edges only, so that a connection needs to be registered only once.
            let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
            epoll::add(&self.poll, &socket, EventData::new_u64(ticket(number, slot, place)), flags)?;
            Ok(socket)
        };
        let sockets = [place(0)?, place(1)?];
        self.slots[slot] = Some(Slot { cycle: Cycle::new(number, &self.host), sockets, begun_ns });
        Ok(())
    }

    /// Something has happened to a socket.
    fn attend(&mut self, event: Event) -> Result<(), Failure> {
        let data = event.data.u64();
        let (slot, place) = seat(data);
        let Some(Slot { cycle, sockets, begun_ns }) = &mut self.slots[slot] else { return Ok(()) };
        if ticket(cycle.number(), slot, place) != data || cycle.is_gone(place) {
            return Ok(());
        }
        let begun_ns = *begun_ns;
        let flags = event.flags;
        let ending = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        let heard = read(&mut sockets[place], &mut self.scratch, ending, cycle, place).and_then(|()| {
            // What one of the two hears may make the other speak.
            (0..PLAYERS).try_for_each(|place| write(&mut sockets[place], cycle, place))
        });
        let over = cycle.is_over();
        if let Err(what) = heard {
            self.violation(what);
        } else if over {
            self.ended += 1;
            let now = self.now();
            if self.plan.in_window(now) {
                self.latency.saturating_record(now - begun_ns);
            }
        } else {
            return Ok(());
        }
        self.begin(slot)
    }

    /// Gives up cycles that are stuck.
    fn look(&mut self, now: u64) -> Result<(), Failure> {
        for slot in 0..self.slots.len() {
            let Some(stuck) = self.slots[slot].as_ref().filter(|slot| now > slot.begun_ns + PATIENCE_NS) else {
                continue;
            };
            let what = format!("{}: and then nothing more", stuck.cycle.describe());
            self.violation(what);
            self.begin(slot)?;
        }
        Ok(())
    }

    fn violation(&mut self, what: String) {
        self.errors += 1;
        if self.violations.len() < TOLD {
            self.violations.push(what);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn report(&self) -> Result<ChurnReport, Failure> {
        let cost = self.window.cost(u64::from(MESSAGES) * PLAYERS as u64)?;
        let by_cycle = |cpu_s: f64| thousandths(cpu_s * 1e6 / cost.done.max(1) as f64);
        Ok(ChurnReport {
            flight: self.options.flight,
            seconds: Duration::from_nanos(self.plan.window_ns).as_secs_f64(),
            cycles: cost.done,
            cycles_per_s: cost.done_per_s,
            begun: self.begun.into(),
            ended: self.ended,
            errors: self.errors,
            violations: self.violations.clone(),
            latency_us: Quantiles::of(&self.latency),
            client_cpu_s: cost.client_cpu_s,
            generator_full: cost.generator_full,
            others_cpu_s: cost.others_cpu_s,
            server_cpu_us_per_cycle: cost.server.map(|server| by_cycle(server.cpu_s)),
            server: cost.server,
        })
    }
}

/// What the poll says of a socket: its cycle too, for an event may come when its slot is another's already.
fn ticket(number: u32, slot: usize, place: usize) -> u64 {
    u64::from(number) << 32 | (slot * PLAYERS + place) as u64
}

fn seat(ticket: u64) -> (usize, usize) {
    let seat = (ticket & u64::from(u32::MAX)) as usize;
    (seat / PLAYERS, seat % PLAYERS)
}

/// Reads what is there; to the end, when that has come.
fn read(
    socket: &mut TcpStream,
    scratch: &mut [u8],
    ending: bool,
    cycle: &mut Cycle,
    place: usize,
) -> Result<(), String> {
    while !cycle.is_gone(place) {
        match socket.read(scratch) {
            Ok(0) => cycle.ended(place)?,
            Ok(len) => {
                cycle.hear(place, &scratch[..len])?;
                if len < scratch.len() && !ending {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => cycle.ended(place)?,
            Err(error) => return Err(format!("{}: {error}", cycle.describe())),
        }
    }
    Ok(())
}

/// Writes what is owed, as far as the socket takes it; the poll says when it takes more.
fn write(socket: &mut TcpStream, cycle: &mut Cycle, place: usize) -> Result<(), String> {
    while !cycle.is_gone(place) && !cycle.outgoing(place).is_empty() {
        match socket.write(cycle.outgoing(place)) {
            Ok(written) => drop(cycle.outgoing(place).drain(..written)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(format!("{}: {error}", cycle.describe())),
        }
    }
    Ok(())
}
