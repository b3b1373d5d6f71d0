//! How rooms begin, keep time and end, and how members come and go.

use std::borrow::Cow;

use parlor_protocol::frame::Role;
use parlor_protocol::policy::TickWhen;
use parlor_protocol::room::{Audience, CloseWhy, Door, Leave, Output, TimerId};
use parlor_protocol::{ErrorCode, Failure, Place, PlayerId, Policy, Seq};
use serde_json::json;

use super::*;

#[test]
fn who_leaves_is_told_so_and_who_is_gone_is_not() {
    let mut state = open(Policy::default());
    let (ann, bob) = (join(&mut state), join(&mut state));
    let input = state.leave(PlayerId(1), &Leave::Left).unwrap();
    apply(&mut state, &input, worked(vec![publish(Audience::All, "go", 1)]));
    assert_eq!(ann.take(), ["closed 4.0 left: null"], "nothing behind it");
    assert_eq!(bob.take(), ["publish 4.0 type 0: 1"]);
    let input = state.leave(PlayerId(2), &Leave::Disconnected).unwrap();
    apply(&mut state, &input, refused("a leave cannot be refused"));
    assert!(bob.take().is_empty());
    assert!(state.leave(PlayerId(1), &Leave::Left).is_none() && state.leave(PlayerId(9), &Leave::Left).is_none());
    assert_eq!((given_back(&mut state), state.member_count()), (2, 0));
}

#[test]
fn a_refused_joiner_is_told_gets_its_link_back_and_its_number_is_not_reused() {
    let (mut state, link) = (open(Policy::default()), Probe::default());
    let input = state.join(newcomer(3, Role::Player, &link)).unwrap();
    apply(&mut state, &input, refused("full"));
    assert_eq!(link.take(), ["error Some(3): app.full"]);
    assert_eq!((given_back(&mut state), state.member_count()), (1, 0));
    let next = Probe::default();
    let input = state.join(newcomer(4, Role::Player, &next)).unwrap();
    apply(&mut state, &input, worked(Vec::new()));
    assert_eq!(next.take(), ["joined 2 as of 3 types 1: null"]);
}

#[test]
fn a_joiner_whose_codec_cannot_say_the_view_is_no_member_and_the_handler_hears_so() {
    let (mut state, link) = (open(Policy::default()), Probe { codec: Some(Codec::Json), ..Probe::default() });
    let input = state.join(newcomer(3, Role::Player, &link)).unwrap();
    let extension = Bytes::from_static(&[0xd4, 1, 2]);
    let outputs = vec![publish(Audience::One(PlayerId(1)), "go", 1)];
    apply(&mut state, &input, Outcome { view: Some(extension), ..worked(outputs) });
    assert_eq!(link.take(), ["error Some(3): not_representable"]);
    assert_eq!(settle(&mut state), [Cause::Leave { player: PlayerId(1), why: Leave::Disconnected }]);
    assert_eq!((given_back(&mut state), state.member_count()), (1, 0));
}

#[test]
fn an_opening_that_is_refused_ends_the_room_with_its_reason() {
    let (mut state, link) = (state(Policy::default()), Probe::default());
    let input = state.open(1, NIL);
    apply(&mut state, &input, refused("no_map"));
    assert!(state.ended());
    assert!(state.join(newcomer(1, Role::Player, &link)).is_none());
    assert_eq!(link.take(), ["error Some(1): app.no_map"]);
    assert_eq!((state.due(), state.next_due_us()), (None, None));
}

#[test]
fn a_locked_room_takes_nobody_in_until_it_is_unlocked() {
    let (mut state, link) = (open(Policy::default()), Probe::default());
    assert_eq!(state.take_shown().map(|shown| shown.door), Some(Door::Open));
    cause(&mut state, vec![Output::Lock(Door::Locked)]);
    assert_eq!(state.take_shown().map(|shown| shown.door), Some(Door::Locked));
    assert!(state.join(newcomer(1, Role::Player, &link)).is_none());
    assert_eq!(link.take(), ["error Some(1): room_locked"]);
    cause(&mut state, vec![Output::Lock(Door::Open)]);
    join(&mut state);
}

#[test]
fn properties_are_shown_once_changed_and_null_removes_them() {
    let mut state = open(Policy::default());
    state.take_shown();
    assert_eq!(state.take_shown(), None);
    let set = |value| Output::SetProperty { name: "map".into(), value };
    cause(&mut state, vec![set(json!("ice")), set(json!("dust"))]);
    assert_eq!(state.take_shown().unwrap().properties, [("map".to_owned(), json!("dust"))].into());
    cause(&mut state, vec![set(json!(null))]);
    assert!(state.take_shown().unwrap().properties.is_empty());
}

