//! Members that go away and come back, what they are shown then, and who comes in by what right.

use parlor_protocol::frame::Role;
use parlor_protocol::policy::SameAccount;
use parlor_protocol::room::{CloseWhy, Leave, Output, Topic, UsedTicket};
use parlor_protocol::{PlayerId, Policy};

use super::*;

const SECOND_US: u64 = 1_000_000;

fn waiting() -> Policy {
    Policy { resume_ms: 30_000, ..Policy::default() }
}

/// Has whatever the state numbered handled without outputs; what it was.
fn handled(state: &mut RoomState<Probe>, input: Option<Input>) -> Option<Cause> {
    let input = input?;
    let view = matches!(input.cause, Cause::View { .. }).then(|| payload(77));
    apply(state, &input, Outcome { view, ..worked(Vec::new()) });
    Some(input.cause)
}

fn latest(key: &str, value: u32) -> Output {
    Output::Latest { topic: "pos".into(), key: key.into(), name: "at".into(), payload: payload(value) }
}

fn follows(player: u32) -> Output {
    Output::SetTopics { player: PlayerId(player), topics: vec![Topic::from("pos")] }
}

#[test]
fn a_member_that_drops_out_keeps_its_seat_and_what_is_sent_to_it() {
    let mut state = open(waiting());
    let ann = join(&mut state);
    let input = state.drop_out(PlayerId(1));
    assert_eq!(handled(&mut state, input), Some(Cause::Drop { player: PlayerId(1) }));
    assert!(state.drop_out(PlayerId(1)).is_none(), "once");
    cause(&mut state, vec![publish(Audience::All, "go", 1)]);
    state.advance(29 * SECOND_US);
    assert_eq!((settle(&mut state), state.member_count()), (vec![], 1));
    let input = state.resume(PlayerId(1));
    assert_eq!(handled(&mut state, input), Some(Cause::Resume { player: PlayerId(1) }));
    assert!(state.resume(PlayerId(1)).is_none(), "once");
    state.advance(100 * SECOND_US);
    assert_eq!((settle(&mut state), state.member_count()), (vec![], 1), "the window is no more");
    assert_eq!(ann.take(), ["publish 4.0 type 0: 1"]);
}

#[test]
fn who_does_not_come_back_in_time_has_left_and_is_told_so() {
    let mut state = open(waiting());
    let ann = join(&mut state);
    let input = state.drop_out(PlayerId(1));
    handled(&mut state, input);
    assert_eq!(state.next_due_us(), Some(30 * SECOND_US));
    state.advance(30 * SECOND_US);
    assert_eq!(settle(&mut state), [Cause::Leave { player: PlayerId(1), why: Leave::Disconnected }]);
    assert_eq!(ann.take(), ["closed 4.0 expired: null"]);
    assert!(state.resume(PlayerId(1)).is_none() && state.drop_out(PlayerId(1)).is_none());
    assert_eq!((given_back(&mut state), state.member_count()), (1, 0));
}

#[test]
fn without_a_window_dropping_out_is_leaving() {
    let mut state = open(Policy { resume_ms: 0, ..Policy::default() });
    join(&mut state);
    let input = state.drop_out(PlayerId(1));
    assert_eq!(handled(&mut state, input), Some(Cause::Leave { player: PlayerId(1), why: Leave::Disconnected }));
}

#[test]
fn whoever_is_away_can_leave_be_kicked_and_see_the_end_and_is_waited_for_no_longer() {
    for way in 0..3 {
        let mut state = open(waiting());
        let ann = join(&mut state);
        let input = state.drop_out(PlayerId(1));
        handled(&mut state, input);
        let said = match way {
            0 => {
                let input = state.leave(PlayerId(1), &Leave::Left);
                handled(&mut state, input);
                "closed 4.0 left: null"
            }
            1 => {
                cause(&mut state, vec![Output::Kick { player: PlayerId(1), reason: payload(5) }]);
                "closed 4.0 kicked: 5"
            }
            _ => {
                cause(&mut state, vec![Output::Close { result: payload(6) }]);
                "closed 4.1 closed: 6"
            }
        };
        assert_eq!(ann.take(), [said]);
        state.advance(60 * SECOND_US);
        let later = settle(&mut state);
        assert!(later.iter().all(|cause| !matches!(cause, Cause::Leave { why: Leave::Disconnected, .. })), "{later:?}");
    }
}

#[test]
fn a_view_has_a_place_in_the_order_and_all_of_the_table() {
    let mut state = open(waiting());
    let ann = join(&mut state);
    say(&mut state, origin(1, 4, None), worked(vec![publish(Audience::All, "news", 1)]));
    ann.take();
    let input = state.view(PlayerId(1));
    assert_eq!(handled(&mut state, input), Some(Cause::View { player: PlayerId(1) }));
    let frames = ann.frames.take();
    let [BrokerFrame::View { joined, handled: up_to, view }] = &frames[..] else { panic!("{frames:?}") };
    assert_eq!((joined.seq.0, joined.player, joined.types.join(" ").as_str()), (4, PlayerId(1), "go news"));
    assert_eq!((*up_to, view), (4, &payload(77)));
    assert!(state.view(PlayerId(9)).is_none());
}

