//! The game without sockets and in no time. The harness also restores the room from a snapshot after every input.

use parlor::testing::{Received, TestRoom};
use serde_json::{Value, json};

use super::*;

type Game = TestRoom<TicTacToe>;

/// Two players and a spectator.
fn seated() -> (Game, PlayerId, PlayerId, PlayerId) {
    let mut room = Game::open(&());
    let (ann, bob) = (room.join("ann"), room.join("bob"));
    let eve = room.watch("eve").unwrap();
    (room, ann, bob, eve)
}

/// The same with traps under these cells: Ann, who is X, moves first.
fn started(ann_trap: u8, bob_trap: u8) -> (Game, PlayerId, PlayerId, PlayerId) {
    let (mut room, ann, bob, eve) = seated();
    hide(&mut room, ann, ann_trap).unwrap();
    hide(&mut room, bob, bob_trap).unwrap();
    (room, ann, bob, eve)
}

fn hide(room: &mut Game, player: PlayerId, cell: u8) -> Result {
    room.request(player, "hide", &At { cell })
}

fn place(room: &mut Game, player: PlayerId, cell: u8) -> Result<Placed> {
    room.request(player, "place", &At { cell })
}

/// The last table that this member was shown.
fn table(room: &mut Game, member: PlayerId) -> Table {
    room.take(member, "table").pop().expect("a table")
}

fn refusal<T: std::fmt::Debug>(result: Result<T>) -> (String, Value) {
    let failure = result.unwrap_err();
    (failure.code.to_string(), json!(failure.params))
}

#[test]
fn a_full_game() {
    let (mut room, ann, bob, eve) = started(8, 7);
    for (player, cell) in [(ann, 0), (bob, 3), (ann, 1), (bob, 4)] {
        place(&mut room, player, cell).unwrap();
    }
    let won = place(&mut room, ann, 2);
    assert_eq!(won, Ok(Placed { seat: Seat::X, cell: 2, sprung: false }));
    for member in [ann, bob, eve] {
        let moves: Vec<Placed> = room.take(member, "placed");
        assert_eq!((moves.len(), moves.last()), (5, won.as_ref().ok()));
        let end = table(&mut room, member);
        assert_eq!(end.phase, Phase::Over { winner: Some(Seat::X), why: Why::Line });
        assert_eq!((end.chairs[&Seat::X].wins, end.ends_at_ms), (1, None));
        assert_eq!(end.chairs[&Seat::O].trap, Some(Trap { cell: 7, sprung: false }), "all is told at the end");
    }
}

#[test]
fn a_mark_on_a_trap_is_lost_once() {
    let (mut room, ann, bob, eve) = started(8, 4);
    assert_eq!(place(&mut room, ann, 4), Ok(Placed { seat: Seat::X, cell: 4, sprung: true }));
    let seen = table(&mut room, eve);
    assert_eq!((seen.board[4], &seen.phase), (None, &Phase::Playing { turn: Seat::O }));
    assert_eq!(seen.chairs[&Seat::O].trap, Some(Trap { cell: 4, sprung: true }));
    place(&mut room, bob, 0).unwrap();
    assert_eq!(place(&mut room, ann, 4), Ok(Placed { seat: Seat::X, cell: 4, sprung: false }));
    // One's own trap is no danger to oneself.
    assert!(place(&mut room, bob, 8).unwrap().sprung);
}

#[test]
fn a_full_board_is_a_draw() {
    // Bob covers his own trap, and Ann hers.
    let (mut room, ann, bob, _) = started(0, 1);
    for (n, cell) in [0, 1, 2, 4, 3, 5, 7, 6, 8].into_iter().enumerate() {
        place(&mut room, if n % 2 == 0 { ann } else { bob }, cell).unwrap();
    }
    assert_eq!(table(&mut room, ann).phase, Phase::Over { winner: None, why: Why::Full });
}

#[test]
fn refusals_have_codes_and_parameters() {
    let mut room = Game::open(&());
    let ann = room.join("ann");
    let none = json!({});
    assert_eq!(refusal(hide(&mut room, ann, 0)), ("app.not_started".into(), none.clone()));
    let bob = room.join("bob");
    assert_eq!(refusal(place(&mut room, ann, 0)), ("app.not_started".into(), none.clone()));
    assert_eq!(refusal(hide(&mut room, ann, 9)), ("app.no_such_cell".into(), json!({"cell": 9})));
    hide(&mut room, ann, 8).unwrap();
    assert_eq!(refusal(hide(&mut room, ann, 7)), ("app.already_hidden".into(), none.clone()));
    hide(&mut room, bob, 7).unwrap();
    assert_eq!(refusal(place(&mut room, bob, 0)), ("app.not_your_turn".into(), none.clone()));
    assert_eq!(refusal(room.request::<()>(ann, "rematch", &())), ("app.not_over".into(), none.clone()));
    place(&mut room, ann, 0).unwrap();
    assert_eq!(refusal(place(&mut room, bob, 0)), ("app.taken".into(), json!({"cell": 0})));
    room.leave(bob);
    assert_eq!(refusal(place(&mut room, ann, 1)), ("app.over".into(), none));
    let eve = room.watch("eve").unwrap();
    assert_eq!(refusal(place(&mut room, eve, 1)).0, "spectator");
}

