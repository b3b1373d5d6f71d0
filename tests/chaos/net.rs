//! A network that misbehaves as its seed wants: whatever lies between a client's end of a connection and the broker's.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::time::{Instant, sleep, sleep_until};

use crate::wire::{Direction, Line, Tap};

/// What goes wrong with a connection. Positions are bytes after the HTTP head.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    None,
    /// No connection at all.
    Refused,
    /// Ends at a position, for those whom it concerns.
    Cut(Direction, u64, Ends),
    /// Ends after a while.
    CutAfter(Duration, Ends),
    /// From a position on bytes vanish, in one direction or both, until after a while it ends.
    Hole(Holes, u64, Duration),
    /// One direction is closed in order, the other goes on.
    HalfClosed(Direction, u64),
    /// The client gets so few bytes at a time.
    Trickle(usize, Duration),
    /// From a position on nothing is taken any more, until after a while it goes on.
    Stuck(u64, Duration),
}

/// Who learns of a cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ends {
    Both,
    /// The broker takes the connection to be there still.
    Client,
    /// The client does.
    Broker,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Holes {
    Up,
    Down,
    Both,
}

impl Fault {
    /// What happens to the next connection.
    pub(crate) fn random(rng: &mut ChaCha8Rng) -> Self {
        // Around the exchange of hello and its answer, which is where coming back can go wrong, or anywhere.
        let position = match rng.random_range(0..10) {
            0..5 => rng.random_range(0..700),
            5..8 => rng.random_range(0..4_000),
            _ => rng.random_range(0..60_000),
        };
        let direction = if rng.random() { Direction::Up } else { Direction::Down };
        let while_ = Duration::from_millis(rng.random_range(0..6_000));
        let ends = match rng.random_range(0..8) {
            0..5 => Ends::Both,
            5..7 => Ends::Client,
            _ => Ends::Broker,
        };
        match rng.random_range(0..20) {
            0..2 => Self::None,
            2..4 => Self::Refused,
            4..10 => Self::Cut(direction, position, ends),
            10..13 => Self::CutAfter(while_, ends),
            13..16 => {
                let holes = [Holes::Up, Holes::Down, Holes::Both][rng.random_range(0..3)];
                Self::Hole(holes, position, while_ * 3)
            }
            16 => Self::HalfClosed(direction, position),
            17 => Self::Trickle(rng.random_range(16..200), Duration::from_millis(rng.random_range(1..30))),
            _ => Self::Stuck(position, while_),
        }
    }
}

/// How a connection is to behave.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) fault: Fault,
    /// Between a byte's going in and its coming out.
    pub(crate) latency: Duration,
    pub(crate) line: Line,
    /// When the network is whole again: what is wrong with a connection ends it then.
    pub(crate) heal: Instant,
}

/// Why bytes flow no more in one direction.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stop {
    /// The source has ended, and the drain has been told.
    Ended,
    /// The drain takes no more.
    Broken,
    Cut(Ends),
}

/// Carries bytes between a client and the broker until both are gone, or something goes wrong.
pub(crate) async fn carry<C, B>(client: C, broker: B, plan: Plan)
where
    C: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let heal = async {
        match plan.fault {
            Fault::None => pending().await,
            _ => sleep_until(plan.heal).await,
        }
    };
    let ((mut from_client, mut to_client), (mut from_broker, mut to_broker)) = (split(client), split(broker));
    let cut = async {
        match plan.fault {
            Fault::CutAfter(after, ends) => (sleep(after).await, ends).1,
            Fault::Hole(_, _, lasts) => (sleep(Duration::from_secs(2) + lasts).await, Ends::Both).1,
            _ => pending().await,
        }
    };
    let ends = tokio::select! {
        biased;
        () = heal => Ends::Both,
        ends = cut => ends,
        ends = both_ways(&mut from_client, &mut to_broker, &mut from_broker, &mut to_client, &plan) => ends,
    };
    plan.line.cut();
    match ends {
        Ends::Both => {}
        Ends::Client => {
            drop((from_client, to_client));
            swallow(&mut from_broker, &plan).await;
        }
        Ends::Broker => {
            drop((from_broker, to_broker));
            swallow(&mut from_client, &plan).await;
        }
    }
}

/// Keeps an end alive that has not learned of anything, until it goes by itself or the network is whole.
async fn swallow(from: &mut (impl AsyncRead + Unpin), plan: &Plan) {
    let mut scratch = vec![0; 1 << 10];
    let gone = async { while let Ok(1..) = from.read(&mut scratch).await {} };
    tokio::select! {
        biased;
        () = sleep_until(plan.heal) => {}
        () = gone => {}
    }
}

async fn both_ways<C: AsyncRead + AsyncWrite, B: AsyncRead + AsyncWrite>(
    from_client: &mut ReadHalf<C>,
    to_broker: &mut WriteHalf<B>,
    from_broker: &mut ReadHalf<B>,
    to_client: &mut WriteHalf<C>,
    plan: &Plan,
) -> Ends {
    let up = pump(from_client, to_broker, Direction::Up, plan);
    let down = pump(from_broker, to_client, Direction::Down, plan);
    let (mut up, mut down) = (std::pin::pin!(up), std::pin::pin!(down));
    let (first, is_up) = tokio::select! {
        biased;
        stop = &mut up => (stop, true),
        stop = &mut down => (stop, false),
    };
    let stop = match (first, is_up) {
        (Stop::Ended, true) => down.await,
        (Stop::Ended, false) => up.await,
        (stop, _) => stop,
    };
    match stop {
        Stop::Cut(ends) => ends,
        Stop::Ended | Stop::Broken => Ends::Both,
    }
}

