//! Tic-tac-toe with traps: the whole game.
//!
//! Before a round each player hides a trap under a cell of the empty board. Who puts a mark on the other's trap loses the mark:
//! the trap is spent, the cell stays empty, and the turn passes. One's own mark covers one's own trap, which is then harmless.
//!
//! Secrets are kept in one place: [`TicTacToe::seen_by`] makes what a member gets to see, on joining and after every change.

use parlor::prelude::*;

/// To hide a trap: long enough to look into the other's eyes.
const HIDE: Duration = Duration::from_secs(30);
/// To make a move.
const THINK: Duration = Duration::from_secs(30);

const CELLS: u8 = 9;
const LINES: [[u8; 3]; 8] = [[0, 1, 2], [3, 4, 5], [6, 7, 8], [0, 3, 6], [1, 4, 7], [2, 5, 8], [0, 4, 8], [2, 4, 6]];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Seat {
    X,
    O,
}

impl Seat {
    fn other(self) -> Self {
        match self {
            Self::X => Self::O,
            Self::O => Self::X,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
enum Phase {
    #[default]
    Waiting,
    Hiding,
    Playing {
        turn: Seat,
    },
    Over {
        winner: Option<Seat>,
        why: Why,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Why {
    Line,
    Full,
    Clock,
    Left,
}

/// Who sits where, and what only that player may know.
#[derive(Debug, Serialize, Deserialize)]
struct Chair {
    player: PlayerId,
    name: String,
    wins: u32,
    trap: Option<Trap>,
    again: bool,
    /// Has lost the connection, and may come back.
    away: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Trap {
    cell: u8,
    sprung: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Clock {
    timer: TimerId,
    ends_at_ms: u64,
}

/// The room's state. A snapshot of it is all that is needed to go on.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct TicTacToe {
    round: u32,
    phase: Phase,
    board: [Option<Seat>; CELLS as usize],
    chairs: BTreeMap<Seat, Chair>,
    watching: BTreeMap<PlayerId, String>,
    clock: Option<Clock>,
}

/// What a member may see of the game.
#[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
struct Table {
    round: u32,
    phase: Phase,
    board: [Option<Seat>; CELLS as usize],
    chairs: BTreeMap<Seat, SeenChair>,
    watching: BTreeMap<PlayerId, String>,
    you: Option<Seat>,
    ends_at_ms: Option<u64>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct SeenChair {
    player: PlayerId,
    name: String,
    wins: u32,
    /// Whether a trap is hidden; everybody may know.
    ready: bool,
    /// Where it is, for those who may know.
    trap: Option<Trap>,
    again: bool,
    away: bool,
}

#[derive(Serialize, Deserialize)]
struct At {
    cell: u8,
}

/// A move, as it was accepted: the reply to the mover, and the news to all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Message)]
struct Placed {
    seat: Seat,
    cell: u8,
    /// It hit a trap, and the mark is lost.
    sprung: bool,
}

#[derive(Serialize, Deserialize, Message)]
struct TimeUp {}

/// Why a request is refused.
#[derive(Refusal)]
enum Denied {
    NotYourTurn,
    #[refusal(text = "cell {cell} is taken")]
    Taken {
        cell: u8,
    },
    #[refusal(text = "there is no cell {cell}")]
    NoSuchCell {
        cell: u8,
    },
    NotStarted,
    AlreadyHidden,
    Over,
    NotOver,
}

#[room(kind = "tictactoe", max_players = 2, max_spectators = 32)]
impl TicTacToe {
    #[msg::join]
    fn came(&mut self, ctx: &mut Ctx, player: &Player) {
        if player.role == Role::Spectator {
            self.watching.insert(player.id, player.name.clone());
        } else {
            self.sit(player);
            if self.chairs.len() == 2 {
                self.start_round(ctx);
            }
        }
        self.show(ctx);
    }

    /// The game waits as long as the clock does: who is back in time moves on.
    #[msg::drop]
    fn dropped(&mut self, ctx: &mut Ctx, player: &Player) {
        self.set_away(ctx, player.id, true);
    }

    #[msg::resume]
    fn resumed(&mut self, ctx: &mut Ctx, player: &Player) {
        self.set_away(ctx, player.id, false);
    }

    #[msg::leave]
    fn left(&mut self, ctx: &mut Ctx, player: &Player) {
        self.watching.remove(&player.id);
        if let Some(seat) = self.seat_of(player.id) {
            match self.phase {
                Phase::Playing { .. } => self.end(ctx, Some(seat.other()), Why::Left),
                Phase::Hiding => self.wait(ctx),
                Phase::Waiting | Phase::Over { .. } => {}
            }
            self.chairs.remove(&seat);
            if self.chairs.is_empty() {
                // Whoever comes next should not find the end of a stranger's game.
                *self = Self { watching: std::mem::take(&mut self.watching), ..Self::default() };
            }
        }
        self.show(ctx);
    }

    #[msg::view]
    fn view(&self, to: &Player) -> Table {
        self.seen_by(to.id)
    }

    #[msg::route("hide")]
    fn hide(&mut self, ctx: &mut Ctx, from: PlayerId, at: At) -> Result<(), Denied> {
        match self.phase {
            Phase::Hiding => {}
            Phase::Waiting => return Err(Denied::NotStarted),
            Phase::Playing { .. } => return Err(Denied::AlreadyHidden),
            Phase::Over { .. } => return Err(Denied::Over),
        }
        let chair = self.chairs.values_mut().find(|chair| chair.player == from).ok_or(Denied::NotStarted)?;
        if chair.trap.is_some() {
            return Err(Denied::AlreadyHidden);
        }
        if at.cell >= CELLS {
            return Err(Denied::NoSuchCell { cell: at.cell });
        }
        chair.trap = Some(Trap { cell: at.cell, sprung: false });
        if self.chairs.values().all(|chair| chair.trap.is_some()) {
            self.pass_turn(ctx, self.starter());
        }
        self.show(ctx);
        Ok(())
    }

    #[msg::route("place")]
    fn place(&mut self, ctx: &mut Ctx, from: PlayerId, at: At) -> Result<Placed, Denied> {
        let seat = self.may_move(from)?;
        let cell = self.free(at.cell)?;
        let sprung = self.spring(seat.other(), cell);
        if !sprung {
            self.board[usize::from(cell)] = Some(seat);
        }
        let placed = Placed { seat, cell, sprung };
        ctx.broadcast(&placed);
        if self.has_line(seat) {
            self.end(ctx, Some(seat), Why::Line);
        } else if self.board.iter().all(Option::is_some) {
            self.end(ctx, None, Why::Full);
        } else {
            self.pass_turn(ctx, seat.other());
        }
        self.show(ctx);
        Ok(placed)
    }

    #[msg::route("rematch")]
    fn rematch(&mut self, ctx: &mut Ctx, from: PlayerId) -> Result<(), Denied> {
        let Phase::Over { .. } = self.phase else { return Err(Denied::NotOver) };
        for chair in self.chairs.values_mut() {
            chair.again |= chair.player == from;
        }
        if self.chairs.len() == 2 && self.chairs.values().all(|chair| chair.again) {
            self.start_round(ctx);
        }
        self.show(ctx);
        Ok(())
    }

    /// Slow to hide: the room does it. Slow to move: the game is lost.
    #[msg::event]
    fn time_up(&mut self, ctx: &mut Ctx, _: TimeUp) {
        match self.phase {
            Phase::Hiding => {
                for chair in self.chairs.values_mut() {
                    let cell = ctx.rng().random_range(0..CELLS);
                    chair.trap.get_or_insert(Trap { cell, sprung: false });
                }
                self.pass_turn(ctx, self.starter());
            }
            Phase::Playing { turn } => self.end(ctx, Some(turn.other()), Why::Clock),
            Phase::Waiting | Phase::Over { .. } => {}
        }
        self.show(ctx);
    }
}

/// The rules.
impl TicTacToe {
    fn sit(&mut self, player: &Player) {
        let seat = if self.chairs.contains_key(&Seat::X) { Seat::O } else { Seat::X };
        let name = player.name.clone();
        let chair = Chair { player: player.id, name, wins: 0, trap: None, again: false, away: false };
        self.chairs.insert(seat, chair);
    }

    fn set_away(&mut self, ctx: &mut Ctx, player: PlayerId, away: bool) {
        if let Some(chair) = self.chairs.values_mut().find(|chair| chair.player == player) {
            chair.away = away;
            self.show(ctx);
        }
    }

    fn start_round(&mut self, ctx: &mut Ctx) {
        self.round += 1;
        self.phase = Phase::Hiding;
        self.board = Default::default();
        for chair in self.chairs.values_mut() {
            (chair.trap, chair.again) = (None, false);
        }
        self.set_clock(ctx, HIDE);
    }

    /// They take turns at the first move, too.
    fn starter(&self) -> Seat {
        if self.round % 2 == 1 { Seat::X } else { Seat::O }
    }

    fn pass_turn(&mut self, ctx: &mut Ctx, turn: Seat) {
        self.phase = Phase::Playing { turn };
        self.set_clock(ctx, THINK);
    }

    fn end(&mut self, ctx: &mut Ctx, winner: Option<Seat>, why: Why) {
        if let Some(chair) = winner.and_then(|seat| self.chairs.get_mut(&seat)) {
            chair.wins += 1;
        }
        self.phase = Phase::Over { winner, why };
        self.stop_clock(ctx);
    }

    fn wait(&mut self, ctx: &mut Ctx) {
        self.phase = Phase::Waiting;
        for chair in self.chairs.values_mut() {
            chair.trap = None;
        }
        self.stop_clock(ctx);
    }

    fn set_clock(&mut self, ctx: &mut Ctx, time: Duration) {
        self.stop_clock(ctx);
        let ends_at_ms = ctx.now_ms() + time.as_millis() as u64;
        self.clock = Some(Clock { timer: ctx.after(time, TimeUp {}), ends_at_ms });
    }

    fn stop_clock(&mut self, ctx: &mut Ctx) {
        if let Some(clock) = self.clock.take() {
            ctx.cancel(clock.timer);
        }
    }

    fn seat_of(&self, player: PlayerId) -> Option<Seat> {
        self.chairs.iter().find(|(_, chair)| chair.player == player).map(|(seat, _)| *seat)
    }

    fn may_move(&self, player: PlayerId) -> Result<Seat, Denied> {
        match self.phase {
            Phase::Playing { turn } if self.seat_of(player) == Some(turn) => Ok(turn),
            Phase::Playing { .. } => Err(Denied::NotYourTurn),
            Phase::Waiting | Phase::Hiding => Err(Denied::NotStarted),
            Phase::Over { .. } => Err(Denied::Over),
        }
    }

    fn free(&self, cell: u8) -> Result<u8, Denied> {
        match self.board.get(usize::from(cell)) {
            Some(None) => Ok(cell),
            Some(Some(_)) => Err(Denied::Taken { cell }),
            None => Err(Denied::NoSuchCell { cell }),
        }
    }

    /// Springs this player's trap, if it waits under the cell.
    fn spring(&mut self, owner: Seat, cell: u8) -> bool {
        let trap = self.chairs.get_mut(&owner).and_then(|chair| chair.trap.as_mut());
        let Some(trap) = trap.filter(|trap| trap.cell == cell && !trap.sprung) else { return false };
        trap.sprung = true;
        true
    }

    fn has_line(&self, seat: Seat) -> bool {
        LINES.iter().any(|line| line.iter().all(|cell| self.board[usize::from(*cell)] == Some(seat)))
    }
}

/// Who sees what.
impl TicTacToe {
    fn show(&self, ctx: &mut Ctx) {
        let members: Vec<_> = ctx.players().map(|player| player.id).collect();
        for member in members {
            ctx.send(member, &self.seen_by(member));
        }
    }

    /// The one place that knows what is secret: a trap is its owner's until it is sprung or the round is over.
    fn seen_by(&self, member: PlayerId) -> Table {
        let over = matches!(self.phase, Phase::Over { .. });
        let seen = |chair: &Chair| SeenChair {
            player: chair.player,
            name: chair.name.clone(),
            wins: chair.wins,
            ready: chair.trap.is_some(),
            trap: chair.trap.filter(|trap| over || trap.sprung || chair.player == member),
            again: chair.again,
            away: chair.away,
        };
        Table {
            round: self.round,
            phase: self.phase.clone(),
            board: self.board,
            chairs: self.chairs.iter().map(|(seat, chair)| (*seat, seen(chair))).collect(),
            watching: self.watching.clone(),
            you: self.seat_of(member),
            ends_at_ms: self.clock.as_ref().map(|clock| clock.ends_at_ms),
        }
    }
}

#[cfg(test)]
mod tests;
