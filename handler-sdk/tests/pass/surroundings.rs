//! Rooms in odd places: made by another macro, of a generic type, spread over several blocks, with raw names.
#![deny(warnings)]
#![deny(missing_docs)]

use parlor::prelude::*;

const SEATS: u32 = 3;

macro_rules! rooms {
    ($($room:ident $kind:literal $message:ty;)*) => {$(
        #[derive(Default, Serialize, Deserialize)]
        struct $room {}

        #[room(kind = $kind, max_players = SEATS)]
        impl $room {
            #[msg::route("say")]
            fn say(&mut self, ctx: &mut Ctx, from: PlayerId, payload: $message) -> $message {
                let _ = (ctx, from);
                payload
            }
        }
    )*};
}

rooms! {
    Hall "hall" u32;
    Yard "yard" String;
}

/// A room of some kind.
#[derive(Default, Serialize, Deserialize)]
pub struct Maze<T> {
    walls: T,
}

/// What moves.
#[room(kind = "maze")]
impl Maze<u32> {
    /// Moves.
    #[msg::route("/type=move")]
    pub fn r#move(&mut self, _: &mut Ctx, _: PlayerId, by: u32) -> Self {
        self.shift(by);
        Self { walls: self.walls }
    }

    /// Ends, some time.
    #[msg::event]
    pub fn r#return(&mut self, _: &mut Ctx) {}

    /// Loads.
    #[msg::work("load_walls")]
    pub async fn r#try(_: Env, job: u32) -> Result<u32> {
        Ok(job)
    }

    /// Has loaded.
    #[msg::event]
    pub fn tried(&mut self, ctx: &mut Ctx, _: Done<u32>) {
        ctx.run(Self::r#try, 2);
    }
}

impl Maze<u32> {
    fn shift(&mut self, by: u32) {
        self.walls += by;
    }
}

fn main() {
    let maze = parlor::Kind::of::<Maze<u32>>();
    assert_eq!((maze.routes, maze.events), (["move"].as_slice(), ["return"].as_slice()));
    assert_eq!(maze.works[0].name(), "load_walls");
    assert_eq!(parlor::Kind::of::<Hall>().policy.max_players, SEATS);
    assert_eq!(parlor::Kind::of::<Yard>().name, "yard");
}
