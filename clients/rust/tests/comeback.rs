//! Sessions that outlive their connections: what is written again, what is acknowledged, and what is lost.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod fake;

use std::time::Duration;

use fake::{Fake, ROOM, arena, assert_code, idle, kept, kept_in_room, kept_welcome, outcome, payload, quiet, wish};
use parlor_client::{JoinRequest, Lifecycle, LifecycleEvent, Parlor, Place, Recovered, Recovery, RoomEvent, RoomNo};
use parlor_client::{Seq, ViewReason};
use parlor_protocol::codec::NIL;
use parlor_protocol::frame::{Joined, ResumeTerms, ResumeWish, TypeRef, Welcome};
use parlor_protocol::{BrokerFrame, ClientFrame};
use tokio::time::Instant;

fn send(value: i32) -> ClientFrame {
    ClientFrame::Send { room: ROOM, type_: TypeRef::Number(0), payload: payload(&value) }
}

fn text(event: Option<RoomEvent>) -> String {
    match event {
        Some(event @ RoomEvent::Message { .. }) => event.decode().unwrap(),
        other => panic!("{other:?} is no message"),
    }
}

async fn disconnected(lifecycle: &mut Lifecycle, number: u32) {
    match lifecycle.recv().await {
        Some(LifecycleEvent::Disconnected { attempt, .. }) => assert_eq!(attempt, number),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn exactly_what_the_broker_has_not_taken_is_written_again() {
    for received in 1..=4 {
        let (parlor, room, mut fake, mut door) = kept_in_room(quiet()).await;
        let mut lifecycle = parlor.lifecycle();
        for n in 1..=3 {
            assert_eq!(room.send("move", &n).unwrap(), n as u64);
            assert_eq!(fake.heard().await, send(n));
        }
        drop(fake);
        disconnected(&mut lifecycle, 1).await;
        // The join was the first frame. What is sent meanwhile comes behind, and the numbers go on.
        assert_eq!(room.send("move", &4).unwrap(), 4);
        let (mut fake, asked) = door.accept_again().await;
        assert_eq!(asked, wish("t1", 1));
        let again = fake.resumed("t2", received, 4 - received as usize, 1).await;
        let expected: Vec<_> = (received as i32..=3).map(send).collect();
        assert_eq!(again, expected);
        assert_eq!(fake.heard().await, send(4));
        assert_eq!(lifecycle.recv().await, Some(LifecycleEvent::Resumed { rooms: vec![outcome(Recovered::Frames)] }));
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_broker_has_acknowledged_is_kept_no_longer() {
    let (_parlor, room, mut fake, mut door) = kept_in_room(quiet().send_frames(4)).await;
    for n in 1..=3 {
        room.send("move", &n).unwrap();
        fake.heard().await;
    }
    // The join and three messages.
    assert_code(room.send("move", &4), "buffer_full");
    fake.say(BrokerFrame::Acked { received: 3 }).await;
    // An old one changes nothing.
    fake.say(BrokerFrame::Acked { received: 2 }).await;
    idle().await;
    for n in 4..=6 {
        assert_eq!(room.send("move", &n).unwrap(), n as u64);
    }
    assert_code(room.send("move", &7), "buffer_full");
    idle().await;
    drop(fake);
    let (mut fake, _) = door.accept_again().await;
    let again = fake.resumed("t2", 5, 2, 1).await;
    assert_eq!(again, [send(5), send(6)]);
}

#[tokio::test(start_paused = true)]
async fn requests_and_joins_under_way_survive() {
    let (parlor, room, mut fake, mut door) = kept_in_room(quiet()).await;
    let broker = async {
        let first = fake.heard_request().await;
        let ClientFrame::Join { id: join, .. } = fake.heard().await else { panic!() };
        drop(fake);
        let (mut fake, asked) = door.accept_again().await;
        assert_eq!(asked, wish("t1", 1));
        // The broker has the request, but not the join.
        let again = fake.resumed("t2", 2, 1, 1).await;
        assert!(matches!(again[0], ClientFrame::Join { id, .. } if id == join));
        fake.reply(first, &"done").await;
        fake.say(BrokerFrame::Joined { id: join, joined: Box::new(other()), view: NIL }).await;
        fake
    };
    let (reply, joined, _fake) =
        tokio::join!(biased; room.request::<String>("buy", &7), parlor.join_by_id("other", &()), broker);
    assert_eq!(reply.unwrap(), "done");
    assert_eq!(joined.unwrap().number(), other().room);
}

fn other() -> Joined {
    Joined { room: RoomNo(8), ..arena() }
}

#[tokio::test(start_paused = true)]
async fn requests_time_out_although_nobody_is_there() {
    let (_parlor, room, fake, door) = kept_in_room(quiet()).await;
    door.set_open(false);
    drop(fake);
    let began = Instant::now();
    assert_code(room.request::<()>("buy", &7).await, "timeout");
    assert_eq!(began.elapsed(), quiet().request_timeout);
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_is_counted_on() {
    let (_parlor, mut room, mut fake, mut door) = kept_in_room(quiet()).await;
    fake.publish(2, &"a").await;
    assert_eq!(text(room.recv().await), "a");
    // A publish and a frame of a later protocol count; an acknowledgement and a `latest` do not.
    fake.say_raw(vec![0x92, 60, 0xc0]).await;
    fake.say(BrokerFrame::Acked { received: 1 }).await;
    let place = Place { seq: Seq(7), index: 1 };
    let latest = BrokerFrame::Latest { room: ROOM, place, type_: 2, key: "2".into(), payload: payload(&"here") };
    fake.say(latest).await;
    let key = Some("2".to_owned());
    let expected = RoomEvent::Message { place, name: "moved".into(), key, payload: payload(&"here") };
    assert_eq!(room.recv().await, Some(expected));
    drop(fake);
    for round in 2..5 {
        let (mut fake, asked) = door.accept_again().await;
        assert_eq!(asked, wish(&format!("t{}", round - 1), round + 1));
        fake.resumed(&format!("t{round}"), 1, 0, round + 1).await;
        fake.publish(2, &"b").await;
        assert_eq!(text(room.recv().await), "b");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_before_the_answer_changes_nothing() {
    let (parlor, room, mut fake, mut door) = kept_in_room(quiet()).await;
    let mut lifecycle = parlor.lifecycle();
    room.send("move", &1).unwrap();
    fake.heard().await;
    drop(fake);
    // Before the handshake, and before the answer.
    drop(door.stream().await);
    for _ in 0..2 {
        let (fake, asked) = door.accept_again().await;
        assert_eq!(asked, wish("t1", 1));
        drop(fake);
    }
    // The broker has resumed twice then; the old token is still good.
    let (mut fake, asked) = door.accept_again().await;
    assert_eq!(asked, wish("t1", 1));
    assert_eq!(fake.resumed("t4", 1, 1, 1).await, [send(1)]);
    for attempt in 1..=4 {
        disconnected(&mut lifecycle, attempt).await;
    }
    // Cut again right after the answer: the new token counts.
    drop(fake);
    let (mut fake, asked) = door.accept_again().await;
    assert_eq!(asked, wish("t4", 1));
    assert_eq!(fake.resumed("t5", 2, 0, 1).await, []);
    idle().await;
    assert!(!parlor.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_view_takes_the_place_of_what_was_missed() {
    let (_parlor, mut room, fake, mut door) = kept_in_room(quiet()).await;
    drop(fake);
    let (mut fake, _) = door.accept_again().await;
    let rooms = vec![outcome(Recovered::View)];
    fake.say(BrokerFrame::Resumed { welcome: Box::new(kept_welcome("t2")), received: 1, rooms }).await;
    assert_eq!(fake.heard().await, ClientFrame::Ack { received: 1 });
    for (seq, why) in [(41, ViewReason::CameBack), (50, ViewReason::FellBehind)] {
        let types = ["buy", "sold"].map(String::from).to_vec();
        let joined = Joined { seq: Seq(seq), index: 3, types, routes: 1, ..arena() };
        fake.say(BrokerFrame::View { joined: Box::new(joined), handled: 12, view: payload(&"as of now") }).await;
        fake.publish(1, &"new").await;
        let event = room.recv().await.unwrap();
        assert_eq!(event.decode::<String>().unwrap(), "as of now");
        let place = Place { seq: Seq(seq), index: 3 };
        assert_eq!(event, RoomEvent::View { place, view: payload(&"as of now"), handled: 12, why });
        let message = room.recv().await.unwrap();
        assert!(matches!(message, RoomEvent::Message { name, .. } if &*name == "sold"));
    }
    // The numbers to send by are those of the view.
    room.send("buy", &1).unwrap();
    let by_number = ClientFrame::Send { room: ROOM, type_: TypeRef::Number(0), payload: payload(&1) };
    assert_eq!(fake.heard().await, by_number);
}

#[tokio::test(start_paused = true)]
async fn a_room_may_have_ended_meanwhile() {
    let (parlor, mut room, fake, mut door) = kept_in_room(quiet()).await;
    let mut lifecycle = parlor.lifecycle();
    drop(fake);
    let (mut fake, _) = door.accept_again().await;
    let ended = Recovery { reason: Some("expired".into()), ..outcome(Recovered::Lost) };
    let rooms = vec![ended.clone()];
    fake.say(BrokerFrame::Resumed { welcome: Box::new(kept_welcome("t2")), received: 1, rooms }).await;
    assert_eq!(fake.heard().await, ClientFrame::Ack { received: 1 });
    fake.close_room("expired").await;
    assert_eq!(room.recv().await, Some(RoomEvent::Closed { code: "expired".into(), result: NIL }));
    assert_eq!(room.recv().await, None);
    disconnected(&mut lifecycle, 1).await;
    assert_eq!(lifecycle.recv().await, Some(LifecycleEvent::Resumed { rooms: vec![ended] }));
    join_again(&parlor, &mut fake).await;
}

async fn join_again(parlor: &Parlor, fake: &mut Fake) {
    let (room, _) = tokio::join!(parlor.join(JoinRequest::by_id("k3F9xQ2m")), fake.admit());
    let mut room = room.unwrap();
    assert_eq!(room.send("move", &1).unwrap(), 1, "a new membership counts anew");
    assert_eq!(fake.heard().await, send(1));
    fake.publish(2, &"hello again").await;
    assert_eq!(text(room.recv().await), "hello again");
}

#[tokio::test(start_paused = true)]
async fn nothing_of_a_lost_session_gets_into_the_next() {
    let (parlor, mut room, mut fake, mut door) = kept_in_room(quiet()).await;
    let mut lifecycle = parlor.lifecycle();
    room.send("move", &1).unwrap();
    fake.heard().await;
    let broker = async {
        fake.heard_request().await;
        drop(fake);
        disconnected(&mut lifecycle, 1).await;
        room.send("move", &2).unwrap();
        let (mut fake, asked) = door.accept_again().await;
        assert_eq!(asked, wish("t1", 1));
        fake.say(BrokerFrame::Welcome(Box::new(Welcome { lost: Some("unknown".into()), ..kept_welcome("u1") }))).await;
        fake
    };
    let (reply, joined, subscribed, mut fake) = tokio::join!(
        biased;
        room.request::<()>("buy", &7),
        parlor.create("arena", &()),
        room.subscribe("scores"),
        broker
    );
    assert_code(reply, "outcome_unknown");
    assert_code(joined, "lost");
    assert_code(subscribed, "lost");
    assert_eq!(lifecycle.recv().await, Some(LifecycleEvent::Lost { reason: "unknown".into() }));
    assert_eq!(lifecycle.recv().await, Some(LifecycleEvent::Renewed));
    assert_code(room.send("move", &3), "not_a_member");
    assert_code(room.subscribe("scores").await, "not_a_member");
    assert_eq!(room.recv().await, Some(RoomEvent::Closed { code: "lost".into(), result: NIL }));
    assert_eq!(room.recv().await, None);
    room.leave().await.unwrap();
    drop(room);
    // The counts of the new session begin anew, and its first frame is the join.
    join_again(&parlor, &mut fake).await;
    drop(fake);
    let (_, asked) = door.accept_again().await;
    assert_eq!(asked, wish("u1", 2));
}

#[tokio::test(start_paused = true)]
async fn sends_wait_within_the_bound_while_away() {
    let (_parlor, room, fake, mut door) = kept_in_room(quiet().send_bytes(1000)).await;
    door.set_open(false);
    drop(fake);
    idle().await;
    let mut sent = 0;
    while let Ok(no) = room.send("move", &vec![7_u8; 100]) {
        sent = no;
    }
    assert!((3..9).contains(&sent), "{sent}");
    assert_code(room.request::<()>("move", &vec![7_u8; 100]).await, "buffer_full");
    door.set_open(true);
    let (mut fake, _) = door.accept_again().await;
    fake.resumed("t2", 1, 0, 1).await;
    for _ in 0..sent {
        assert!(matches!(fake.heard().await, ClientFrame::Send { .. }));
    }
    fake.say(BrokerFrame::Acked { received: 1 + sent }).await;
    idle().await;
    assert_eq!(room.send("move", &1).unwrap(), sent + 1);
}

#[tokio::test(start_paused = true)]
async fn closing_while_away_waits_for_nobody() {
    let (parlor, mut room, fake, door) = kept_in_room(quiet()).await;
    door.set_open(false);
    drop(fake);
    idle().await;
    let began = Instant::now();
    parlor.close().await;
    assert!(began.elapsed() < Duration::from_millis(10));
    assert_eq!(room.recv().await, None);
    assert_code(room.send("move", &1), "closed");
}

#[tokio::test(start_paused = true)]
async fn frames_and_bytes_are_acknowledged_in_time() {
    let terms = |ack_frames, ack_bytes| Some(ResumeTerms { token: "t2".into(), ack_frames, ack_bytes });
    for (resume, due) in [(terms(3, 65_536), 3), (terms(1024, 1000), 4), (terms(0, 0), 1)] {
        let (_parlor, mut room, fake, mut door) = kept_in_room(quiet()).await;
        drop(fake);
        let (mut fake, _) = door.accept_again().await;
        let welcome = Welcome { resume, ..kept_welcome("t2") };
        fake.say(BrokerFrame::Resumed { welcome: Box::new(welcome), received: 1, rooms: vec![] }).await;
        assert_eq!(fake.heard().await, ClientFrame::Ack { received: 1 });
        for _ in 0..2 * due {
            fake.publish(2, &"x".repeat(290)).await;
            room.recv().await.unwrap();
        }
        assert_eq!(fake.heard().await, ClientFrame::Ack { received: 1 + due });
        assert_eq!(fake.heard().await, ClientFrame::Ack { received: 1 + 2 * due });
    }
}

#[tokio::test(start_paused = true)]
async fn a_quiet_session_keeps_nothing() {
    let (_parlor, mut room, mut fake, _door) = kept_in_room(quiet().ping_every(Duration::from_millis(500))).await;
    let began = Instant::now();
    fake.publish(2, &"x").await;
    room.recv().await.unwrap();
    let mut acked = None;
    while acked != Some(2) {
        match fake.heard().await {
            ClientFrame::Ping { time } => fake.say(BrokerFrame::Pong { time, server_time: 0 }).await,
            ClientFrame::Ack { received } => acked = Some(received),
            other => panic!("{other:?}"),
        }
    }
    assert!(began.elapsed() <= Duration::from_millis(500));
}

#[tokio::test(start_paused = true)]
async fn a_position_that_cannot_be_ends_the_client() {
    let (parlor, _room, mut fake, _door) = kept_in_room(quiet()).await;
    fake.say(BrokerFrame::Acked { received: 2 }).await;
    assert!(matches!(parlor.lifecycle().recv().await, Some(LifecycleEvent::Closed(end)) if end.code == 1002));

    let (parlor, _fake, mut door) = kept(quiet()).await;
    drop(_fake);
    let (mut fake, _) = door.accept_again().await;
    fake.say(BrokerFrame::Resumed { welcome: Box::new(kept_welcome("t2")), received: 1, rooms: vec![] }).await;
    idle().await;
    assert!(matches!(parlor.lifecycle().recv().await, Some(LifecycleEvent::Closed(end)) if end.code == 1002));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_not_kept_begins_anew() {
    let (connector, mut door) = fake::door();
    let (parlor, mut fake) = tokio::join!(Parlor::through(connector, quiet()), async {
        let (mut fake, _) = door.accept().await;
        // A broker that knows nothing of resuming.
        fake.say(BrokerFrame::Welcome(Box::new(fake::welcome()))).await;
        fake
    });
    let parlor = parlor.unwrap();
    let mut lifecycle = parlor.lifecycle();
    join_again(&parlor, &mut fake).await;
    drop(fake);
    assert_eq!(lifecycle.recv().await, Some(LifecycleEvent::Lost { reason: "not_kept".into() }));
    disconnected(&mut lifecycle, 1).await;
    let (mut fake, asked) = door.accept_again().await;
    assert_eq!(asked, ResumeWish::default());
    fake.say(BrokerFrame::Welcome(Box::new(kept_welcome("u1")))).await;
    assert_eq!(lifecycle.recv().await, Some(LifecycleEvent::Renewed));
    join_again(&parlor, &mut fake).await;
}
