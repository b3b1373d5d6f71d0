//! A game with all that a game may have: rooms, work that opens other rooms, routes, and a check of tokens. Its program is run in all its roles.

use parlor::axum::routing::get;
use parlor::axum::{Json, Router};
use parlor::prelude::*;
use parlor::{App, ErrorCode, Identity, Problem, RoomId, Rooms};

#[derive(Default, Serialize, Deserialize)]
struct Hall {}

#[derive(Serialize, Message)]
struct Opened {
    room: Result<RoomId, String>,
}

#[room(kind = "hall")]
impl Hall {
    #[msg::route("open")]
    fn open(&mut self, ctx: &mut Ctx, _from: PlayerId) {
        ctx.run(Self::another, ());
    }

    #[msg::work]
    async fn another(env: Env, _: ()) -> Result<RoomId> {
        env.get::<Rooms>().create("hall", &()).await
    }

    #[msg::event]
    fn anothered(&mut self, ctx: &mut Ctx, done: Done<RoomId, Failure>) {
        ctx.broadcast(&Opened { room: done.result.map_err(|failure| failure.to_string()) });
    }
}

async fn check(token: String) -> Result<Identity, ErrorCode> {
    token.strip_prefix("ok ").map(Identity::new).ok_or(ErrorCode::TokenInvalid)
}

#[tokio::main]
async fn main() -> parlor::Result<()> {
    let app = App::new().room::<Hall>().authenticate(check);
    let rooms = app.rooms();
    let count = async move || Ok::<_, Problem>(Json(rooms.list().await?.len()));
    app.http(Router::new().route("/rooms", get(count))).run().await
}
