//! Members that lose their connections, in the test harness: seats that are kept, views anew, latest values, tickets, second memberships.

use parlor::prelude::*;
use parlor::testing::{Received, TestRoom};
use serde_json::json;

/// A map on which all see where the others are.
#[derive(Default, Serialize, Deserialize)]
struct Map {
    places: BTreeMap<PlayerId, i32>,
    log: Vec<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
struct Place {
    x: i32,
}

#[derive(Serialize, Message)]
struct Said {
    text: String,
}

#[room(
    kind = "map",
    max_players = 2,
    max_spectators = 1,
    empty_ttl = "1s",
    resume = "10s",
    client_topics = ["place"],
    latest_topics = ["place"],
    max_latest = 3,
    max_view_bytes = 100
)]
impl Map {
    #[msg::join]
    fn joined(&mut self, ctx: &mut Ctx, player: &Player) {
        self.places.insert(player.id, 0);
        if player.name != "blind" {
            ctx.set_topics(player.id, ["place"]);
        }
    }

    #[msg::drop]
    fn dropped(&mut self, ctx: &mut Ctx, player: &Player) {
        self.note(ctx, "away", player.id);
    }

    #[msg::resume]
    fn resumed(&mut self, ctx: &mut Ctx, player: &Player) {
        self.note(ctx, "back", player.id);
    }

    #[msg::leave]
    fn left(&mut self, ctx: &mut Ctx, player: &Player, why: Leave) {
        self.places.remove(&player.id);
        ctx.forget_latest("place", player.id);
        self.note(ctx, &format!("{why:?}"), player.id);
    }

    #[msg::view]
    fn view(&self, _to: &Player) -> BTreeMap<PlayerId, i32> {
        self.places.clone()
    }

    #[msg::route("go")]
    fn go(&mut self, ctx: &mut Ctx, from: PlayerId, place: Place) {
        ctx.publish_latest("place", from, &place);
        self.places.insert(from, place.x);
    }

    #[msg::route("mark")]
    fn mark(&mut self, ctx: &mut Ctx, _from: PlayerId, key: String) {
        ctx.publish_latest("place", key, &Place { x: 0 });
    }

    #[msg::route("say")]
    fn say(&mut self, ctx: &mut Ctx, _from: PlayerId, text: String) {
        ctx.broadcast(&Said { text });
    }

    #[msg::route("grow")]
    fn grow(&mut self, _ctx: &mut Ctx, _from: PlayerId) {
        self.places.extend((1000..1100).map(|id| (PlayerId(id), 0)));
    }

    #[msg::route("kick")]
    fn kick(&mut self, ctx: &mut Ctx, _from: PlayerId, whom: PlayerId) {
        ctx.kick(whom, &());
    }
}

impl Map {
    fn note(&mut self, ctx: &Ctx, what: &str, player: PlayerId) {
        self.log.push(format!("{what} {player} {}", ctx.connected(player)));
    }
}

type Room = TestRoom<Map>;

fn open() -> (Room, PlayerId, PlayerId) {
    let mut room = Room::open(&());
    let (ann, bob) = (room.join("ann"), room.join("bob"));
    (room, ann, bob)
}

