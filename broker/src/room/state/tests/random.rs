//! Random rooms against the model, seed by seed. `PARLOR_SEED=n` runs one seed again, `PARLOR_SEEDS=n` as many from 0 on.

use parlor_protocol::frame::Role;
use parlor_protocol::policy::{Handled, OnPanic, TickWhen};
use parlor_protocol::room::{
    Audience, Cause, CloseWhy, Door, Fault, Input, Leave, Outcome, Output, TimerId, Topic, WorkId,
};
use parlor_protocol::{Failure, Place, PlayerId, Policy, Seq};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::model::Model;
use super::*;

const SEEDS: u64 = 1_000;
const STEPS: u32 = 80;
const TOPICS: [&str; 3] = ["t0", "t1", "t2"];
const NAMES: [&str; 6] = ["go", "a", "b", "c", "d", "e"];

#[test]
fn random_rooms_do_what_the_model_says() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("PARLOR_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("PARLOR_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        let run = std::panic::AssertUnwindSafe(|| World::new(seed).run());
        if let Err(panic) = std::panic::catch_unwind(run) {
            eprintln!("failed with PARLOR_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

struct World {
    rng: StdRng,
    state: RoomState<Probe>,
    model: Model,
    probes: Vec<Probe>,
    seq: u64,
    /// Messages that each player has sent.
    sent: Vec<u64>,
    asked: Vec<Origin>,
    works: Vec<WorkId>,
    counter: u32,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let policy = Policy {
            tick_hz: [0, 10, 1000][rng.random_range(0..3)],
            tick_when: if rng.random_bool(0.2) { TickWhen::Always } else { TickWhen::Occupied },
            empty_ttl_ms: rng.random_range(200..2_000),
            client_topics: vec!["t0".into(), "t1".into()],
            handled: if rng.random_bool(0.5) { Handled::Told } else { Handled::Silent },
            on_panic: if rng.random_bool(0.5) { OnPanic::Close } else { OnPanic::Restore },
            close_grace_ms: [0, 300][rng.random_range(0..2)],
            ..Policy::default()
        };
        let (state, model) = (state(policy.clone()), Model::new(policy));
        let (probes, sent, asked, works) = (Vec::new(), vec![0], Vec::new(), Vec::new());
        Self { rng, state, model, probes, seq: 0, sent, asked, works, counter: 0 }
    }

    fn run(&mut self) {
        let input = self.state.open(1, NIL);
        self.handle(input);
        for _ in 0..STEPS {
            if self.rng.random_bool(0.4) {
                self.model.now_us += self.rng.random_range(0..200_000);
                self.state.advance(self.model.now_us);
            }
            self.due();
            if self.model.ended.is_some() {
                break;
            }
            if let Some(input) = self.arrival() {
                self.handle(input);
            }
            if self.rng.random_bool(0.3) {
                self.end_batch();
            }
        }
        self.afterwards();
    }

    /// Once a room has ended, nobody hears of it again.
    fn afterwards(&mut self) {
        for _ in 0..20 {
            if self.model.ended.is_none() {
                break;
            }
            let arrival = self.arrival_other_than_events();
            assert!(arrival.is_none() && self.state.due().is_none() && self.state.next_due_us().is_none());
        }
        self.end_batch();
        assert!(self.model.left.values().all(|times| *times <= 1), "nobody leaves twice");
        let gone = |player: &PlayerId| !self.model.members.contains_key(player) && !self.model.kicked.contains(player);
        if self.model.ended.is_none() {
            let all = self.model.left.iter().all(|(player, times)| *times == u32::from(gone(player)));
            assert!(all, "whoever is gone has left: {:?}", self.model.left);
        }
    }

    fn end_batch(&mut self) {
        let given_back: Vec<usize> = self.state.end_batch().iter().map(|link| link.number).collect();
        assert_eq!(given_back, self.model.batch_ends());
        self.compare();
        assert_eq!(self.state.member_count(), self.model.members.len());
        let refuses = self.state.refuses();
        assert_eq!(self.state.ended(), self.model.ended.is_some());
        assert!(self.model.ended.is_none() || refuses == self.model.ended);
    }

    fn compare(&self) {
        for (probe, expected) in self.probes.iter().zip(&self.model.expected) {
            let got = probe.frames.borrow();
            let differs = got.iter().zip(expected).position(|(got, expected)| got != expected);
            let at = differs.unwrap_or(got.len().min(expected.len()));
            let show = |frames: &[BrokerFrame]| frames.iter().skip(at).map(short).collect::<Vec<_>>();
            assert_eq!(show(&got), show(expected), "link {} from frame {at} on", probe.number);
            assert!(differs.is_none(), "link {}: frame {at} differs in what `short` leaves out", probe.number);
        }
    }

    /// Everything that is due, in the order that the rules ask for.
    fn due(&mut self) {
        loop {
            let promised = self.state.next_due_us();
            let Some(input) = self.state.due() else { break };
            assert!(promised.is_some_and(|at| at <= self.model.now_us), "due, and said so");
            self.check_due(&input);
            self.handle(input);
        }
        let model = &mut self.model;
        if model.ended.is_none() && model.closing.is_some_and(|(until, _)| until <= model.now_us) {
            model.time_is_up(Seq(self.seq));
        }
        if model.ended.is_none() {
            assert!(self.state.next_due_us().is_none_or(|at| at > model.now_us), "nothing is left over");
            assert!(model.kicked.is_empty() && model.timers.first().is_none_or(|(at, _)| *at > model.now_us));
        }
    }

    fn check_due(&mut self, input: &Input) {
        let model = &mut self.model;
        if let Some(player) = model.kicked.pop_front() {
            assert_eq!(input.cause, Cause::Leave { player, why: Leave::Kicked }, "the kicked leave first");
            return;
        }
        match &input.cause {
            Cause::Timer { id, .. } => {
                let (at, first) = *model.timers.first().expect("a timer was set");
                assert_eq!(first, *id);
                assert!(at <= model.now_us);
            }
            Cause::Tick { count, elapsed_us } => {
                let since = model.ticking_since.expect("it ticks");
                assert_eq!((*count, *elapsed_us), (model.ticks + 1, model.now_us - since));
            }
            Cause::Close { why: CloseWhy::Empty, .. } => {
                let since = model.empty_since.expect("nobody is in");
                assert!(model.now_us - since >= model.policy.empty_ttl_ms * 1000);
                model.closing = Some((model.now_us + model.policy.close_grace_ms * 1000, CloseWhy::Empty));
            }
            other => panic!("not due: {other:?}"),
        }
    }

    /// Something from outside, if it becomes an input.
    fn arrival(&mut self) -> Option<Input> {
        match self.rng.random_range(0..20) {
            0..2 => Some(self.state.event("bell".into(), NIL)),
            2 if self.rng.random_bool(0.1) => {
                let why = if self.rng.random_bool(0.5) { CloseWhy::Requested } else { CloseWhy::ShuttingDown };
                let input = self.state.close(why, 200);
                assert_eq!(input.is_some(), self.model.closing.is_none(), "a room is closed once");
                let grace_ms = self.model.policy.close_grace_ms.min(200);
                let until_us = self.model.now_us + grace_ms * 1000;
                match &mut self.model.closing {
                    Some((before, given)) if why == CloseWhy::ShuttingDown => {
                        let latest = self.model.now_us + 200_000;
                        if *before > latest {
                            (*before, *given) = (latest, why);
                        }
                    }
                    Some(_) => {}
                    none => *none = Some((until_us, why)),
                }
                input
            }
            _ => self.arrival_other_than_events(),
        }
    }

    fn arrival_other_than_events(&mut self) -> Option<Input> {
        match self.rng.random_range(0..12) {
            0..3 => self.join(),
            3 => self.leave(),
            4 => self.follow(),
            5 if !self.works.is_empty() => {
                let id = self.works[self.rng.random_range(0..self.works.len())];
                let expected = self.model.ended.is_none() && self.model.works.remove(&id);
                // The actor hands nothing to a room that has ended.
                let input = self.model.ended.is_none().then(|| self.state.work_done(id, "w".into(), Ok(NIL)))?;
                assert_eq!(input.is_some(), expected, "the first result wins");
                input
            }
            _ => self.message(),
        }
    }

    fn join(&mut self) -> Option<Input> {
        let probe = Probe { number: self.probes.len(), ..Probe::default() };
        self.probes.push(probe.clone());
        self.counter += 1;
        let (id, role) =
            (u64::from(self.counter), if self.rng.random_bool(0.8) { Role::Player } else { Role::Spectator });
        let input = self.state.join(newcomer(id, role, &probe));
        assert_eq!(input.is_some(), self.model.asks(id));
        if input.is_some() {
            self.sent.push(0);
        }
        input
    }

    fn leave(&mut self) -> Option<Input> {
        let (player, place) = (self.anybody(), Place { seq: Seq(self.seq + 1), index: 0 });
        let why = if self.rng.random_bool(0.5) { Leave::Left } else { Leave::Disconnected };
        let input = self.state.leave(player, &why);
        assert_eq!(input.is_some(), self.model.goes(player, &why, place));
        input
    }

    fn follow(&mut self) -> Option<Input> {
        let (player, topic) = (self.anybody(), TOPICS[self.rng.random_range(0..3)]);
        self.counter += 1;
        let id = u64::from(self.counter);
        let input = self.state.follow(player, id, topic, self.rng.random_bool(0.7));
        assert_eq!(input.is_some(), self.model.follows(player, id, topic));
        input
    }

    fn message(&mut self) -> Option<Input> {
        let player = self.anybody();
        // Some numbers are used up by messages that never arrive.
        self.sent[player.0 as usize] += self.rng.random_range(1..3);
        self.counter += 1;
        let request = self.rng.random_bool(0.5).then_some(u64::from(self.counter));
        let from = origin(player.0, self.sent[player.0 as usize], request);
        let input = self.state.message(from, "go".into(), NIL);
        assert_eq!(input.is_some(), self.model.members.contains_key(&player));
        self.asked.push(from);
        input
    }

    /// A player that is in, was in, or was refused.
    fn anybody(&mut self) -> PlayerId {
        PlayerId(self.rng.random_range(0..self.sent.len() as u32))
    }

    fn handle(&mut self, input: Input) {
        self.seq += 1;
        assert_eq!(input.seq, Seq(self.seq), "no gap");
        assert_eq!(input.now_ms, 1_000_000 + self.model.now_us / 1000);
        let outcome = self.outcome(&input);
        self.model.apply(&input, &outcome);
        let asked: Vec<WorkId> = (0..)
            .zip(&outcome.outputs)
            .filter(|(_, output)| matches!(output, Output::Run { .. }))
            .map(|(index, _)| WorkId(Place { seq: input.seq, index }))
            .collect();
        let works = self.state.apply(&input, &outcome);
        assert_eq!(works.iter().map(|work| work.id).collect::<Vec<_>>(), asked);
        self.works.extend(asked);
        if !self.model.kicked.is_empty() && self.model.ended.is_none() {
            assert_eq!(self.state.next_due_us(), Some(0), "a kick takes effect before the next input");
            self.due();
        }
    }

    /// What the handler makes of an input.
    fn outcome(&mut self, input: &Input) -> Outcome {
        let open = matches!(input.cause, Cause::Open { .. });
        match self.rng.random_range(0..200) {
            0..6 if !open => Outcome::failed(Fault::Panicked("oh".into())),
            6..30 if !open => refused("no"),
            6 => refused("no"),
            _ => {
                let count = self.rng.random_range(0..5);
                let outputs = (0..count).map(|_| self.output()).collect();
                self.counter += 1;
                Outcome { result: Ok(()), outputs, view: Some(payload(self.counter)) }
            }
        }
    }

    fn output(&mut self) -> Output {
        self.counter += 1;
        let value = payload(self.counter);
        let any_asked = |rng: &mut StdRng, asked: &[Origin]| match asked.len() {
            0 => origin(0, 0, None),
            len => asked[rng.random_range(0..len)],
        };
        let some_seq = Seq(self.rng.random_range(0..=self.seq));
        match self.rng.random_range(0..100) {
            0..50 => {
                let name = NAMES[self.rng.random_range(0..6)];
                Output::Publish { to: self.audience(), name: name.into(), payload: value }
            }
            50..60 => Output::Reply { to: any_asked(&mut self.rng, &self.asked), payload: value },
            60..64 => {
                Output::Refuse { to: any_asked(&mut self.rng, &self.asked), error: Failure::app("late", "").into() }
            }
            64..74 => {
                let topics = (0..self.rng.random_range(0..3)).map(|_| self.topic()).collect();
                Output::SetTopics { player: self.anybody(), topics }
            }
            74..82 => Output::After { delay_ms: self.rng.random_range(0..500), event: "bell".into(), payload: value },
            82..86 => Output::Cancel { timer: TimerId(Place { seq: some_seq, index: self.rng.random_range(0..4) }) },
            86..90 => Output::Kick { player: self.anybody(), reason: value },
            90..93 => Output::Run { name: "w".into(), arguments: value },
            93..96 => {
                let value = if self.rng.random_bool(0.3) { serde_json::Value::Null } else { self.counter.into() };
                Output::SetProperty { name: NAMES[self.rng.random_range(0..6)].into(), value }
            }
            96..98 => Output::Lock(Door::Open),
            98 => Output::Lock(Door::Locked),
            _ if self.rng.random_bool(0.3) => Output::Close { result: value },
            _ => Output::Lock(Door::Open),
        }
    }

    fn audience(&mut self) -> Audience {
        match self.rng.random_range(0..4) {
            0 => Audience::All,
            1 => Audience::AllBut((0..self.rng.random_range(0..3)).map(|_| self.anybody()).collect()),
            2 => Audience::One(self.anybody()),
            _ => Audience::Topic(self.topic()),
        }
    }

    fn topic(&mut self) -> Topic {
        match self.rng.random_range(0..4) {
            3 => Topic::Cell(0, 1),
            n => TOPICS[n].into(),
        }
    }
}
