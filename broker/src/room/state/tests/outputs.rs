//! What outputs become, and for whom.

use parlor_protocol::frame::Role;
use parlor_protocol::policy::{Handled, OnPanic};
use parlor_protocol::room::{Audience, Fault, Leave, Outcome, Output, Topic, WorkId};
use parlor_protocol::{Failure, Place, PlayerId, Policy};

use super::*;

#[test]
fn a_joiner_gets_joined_first_and_nothing_that_its_view_contains() {
    let mut state = open(Policy { client_topics: vec!["t".into()], ..Policy::default() });
    let (old, new) = (join(&mut state), Probe::default());
    let input = state.join(newcomer(5, Role::Player, &new)).unwrap();
    let outputs = vec![
        publish(Audience::All, "news", 1),
        Output::SetTopics { player: PlayerId(2), topics: vec!["t".into()] },
        publish(Audience::Topic("t".into()), "news", 2),
        publish(Audience::AllBut(vec![PlayerId(1)]), "news", 3),
        publish(Audience::One(PlayerId(2)), "hello", 4),
    ];
    apply(&mut state, &input, Outcome { view: Some(payload(77)), ..worked(outputs) });
    // Types are for all members, the joiner included, and come before their first use.
    assert_eq!(
        new.take(),
        ["joined 2 as of 3 types 1: 77", r#"types 1 ["news"]"#, r#"types 2 ["hello"]"#, "publish 3.4 type 2: 4"]
    );
    assert_eq!(old.take(), [r#"types 1 ["news"]"#, "publish 3.0 type 1: 1", r#"types 2 ["hello"]"#]);
    let third = Probe::default();
    let input = state.join(newcomer(6, Role::Player, &third)).unwrap();
    apply(&mut state, &input, worked(Vec::new()));
    assert_eq!(third.take(), ["joined 3 as of 4 types 3: null"], "a later joiner has the whole table");
}

#[test]
fn audiences_are_what_they_say() {
    let mut state = open(Policy::default());
    let links: Vec<_> = (0..3).map(|_| join(&mut state)).collect();
    let player = PlayerId;
    let outputs = vec![
        Output::SetTopics { player: player(1), topics: vec![Topic::Cell(0, 0), "t".into()] },
        Output::SetTopics { player: player(3), topics: vec!["t".into()] },
        publish(Audience::All, "go", 1),
        publish(Audience::AllBut(vec![player(1), player(9)]), "go", 2),
        publish(Audience::One(player(3)), "go", 3),
        publish(Audience::Topic("t".into()), "go", 4),
        publish(Audience::Topic((0, 0).into()), "go", 5),
        Output::SetTopics { player: player(1), topics: Vec::new() },
        publish(Audience::Topic("t".into()), "go", 6),
        publish(Audience::One(player(9)), "go", 7),
    ];
    cause(&mut state, outputs);
    let values = |link: &Probe| -> Vec<String> {
        link.take().iter().map(|frame| frame.rsplit(' ').next().unwrap().to_owned()).collect()
    };
    assert_eq!(
        links.iter().map(values).collect::<Vec<_>>(),
        [vec!["1", "4", "5"], vec!["1", "2"], vec!["1", "2", "3", "4", "6"]]
    );
}

#[test]
fn a_kicked_member_is_told_leaves_at_once_and_gets_nothing_more() {
    let mut state = open(Policy::default());
    let (bad, good) = (join(&mut state), join(&mut state));
    let after = Output::After { delay_ms: 0, event: "bell".into(), payload: NIL };
    let kick = Output::Kick { player: PlayerId(1), reason: payload(5) };
    let outputs = vec![after, kick.clone(), publish(Audience::All, "go", 1), kick];
    cause(&mut state, outputs);
    assert_eq!(bad.take(), ["closed 4.1 kicked: 5"]);
    assert_eq!(good.take(), ["publish 4.2 type 0: 1"]);
    assert!(state.message(origin(1, 1, None), "go".into(), NIL).is_none());
    assert!(state.leave(PlayerId(1), &Leave::Disconnected).is_none(), "it has left already");
    assert_eq!(state.next_due_us(), Some(0));
    state.advance(1_000_000);
    let causes = settle(&mut state);
    assert_eq!(causes[0], Cause::Leave { player: PlayerId(1), why: Leave::Kicked }, "before the timer");
    assert!(matches!(causes[1..], [Cause::Timer { .. }]), "{causes:?}");
    assert_eq!(given_back(&mut state), 1);
    assert_eq!(state.take_tally().orphaned, 1);
}

#[test]
fn replies_and_refusals_reach_those_who_asked_if_they_are_still_here() {
    let mut state = open(Policy::default());
    let (ann, bob) = (join(&mut state), join(&mut state));
    let asked = origin(1, 1, Some(40));
    say(&mut state, asked, worked(vec![Output::Reply { to: asked, payload: payload(3) }]));
    let told = origin(1, 2, None);
    say(&mut state, told, worked(vec![Output::Reply { to: told, payload: payload(4) }]));
    say(&mut state, origin(1, 3, Some(41)), refused("no"));
    let late = Output::Refuse { to: told, error: Failure::app("late", "").into() };
    say(&mut state, origin(2, 1, None), worked(vec![late.clone()]));
    assert_eq!(
        ann.take(),
        ["reply 4.0 to 40: 3", "refused 6.0 no 3 id Some(41): app.no", "refused 7.0 no 2 id None: app.late"]
    );
    let left = state.leave(PlayerId(1), &Leave::Disconnected).unwrap();
    apply(&mut state, &left, worked(vec![late, Output::Reply { to: asked, payload: NIL }]));
    assert!(ann.take().is_empty() && bob.take().is_empty());
}

#[test]
fn a_refused_input_leaves_no_outputs_and_a_panic_is_told_as_one() {
    let mut state = open(Policy::default());
    let link = join(&mut state);
    say(&mut state, origin(1, 1, None), Outcome::failed(Fault::Panicked("oh".into())));
    assert_eq!(link.take(), ["refused 3.0 no 1 id None: handler_panicked"]);
    let event = state.event("bell".into(), NIL);
    apply(&mut state, &event, refused("x"));
    let tally = state.take_tally();
    assert_eq!((tally.panics, tally.faults, tally.untold.len()), (vec!["oh".to_owned()], 2, 1));
    assert!(!state.ended() && link.take().is_empty());
}

#[test]
fn a_panic_closes_the_room_when_the_policy_says_so() {
    let mut state = open(Policy { on_panic: OnPanic::Close, ..Policy::default() });
    let link = join(&mut state);
    say(&mut state, origin(1, 1, None), Outcome::failed(Fault::Panicked("oh".into())));
    assert_eq!(link.take(), ["refused 3.0 no 1 id None: handler_panicked", "closed 3.0 room_failed: null"]);
    assert!(state.ended());
    assert_eq!(state.refuses().unwrap().code, "room_failed");
}

#[test]
fn handled_comes_behind_the_publishes_that_reflect_it_and_only_when_it_grew() {
    let mut state = open(Policy { handled: Handled::Told, tick_hz: 10, ..Policy::default() });
    let (ann, bob) = (join(&mut state), join(&mut state));
    state.advance(100_000);
    settle(&mut state);
    say(&mut state, origin(1, 1, None), worked(vec![publish(Audience::All, "go", 1)]));
    say(&mut state, origin(1, 4, None), refused("no"));
    state.end_batch();
    state.end_batch();
    assert_eq!(ann.take(), ["publish 5.0 type 0: 1", "refused 6.0 no 4 id None: app.no", "handled 4 tick 1"]);
    assert_eq!(bob.take(), ["publish 5.0 type 0: 1"]);
}

#[test]
fn the_first_result_of_work_wins() {
    let mut state = open(Policy::default());
    join(&mut state);
    let run = Output::Run { name: "load".into(), arguments: payload(8) };
    let input = state.event("bell".into(), NIL);
    let works = apply(&mut state, &input, worked(vec![publish(Audience::All, "go", 1), run]));
    let id = WorkId(Place { seq: input.seq, index: 1 });
    assert_eq!((works.len(), works[0].id, &*works[0].name, &works[0].arguments), (1, id, "load", &payload(8)));
    let done = state.work_done(id, "load".into(), Ok(payload(1))).unwrap();
    assert!(matches!(done.cause, Cause::Work { id: of, .. } if of == id));
    assert!(state.work_done(id, "load".into(), Ok(payload(2))).is_none());
    let never_asked = WorkId(Place { seq: input.seq, index: 0 });
    assert!(state.work_done(never_asked, "load".into(), Ok(NIL)).is_none());
}

#[test]
fn clients_choose_only_topics_that_the_policy_names() {
    let mut state = open(Policy { client_topics: vec!["t".into()], ..Policy::default() });
    let link = join(&mut state);
    assert!(state.follow(PlayerId(1), 8, "secret", true).is_none());
    let input = state.follow(PlayerId(1), 9, "t", true).unwrap();
    apply(&mut state, &input, worked(Vec::new()));
    cause(&mut state, vec![publish(Audience::Topic("t".into()), "go", 1)]);
    let input = state.follow(PlayerId(1), 10, "t", false).unwrap();
    apply(&mut state, &input, worked(Vec::new()));
    cause(&mut state, vec![publish(Audience::Topic("t".into()), "go", 2)]);
    assert_eq!(link.take(), ["error Some(8): topic_denied", "done 9", "publish 4.0 type 0: 1", "done 10"]);
    assert!(state.follow(PlayerId(2), 1, "t", true).is_none(), "nobody of that number");
    assert_eq!(state.take_tally().told, ["topic_denied"]);
}
