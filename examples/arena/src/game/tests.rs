//! The rules, one by one, in a room without sockets.

use std::time::Duration;

use parlor::testing::TestRoom;

use super::*;

const TICK: Duration = Duration::from_millis(50);

fn open() -> TestRoom<Arena> {
    TestRoom::open(&Options::default())
}

fn place(room: &TestRoom<Arena>, player: PlayerId) -> Vector {
    room.state().discs[&player].at
}

/// Steers a player to a place, as far as it gets in a few seconds.
fn go(room: &mut TestRoom<Arena>, player: PlayerId, near: f32, to: impl Fn(&TestRoom<Arena>) -> Vector) {
    for _ in 0..400 {
        let way = to(room) - place(room, player);
        if way.length() < near {
            return;
        }
        let way = way.unit();
        room.send(player, "steer", &Steer { x: way.x, y: way.y });
        room.advance(TICK);
    }
    panic!("player {player} did not get there");
}

/// Collects the nearest orbs until the score is reached.
fn collect(room: &mut TestRoom<Arena>, player: PlayerId, score: u32) {
    while room.state().discs[&player].score < score && room.state().winner.is_none() {
        let here = place(room, player);
        let orbs = room.state().orbs;
        let (n, orb) = orbs
            .iter()
            .enumerate()
            .min_by(|(_, a), (_, b)| (a.at - here).length().total_cmp(&(b.at - here).length()))
            .unwrap();
        // Eaten orbs lie elsewhere: this one is gone when it has moved.
        for _ in 0..200 {
            if room.state().orbs[n] != *orb {
                break;
            }
            let way = (orb.at - place(room, player)).unit();
            room.send(player, "steer", &Steer { x: way.x, y: way.y });
            room.advance(TICK);
        }
    }
}

#[test]
fn who_joins_sees_the_scene_and_is_announced_to_the_others() {
    let mut room = open();
    let ann = room.join("Ann");
    let bob = room.join("Bob, whose name is far too long");
    let scene: Scene = room.view(bob);
    assert_eq!((scene.map, scene.goal, scene.winner), (Map::Dust, GOAL, None));
    assert_eq!(scene.orbs.len(), ORBS as usize);
    let names: Vec<_> = scene.discs.iter().map(|disc| disc.name.as_str()).collect();
    assert_eq!(names, ["Ann", "Bob, whose name "]);
    let joined: Vec<Joined> = room.take(ann, "joined");
    assert_eq!(joined[0].disc, scene.discs[1]);
}

#[test]
fn steering_moves_a_disc_and_everybody_is_told_where() {
    let mut room = open();
    let (ann, bob) = (room.join("Ann"), room.join("Bob"));
    let before = place(&room, ann);
    let way = if before.x < 1200.0 { 1.0 } else { -1.0 };
    room.send(ann, "steer", &Steer { x: way, y: 0.0 });
    room.advance(TICK * 10);
    let after = place(&room, ann);
    assert!((after.x - before.x) * way > 50.0 && after.y == before.y, "{before:?} {after:?}");
    let frames: Vec<Frame> = room.take(bob, "frame");
    let last = frames.last().unwrap();
    assert_eq!(frames.len(), 10);
    assert_eq!(last.discs[0], (ann, tenths(after.x), tenths(after.y)));
}

#[test]
fn a_direction_is_no_speed() {
    let mut room = open();
    let (ann, bob) = (room.join("Ann"), room.join("Bob"));
    room.send(ann, "steer", &Steer { x: 1e6, y: 0.0 });
    room.send(bob, "steer", &Steer { x: 1.0, y: 0.0 });
    let steers: Vec<_> = room.state().discs.values().map(|disc| disc.steer).collect();
    assert_eq!(steers, [Vector::new(1.0, 0.0); 2]);
    for wrong in [f32::NAN, f32::INFINITY, f32::MAX] {
        let refused = room.try_send(ann, "steer", &Steer { x: wrong, y: wrong }).unwrap_err();
        assert_eq!(refused.code, "app.no_direction");
    }
    room.advance(TICK * 100);
    assert!(place(&room, ann).x.is_finite());
}

#[test]
fn nobody_leaves_the_map() {
    for map in [Map::Dust, Map::Ice] {
        let mut room = TestRoom::<Arena>::open(&Options { map });
        let ann = room.join("Ann");
        for (x, y) in [(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0)] {
            room.send(ann, "steer", &Steer { x, y });
            room.advance(Duration::from_secs(12));
            let (at, size, radius) = (place(&room, ann), map.size(), room.state().discs[&ann].radius());
            assert!(at.x >= radius && at.y >= radius && at.x <= size.x - radius && at.y <= size.y - radius, "{at:?}");
        }
    }
}

#[test]
fn a_dash_is_fast_and_has_to_cool() {
    let mut room = open();
    let ann = room.join("Ann");
    let refused = room.request::<Ready>(ann, "dash", &()).unwrap_err();
    assert_eq!(refused.code, "app.no_direction");
    room.send(ann, "steer", &Steer { x: 0.0, y: if place(&room, ann).y < 800.0 { 1.0 } else { -1.0 } });
    assert_eq!(room.request(ann, "dash", &()), Ok(Ready { ready_in_ms: DASH_COOLDOWN_MS }));
    assert_eq!(room.take::<Dashed>(ann, "dashed").len(), 1);
    let before = place(&room, ann);
    room.advance(TICK * 4);
    assert!((place(&room, ann) - before).length() > 150.0);
    let refused = room.request::<Ready>(ann, "dash", &()).unwrap_err();
    assert_eq!((&*refused.code, refused.retryable), ("app.cooling", true));
    assert_eq!(refused.params["ready_in_ms"], DASH_COOLDOWN_MS - 200);
    room.advance(Duration::from_millis(DASH_COOLDOWN_MS));
    assert!(room.request::<Ready>(ann, "dash", &()).is_ok());
}

