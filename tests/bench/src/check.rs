//! Did every client see one complete history? A state machine over publishes, without I/O or clock.
//!
//! Per room all members must see the same outputs under the same places, numbered without a hole; per sender every
//! message exactly once and in order. Whatever breaks this is a violation, counted, the first few with words.

use crate::frames::Publish;
use crate::moves::Move;
use crate::scan::Malformed;

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
    fn member(self, client: u32) -> usize {
        (client / self.rooms) as usize
    }
}

/// What one client has seen so far.
#[derive(Debug)]
struct Seen {
    last_seq: Option<u64>,
    /// Depends on every (seq, index, payload) in their order.
    chain: u64,
    /// Per member of the room: the message number that must come next.
    next: Vec<u32>,
}

/// Watches all clients of a run.
#[derive(Debug)]
pub struct Checker {
    layout: Layout,
    seen: Vec<Seen>,
    violations: u64,
    told: Vec<String>,
}

impl Checker {
    /// Begins before the first message.
    #[must_use]
    pub fn new(layout: Layout) -> Self {
        let fresh = || Seen { last_seq: None, chain: 0, next: vec![0; layout.members as usize] };
        let seen = (0..layout.clients()).map(|_| fresh()).collect();
        Self { layout, seen, violations: 0, told: Vec::new() }
    }

    /// `receiver` got `publish`. Gives back the message, for measuring, even where something was wrong with its place.
    pub fn handle_publish(&mut self, receiver: u32, publish: &Publish<'_>) -> Result<Move, Malformed> {
        let message = Move::decode(publish.payload)?;
        self.check_place(receiver, publish);
        self.check_sender(receiver, message);
        let chain = &mut self.seen[receiver as usize].chain;
        *chain = extend(*chain, publish);
        Ok(message)
    }

    /// Something wrong that was seen elsewhere.
    pub fn violation(&mut self, what: impl FnOnce() -> String) {
        self.violations += 1;
        if self.told.len() < TOLD {
            self.told.push(what());
        }
    }

    /// After the drain: has everybody got all that was sent (per client, by number), and the same of it?
    pub fn finish(&mut self, sent: &[u32]) {
        let layout = self.layout;
        for client in 0..layout.clients() {
            self.check_complete(client, sent);
            let first = layout.room(client);
            if self.seen[client as usize].chain != self.seen[first as usize].chain {
                self.violation(|| format!("clients {first} and {client} of one room saw different histories"));
            }
        }
    }

    /// How many, and the first of them in words.
    #[must_use]
    pub fn violations(&self) -> (u64, &[String]) {
        (self.violations, &self.told)
    }

    fn check_place(&mut self, receiver: u32, publish: &Publish<'_>) {
        let last = self.seen[receiver as usize].last_seq.replace(publish.seq);
        let (seq, index) = (publish.seq, publish.index);
        if index != 0 {
            self.violation(|| format!("client {receiver}: seq {seq} has an output {index}, expected only 0"));
        }
        match last {
            Some(last) if seq <= last => {
                self.violation(|| format!("client {receiver}: seq {seq} after {last}"));
            }
            Some(last) if seq > last + 1 => {
                self.violation(|| format!("client {receiver}: seq {seq} after {last} leaves a hole"));
            }
            _ => {}
        }
    }

    fn check_sender(&mut self, receiver: u32, message: Move) {
        let Move { client, number, .. } = message;
        if client >= self.layout.clients() || self.layout.room(client) != self.layout.room(receiver) {
            self.violation(|| format!("client {receiver} got a message of client {client}, who is not in its room"));
            return;
        }
        let next = &mut self.seen[receiver as usize].next[self.layout.member(client)];
        let expected = *next;
        *next = expected.max(number.saturating_add(1));
        if number > expected {
            self.violation(|| format!("client {receiver}: message {number} of client {client} before {expected}"));
        } else if number < expected {
            self.violation(|| format!("client {receiver}: message {number} of client {client} again or too late"));
        }
    }

    fn check_complete(&mut self, receiver: u32, sent: &[u32]) {
        for member in 0..self.layout.members {
            let sender = self.layout.room(receiver) + member * self.layout.rooms;
            let (next, all) = (self.seen[receiver as usize].next[member as usize], sent[sender as usize]);
            if next != all {
                self.violation(|| format!("client {receiver} has {next} of {all} messages of client {sender}"));
            }
        }
    }
}

