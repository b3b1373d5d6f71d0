//! Rooms that the game's own server side opens, speaks to and closes: from a route's point of view, and from one room to another.

use parlor::prelude::*;
use parlor::{RoomId, Rooms};
use parlor_client::RoomEvent;
use parlor_tests::serve::Anywhere as _;
use parlor_tests::wait::soon;
use parlor_tests::{config, connect};

#[derive(Default, Serialize, Deserialize)]
struct Shard {}

#[derive(Serialize, Deserialize, Message)]
struct Rumour {
    text: String,
}

#[derive(Serialize, Deserialize)]
struct Tell {
    room: RoomId,
    text: String,
}

#[room(kind = "shard")]
impl Shard {
    #[msg::open]
    fn opened(&mut self, _ctx: &mut Ctx, name: Option<String>) -> Result {
        if name.as_deref() == Some("forbidden") { Err(Failure::app("forbidden", "no")) } else { Ok(()) }
    }

    #[msg::route("tell")]
    fn tell(&mut self, ctx: &mut Ctx, _from: PlayerId, tell: Tell) {
        ctx.run(Self::carry, tell);
    }

    #[msg::work]
    async fn carry(env: Env, tell: Tell) -> Result<(), Failure> {
        env.get::<Rooms>().raise(&tell.room, &Rumour { text: tell.text }).await
    }

    #[msg::event]
    fn carried(&mut self, ctx: &mut Ctx, done: Done<(), Failure>) {
        if let Err(failure) = done.result {
            ctx.broadcast(&Rumour { text: failure.code.into() });
        }
    }

    #[msg::event]
    fn rumour(&mut self, ctx: &mut Ctx, rumour: Rumour) {
        ctx.broadcast(&rumour);
    }
}

/// Its timer is due in the very moment in which it has been empty for long enough.
#[derive(Default, Serialize, Deserialize)]
struct Punctual {}

#[derive(Serialize, Message)]
struct Noon {}

#[room(kind = "punctual", empty_ttl = "50ms")]
impl Punctual {
    #[msg::open]
    fn opened(&mut self, ctx: &mut Ctx) {
        ctx.after(Duration::from_millis(50), Noon {});
    }

    #[msg::event]
    fn noon(&mut self, _ctx: &mut Ctx) {}
}

async fn heard(room: &mut parlor_client::Room) -> String {
    let event = room.recv().await.unwrap();
    assert!(matches!(event, RoomEvent::Message { .. }), "{event:?}");
    event.decode::<Rumour>().unwrap().text
}

#[tokio::test]
async fn rooms_are_opened_spoken_to_and_closed_from_outside() {
    let app = parlor::App::new().room::<Shard>();
    let rooms = app.rooms();
    assert_eq!(rooms.list().await.unwrap_err().code, "internal", "not before it starts");
    let broker = app.anywhere(&config()).await;
    let refused = rooms.create("shard", &"forbidden").await.unwrap_err();
    assert_eq!(refused.code, "app.forbidden");
    let (north, south) = (rooms.create("shard", &()).await.unwrap(), rooms.create("shard", &()).await.unwrap());
    let client = connect(&broker).await;
    let mut in_north = client.join_by_id(&north, &()).await.unwrap();
    let mut in_south = client.join_by_id(&south, &()).await.unwrap();
    rooms.raise(&north, &Rumour { text: "from outside".into() }).await.unwrap();
    assert_eq!(heard(&mut in_north).await, "from outside");
    in_north.send("tell", &Tell { room: south.clone(), text: "from the north".into() }).unwrap();
    assert_eq!(heard(&mut in_south).await, "from the north");
    let nowhere = RoomId::parse("nowhere").unwrap();
    in_north.send("tell", &Tell { room: nowhere.clone(), text: "lost".into() }).unwrap();
    assert_eq!(heard(&mut in_north).await, "unknown_room");
    assert_eq!(rooms.show(&south).await.unwrap().players, 1);
    rooms.close(&south).await.unwrap();
    assert!(matches!(in_south.recv().await, Some(RoomEvent::Closed { code, .. }) if code == "closed"));
    assert_eq!(rooms.close(&nowhere).await.unwrap_err().code, "unknown_room");
    broker.shutdown().await;
}

#[tokio::test]
async fn an_empty_room_ends_whatever_else_is_due_then() {
    let app = parlor::App::new().room::<Punctual>();
    let rooms = app.rooms();
    let broker = app.start(&config()).await.unwrap();
    rooms.create("punctual", &()).await.unwrap();
    soon("the room is gone", broker.registry().empty()).await;
    broker.shutdown().await;
}
