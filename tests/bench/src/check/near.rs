//! Members of a room in a ring, of whom each hears its neighbours only.
//!
//! Per sender every message exactly once and in order; and since a room has one history, of which each sees a part, each sees
//! rising numbers, and all see a message under the same one.

use super::{Faults, Layout};
use crate::moves::Move;

/// All rings.
#[derive(Debug)]
pub(super) struct Near {
    layout: Layout,
    /// Neighbours on either side.
    reach: u32,
    /// By receiver.
    last_seq: Vec<u64>,
    /// By receiver and place within its reach: the message number that must come next.
    next: Vec<u32>,
    /// By sender and message number: its place in the room's history, and how many have not heard it.
    messages: Vec<Vec<(u64, u32)>>,
}

impl Near {
    pub(super) fn new(layout: Layout, neighbours: u32) -> Self {
        let clients = layout.clients() as usize;
        let reach = neighbours / 2;
        Self {
            layout,
            reach,
            last_seq: vec![0; clients],
            next: vec![0; clients * (2 * reach as usize + 1)],
            messages: vec![Vec::new(); clients],
        }
    }

    /// A message has come to `receiver`. Whether nobody else is still to hear it.
    pub(super) fn publish(&mut self, receiver: u32, seq: u64, message: Move, faults: &mut Faults) -> bool {
        let Move { client, number, .. } = message;
        let last = std::mem::replace(&mut self.last_seq[receiver as usize], seq);
        if seq <= last {
            faults.tell(|| format!("client {receiver}: seq {seq} after {last}"));
        }
        let Some(pair) = self.pair(receiver, client) else {
            faults.tell(|| format!("client {receiver}: a message of client {client}, who is not its neighbour"));
            return false;
        };
        let expected = std::mem::replace(&mut self.next[pair], number + 1);
        if number != expected {
            faults.tell(|| {
                format!("client {receiver}: message {number} of client {client}, expected {expected} (lost, doubled or reordered)")
            });
        }
        let messages = &mut self.messages[client as usize];
        match messages.get_mut(number as usize) {
            Some((known, missing)) => {
                if *known != seq {
                    faults.tell(|| {
                        format!(
                            "client {receiver}: message {number} of client {client} at seq {seq}, for others at {known}"
                        )
                    });
                }
                // One that is doubled was told above.
                *missing = missing.saturating_sub(1);
                *missing == 0
            }
            None => {
                // Whoever is ahead is so in order, unless that was told above.
                messages.push((seq, 2 * self.reach));
                false
            }
        }
    }

    pub(super) fn finish(&self, sent: &[u32], faults: &mut Faults) {
        let Layout { rooms, members } = self.layout;
        for receiver in 0..self.layout.clients() {
            for step in 0..=2 * self.reach {
                let place = (self.layout.place(receiver) + members + step - self.reach) % members;
                let sender = place * rooms + self.layout.room(receiver);
                let next = self.pair(receiver, sender).map_or(0, |pair| self.next[pair]);
                let sent = sent[sender as usize];
                if next != sent {
                    faults.tell(|| format!("client {receiver} has {next} of {sent} messages of client {sender}"));
                }
            }
        }
    }

    /// Where what `receiver` has heard of `sender` is kept, if it should hear anything.
    fn pair(&self, receiver: u32, sender: u32) -> Option<usize> {
        let Layout { members, .. } = self.layout;
        if sender >= self.layout.clients() || self.layout.room(sender) != self.layout.room(receiver) {
            return None;
        }
        let step = (self.layout.place(sender) + members + self.reach - self.layout.place(receiver)) % members;
        let width = 2 * self.reach + 1;
        (step < width).then(|| receiver as usize * width as usize + step as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Seen, feed};
    use super::super::{Checker, Game};
    use super::*;

    /// Five in a ring, each with two neighbours; client 1 sends twice, client 3 once.
    const FIVE: Layout = Layout { rooms: 1, members: 5 };
    const SENT: [u32; 5] = [0, 2, 0, 1, 0];
    const RIGHT: [Seen<'static>; 5] = [&[A, C], &[A, C], &[A, B, C], &[B], &[B]];
    const A: (u64, u32, u32) = (5, 1, 0);
    const B: (u64, u32, u32) = (6, 3, 0);
    const C: (u64, u32, u32) = (8, 1, 1);

    /// What is found when `receiver` sees `other` instead of what is right.
    fn violations(receiver: usize, other: Seen<'_>) -> u64 {
        let mut checker = Checker::new(FIVE, Game::Ring(2));
        for (number, right) in (0..).zip(RIGHT) {
            feed(&mut checker, number, if number as usize == receiver { other } else { right });
        }
        checker.finish(&SENT);
        checker.violations().0
    }

    #[test]
    fn each_part_of_one_history_is_right() {
        assert_eq!(violations(2, RIGHT[2]), 0);
    }

    #[test]
    fn what_is_lost_doubled_or_reordered_is_found() {
        assert!(violations(2, &[A, C]) > 0, "lost");
        assert!(violations(2, &[A, B]) > 0, "lost at the end");
        assert!(violations(4, &[]) > 0, "nothing at all");
        assert!(violations(2, &[A, A, B, C]) > 0, "doubled");
        assert!(violations(2, &[A, B, (7, 3, 0), C]) > 0, "doubled under a new number");
        assert!(violations(2, &[B, A, C]) > 0, "reordered");
    }

    #[test]
    fn what_is_not_for_it_or_has_another_number_is_found() {
        assert!(violations(4, &[A, B]) > 0, "of somebody far away");
        assert!(violations(4, &[(7, 3, 0)]) > 0, "under another number");
        assert!(violations(4, &[B, (9, 77, 0)]) > 0, "of nobody");
    }
}