#[test]
fn a_member_that_cannot_be_shown_what_it_missed_is_let_go() {
    let mut state = open(waiting());
    let ann = join(&mut state);
    let input = state.view(PlayerId(1)).unwrap();
    apply(&mut state, &input, refused("no_view"));
    assert_eq!(ann.take(), ["closed 3.0 room_failed: null"]);
    assert_eq!(settle(&mut state), [Cause::Leave { player: PlayerId(1), why: Leave::Disconnected }]);
}

#[test]
fn the_latest_values_come_with_following_with_coming_back_and_with_a_view() {
    let mut state = open(waiting());
    let ann = join(&mut state);
    cause(&mut state, vec![latest("a", 1), latest("b", 2), latest("a", 3)]);
    assert_eq!(ann.take(), ["types 1 [\"at\"]"], "who does not follow gets none");
    cause(&mut state, vec![follows(1)]);
    let values = |link: &Probe| -> Vec<(String, u32)> {
        let frames = link.frames.take().into_iter();
        frames
            .filter_map(|frame| match frame {
                BrokerFrame::Latest { key, payload, .. } => Some((key, rmp_serde::from_slice(&payload).unwrap())),
                _ => None,
            })
            .collect()
    };
    let present = [("a".to_owned(), 3), ("b".to_owned(), 2)];
    assert_eq!(values(&ann), present);
    cause(&mut state, vec![follows(1)]);
    assert_eq!(values(&ann), [], "it follows already");
    let input = state.drop_out(PlayerId(1));
    handled(&mut state, input);
    cause(&mut state, vec![latest("a", 4), Output::Forget { topic: "pos".into(), key: "b".into() }]);
    assert_eq!(values(&ann), [], "nobody is there");
    let input = state.resume(PlayerId(1));
    handled(&mut state, input);
    assert_eq!(values(&ann), [("a".to_owned(), 4)]);
    state.resume(PlayerId(1));
    assert_eq!(values(&ann), [("a".to_owned(), 4)], "even if the room had not noticed");
    let input = state.view(PlayerId(1));
    handled(&mut state, input);
    assert_eq!(values(&ann), [("a".to_owned(), 4)]);
}

fn with_ticket(id: &str) -> (Newcomer<Probe>, Probe) {
    let link = Probe::default();
    let ticket = Some(UsedTicket { id: id.into(), expires_s: 1_060 });
    (Newcomer { ticket, ..newcomer(1, Role::Player, &link) }, link)
}

#[test]
fn a_ticket_lets_in_once_unless_the_handler_says_no() {
    let mut state = open(Policy { same_account: SameAccount::Allow, ..waiting() });
    let (who, _) = with_ticket("t");
    let input = state.join(who).unwrap();
    apply(&mut state, &input, refused("not_yet"));
    let (who, _) = with_ticket("t");
    let input = state.join(who).unwrap();
    let Cause::Join { ticket: Some(ticket), .. } = &input.cause else { panic!("{input:?}") };
    assert_eq!(ticket.id, "t");
    apply(&mut state, &input, worked(Vec::new()));
    let (who, link) = with_ticket("t");
    assert!(state.join(who).is_none());
    assert_eq!(link.take(), ["error Some(1): ticket_used"]);
    // Beyond its time the door turns it away; nobody needs to remember it.
    state.advance(120 * SECOND_US);
    let (who, _) = with_ticket("other");
    let input = state.join(who).unwrap();
    apply(&mut state, &input, worked(Vec::new()));
    assert_eq!(state.tickets.len(), 0, "{:?}", state.tickets);
}

#[test]
fn a_second_membership_of_an_account_replaces_the_first_before_it_begins() {
    let mut state = open(waiting());
    let ann = join(&mut state);
    state.make_way("somebody else", None);
    assert!(ann.take().is_empty());
    state.make_way("a", None);
    assert_eq!(ann.take(), ["closed 2.4294967295 replaced: null"]);
    assert_eq!(settle(&mut state), [Cause::Leave { player: PlayerId(1), why: Leave::Replaced }]);
    join(&mut state);
    let input = state.close(CloseWhy::Requested, 0).unwrap();
    apply(&mut state, &input, worked(Vec::new()));
    assert_eq!(given_back(&mut state), 2);
}

#[test]
fn a_second_membership_can_be_refused_or_allowed() {
    let mut state = open(Policy { same_account: SameAccount::Refuse, ..waiting() });
    join(&mut state);
    state.make_way("a", None);
    let again = Probe::default();
    assert!(state.join(newcomer(2, Role::Player, &again)).is_none());
    assert_eq!(again.take(), ["error Some(2): already_joined"]);
    let mut state = open(Policy { same_account: SameAccount::Allow, ..waiting() });
    join(&mut state);
    state.make_way("a", None);
    join(&mut state);
    assert_eq!(state.member_count(), 2);
}

#[test]
fn a_room_that_takes_nobody_in_replaces_nobody() {
    let mut state = open(waiting());
    let ann = join(&mut state);
    cause(&mut state, vec![Output::Lock(Door::Locked)]);
    state.make_way("a", None);
    assert!(ann.take().is_empty());
    assert_eq!(state.member_count(), 1);
}