#[test]
fn orbs_make_points_and_lie_elsewhere_then() {
    let mut room = open();
    let ann = room.join("Ann");
    collect(&mut room, ann, 4);
    let eaten: Vec<Eaten> = room.take(ann, "eaten");
    let scored: Vec<Scored> = room.take(ann, "scored");
    assert!(!eaten.is_empty() && eaten.len() == scored.len());
    let state = room.state();
    let last = scored.last().unwrap();
    assert_eq!((last.score, last.radius), (state.discs[&ann].score, state.discs[&ann].radius()));
    assert!(last.radius > 18.0);
    assert_eq!(state.orbs.len(), ORBS as usize);
}

#[test]
fn who_dashes_into_another_takes_points_once() {
    let mut room = open();
    let (ann, bob) = (room.join("Ann"), room.join("Bob"));
    collect(&mut room, bob, 5);
    room.send(bob, "steer", &Steer { x: 0.0, y: 0.0 });
    room.advance(TICK * 40);
    go(&mut room, ann, 120.0, |room| place(room, bob));
    let (anns, bobs) = (room.state().discs[&ann].score, room.state().discs[&bob].score);
    let way = (place(&room, bob) - place(&room, ann)).unit();
    room.send(ann, "steer", &Steer { x: way.x, y: way.y });
    room.request::<Ready>(ann, "dash", &()).unwrap();
    room.advance(TICK * 4);
    assert_eq!(room.take::<Robbed>(bob, "robbed").len(), 1);
    let state = room.state();
    assert_eq!((state.discs[&ann].score, state.discs[&bob].score), (anns + LOOT, bobs - LOOT));
    assert!(state.discs[&bob].speed.dot(way) > 0.0, "bob was thrown back");
}

#[test]
fn discs_on_one_spot_part() {
    let disc = || Disc {
        name: String::new(),
        at: Vector::new(500.0, 500.0),
        speed: Vector::ZERO,
        steer: Vector::ZERO,
        score: 0,
        wins: 0,
        dash_until: 0,
        dash_ready: 0,
        away: false,
    };
    let (mut one, mut other) = (disc(), disc());
    assert!(collide(&mut one, &mut other));
    assert_eq!(other.at - one.at, Vector::new(36.0, 0.0));
    assert!(!collide(&mut one, &mut other));
}

#[test]
fn the_goal_ends_a_round_and_the_next_begins_at_zero() {
    let mut room = open();
    let ann = room.join("Ann");
    collect(&mut room, ann, GOAL);
    let won: Vec<Won> = room.take(ann, "won");
    assert_eq!((won[0].id, won[0].wins), (ann, 1));
    let latecomer = room.join("Bob");
    assert_eq!(room.view::<Scene>(latecomer).winner, Some(ann));
    room.advance(REST);
    assert_eq!(room.take::<NextRound>(latecomer, "next_round").len(), 1);
    let state = room.state();
    assert_eq!((state.winner, state.discs[&ann].score, state.discs[&ann].wins), (None, 0, 1));
}

#[test]
fn who_is_away_stands_still_until_it_is_back() {
    let mut room = open();
    let (ann, bob) = (room.join("Ann"), room.join("Bob"));
    room.send(bob, "steer", &Steer { x: 1.0, y: 0.0 });
    room.advance(TICK * 10);
    room.drop(bob);
    room.advance(Duration::from_secs(5));
    let still = place(&room, bob);
    room.advance(Duration::from_secs(5));
    assert!((place(&room, bob) - still).length() < 0.1);
    let late = room.join("Late");
    let shown = room.view::<Scene>(late).discs;
    assert_eq!(shown.iter().map(|disc| disc.away).collect::<Vec<_>>(), [false, true, false]);
    room.resume(bob);
    let news: Vec<Away> = room.take(ann, "away");
    assert_eq!(news, [Away { id: bob, away: true }, Away { id: bob, away: false }]);
}

#[test]
fn who_does_not_come_back_is_gone() {
    let mut room = open();
    let (ann, bob) = (room.join("Ann"), room.join("Bob"));
    room.drop(bob);
    room.advance(Duration::from_secs(29));
    assert!(room.take::<Left>(ann, "left").is_empty());
    room.advance(Duration::from_secs(1));
    assert!(room.take::<Left>(ann, "left")[0].lost);
}

#[test]
fn who_is_gone_is_gone_and_why_is_told() {
    let mut room = open();
    let (ann, bob, eve) = (room.join("Ann"), room.join("Bob"), room.join("Eve"));
    room.leave(bob);
    room.disconnect(eve);
    let left: Vec<_> = room.take::<Left>(ann, "left").into_iter().map(|left| (left.id, left.lost)).collect();
    assert_eq!(left, [(bob, false), (eve, true)]);
    room.advance(TICK);
    assert_eq!(room.take::<Frame>(ann, "frame")[0].discs.len(), 1);
}

#[test]
fn spectators_see_and_have_no_disc() {
    let mut room = open();
    let ann = room.join("Ann");
    let eve = room.watch("Eve").unwrap();
    assert_eq!(room.view::<Scene>(eve).discs.len(), 1);
    room.advance(TICK);
    assert_eq!(room.take::<Frame>(eve, "frame")[0].discs.len(), 1);
    room.leave(eve);
    assert!(room.take::<Left>(ann, "left").is_empty());
}
