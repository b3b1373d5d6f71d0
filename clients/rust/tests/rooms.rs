//! Joining, sending, events and leaving.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod fake;

use fake::{ROOM, arena, assert_code, idle, in_room, payload, quiet, session};
use parlor_client::{Codec, ErrorCode, JoinRequest, Place, PlayerId, Role, RoomEvent, Seq};
use parlor_protocol::codec::NIL;
use parlor_protocol::frame::{JoinMode, TypeRef};
use parlor_protocol::{BrokerFrame, ClientFrame, Failure};

fn text(event: Option<RoomEvent>) -> (String, String) {
    match event {
        Some(RoomEvent::Message { ref name, .. }) => (name.to_string(), event.unwrap().decode().unwrap()),
        other => panic!("{other:?} is no message"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_room_is_joined_in_either_codec() {
    for codec in Codec::ALL {
        let (parlor, mut fake) = session(quiet().codec(codec)).await;
        assert_eq!([parlor.session(), parlor.account(), parlor.server()], ["s-1", "guest-1", "fake"]);
        let (room, asked) = tokio::join!(parlor.join_or_create("arena", &[1.5]), fake.admit());
        let mut room = room.unwrap();

        let ClientFrame::Join { join, options, .. } = asked else { panic!("{asked:?}") };
        assert_eq!((join.mode, join.kind.as_deref(), join.role), (JoinMode::FindOrCreate, Some("arena"), Role::Player));
        assert_eq!(options, payload(&[1.5]));

        assert_eq!((room.id().as_str(), room.number(), room.kind()), ("k3F9xQ2m", ROOM, "arena"));
        assert_eq!((room.player(), room.role()), (PlayerId(2), Role::Player));
        assert_eq!(room.place(), Place { seq: Seq(4), index: 0 });
        assert_eq!(room.view::<Vec<String>>().unwrap(), ["as of 4"]);
        assert_code(room.view::<u32>(), "decode");
        assert_eq!(room.properties()["map"], "dust");

        room.send("move", &"there").unwrap();
        assert_eq!(
            fake.heard().await,
            ClientFrame::Send { room: ROOM, type_: TypeRef::Number(0), payload: payload(&"there") }
        );
        fake.publish(2, &"hello").await;
        assert_eq!(text(room.recv().await), ("moved".to_owned(), "hello".to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_join_says_what_it_asks_for() {
    let (parlor, mut fake) = session(quiet()).await;
    let id = arena().id;
    let request = JoinRequest::by_id(&id).role(Role::Spectator);
    let (_room, asked) = tokio::join!(parlor.join(request), fake.admit());
    let ClientFrame::Join { join, options, .. } = asked else { panic!("{asked:?}") };
    assert_eq!((join.mode, join.room.as_deref(), join.role), (JoinMode::Id, Some("k3F9xQ2m"), Role::Spectator));
    assert_eq!(options, NIL);

    let other = parlor_protocol::frame::Joined { room: parlor_client::RoomNo(8), ..arena() };
    let request = JoinRequest::create("arena").private();
    let (_other, asked) = tokio::join!(parlor.join(request), fake.admit_to(other));
    let ClientFrame::Join { join, .. } = asked else { panic!("{asked:?}") };
    assert_eq!((join.mode, join.private), (JoinMode::Create, true));

    let invited =
        parlor_protocol::frame::Joined { room: parlor_client::RoomNo(9), invite: Some("7KQ2-XM4P".into()), ..arena() };
    let (room, asked) = tokio::join!(parlor.join(JoinRequest::by_invite("7KQ2-XM4P")), fake.admit_to(invited));
    let ClientFrame::Join { join, .. } = asked else { panic!("{asked:?}") };
    assert_eq!((join.mode, join.invite.as_deref()), (JoinMode::Invite, Some("7KQ2-XM4P")));
    let invited = room.unwrap();
    assert_eq!(invited.invite(), Some("7KQ2-XM4P"));

    let ticket = parlor_protocol::frame::Joined { room: parlor_client::RoomNo(10), ..arena() };
    let (room, asked) = tokio::join!(parlor.join(JoinRequest::by_ticket("dGlja2V0")), fake.admit_to(ticket));
    let ClientFrame::Join { join, .. } = asked else { panic!("{asked:?}") };
    assert_eq!((join.mode, join.ticket.as_deref(), join.kind), (JoinMode::Ticket, Some("dGlja2V0"), None));
    assert_eq!(room.unwrap().invite(), None);
    assert_code(parlor.join(JoinRequest::by_invite("x".repeat(65))).await, "invalid");
}

#[tokio::test(start_paused = true)]
async fn a_refused_join_says_why() {
    let (parlor, mut fake) = session(quiet()).await;
    let refuse = async {
        let ClientFrame::Join { id, .. } = fake.heard().await else { panic!() };
        let error = Failure::from(ErrorCode::RoomFull).with("max_players", 16);
        fake.say(BrokerFrame::Error { id: Some(id), error: Box::new(error) }).await;
    };
    let (room, ()) = tokio::join!(parlor.create("arena", &()), refuse);
    let error = room.unwrap_err();
    assert_eq!(error.code(), "room_full");
    assert_eq!(error.failure().unwrap().params["max_players"], 16);
}

#[tokio::test(start_paused = true)]
async fn a_join_that_comes_too_late_is_left_again() {
    let (parlor, mut fake) = session(quiet()).await;
    assert_code(parlor.join_or_create("arena", &()).await, "timeout");
    fake.admit().await;
    assert_eq!(fake.heard().await, ClientFrame::Leave { room: ROOM });
    fake.publish(2, &"to nobody").await;
    fake.close_room("left").await;
    // The number may be used again.
    let (room, _) = tokio::join!(parlor.join_or_create("arena", &()), fake.admit());
    fake.publish(2, &"to somebody").await;
    assert_eq!(text(room.unwrap().recv().await).1, "to somebody");
}

#[tokio::test(start_paused = true)]
async fn messages_are_numbered_as_they_are_written() {
    let (_parlor, room, mut fake) = in_room(quiet()).await;
    assert_eq!(room.send("move", &1).unwrap(), 1);
    // An error that is found here uses up no number.
    assert_code(room.send(&"x".repeat(65), &1), "invalid");
    assert_code(room.send("move", &vec![0_u8; 70_000]), "frame_too_large");
    assert_eq!(room.sender().clone().send("buy", &2).unwrap(), 2);
    let request = room.request::<()>("buy", &3);
    let rest = async {
        assert_eq!(fake.heard().await, send(TypeRef::Number(0), 1));
        assert_eq!(fake.heard().await, send(TypeRef::Number(1), 2));
        let id = fake.heard_request().await;
        assert_eq!(room.send("moved", &4).unwrap(), 4, "the request was 3");
        // Beyond `routes` a type goes by its name.
        assert_eq!(fake.heard().await, send(TypeRef::Name("moved".into()), 4));
        fake.reply(id, &()).await;
    };
    tokio::join!(request, rest).0.unwrap();
}

fn send(type_: TypeRef, value: i32) -> ClientFrame {
    ClientFrame::Send { room: ROOM, type_, payload: payload(&value) }
}

#[tokio::test(start_paused = true)]
async fn the_type_table_grows() {
    let (_parlor, mut room, mut fake) = in_room(quiet()).await;
    fake.say(BrokerFrame::Types { room: ROOM, first: 3, names: vec!["bought".into()] }).await;
    fake.publish(3, &"a").await;
    // One that crosses a join repeats what is known.
    fake.say(BrokerFrame::Types { room: ROOM, first: 2, names: ["moved", "bought", "ended"].map(Into::into).to_vec() })
        .await;
    fake.publish(4, &"b").await;
    fake.publish(2, &"c").await;
    assert_eq!(text(room.recv().await), ("bought".into(), "a".into()));
    assert_eq!(text(room.recv().await), ("ended".into(), "b".into()));
    assert_eq!(text(room.recv().await), ("moved".into(), "c".into()));
}

#[tokio::test(start_paused = true)]
async fn events_come_in_order_up_to_the_close() {
    let (_parlor, mut room, mut fake) = in_room(quiet()).await;
    fake.publish(2, &"first").await;
    fake.refuse(1, None, Failure::app("not_your_turn", "wait")).await;
    let full = Failure::from(ErrorCode::QueueFull).about(ROOM, 2);
    fake.say(BrokerFrame::Error { id: None, error: Box::new(full.clone()) }).await;
    fake.say(BrokerFrame::Handled { room: ROOM, no: 3, tick: 120 }).await;
    fake.close_room("kicked").await;

    assert_eq!(text(room.recv().await).1, "first");
    let place = Some(Place { seq: Seq(6), index: 0 });
    let error = Failure::app("not_your_turn", "wait");
    assert_eq!(room.recv().await, Some(RoomEvent::Refused { place, no: 1, error }));
    assert_eq!(room.recv().await, Some(RoomEvent::Refused { place: None, no: 2, error: full }));
    assert_eq!(room.recv().await, Some(RoomEvent::Handled { no: 3, tick: 120 }));
    assert_eq!(room.recv().await, Some(RoomEvent::Closed { code: "kicked".into(), result: NIL }));
    assert_eq!(room.recv().await, None);
    assert_eq!(room.try_recv(), None);
    assert_code(room.send("move", &1), "not_a_member");
    assert_code(room.request::<()>("move", &1).await, "not_a_member");
}

#[tokio::test(start_paused = true)]
async fn leaving_waits_for_the_close() {
    let (parlor, mut room, mut fake) = in_room(quiet()).await;
    room.send("move", &1).unwrap();
    let sender = room.sender().clone();
    let broker = async {
        assert!(matches!(fake.heard().await, ClientFrame::Send { .. }));
        assert_eq!(fake.heard().await, ClientFrame::Leave { room: ROOM });
        assert_code(sender.send("move", &2), "not_a_member");
        fake.publish(2, &"on the way").await;
        fake.close_room("left").await;
    };
    tokio::join!(room.leave(), broker).0.unwrap();
    assert_eq!(room.recv().await, None);
    room.leave().await.unwrap();
    // Nothing more is said about the room, and the last handle closes the connection.
    drop(room);
    drop(sender);
    drop(parlor);
    assert_eq!(u16::from(fake.heard_close().await.code), 1000);
}

#[tokio::test(start_paused = true)]
async fn dropping_a_room_leaves_it() {
    let (parlor, room, mut fake) = in_room(quiet().event_bound(1, 1)).await;
    // Although its queue is full and the connection waits for it.
    fake.publish(2, &"unread").await;
    fake.publish(2, &"unread").await;
    idle().await;
    drop(room);
    assert_eq!(fake.heard().await, ClientFrame::Leave { room: ROOM });
    fake.close_room("left").await;
    let (room, _) = tokio::join!(parlor.join_or_create("arena", &()), fake.admit());
    room.unwrap();
}

#[tokio::test(start_paused = true)]
async fn topics_are_confirmed_or_refused() {
    let (_parlor, room, mut fake) = in_room(quiet()).await;
    let broker = async {
        let ClientFrame::Subscribe { id, room, topic } = fake.heard().await else { panic!() };
        assert_eq!((room, topic.as_str()), (ROOM, "scores"));
        fake.say(BrokerFrame::Done { id }).await;
        let ClientFrame::Unsubscribe { id, .. } = fake.heard().await else { panic!() };
        fake.say(BrokerFrame::Done { id }).await;
        let ClientFrame::Subscribe { id, .. } = fake.heard().await else { panic!() };
        fake.say(BrokerFrame::Error { id: Some(id), error: ErrorCode::TopicDenied.into() }).await;
    };
    let client = async {
        room.subscribe("scores").await.unwrap();
        room.unsubscribe("scores").await.unwrap();
        assert_code(room.subscribe("secrets").await, "topic_denied");
        assert_code(room.subscribe(&"x".repeat(65)).await, "invalid");
    };
    tokio::join!(client, broker);
}