#[test]
fn the_handlers_close_is_the_last_thing_that_anybody_hears() {
    let mut state = open(Policy { tick_hz: 10, ..Policy::default() });
    let (ann, bob) = (join(&mut state), join(&mut state));
    let timer = Output::After { delay_ms: 1, event: "bell".into(), payload: NIL };
    cause(&mut state, vec![timer, Output::Close { result: payload(5) }, publish(Audience::All, "go", 1)]);
    for link in [&ann, &bob] {
        assert_eq!(link.take(), ["publish 4.2 type 0: 1", "closed 4.3 closed: 5"]);
    }
    state.advance(60_000_000);
    assert!(state.ended() && state.due().is_none() && state.next_due_us().is_none());
    assert_eq!(state.refuses(), Some(ErrorCode::RoomClosed.into()));
    assert!(state.leave(PlayerId(1), &Leave::Disconnected).is_none());
    assert!(state.follow(PlayerId(1), 1, "t", true).is_none());
    assert!(state.message(origin(1, 1, None), "go".into(), NIL).is_none());
    assert_eq!(given_back(&mut state), 2);
}

#[test]
fn a_close_from_outside_runs_the_hook_and_ends_at_once_without_a_grace() {
    let mut state = open(Policy::default());
    let link = join(&mut state);
    let input = state.close(CloseWhy::Requested, u64::MAX).unwrap();
    assert_eq!(input.cause, Cause::Close { why: CloseWhy::Requested, grace_ms: 0 });
    apply(&mut state, &input, worked(vec![publish(Audience::All, "go", 1)]));
    assert_eq!(link.take(), ["publish 3.0 type 0: 1".to_owned(), format!("closed 3.{} closed: null", u32::MAX)]);
    assert!(state.close(CloseWhy::Requested, u64::MAX).is_none());
}

#[test]
fn a_shutdown_shortens_a_grace_that_was_given_before() {
    let mut state = open(Policy { close_grace_ms: 600_000, ..Policy::default() });
    let link = join(&mut state);
    let input = state.close(CloseWhy::Requested, u64::MAX).unwrap();
    apply(&mut state, &input, worked(Vec::new()));
    assert_eq!(state.next_due_us(), Some(600_000_000));
    assert!(state.close(CloseWhy::ShuttingDown, 8_000).is_none(), "the hook has run");
    assert_eq!(state.next_due_us(), Some(8_000_000));
    state.advance(8_000_000);
    assert!(state.due().is_none() && state.ended());
    assert_eq!(link.take(), [format!("closed 3.{} shutting_down: null", u32::MAX)]);
}

#[test]
fn a_grace_can_be_used_and_is_cut_short_by_a_shutdown() {
    let grace = Policy { close_grace_ms: 20_000, ..Policy::default() };
    let mut state = open(grace);
    let (link, late) = (join(&mut state), Probe::default());
    let input = state.close(CloseWhy::ShuttingDown, 8_000).unwrap();
    assert_eq!(input.cause, Cause::Close { why: CloseWhy::ShuttingDown, grace_ms: 8_000 });
    apply(&mut state, &input, worked(Vec::new()));
    assert!(!state.ended());
    assert!(state.join(newcomer(2, Role::Player, &late)).is_none());
    assert_eq!(late.take(), ["error Some(2): room_closed"]);
    say(&mut state, origin(1, 1, None), worked(vec![publish(Audience::All, "go", 1)]));
    assert_eq!(state.next_due_us(), Some(8_000_000));
    state.advance(7_999_999);
    assert!(state.due().is_none() && !state.ended());
    state.advance(8_000_000);
    assert!(state.due().is_none() && state.ended());
    assert_eq!(link.take(), ["publish 4.0 type 0: 1".to_owned(), format!("closed 4.{} shutting_down: null", u32::MAX)]);
    assert_eq!(state.refuses(), Some(ErrorCode::ShuttingDown.into()));
}

#[test]
fn timers_fire_once_in_due_order_at_the_rooms_time() {
    let mut state = open(Policy::default());
    let after = |delay_ms, event: &'static str| Output::After { delay_ms, event: event.into(), payload: NIL };
    state.advance(1_000_000);
    let cancelled = TimerId(Place { seq: Seq(state.seq.0 + 1), index: 3 });
    let outputs = vec![
        after(50, "c"),
        after(10, "a"),
        after(50, "d"),
        after(1, "never"),
        after(20, "b"),
        Output::Cancel { timer: cancelled },
    ];
    cause(&mut state, outputs);
    assert_eq!(state.next_due_us(), Some(1_010_000));
    state.advance(1_009_999);
    assert!(state.due().is_none());
    state.advance(3_000_000);
    let fired: Vec<_> = settle(&mut state)
        .into_iter()
        .map(|cause| match cause {
            Cause::Timer { event, .. } => event,
            other => Cow::from(format!("{other:?}")),
        })
        .collect();
    assert_eq!(fired, ["a", "b", "c", "d"]);
    assert!(settle(&mut state).is_empty());
}

