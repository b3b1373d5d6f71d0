//! What one room says to all of its members alike: as the first of them got it, and how far each of the others has come in it.
//!
//! Most deliveries cost no more here than a comparison of bytes; otherwise the load generator would cost more than the server.

use super::{Arrival, Faults, Layout};
use crate::moves::Move;

/// How much is kept at least before what everybody has had is forgotten.
const KEEP: usize = 64 * 1024;

/// One room.
#[derive(Debug)]
pub(super) struct History {
    layout: Layout,
    room: u32,
    /// The frames that somebody may still have to get.
    bytes: Vec<u8>,
    /// One for each of these frames.
    messages: Vec<Message>,
    /// What was there before: bytes and messages that are forgotten.
    gone: (usize, usize),
    /// How many messages each member has had.
    had: Vec<usize>,
    last_seq: Option<u64>,
    /// By sender: the message number that must come next.
    next: Vec<u32>,
    /// When to look what can be forgotten.
    forget_at: usize,
}

#[derive(Debug, Clone, Copy)]
struct Message {
    /// Where its frame ends, counted from the first frame of the run.
    end: usize,
    client: u32,
    intended_ns: u64,
    /// Members who have not had it.
    missing: u32,
}

impl History {
    pub(super) fn new(layout: Layout, room: u32) -> Self {
        let members = layout.members as usize;
        Self {
            layout,
            room,
            bytes: Vec::new(),
            messages: Vec::new(),
            gone: (0, 0),
            had: vec![0; members],
            last_seq: None,
            next: vec![0; members],
            forget_at: KEEP,
        }
    }

    /// See [`Checker::repeat`](super::Checker::repeat).
    pub(super) fn repeat(&mut self, receiver: u32, bytes: &[u8], mut arrived: impl FnMut(Arrival)) -> usize {
        let place = self.layout.place(receiver) as usize;
        let first = self.had[place] - self.gone.1;
        let start = if first == 0 { self.gone.0 } else { self.messages[first - 1].end };
        let whole = whole(&self.messages[first..], start, bytes.len());
        let Some(last) = self.messages[first..first + whole].last() else { return 0 };
        let known = &self.bytes[start - self.gone.0..last.end - self.gone.0];
        let mut repeated = &mut self.messages[first..first + whole];
        if known != &bytes[..known.len()] {
            let same = known.iter().zip(bytes).take_while(|(one, other)| one == other).count();
            let whole = self::whole(repeated, start, same);
            repeated = &mut repeated[..whole];
        }
        for message in repeated.iter_mut() {
            message.missing -= 1;
            let Message { client, intended_ns, missing, .. } = *message;
            arrived(Arrival { client, intended_ns, complete: missing == 0 });
        }
        self.had[place] += repeated.len();
        repeated.last().map_or(0, |last| last.end - start)
    }

    /// A message that nobody has had yet, unless something is wrong. Whether there is nobody else to have it.
    pub(super) fn publish(&mut self, receiver: u32, raw: &[u8], seq: u64, message: Move, faults: &mut Faults) -> bool {
        let Move { client, number, intended_ns } = message;
        let place = self.layout.place(receiver) as usize;
        let turn = self.had[place];
        self.had[place] += 1;
        if turn < self.gone.1 + self.messages.len() {
            faults.tell(|| {
                format!("client {receiver}: message {number} of client {client} at seq {seq}, where others got another")
            });
            return false;
        }
        if let Some(last) = self.last_seq.replace(seq)
            && seq != last + 1
        {
            faults.tell(|| format!("client {receiver}: seq {seq} after {last}"));
        }
        self.check_sender(receiver, message, faults);
        self.forget();
        self.bytes.extend_from_slice(raw);
        let missing = self.layout.members - 1;
        self.messages.push(Message { end: self.gone.0 + self.bytes.len(), client, intended_ns, missing });
        missing == 0
    }

    fn check_sender(&mut self, receiver: u32, message: Move, faults: &mut Faults) {
        let Move { client, number, .. } = message;
        if client >= self.layout.clients() || self.layout.room(client) != self.room {
            faults.tell(|| format!("client {receiver}: a message of client {client}, who is in another room"));
            return;
        }
        let next = &mut self.next[self.layout.place(client) as usize];
        if number != *next {
            let expected = *next;
            faults.tell(|| {
                format!("client {receiver}: message {number} of client {client}, expected {expected} (lost, doubled or reordered)")
            });
        }
        *next = number + 1;
    }