async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    direction: Direction,
    plan: &Plan,
) -> Stop {
    let most = match plan.fault {
        Fault::Trickle(bytes, _) if direction == Direction::Down => bytes,
        _ => 4 << 10,
    };
    let mut buffer = vec![0; most];
    let mut head = Head::default();
    let mut passed = 0;
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else {
            if is_hole(plan.fault, direction, passed) {
                pending::<()>().await;
            }
            return if to.shutdown().await.is_ok() { Stop::Ended } else { Stop::Broken };
        };
        sleep(match plan.fault {
            Fault::Trickle(_, every) if direction == Direction::Down => every,
            _ => plan.latency,
        })
        .await;
        let bytes = &buffer[..count];
        let skipped = head.skip(bytes);
        let stop_at = stop_at(plan.fault, direction).map(|at| at.saturating_sub(passed) as usize);
        let body = count - skipped;
        let through = skipped + stop_at.map_or(body, |at| at.min(body));
        plan.line.heard(direction, &bytes[..through]);
        if to.write_all(&bytes[..through]).await.is_err() {
            return Stop::Broken;
        }
        passed += body as u64;
        if stop_at.is_none_or(|at| at >= body) || !head.ended() {
            continue;
        }
        match plan.fault {
            Fault::Cut(_, _, ends) => return Stop::Cut(ends),
            Fault::HalfClosed(..) => {
                return if to.shutdown().await.is_ok() { Stop::Ended } else { Stop::Broken };
            }
            Fault::Stuck(at, lasts) => {
                if passed - body as u64 <= at {
                    sleep(lasts).await;
                }
                plan.line.heard(direction, &bytes[through..]);
                if to.write_all(&bytes[through..]).await.is_err() {
                    return Stop::Broken;
                }
            }
            // What is in a hole is gone.
            _ => {}
        }
    }
}

/// The position at which something happens in this direction.
fn stop_at(fault: Fault, direction: Direction) -> Option<u64> {
    let (at, concerned) = match fault {
        Fault::Cut(which, at, _) | Fault::HalfClosed(which, at) => (at, which == direction),
        Fault::Hole(Holes::Up, at, _) => (at, direction == Direction::Up),
        Fault::Hole(Holes::Down, at, _) => (at, direction == Direction::Down),
        Fault::Hole(Holes::Both, at, _) => (at, true),
        Fault::Stuck(at, _) => (at, direction == Direction::Down),
        Fault::None | Fault::Refused | Fault::CutAfter(..) | Fault::Trickle(..) => return None,
    };
    concerned.then_some(at)
}

fn is_hole(fault: Fault, direction: Direction, passed: u64) -> bool {
    matches!(fault, Fault::Hole(..)) && stop_at(fault, direction).is_some_and(|at| passed > at)
}

/// Finds the end of an HTTP head.
#[derive(Debug, Default)]
pub(crate) struct Head {
    matched: usize,
}

impl Head {
    const END: &'static [u8] = b"\r\n\r\n";

    pub(crate) fn ended(&self) -> bool {
        self.matched == Self::END.len()
    }

    /// How many of these bytes still belong to the head.
    pub(crate) fn skip(&mut self, bytes: &[u8]) -> usize {
        for (at, byte) in bytes.iter().enumerate() {
            if self.ended() {
                return at;
            }
            self.matched = match *byte == Self::END[self.matched] {
                true => self.matched + 1,
                false => usize::from(*byte == b'\r'),
            };
        }
        bytes.len()
    }
}

/// Where a client gets its connections from.
#[derive(Clone, Debug)]
pub(crate) struct Weather {
    rng: Arc<Mutex<ChaCha8Rng>>,
    heal: Instant,
    tap: Tap,
    latency: Duration,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Anything may happen to any connection.
    Chaos,
    /// Every connection that is there at this moment is cut.
    Storm(Instant),
    Fair,
}

impl Weather {
    pub(crate) fn new(mut rng: ChaCha8Rng, heal: Instant, tap: Tap) -> Self {
        let latency = Duration::from_millis([0, 1, 5, 40, 120][rng.random_range(0..5)]);
        Self { rng: Arc::new(Mutex::new(rng)), heal, tap, latency, kind: Kind::Chaos }
    }

    /// Nothing happens but that all connections are cut at one moment.
    pub(crate) fn storm(self, at: Instant) -> Self {
        Self { kind: Kind::Storm(at), ..self }
    }

    /// Nothing happens.
    pub(crate) fn fair(self) -> Self {
        Self { kind: Kind::Fair, ..self }
    }

    /// How the next connection behaves.
    pub(crate) fn next(&self) -> Plan {
        let mut rng = self.rng.lock().unwrap();
        let now = Instant::now();
        let fault = match self.kind {
            Kind::Chaos if now < self.heal => Fault::random(&mut rng),
            Kind::Storm(at) if now < at => Fault::CutAfter(at - now, Ends::Both),
            _ => Fault::None,
        };
        let jitter = Duration::from_millis(rng.random_range(0..10));
        let line = self.tap.connects(&fault);
        Plan { fault, latency: self.latency + jitter, line, heal: self.heal }
    }
}

impl Plan {
    /// Whether a socket that is cut off is reset rather than closed.
    pub(crate) fn resets(&self) -> bool {
        matches!(self.fault, Fault::Cut(_, at, _) if at.is_multiple_of(2))
    }
}
