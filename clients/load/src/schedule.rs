//! When which player does what: an open loop, which does not wait for the game. Knows no clock.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::script::Action;

/// The parts of the play. It begins with the warm-up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Phases {
    pub(crate) warmup: Duration,
    /// The part that is measured.
    pub(crate) window: Duration,
}

impl Phases {
    pub(crate) fn end(&self) -> Duration {
        self.warmup.saturating_add(self.window)
    }
}

/// Something to be done by a player.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Turn {
    /// When, from the beginning of the play. The first field, by which turns are ordered.
    pub(crate) at: Duration,
    pub(crate) player: usize,
    pub(crate) action: usize,
    /// How many times the player has done it, this time included.
    pub(crate) n: u64,
}

/// All turns of a play, in their order.
#[derive(Debug)]
pub(crate) struct Schedule {
    /// The next turn of each player and action.
    next: BinaryHeap<Reverse<Turn>>,
    /// Period and end of each action.
    rhythms: Vec<(Duration, Duration)>,
}

impl Schedule {
    /// Each action's turns are evenly staggered over the players, so that no two are due at once.
    pub(crate) fn new(actions: &[Action], players: usize, phases: Phases) -> Self {
        let mut schedule = Self { next: BinaryHeap::new(), rhythms: Vec::new() };
        for (n, action) in actions.iter().enumerate() {
            let within = |at: Duration| phases.warmup.saturating_add(at);
            let end = action.stop.map_or(phases.end(), within).min(phases.end());
            let begin = action.start.map_or(Duration::ZERO, within);
            schedule.rhythms.push((action.every, end));
            for player in 0..players {
                let at = begin.saturating_add(share(action.every, player, players));
                schedule.offer(Turn { at, player, action: n, n: 1 });
            }
        }
        schedule
    }

    fn offer(&mut self, turn: Turn) {
        let (_, end) = self.rhythms[turn.action];
        if turn.at < end {
            self.next.push(Reverse(turn));
        }
    }
}

impl Iterator for Schedule {
    type Item = Turn;

    fn next(&mut self) -> Option<Turn> {
        let Reverse(turn) = self.next.pop()?;
        let (every, _) = self.rhythms[turn.action];
        self.offer(Turn { at: turn.at.saturating_add(every), n: turn.n + 1, ..turn });
        Some(turn)
    }
}

/// That part of a duration which lies before the nth of so many equal parts.
fn share(whole: Duration, n: usize, of: usize) -> Duration {
    let nanos = whole.as_nanos().saturating_mul(n as u128) / (of as u128).max(1);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::Script;

    fn turns(action: &str, players: usize, warmup: u64, window: u64) -> Vec<(u128, usize, u64)> {
        let script = Script::parse(&format!("[room]\nkind = \"a\"\n[[action]]\nsend = \"x\"\n{action}")).unwrap();
        let phases = Phases { warmup: Duration::from_millis(warmup), window: Duration::from_millis(window) };
        Schedule::new(&script.actions, players, phases).map(|turn| (turn.at.as_millis(), turn.player, turn.n)).collect()
    }

    #[test]
    fn players_are_evenly_staggered() {
        let expected =
            [(0, 0, 1), (25, 1, 1), (50, 2, 1), (75, 3, 1), (100, 0, 2), (125, 1, 2), (150, 2, 2), (175, 3, 2)];
        assert_eq!(turns("hz = 10", 4, 50, 150), expected);
        assert_eq!(turns("every = \"100ms\"", 4, 0, 200), expected);
    }

    #[test]
    fn actions_start_and_stop_within_the_measured_time() {
        assert_eq!(turns("hz = 10\nstart = \"0s\"\nstop = \"200ms\"", 1, 1_000, 5_000), [(1_000, 0, 1), (1_100, 0, 2)]);
        assert_eq!(turns("hz = 10\nstart = \"4850ms\"\nstop = \"1h\"", 1, 0, 5_000), [(4_850, 0, 1), (4_950, 0, 2)]);
        assert_eq!(turns("hz = 10\nstop = \"100ms\"", 1, 100, 5_000), [(0, 0, 1), (100, 0, 2)]);
        assert_eq!(turns("hz = 10\nstart = \"6s\"", 1, 0, 5_000), []);
    }

    #[test]
    fn several_actions_share_one_order() {
        let text = "[room]\nkind = \"a\"\n[[action]]\nsend = \"x\"\nhz = 10\n[[action]]\nsend = \"y\"\nhz = 4";
        let phases = Phases { warmup: Duration::ZERO, window: Duration::from_secs(10) };
        let turns: Vec<_> = Schedule::new(&Script::parse(text).unwrap().actions, 3, phases).collect();
        assert_eq!(turns.len(), 3 * (100 + 40));
        assert!(turns.is_sorted());
        assert_eq!(turns.iter().rfind(|turn| (turn.player, turn.action) == (2, 1)).unwrap().n, 40);
    }
}