/// Everything that Ann's opponent, a spectator and one who comes later get to see while her trap lies there.
fn seen_by_others(trap: u8) -> [Vec<Received>; 3] {
    let (mut room, ann, bob, eve) = started(trap, 1);
    place(&mut room, ann, 0).unwrap();
    assert_eq!(refusal(place(&mut room, bob, 0)).0, "app.taken");
    place(&mut room, bob, 3).unwrap();
    let late = room.watch("late").unwrap();
    assert!(room.view::<Table>(late).chairs[&Seat::X].trap.is_none());
    let own = table(&mut room, ann);
    assert_eq!(own.chairs[&Seat::X].trap, Some(Trap { cell: trap, sprung: false }), "one sees one's own");
    [bob, eve, late].map(|member| room.received(member))
}

#[test]
fn a_hidden_trap_changes_nothing_that_others_see() {
    let seen = seen_by_others(7);
    assert!(seen.iter().all(|received| !received.is_empty()));
    for other in [2, 5, 6, 8] {
        assert_eq!(seen, seen_by_others(other));
    }
}

#[test]
fn who_does_not_move_loses() {
    let (mut room, ann, bob, _) = started(8, 7);
    place(&mut room, ann, 0).unwrap();
    let ends_at_ms = room.now_ms() + 30_000;
    assert_eq!(table(&mut room, bob).ends_at_ms, Some(ends_at_ms));
    room.advance(THINK - Duration::from_millis(1));
    assert!(room.take::<Table>(bob, "table").is_empty());
    room.advance(Duration::from_millis(1));
    assert_eq!(table(&mut room, bob).phase, Phase::Over { winner: Some(Seat::X), why: Why::Clock });
}

#[test]
fn who_does_not_hide_gets_a_trap_from_the_room() {
    let (mut room, ann, bob, _) = seated();
    hide(&mut room, ann, 3).unwrap();
    room.advance(HIDE);
    let seen = table(&mut room, bob);
    assert_eq!(seen.phase, Phase::Playing { turn: Seat::X });
    assert!(seen.chairs[&Seat::O].trap.is_some_and(|trap| trap.cell < CELLS));
    assert_eq!(table(&mut room, ann).chairs[&Seat::X].trap, Some(Trap { cell: 3, sprung: false }), "hers stays");
}

#[test]
fn who_goes_away_loses_and_makes_room() {
    let (mut room, ann, bob, _) = started(8, 7);
    assert_eq!(refusal(room.try_join("carl", &())).0, "room_full");
    room.disconnect(ann);
    let end = table(&mut room, bob);
    assert_eq!(end.phase, Phase::Over { winner: Some(Seat::O), why: Why::Left });
    room.advance(THINK * 2);
    assert!(room.take::<Table>(bob, "table").is_empty(), "the clock has stopped");
    let carl = room.join("carl");
    let next = room.view::<Table>(carl);
    assert_eq!((next.phase, next.you, next.chairs[&Seat::O].wins), (Phase::Hiding, Some(Seat::X), 1));
}

#[test]
fn who_loses_the_connection_may_come_back_and_move_on() {
    let (mut room, ann, bob, _) = started(8, 7);
    room.drop(ann);
    let seen = table(&mut room, bob);
    assert!(seen.chairs[&Seat::X].away && !seen.chairs[&Seat::O].away);
    assert_eq!(seen.phase, Phase::Playing { turn: Seat::X });
    room.advance(THINK / 2);
    room.resume(ann);
    assert!(!table(&mut room, bob).chairs[&Seat::X].away);
    place(&mut room, ann, 0).unwrap();
    assert_eq!(table(&mut room, bob).phase, Phase::Playing { turn: Seat::O });
}

#[test]
fn who_does_not_come_back_loses() {
    let (mut room, ann, bob, _) = started(8, 7);
    place(&mut room, ann, 0).unwrap();
    room.drop(ann);
    room.advance(Duration::from_secs(20));
    place(&mut room, bob, 1).unwrap();
    room.advance(Duration::from_secs(10));
    assert_eq!(table(&mut room, bob).phase, Phase::Over { winner: Some(Seat::O), why: Why::Left });
    assert_eq!(room.closed(ann).unwrap().code, "expired");
}

#[test]
fn a_table_that_all_have_left_is_as_new() {
    let (mut room, ann, bob, eve) = started(8, 7);
    room.leave(ann);
    room.leave(bob);
    let left = table(&mut room, eve);
    assert_eq!((left.phase, left.round, left.chairs.len()), (Phase::Waiting, 0, 0));
    assert_eq!(left.watching[&eve], "eve");
}

#[test]
fn who_goes_away_before_the_start_only_stops_it() {
    let (mut room, ann, bob, _) = seated();
    hide(&mut room, bob, 1).unwrap();
    room.leave(ann);
    let left = table(&mut room, bob);
    assert_eq!((left.phase, left.chairs[&Seat::O].ready, left.ends_at_ms), (Phase::Waiting, false, None));
}

#[test]
fn a_rematch_takes_two_and_the_other_begins() {
    let (mut room, ann, bob, _) = started(8, 7);
    room.advance(THINK);
    room.send(ann, "rematch", &());
    assert!(table(&mut room, bob).chairs[&Seat::X].again);
    room.send(bob, "rematch", &());
    let next = table(&mut room, bob);
    assert_eq!((next.round, next.phase), (2, Phase::Hiding));
    assert_eq!((next.board, next.chairs[&Seat::O].ready), ([None; 9], false));
    hide(&mut room, ann, 0).unwrap();
    hide(&mut room, bob, 0).unwrap();
    assert_eq!(refusal(place(&mut room, ann, 4)).0, "app.not_your_turn");
    place(&mut room, bob, 4).unwrap();
}
