//! Rooms that go on in another version, or do not.

use super::*;

/// What came of a move.
pub(super) struct Moved {
    pub(super) is_there: bool,
    pub(super) upset: Option<Upset>,
    /// Whether a replay differed.
    pub(super) differed: bool,
    /// What the handler has in mind now.
    pub(super) state: State,
}

/// Asks a room to go on in the version in which it is not.
pub(super) fn move_on(keeper: &mut Keeper, world: &Shared, versions: &[Arc<Kind>; 2], now_us: u64) -> Moved {
    world.lock().unwrap().differed = false;
    let to = &versions[usize::from(Arc::ptr_eq(&keeper.kind, &versions[0]))];
    let (moved, upset) = done(keeper.move_to(to, now_us));
    let is_there = Arc::ptr_eq(&keeper.kind, to);
    assert_eq!(is_there, moved.is_ok(), "{moved:?}");
    let world = world.lock().unwrap();
    Moved { is_there, upset, differed: world.differed, state: world.state.clone() }
}

/// A room of version 1 that has handled `inputs`, its opening included, and the other version.
fn room(inputs: u64) -> (Keeper, Shared, Arc<Kind>) {
    let policy = Policy { snapshot_every: 1_000, ..Policy::default() };
    let odds = Odds { ask: 1, ..Odds::default() };
    let (mut keeper, world) = keeper(odds, StdRng::seed_from_u64(0), policy.clone());
    world.lock().unwrap().odds = Odds::default();
    say(&mut keeper, 1..=inputs);
    let to = kind(&world, 2, Policy { snapshot_every: 1, ..policy });
    (keeper, world, to)
}

fn say(keeper: &mut Keeper, seqs: impl IntoIterator<Item = u64>) {
    for seq in seqs {
        let input = input(seq, 1);
        let (outcome, upset) = done(keeper.handle(&input));
        assert!(outcome.result.is_ok() && upset.is_none(), "{outcome:?} {upset:?}");
        keeper.keep(input, outcome);
    }
}

fn after(inputs: u64) -> State {
    let mut state = State::default();
    (1..=inputs).for_each(|seq| drop(state.handle(seq, u64::from(seq > 1))));
    state
}

/// The label of what the room would be made anew from.
fn label(keeper: &Keeper) -> Option<&str> {
    keeper.journal.as_ref().unwrap().snapshot().map(|(_, state)| state.version.as_str())
}

#[test]
fn the_newer_version_reads_and_writes_the_older_ones_state() {
    let (mut keeper, world, two) = room(5);
    let one = keeper.kind.clone();
    assert_eq!(done(keeper.move_to(&two, 0)), (Ok(()), None));
    assert_eq!((label(&keeper), &*keeper.kind.version), (Some("1"), "2"));
    assert!(keeper.journal.as_ref().unwrap().is_empty() && keeper.take_works_lost());
    // Before it has saved its own, it is made anew from that.
    keeper.lose();
    say(&mut keeper, 6..=6);
    assert_eq!(world.lock().unwrap().state, after(6));
    done(keeper.save(0, Outside::Idle));
    assert_eq!(label(&keeper), Some("2"), "as soon as there is anything to save");
    say(&mut keeper, 7..=8);
    assert_eq!(done(keeper.move_to(&one, 0)), (Ok(()), None));
    assert_eq!(label(&keeper), Some("1"), "written by version 2");
    say(&mut keeper, 9..=10);
    assert_eq!(world.lock().unwrap().state, after(10));
}

#[test]
fn a_move_that_fails_changes_nothing() {
    let (mut keeper, world, two) = room(5);
    world.lock().unwrap().odds.reject = 100;
    let (moved, upset) = done(keeper.move_to(&two, 0));
    assert_eq!((&*moved.unwrap_err().code, upset), ("app.garbled", None));
    assert_eq!((label(&keeper), keeper.journal.as_ref().unwrap().entries().len()), (None, 5));
    say(&mut keeper, 6..=7);
    let world = world.lock().unwrap();
    assert_eq!((world.made, &world.state), (1, &after(7)), "the handler has not even been made anew");
    assert!(!keeper.take_works_lost() && keeper.take_kept() == Kept::default());
}

#[test]
fn processes_that_end_over_a_move_are_tried_a_few_times() {
    let (mut keeper, world, two) = room(5);
    world.lock().unwrap().odds.die_opening = 100;
    assert_eq!(done(keeper.move_to(&two, 0)).0.unwrap_err().code, "no_worker");
    assert_eq!(world.lock().unwrap().deaths, u64::from(moving::TRIES));
    world.lock().unwrap().odds = Odds { die_idle: 60, ..Odds::default() };
    let moved = (0..20).find(|_| done(keeper.move_to(&two, 0)).0.is_ok());
    assert!(moved.is_some() && world.lock().unwrap().deaths > u64::from(moving::TRIES));
    assert_eq!(world.lock().unwrap().state, after(5));
}

#[test]
fn a_room_does_not_leave_for_a_version_that_nobody_runs() {
    let (mut keeper, world, two) = room(5);
    world.lock().unwrap().odds = Odds { nobody: 100, die_idle: 100, ..Odds::default() };
    assert_eq!(done(keeper.move_to(&two, 0)).0.unwrap_err().code, "no_worker");
    assert_eq!(world.lock().unwrap().deaths, 0, "nothing was asked of its handler");
}

#[test]
fn a_room_that_sleeps_moves_and_sleeps_on() {
    let (mut keeper, world, two) = room(5);
    // Only where processes may end do handlers sleep.
    world.lock().unwrap().odds.ask = 1;
    let later = 1_000_000_000_000;
    done(keeper.save(0, Outside::Idle));
    done(keeper.save(later, Outside::Idle));
    assert!(keeper.is_asleep() && keeper.host.is_none());
    assert_eq!(done(keeper.move_to(&two, later)), (Ok(()), None));
    done(keeper.save(later, Outside::Idle));
    assert!(keeper.is_asleep() && keeper.host.is_none());
    assert_eq!(label(&keeper), Some("1"));
    assert_eq!(keeper.take_kept().restored, 0);
    say(&mut keeper, 6..=7);
    assert_eq!(world.lock().unwrap().state, after(7));
}

#[test]
fn a_state_that_is_too_large_for_the_other_version_stays() {
    let (mut keeper, world, _) = room(5);
    let small = kind(&world, 2, Policy { max_snapshot_bytes: 1, ..Policy::default() });
    let failure = done(keeper.move_to(&small, 0)).0.unwrap_err();
    assert!(failure.text.contains("over the limit of 1"), "{failure}");
    assert_eq!((&*keeper.kind.version, world.lock().unwrap().made), ("1", 1));
}