fn place(key: &str, x: i32) -> Received {
    Received { name: "place".into(), payload: json!({ "x": x }), key: Some(key.into()) }
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn a_seat_is_kept_and_what_was_missed_waits() {
    let (mut room, ann, bob) = open();
    room.drop(bob);
    assert_eq!((room.members(), room.try_join("carl", &()).unwrap_err().code.as_ref()), (2, "room_full"));
    assert_eq!(room.try_send(bob, "say", &"hello?").unwrap_err().code, "app.away");
    room.send(ann, "say", &"hi");
    room.advance(secs(9));
    room.resume(bob);
    assert_eq!(room.take::<BTreeMap<String, String>>(bob, "said").len(), 1);
    room.send(bob, "say", &"here I am");
    assert_eq!(room.state().log, ["away 2 false", "back 2 true"]);
}

#[test]
fn who_does_not_come_back_in_time_has_left() {
    let (mut room, ann, bob) = open();
    room.drop(bob);
    room.advance(secs(10) - Duration::from_millis(1));
    assert_eq!((room.members(), room.closed(bob)), (2, None));
    room.advance(Duration::from_millis(1));
    assert_eq!((room.members(), room.closed(bob).unwrap().code.as_str()), (1, "expired"));
    assert_eq!(room.state().log, ["away 2 false", "Disconnected 2 false"]);
    // Each has a time of its own, and coming back ends it.
    room.drop(ann);
    room.resume(ann);
    room.advance(secs(60));
    assert_eq!(room.members(), 1);
}

#[test]
fn a_room_of_which_all_are_away_is_not_empty() {
    let (mut room, ann, bob) = open();
    room.drop(ann);
    room.advance(secs(5));
    room.drop(bob);
    room.advance(secs(10));
    assert_eq!((room.members(), room.ended()), (0, false));
    room.advance(secs(1));
    assert!(room.ended());
}

#[test]
fn who_is_away_can_leave_or_be_sent_away() {
    let (mut room, ann, bob) = open();
    room.drop(bob);
    room.send(ann, "kick", &bob);
    assert_eq!(room.closed(bob).unwrap().code, "kicked");
    room.drop(ann);
    room.leave(ann);
    room.advance(secs(60));
    let log = ["away 2 false", "Kicked 2 false", "away 1 false", "Left 1 false"];
    assert_eq!(room.state().log, log);
}

#[test]
#[should_panic(expected = "player 2 came too late")]
fn nobody_comes_back_too_late() {
    let (mut room, _, bob) = open();
    room.drop(bob);
    room.advance(secs(10));
    room.resume(bob);
}

#[test]
fn who_missed_too_much_is_shown_the_room_anew() {
    let (mut room, ann, bob) = open();
    room.drop(bob);
    room.send(ann, "say", &"hi");
    room.send(ann, "go", &Place { x: 3 });
    assert_eq!(room.view::<BTreeMap<PlayerId, i32>>(bob), BTreeMap::from([(ann, 0), (bob, 0)]));
    room.resync(bob);
    assert_eq!(room.view::<BTreeMap<PlayerId, i32>>(bob), BTreeMap::from([(ann, 3), (bob, 0)]));
    assert_eq!(room.received(bob), [place("1", 3)], "the present values besides");
    assert_eq!(room.state().log, ["away 2 false", "back 2 true"]);
    // Whoever reads too slowly is shown it anew without having been away.
    room.send(ann, "say", &"again");
    room.resync(bob);
    assert!(room.take::<BTreeMap<String, String>>(bob, "said").is_empty());
    assert_eq!(room.state().log.len(), 2);
}

#[test]
fn who_cannot_be_shown_the_room_is_in_it_no_more() {
    let (mut room, ann, bob) = open();
    room.send(ann, "grow", &());
    room.resync(bob);
    assert_eq!((room.members(), room.closed(bob).unwrap().code.as_str()), (1, "room_failed"));
    assert_eq!(room.state().log, ["Disconnected 2 false"]);
}

#[test]
fn followers_get_every_value_and_newcomers_the_newest() {
    let mut room = Room::open(&());
    let ann = room.join("ann");
    room.send(ann, "go", &Place { x: 1 });
    room.send(ann, "go", &Place { x: 2 });
    assert_eq!(room.received(ann), [place("1", 1), place("1", 2)]);
    let bob = room.join("bob");
    assert_eq!(room.received(bob), [place("1", 2)]);
    room.send(bob, "go", &Place { x: 7 });
    room.leave(ann);
    let eve = room.watch("eve").unwrap();
    assert_eq!(room.received(eve), [place("2", 7)], "Ann's is forgotten");
}

#[test]
fn who_comes_back_gets_the_present_values() {
    let (mut room, ann, bob) = open();
    room.drop(bob);
    for x in 1..4 {
        room.send(ann, "go", &Place { x });
    }
    assert!(room.received(bob).is_empty());
    room.resume(bob);
    assert_eq!(room.received(bob), [place("1", 3)]);
}

#[test]
fn who_chooses_a_topic_gets_its_values() {
    let mut room = Room::open(&());
    let (ann, blind) = (room.join("ann"), room.join("blind"));
    room.send(ann, "go", &Place { x: 1 });
    assert!(room.received(blind).is_empty());
    room.follow(blind, "place").unwrap();
    assert_eq!(room.received(blind), [place("1", 1)]);
    room.unfollow(blind, "place").unwrap();
    room.send(ann, "go", &Place { x: 2 });
    assert!(room.received(blind).is_empty());
    assert_eq!(room.follow(blind, "secrets").unwrap_err().code, "topic_denied");
    room.follow(blind, "place").unwrap();
}

#[test]
fn the_value_that_was_set_longest_ago_is_forgotten_first() {
    let (mut room, ann, _) = open();
    for key in ["a", "b", "c", "a", "d"] {
        room.send(ann, "mark", &key);
    }
    let eve = room.watch("eve").unwrap();
    assert_eq!(room.received(eve), [place("a", 0), place("c", 0), place("d", 0)]);
}

#[test]
fn a_ticket_lets_in_once() {
    let mut room = Room::open(&());
    let ann = room.join_with_ticket("ann", "t1", &()).unwrap();
    room.leave(ann);
    assert_eq!(room.join_with_ticket("ann", "t1", &()).unwrap_err().code, "ticket_used");
    room.advance(secs(1) - Duration::from_millis(1));
    room.join_with_ticket("ann", "t2", &()).unwrap();
    room.advance(secs(24 * 60 * 60 + 1));
    assert_eq!(room.join_with_ticket("bob", "t3", &()).unwrap_err().code, "ticket_expired");
}

#[test]
fn a_second_membership_ends_the_first() {
    let (mut room, ann, bob) = open();
    room.drop(ann);
    let again = room.join("ann");
    assert_eq!(room.closed(ann).unwrap().code, "replaced");
    assert_eq!(room.members(), 2);
    assert_eq!(room.state().log, ["away 1 false", "Replaced 1 false"]);
    assert_eq!(room.state().places.keys().copied().collect::<Vec<_>>(), [bob, again]);
}

/// A room with another idea of what an account may do.
macro_rules! plain_room {
    ($name:ident, $($policy:tt)*) => {
        #[derive(Default, Serialize, Deserialize)]
        struct $name {
            log: Vec<String>,
        }

        #[room(kind = "plain", $($policy)*)]
        impl $name {
            #[msg::drop]
            fn dropped(&mut self, _: &mut Ctx, _: &Player) {
                self.log.push("away".to_owned());
            }

            #[msg::leave]
            fn left(&mut self, _: &mut Ctx, _: &Player, why: Leave) {
                self.log.push(format!("{why:?}"));
            }
        }
    };
}

#[test]
fn or_is_refused_or_goes_on_beside_it() {
    plain_room!(Strict, same_account = "refuse");
    let mut room = TestRoom::<Strict>::open(&());
    let ann = room.join("ann");
    assert_eq!(room.try_join("ann", &()).unwrap_err().code, "already_joined");
    room.leave(ann);
    room.join("ann");

    plain_room!(Lenient, same_account = "allow");
    let mut room = TestRoom::<Lenient>::open(&());
    assert_ne!(room.join("ann"), room.join("ann"));
    assert_eq!(room.members(), 2);
}

#[test]
fn without_a_time_to_come_back_a_lost_connection_is_a_leave() {
    plain_room!(Hasty, resume = "0s");
    let mut room = TestRoom::<Hasty>::open(&());
    let ann = room.join("ann");
    room.drop(ann);
    assert_eq!((room.members(), room.state().log), (0, vec!["Disconnected".to_owned()]));

    plain_room!(Patient, resume = "1h");
    let mut room = TestRoom::<Patient>::open(&());
    let ann = room.join("ann");
    room.disconnect(ann);
    assert_eq!(room.state().log, ["Disconnected"], "a client that cannot come back");
}
