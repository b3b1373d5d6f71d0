//! A handler that fails in every way, at random, against a model that never does: what was said stays said, and what was set aside has changed
//! nothing.

mod frail;
mod moves;

use std::collections::HashMap;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use parlor_protocol::codec::NIL;
use parlor_protocol::policy::OnDivergence;
use parlor_protocol::room::{Cause, Origin};
use parlor_protocol::{PlayerId, Policy, Seq};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use self::frail::{Maker, Odds, POISON, Shared, State, World};
use super::*;

const SEEDS: u64 = 3_000;
const INPUTS: u64 = 120;

fn said(input: &Input) -> u64 {
    let Cause::Message { from, .. } = &input.cause else { return 0 };
    from.no
}

fn input(seq: u64, said: u64) -> Input {
    let cause = match seq {
        1 => Cause::Open { room: RoomId::parse("r").unwrap(), seed: 0, options: NIL },
        _ => {
            let from = Origin { player: PlayerId(1), no: said, request: None };
            Cause::Message { from, name: "go".into(), payload: NIL }
        }
    };
    Input { seq: Seq(seq), now_ms: seq, cause }
}

fn keeper(odds: Odds, rng: StdRng, policy: Policy) -> (Keeper, Shared) {
    let state = State::default();
    let handled_by = HashMap::new();
    let world = Arc::new(Mutex::new(World { rng, odds, handled_by, made: 0, deaths: 0, differed: false, state }));
    (Keeper::new(RoomId::parse("r").unwrap(), kind(&world, 1, policy)), world)
}

fn kind(world: &Shared, version: u8, policy: Policy) -> Arc<Kind> {
    let kind = Kind::new("k", policy, &["go"], &[], Box::new(Maker(world.clone(), version)));
    Arc::new(kind.of_version(version.to_string().into()))
}

fn done<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
}

/// What has been seen to happen, in all runs together.
#[derive(Debug, Default)]
struct Met {
    set_aside: u64,
    resyncs: u64,
    ends: u64,
    snapshots: u64,
    unsaved: u64,
    from_snapshot: u64,
    deaths: u64,
    parted: u64,
    asleep: u64,
    moved: u64,
    stayed: u64,
}

fn run(seed: u64, met: &mut Met) -> Result<(), String> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut often = |most: u32| if rng.random_bool(0.5) { 0 } else { rng.random_range(0..=most) };
    let odds = Odds {
        panic: often(20),
        replay: often(2),
        save: often(60),
        read: often(30),
        differ: often(3),
        ..Odds::default()
    };
    let odds = match often(1) {
        0 => odds,
        _ => Odds { die: often(30), die_again: often(1), die_idle: often(10), ask: often(10), ..odds },
    };
    let odds = Odds { move_on: often(20), nobody: often(10), reject: often(50), die_opening: often(50), ..odds };
    let policy = Policy {
        on_divergence: if rng.random_bool(0.5) { OnDivergence::Stop } else { OnDivergence::Resync },
        snapshot_every: rng.random_range(1..40),
        snapshot_bytes: rng.random_range(1024..20_000),
        sleep_after_ms: rng.random_range(0..2_000),
        ..Policy::default()
    };
    let stops = policy.on_divergence == OnDivergence::Stop;
    let blameless = |tainted| odds.replay == 0 && odds.read == 0 && odds.die_again == 0 && !(stops && tainted);
    let (mut keeper, world) = keeper(odds, StdRng::seed_from_u64(rng.next_u64()), policy.clone());
    let versions = [keeper.kind.clone(), kind(&world, 2, Policy { snapshot_every: rng.random_range(1..40), ..policy })];
    let mut model = State::default();
    // Whether something is to be replayed that is not what the handler would say.
    let mut tainted = false;
    for seq in 1..=INPUTS {
        let input = input(seq, rng.random_range(0..50));
        world.lock().unwrap().differed = false;
        let (outcome, upset) = done(keeper.handle(&input));
        let (differed, state) = {
            let world = world.lock().unwrap();
            (world.differed, world.state.clone())
        };
        tainted |= differed;
        let mut expected = model.clone();
        let worked = expected.handle(seq, said(&input));
        if panicked(&outcome) {
            met.set_aside += 1;
            met.from_snapshot += u64::from(keeper.journal.as_ref().is_some_and(|journal| journal.snapshot().is_some()));
        } else if upset.is_some() {
            // It was handled by a handler that remembers something else, or not at all.
        } else if outcome == worked {
            model = expected;
        } else {
            return Err(format!("{outcome:?} instead of {worked:?}"));
        }
        match upset {
            Some(Upset::Fail(_)) => {
                met.ends += 1;
                return if blameless(tainted) { Err("ended for no reason".into()) } else { Ok(()) };
            }
            Some(Upset::Resync) if tainted && !stops => {
                met.resyncs += 1;
                // What it remembers now is how it goes on.
                model = state;
            }
            None if seq > 1 && !differed && state != model => return Err(format!("{state:?} instead of {model:?}")),
            // A replay that differed and then failed has been followed by one that did not.
            None if seq > 1 && state != model => return Err("another state, and nobody is told".into()),
            None => {}
            Some(other) => return Err(format!("{other:?} for no reason")),
        }
        if seq == 1 && panicked(&outcome) {
            return Ok(());
        }
        keeper.keep(input, outcome);
        let works = if rng.random() { Outside::Idle } else { Outside::Working };
        done(keeper.save(seq * 500_000, works));
        if keeper.host.is_some() && keeper.poll_parting(&mut Context::from_waker(Waker::noop())).is_ready() {
            done(keeper.save(seq * 500_000, works));
            if keeper.host.is_some() || !keeper.take_works_lost() {
                return Err("stays where it was asked to leave, or forgets what is pending there".into());
            }
            met.parted += 1;
        }
        met.asleep += u64::from(keeper.asleep);
        if rng.random_range(0..100) < odds.move_on {
            let moved = moves::move_on(&mut keeper, &world, &versions, seq * 500_000);
            tainted |= moved.differed;
            match moved.upset {
                Some(Upset::Fail(_)) => {
                    met.ends += 1;
                    return if blameless(tainted) { Err("ended in a move, for no reason".into()) } else { Ok(()) };
                }
                Some(Upset::Resync) if tainted && !stops => model = moved.state.clone(),
                None => {}
                Some(other) => return Err(format!("{other:?} in a move, for no reason")),
            }
            if moved.is_there && (moved.state != model || keeper.host.is_none()) {
                return Err(format!("moved, with {:?} instead of {model:?}", moved.state));
            }
            tainted &= !moved.is_there;
            *(if moved.is_there { &mut met.moved } else { &mut met.stayed }) += 1;
        }
        let kept = keeper.take_kept();
        tainted &= kept.snapshots == 0;
        met.deaths += std::mem::take(&mut world.lock().unwrap().deaths);
        (met.snapshots, met.unsaved) = (met.snapshots + kept.snapshots, met.unsaved + kept.snapshots_failed);
    }
    Ok(())
}