/// FNV-1a over words: not for strangers, but a swapped, lost or altered output changes all that follows.
fn extend(chain: u64, publish: &Publish<'_>) -> u64 {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mix = |chain: u64, word: u64| (chain ^ word).wrapping_mul(PRIME).rotate_left(29);
    let placed = mix(mix(chain, publish.seq), publish.index);
    publish.payload.chunks(8).fold(placed, |chain, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        mix(chain, u64::from_le_bytes(word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: Layout = Layout { rooms: 1, members: 2 };

    /// The publishes of one room: `(seq, client, number)`.
    fn feed(checker: &mut Checker, receiver: u32, history: &[(u64, u32, u32)]) {
        for &(seq, client, number) in history {
            let mut payload = Vec::new();
            Move { client, number, intended_ns: seq }.encode(&mut payload);
            let publish = Publish { room: 1, seq, index: 0, kind: 0, payload: &payload };
            checker.handle_publish(receiver, &publish).unwrap();
        }
    }

    /// What is found when client 0 sees `good` and client 1 sees `other`.
    fn violations(good: &[(u64, u32, u32)], other: &[(u64, u32, u32)], sent: [u32; 2]) -> u64 {
        let mut checker = Checker::new(TWO);
        feed(&mut checker, 0, good);
        feed(&mut checker, 1, other);
        checker.finish(&sent);
        checker.violations().0
    }

    const GOOD: [(u64, u32, u32); 4] = [(5, 0, 0), (6, 1, 0), (7, 0, 1), (8, 1, 1)];

    #[test]
    fn one_complete_history_is_right() {
        assert_eq!(violations(&GOOD, &GOOD, [2, 2]), 0);
    }

    #[test]
    fn a_dropped_message_is_found_in_the_middle_and_at_the_end() {
        assert!(violations(&GOOD, &[GOOD[0], GOOD[1], GOOD[3]], [2, 2]) > 0);
        assert!(violations(&GOOD, &GOOD[..3], [2, 2]) > 0);
        assert!(violations(&GOOD[..3], &GOOD[..3], [2, 2]) > 0, "lost by everybody");
        assert!(violations(&[], &[], [1, 0]) > 0, "nothing arrived at all");
    }

    #[test]
    fn a_doubled_message_is_found_even_under_a_new_number() {
        assert!(violations(&GOOD, &[GOOD[0], GOOD[0], GOOD[1], GOOD[2], GOOD[3]], [2, 2]) > 0);
        let doubled = [(5, 0, 0), (6, 0, 0), (7, 1, 0), (8, 0, 1), (9, 1, 1)];
        assert!(violations(&doubled, &doubled, [2, 2]) > 0);
    }

    #[test]
    fn a_reordered_message_is_found_even_when_all_see_the_same() {
        assert!(violations(&GOOD, &[GOOD[1], GOOD[0], GOOD[2], GOOD[3]], [2, 2]) > 0);
        let swapped = [(5, 0, 1), (6, 1, 0), (7, 0, 0), (8, 1, 1)];
        assert!(violations(&swapped, &swapped, [2, 2]) > 0);
    }

    #[test]
    fn two_histories_of_one_room_differ_although_each_is_first_in_first_out() {
        let other = [(5, 1, 0), (6, 0, 0), (7, 0, 1), (8, 1, 1)];
        assert_eq!(violations(&GOOD, &other, [2, 2]), 1);
    }

    #[test]
    fn another_rooms_message_and_an_unknown_output_are_found() {
        let mut checker = Checker::new(Layout { rooms: 2, members: 1 });
        feed(&mut checker, 0, &[(1, 1, 0)]);
        assert_eq!(checker.violations().0, 1);
        let mut payload = Vec::new();
        Move { client: 0, number: 0, intended_ns: 0 }.encode(&mut payload);
        let second_output = Publish { room: 1, seq: 2, index: 1, kind: 0, payload: &payload };
        checker.handle_publish(0, &second_output).unwrap();
        assert_eq!(checker.violations().0, 2);
    }

    #[test]
    fn only_the_first_violations_are_told_but_all_are_counted() {
        let mut checker = Checker::new(TWO);
        (0..100).for_each(|n| checker.violation(|| format!("number {n}")));
        assert_eq!(checker.violations().0, 100);
        assert_eq!(checker.violations().1.len(), TOLD);
    }
}
