//! Did every client see what it should, once and in order? State machines over publishes, without I/O or clock.
//!
//! Where all members of a room hear the same, all must get the same bytes: the first to get a message has it looked at, and the
//! others are compared with it (`history`). Where each hears its neighbours only, every message is looked at wherever it
//! arrives (`near`). Whatever is not right is a violation, counted, the first few with words.

mod history;
mod near;

use crate::frames::Publish;
use crate::moves::Move;
use crate::scan::Malformed;
use history::History;
use near::Near;

/// How many violations are told in words; the rest is only counted.
const TOLD: usize = 20;

/// Which client is in which room: client `c` is in room `c % rooms`, so that neighbours in time are in different rooms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// How many rooms.
    pub rooms: u32,
    /// How many clients in each.
    pub members: u32,
}

impl Layout {
    /// All clients.
    #[must_use]
    pub fn clients(self) -> u32 {
        self.rooms * self.members
    }

    /// The room of a client.
    #[must_use]
    pub fn room(self, client: u32) -> u32 {
        client % self.rooms
    }

    /// A client's place in its room.
    #[must_use]
    pub fn place(self, client: u32) -> u32 {
        client / self.rooms
    }
}

/// Who sends, and who hears it. Senders hear themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Game {
    /// Every member sends, and all of its room hear it.
    Everyone,
    /// The first member of each room sends, and all hear it.
    Fanout,
    /// The members of a room stand in a ring. Each sends, and so many of its neighbours hear it, half of them on either side.
    Ring(u32),
}

impl Game {
    /// Those who send: they have the lowest numbers.
    #[must_use]
    pub fn senders(self, layout: Layout) -> Layout {
        match self {
            Game::Fanout => Layout { members: 1, ..layout },
            Game::Everyone | Game::Ring(_) => layout,
        }
    }

    /// How many get each message.
    #[must_use]
    pub fn hearers(self, layout: Layout) -> u32 {
        match self {
            Game::Everyone | Game::Fanout => layout.members,
            Game::Ring(neighbours) => neighbours + 1,
        }
    }
}

/// A message that has arrived where it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Who sent it.
    pub client: u32,
    /// When it should have been sent.
    pub intended_ns: u64,
    /// Whether all who should hear it have done so now.
    pub complete: bool,
}

/// Watches all clients of a run.
#[derive(Debug)]
pub struct Checker {
    watch: Watch,
    faults: Faults,
}

#[derive(Debug)]
enum Watch {
    /// By room.
    Alike(Vec<History>),
    Near(Near),
}

impl Checker {
    /// Begins before the first message.
    #[must_use]
    pub fn new(layout: Layout, game: Game) -> Self {
        let watch = match game {
            Game::Everyone | Game::Fanout => {
                Watch::Alike((0..layout.rooms).map(|room| History::new(layout, room)).collect())
            }
            Game::Ring(neighbours) => Watch::Near(Near::new(layout, neighbours)),
        };
        Self { watch, faults: Faults::default() }
    }

    /// Passes over the messages at the start of `bytes` that another member of the receiver's room got before, byte for byte
    /// the same and in the same order. How many bytes that is.
    pub fn repeat(&mut self, receiver: u32, bytes: &[u8], arrived: impl FnMut(Arrival)) -> usize {
        match &mut self.watch {
            Watch::Alike(rooms) => {
                let room = receiver as usize % rooms.len();
                rooms[room].repeat(receiver, bytes, arrived)
            }
            Watch::Near(_) => 0,
        }
    }

    /// A message that [`repeat`](Self::repeat) did not pass over; `raw` is its WebSocket frame. It has arrived even where something was
    /// wrong with its place.
    pub fn publish(&mut self, receiver: u32, raw: &[u8], publish: &Publish<'_>) -> Result<Arrival, Malformed> {
        let message = Move::decode(publish.payload)?;
        let (seq, index) = (publish.seq, publish.index);
        if index != 0 {
            self.faults.tell(|| format!("client {receiver}: seq {seq} has an output {index}, expected only 0"));
        }
        let complete = match &mut self.watch {
            Watch::Alike(rooms) => {
                let room = receiver as usize % rooms.len();
                rooms[room].publish(receiver, raw, seq, message, &mut self.faults)
            }
            Watch::Near(near) => near.publish(receiver, seq, message, &mut self.faults),
        };
        Ok(Arrival { client: message.client, intended_ns: message.intended_ns, complete })
    }

    /// Something wrong that was seen elsewhere.
    pub fn violation(&mut self, what: impl FnOnce() -> String) {
        self.faults.tell(what);
    }

    /// After the drain: has everybody got all that was sent (per client, by number)?
    pub fn finish(&mut self, sent: &[u32]) {
        match &self.watch {
            Watch::Alike(rooms) => rooms.iter().for_each(|room| room.finish(sent, &mut self.faults)),
            Watch::Near(near) => near.finish(sent, &mut self.faults),
        }
    }

    /// How many, and the first of them in words.
    #[must_use]
    pub fn violations(&self) -> (u64, &[String]) {
        (self.faults.count, &self.faults.told)
    }
}

/// What was not right.
#[derive(Debug, Default)]
struct Faults {
    count: u64,
    told: Vec<String>,
}

impl Faults {
    fn tell(&mut self, what: impl FnOnce() -> String) {
        self.count += 1;
        if self.told.len() < TOLD {
            self.told.push(what());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::{ServerFrame, publish};

    /// What one client gets of one room: `(seq, client, number)`.
    pub(super) type Seen<'a> = &'a [(u64, u32, u32)];

    /// One after the other, as a client does it.
    pub(super) fn feed(checker: &mut Checker, receiver: u32, history: Seen<'_>) {
        for &(seq, client, number) in history {
            let mut payload = Vec::new();
            Move { client, number, intended_ns: seq }.encode(&mut payload);
            let frame = publish(1, seq, &payload);
            let mut arrived = 0;
            if checker.repeat(receiver, &frame, |_| arrived += 1) == 0 {
                let Ok(ServerFrame::Publish(publish)) = ServerFrame::parse(&frame) else { panic!("no publish") };
                checker.publish(receiver, &frame, &publish).unwrap();
                arrived += 1;
            }
            assert_eq!(arrived, 1);
        }
    }

    #[test]
    fn an_unknown_output_is_found() {
        let mut checker = Checker::new(Layout { rooms: 1, members: 1 }, Game::Everyone);
        let mut payload = Vec::new();
        Move { client: 0, number: 0, intended_ns: 0 }.encode(&mut payload);
        let second_output = Publish { room: 1, seq: 2, index: 1, kind: 0, payload: &payload };
        checker.publish(0, &[], &second_output).unwrap();
        assert_eq!(checker.violations().0, 1);
    }

    #[test]
    fn only_the_first_violations_are_told_but_all_are_counted() {
        let mut checker = Checker::new(Layout { rooms: 1, members: 2 }, Game::Everyone);
        (0..100).for_each(|n| checker.violation(|| format!("number {n}")));
        assert_eq!(checker.violations().0, 100);
        assert_eq!(checker.violations().1.len(), TOLD);
    }
}
