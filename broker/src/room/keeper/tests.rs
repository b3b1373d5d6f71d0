//! A handler that fails in every way, at random, against a model that never does: what was said stays said, and what was set aside has changed
//! nothing.

use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use parlor_protocol::codec::{NIL, to_payload};
use parlor_protocol::room::{Audience, Origin, Output};
use parlor_protocol::{PlayerId, Policy, Seq};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use super::*;
use crate::host::HostMaker;

const SEEDS: u64 = 3_000;
const INPUTS: u64 = 120;
/// What handlers always panic on.
const POISON: u64 = 13;

/// How likely things go wrong, in percent.
#[derive(Clone, Copy, Debug, Default)]
struct Odds {
    /// An input that is handled for the first time makes the handler panic.
    panic: u32,
    /// One that is replayed does.
    replay: u32,
    /// A state cannot be saved.
    save: u32,
    /// A saved state cannot be read.
    read: u32,
    /// An input that is replayed has another outcome.
    differ: u32,
}

/// A handler whose state is a digest of all that it was given.
#[derive(Clone, Debug, Default, PartialEq)]
struct State {
    digest: u64,
    inputs: u64,
}

impl State {
    fn handle(&mut self, seq: u64, said: u64) -> Outcome {
        self.digest = (self.digest ^ said ^ (seq << 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17);
        self.inputs += 1;
        if said == POISON {
            return Outcome::failed(Fault::Panicked("poison".into()));
        }
        if said % 7 == 3 {
            return Outcome::failed(Fault::Refused(Failure::app("no", "")));
        }
        let payload = to_payload(&self.digest).unwrap();
        let outputs = vec![Output::Publish { to: Audience::All, name: "digest".into(), payload }; said as usize % 3];
        Outcome { result: Ok(()), outputs, view: None }
    }
}

/// What is shared by all the handlers that a room has, one after the other.
#[derive(Debug)]
struct World {
    rng: StdRng,
    odds: Odds,
    /// The highest input that was handled.
    last: u64,
    made: u64,
    differed: bool,
    /// What the present handler has in mind.
    state: State,
}

impl World {
    fn happens(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100) < percent
    }
}

type Shared = Arc<Mutex<World>>;

struct Frail {
    state: State,
    outcome: Option<Outcome>,
    world: Shared,
}

impl Host for Frail {
    fn submit(&mut self, input: &Input) {
        assert!(self.outcome.is_none(), "one at a time");
        let mut world = self.world.lock().unwrap();
        let replayed = input.seq.0 <= world.last;
        world.last = world.last.max(input.seq.0);
        let said = said(input);
        let mut outcome = self.state.handle(input.seq.0, said);
        let odds = world.odds;
        if world.happens(if replayed { odds.replay } else { odds.panic }) {
            outcome = Outcome::failed(Fault::Panicked("at random".into()));
        } else if replayed && outcome.result.is_ok() && world.happens(odds.differ) {
            world.differed = true;
            self.state.digest += 1;
            outcome.outputs.push(Output::Forget { topic: "other".into(), key: String::new() });
        }
        world.state = self.state.clone();
        self.outcome = Some(outcome);
    }

    fn skip(&mut self, _: &Input) {}

    /// Now and then somebody else has his turn first.
    fn poll_outcome(&mut self, _: &mut Context<'_>) -> Poll<Outcome> {
        if self.world.lock().unwrap().happens(20) {
            return Poll::Pending;
        }
        self.outcome.take().map_or(Poll::Pending, Poll::Ready)
    }

    fn run(&mut self, _: &str, _: Bytes, _: WorkDone) {}

    fn snapshot(&mut self) -> Result<Bytes, Failure> {
        let mut world = self.world.lock().unwrap();
        let odds = world.odds;
        if world.happens(odds.save) {
            return Err(Failure::app("full", ""));
        }
        Ok(to_payload(&(self.state.digest, self.state.inputs)).unwrap())
    }
}

struct Maker(Shared);

impl Maker {
    fn host(&self, state: State) -> Box<dyn Host> {
        let mut world = self.0.lock().unwrap();
        world.made += 1;
        world.state = state.clone();
        Box::new(Frail { state, outcome: None, world: self.0.clone() })
    }
}

impl HostMaker for Maker {
    fn make(&self, _: &RoomId) -> Box<dyn Host> {
        self.host(State::default())
    }

    fn restore(&self, _: &RoomId, snapshot: &Bytes) -> Result<Box<dyn Host>, Failure> {
        let odds = self.0.lock().unwrap().odds;
        if self.0.lock().unwrap().happens(odds.read) {
            return Err(Failure::app("garbled", ""));
        }
        let (digest, inputs) = rmp_serde::from_slice(snapshot).unwrap();
        Ok(self.host(State { digest, inputs }))
    }

    fn may_fail(&self) -> MayFail {
        MayFail::Yes
    }
}

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
    let world = Arc::new(Mutex::new(World { rng, odds, last: 0, made: 0, differed: false, state }));
    let kind = Kind::new("k", policy, &["go"], &[], Box::new(Maker(world.clone())));
    (Keeper::new(RoomId::parse("r").unwrap(), Arc::new(kind)), world)
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
}

fn run(seed: u64, met: &mut Met) -> Result<(), String> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut often = |most: u32| if rng.random_bool(0.5) { 0 } else { rng.random_range(0..=most) };
    let odds = Odds { panic: often(20), replay: often(2), save: often(60), read: often(30), differ: often(3) };
    let policy = Policy {
        on_divergence: if rng.random_bool(0.5) { OnDivergence::Stop } else { OnDivergence::Resync },
        snapshot_every: rng.random_range(1..40),
        snapshot_bytes: rng.random_range(1024..20_000),
        ..Policy::default()
    };
    let stops = policy.on_divergence == OnDivergence::Stop;
    let (mut keeper, world) = keeper(odds, StdRng::seed_from_u64(rng.next_u64()), policy);
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
        } else if outcome == worked {
            model = expected;
        } else {
            return Err(format!("{outcome:?} instead of {worked:?}"));
        }
        match upset {
            Some(Upset::Fail(_)) => {
                met.ends += 1;
                let blameless = odds.replay == 0 && odds.read == 0 && !(stops && tainted);
                return if blameless { Err("ended for no reason".into()) } else { Ok(()) };
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
        keeper.save(seq * 500_000);
        let kept = keeper.take_kept();
        tainted &= kept.snapshots == 0;
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
    let Met { set_aside, resyncs, ends, snapshots, unsaved, from_snapshot } = met;
    for count in [set_aside, resyncs, ends, snapshots, unsaved, from_snapshot] {
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
        let space = keeper.save(seq * 1_000_000);
        if spaces.last() != Some(&space) {
            spaces.push(space);
        }
    }
    assert_eq!(spaces, [Space::Enough, Space::Short, Space::None]);
    let kept = keeper.take_kept();
    assert!(kept.snapshots == 0 && kept.snapshots_failed > 10, "{kept:?}");
}