    /// Forgets what everybody has had, once that may be much.
    fn forget(&mut self) {
        if self.bytes.len() < self.forget_at {
            return;
        }
        let slowest = self.had.iter().min().map_or(0, |&had| had.saturating_sub(self.gone.1)).min(self.messages.len());
        if slowest > 0 {
            let end = self.messages[slowest - 1].end;
            self.bytes.drain(..end - self.gone.0);
            self.messages.drain(..slowest);
            self.gone = (end, self.gone.1 + slowest);
        }
        self.forget_at = KEEP.max(2 * self.bytes.len());
    }

    pub(super) fn finish(&self, sent: &[u32], faults: &mut Faults) {
        let all = self.gone.1 + self.messages.len();
        for place in 0..self.layout.members {
            let client = place * self.layout.rooms + self.room;
            let (next, had) = (self.next[place as usize], self.had[place as usize]);
            let sent = sent.get(client as usize).copied().unwrap_or(0);
            if next != sent {
                faults.tell(|| format!("{next} of {sent} messages of client {client} have arrived"));
            }
            if had != all {
                faults.tell(|| format!("client {client} has {had} of its room's {all} messages"));
            }
        }
    }
}

/// How many of these messages, which begin at `start`, lie wholly within so many bytes.
fn whole(messages: &[Message], start: usize, bytes: usize) -> usize {
    messages.partition_point(|message| message.end - start <= bytes)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Seen, feed};
    use super::super::{Checker, Game};
    use super::*;

    const TWO: Layout = Layout { rooms: 1, members: 2 };

    /// What is found when client 0 sees `good` and client 1 sees `other`.
    fn violations(good: Seen<'_>, other: Seen<'_>, sent: [u32; 2]) -> u64 {
        let mut checker = Checker::new(TWO, Game::Everyone);
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
        assert!(violations(&GOOD[..3], &GOOD, [2, 2]) > 0, "lost by the first");
        assert!(violations(&GOOD[..3], &GOOD[..3], [2, 2]) > 0, "lost by everybody");
        assert!(violations(&[], &[], [1, 0]) > 0, "nothing arrived at all");
    }

    #[test]
    fn a_doubled_message_is_found_even_under_a_new_number() {
        assert!(violations(&GOOD, &[GOOD[0], GOOD[0], GOOD[1], GOOD[2], GOOD[3]], [2, 2]) > 0);
        assert!(violations(&GOOD, &[GOOD[0], GOOD[1], GOOD[2], GOOD[3], GOOD[3]], [2, 2]) > 0);
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
        assert_eq!(violations(&GOOD, &other, [2, 2]), 2);
    }

    #[test]
    fn another_rooms_message_is_found() {
        let mut checker = Checker::new(Layout { rooms: 2, members: 1 }, Game::Everyone);
        feed(&mut checker, 0, &[(1, 1, 0)]);
        assert_eq!(checker.violations().0, 1);
    }

    #[test]
    fn many_messages_in_one_piece_are_passed_over_up_to_the_first_that_differs() {
        let mut history = History::new(TWO, 0);
        let mut faults = Faults::default();
        for (seq, frame) in (1..).zip([b"one", b"two", b"six"]) {
            let message = Move { client: 0, number: u32::try_from(seq).unwrap() - 1, intended_ns: seq };
            history.publish(0, frame, seq, message, &mut faults);
        }
        let mut times = Vec::new();
        assert_eq!(history.repeat(1, b"onetwosi", |arrival| times.push(arrival.intended_ns)), 6);
        assert_eq!(times, [1, 2]);
        assert_eq!(history.repeat(1, b"sex", |_| panic!("it differs")), 0);
        assert_eq!(faults.count, 0);
    }

    #[test]
    fn what_all_have_had_is_forgotten_and_what_one_still_needs_is_not() {
        let mut history = History::new(TWO, 0);
        let mut faults = Faults::default();
        let frame = [7; 1000];
        for number in 0..500 {
            history.publish(0, &frame, number.into(), Move { client: 0, number, intended_ns: 0 }, &mut faults);
            if number >= 200 {
                assert_eq!(history.repeat(1, &frame, |_| {}), 1000);
            }
        }
        assert!(history.bytes.len() < 450_000 && history.gone.1 > 0, "{}", history.bytes.len());
        let rest = vec![7; 200_000];
        assert_eq!(history.repeat(1, &rest, |_| {}), 200_000);
        history.finish(&[500, 0], &mut faults);
        assert_eq!(faults.count, 0, "{faults:?}");
    }
}