#[test]
fn whatever_fails_nothing_that_was_said_is_unsaid_and_nothing_that_was_set_aside_has_changed_anything() {
    let mut met = Met::default();
    let failures: Vec<_> =
        (0..SEEDS).filter_map(|seed| run(seed, &mut met).err().map(|why| format!("seed {seed}: {why}"))).collect();
    assert!(failures.is_empty(), "{} of {SEEDS}: {:#?}", failures.len(), &failures[..failures.len().min(5)]);
    println!("{SEEDS} seeds: {met:?}");
    let Met { set_aside, resyncs, ends, snapshots, unsaved, from_snapshot, deaths, parted, asleep, moved, stayed } =
        met;
    for count in [set_aside, resyncs, ends, snapshots, unsaved, from_snapshot, deaths, parted, asleep, moved, stayed] {
        assert!(count > 100, "{met:?}");
    }
}

#[test]
fn a_room_that_is_to_close_when_its_handler_panics_is_not_kept() {
    let policy = Policy { on_panic: OnPanic::Close, ..Policy::default() };
    let (mut keeper, world) = keeper(Odds::default(), StdRng::seed_from_u64(0), policy);
    for (seq, said) in [(1, 0), (2, POISON)] {
        let (outcome, upset) = done(keeper.handle(&input(seq, said)));
        assert_eq!((panicked(&outcome), upset), (said == POISON, None));
        keeper.keep(input(seq, said), outcome);
    }
    assert_eq!(world.lock().unwrap().made, 1);
    assert_eq!(keeper.take_kept(), Kept::default());
}

#[test]
fn a_state_that_is_too_large_is_not_saved_and_the_room_runs_out_of_space() {
    let policy = Policy { max_snapshot_bytes: 1, snapshot_bytes: 1024, queue_bytes: 0, ..Policy::default() };
    let (mut keeper, _) = keeper(Odds::default(), StdRng::seed_from_u64(0), policy);
    let mut spaces = Vec::new();
    for seq in 1..=80 {
        let input = input(seq, 1);
        let (outcome, _) = done(keeper.handle(&input));
        keeper.keep(input, outcome);
        let space = done(keeper.save(seq * 1_000_000, Outside::Idle));
        if spaces.last() != Some(&space) {
            spaces.push(space);
        }
    }
    assert_eq!(spaces, [Space::Enough, Space::Short, Space::None]);
    let kept = keeper.take_kept();
    assert!(kept.snapshots == 0 && kept.snapshots_failed > 10, "{kept:?}");
}

#[test]
fn an_input_over_which_three_processes_end_is_set_aside_and_nothing_else_is() {
    let odds = Odds { die: 100, ..Odds::default() };
    let (mut keeper, world) = keeper(Odds::default(), StdRng::seed_from_u64(0), Policy::default());
    world.lock().unwrap().odds.ask = 1;
    keeper = Keeper::new(keeper.room, keeper.kind);
    world.lock().unwrap().odds = Odds::default();
    let mut model = State::default();
    for seq in 1..=20 {
        let input = input(seq, 1);
        let deadly = seq % 5 == 0;
        world.lock().unwrap().odds = if deadly { odds } else { Odds::default() };
        let (outcome, upset) = done(keeper.handle(&input));
        assert_eq!((panicked(&outcome), upset), (deadly, None), "{seq}");
        if !deadly {
            assert_eq!(outcome, model.handle(seq, said(&input)));
        }
        keeper.keep(input, outcome);
    }
    let world = world.lock().unwrap();
    assert_eq!((world.deaths, &world.state), (4 * u64::from(DEATHS), &model));
}