#[test]
fn ticks_run_while_a_player_is_in_and_a_spectator_is_none() {
    let mut state = open(Policy { tick_hz: 10, max_spectators: 1, ..Policy::default() });
    join_as(&mut state, Role::Spectator);
    state.advance(1_000_000);
    assert!(settle(&mut state).is_empty());
    join(&mut state);
    state.advance(1_350_000);
    assert_eq!(settle(&mut state), [Cause::Tick { count: 1, elapsed_us: 350_000 }], "one, with the whole time");
    let left = state.leave(PlayerId(2), &Leave::Left).unwrap();
    apply(&mut state, &left, worked(Vec::new()));
    state.advance(9_000_000);
    assert!(settle(&mut state).is_empty());
    let mut always = open(Policy { tick_hz: 10, tick_when: TickWhen::Always, ..Policy::default() });
    always.advance(100_000);
    assert_eq!(settle(&mut always), [Cause::Tick { count: 1, elapsed_us: 100_000 }]);
}

#[test]
fn an_empty_room_closes_after_its_time_and_a_join_starts_it_anew() {
    let mut state = open(Policy { empty_ttl_ms: 1_000, ..Policy::default() });
    state.advance(900_000);
    join(&mut state);
    assert_eq!(state.next_due_us(), None);
    state.advance(5_000_000);
    assert!(settle(&mut state).is_empty());
    let input = state.leave(PlayerId(1), &Leave::Disconnected).unwrap();
    apply(&mut state, &input, worked(Vec::new()));
    assert_eq!(state.next_due_us(), Some(6_000_000));
    state.advance(6_000_000);
    assert_eq!(settle(&mut state), [Cause::Close { why: CloseWhy::Empty, grace_ms: 0 }]);
    assert!(state.ended());
}

#[test]
fn time_never_goes_back_and_is_recorded_in_each_input() {
    let mut state = open(Policy::default());
    state.advance(5_000_000);
    assert_eq!(cause(&mut state, Vec::new()).now_ms, 1_005_000);
    state.advance(2_000_000);
    assert_eq!(cause(&mut state, Vec::new()).now_ms, 1_005_000);
}

#[test]
fn a_latecomer_is_counted_and_its_link_given_back() {
    let (mut state, link) = (open(Policy::default()), Probe::default());
    state.turn_away(6, link.clone(), Failure::from(ErrorCode::ShuttingDown));
    assert_eq!(link.take(), ["error Some(6): shutting_down"]);
    assert_eq!((given_back(&mut state), state.take_tally().told), (1, vec!["shutting_down".into()]));
}

#[test]
fn in_another_version_its_policy_holds_and_the_numbers_of_types_stay() {
    let mut state = open(Policy { tick_hz: 10, ..Policy::default() });
    let ann = join(&mut state);
    state.advance(100_000);
    assert_eq!(settle(&mut state), [Cause::Tick { count: 1, elapsed_us: 100_000 }]);
    let policy = Policy { tick_hz: 50, resume_ms: 0, ..Policy::default() };
    state.change_kind(kind(policy, &["leap", "go"]));
    state.advance(120_000);
    assert_eq!(settle(&mut state), [Cause::Tick { count: 2, elapsed_us: 20_000 }]);
    cause(&mut state, vec![publish(Audience::All, "go", 1), publish(Audience::All, "leap", 2)]);
    assert_eq!(ann.take(), ["publish 5.0 type 0: 1", "types 1 [\"leap\"]", "publish 5.1 type 1: 2"]);
    let link = Probe::default();
    let input = state.join(newcomer(3, Role::Player, &link)).unwrap();
    apply(&mut state, &input, worked(Vec::new()));
    let joined = link.frames.borrow().iter().find_map(|frame| match frame {
        BrokerFrame::Joined { joined, .. } => Some((joined.routes, joined.types.clone())),
        _ => None,
    });
    assert_eq!(
        joined,
        Some((1, vec!["go".to_owned(), "leap".to_owned()])),
        "only what all were told may be said by number"
    );
    let left = state.drop_out(PlayerId(1)).unwrap();
    assert_eq!(
        left.cause,
        Cause::Leave { player: PlayerId(1), why: Leave::Disconnected },
        "nobody waits in this version"
    );
}
