#![allow(dead_code, unreachable_code, unused_variables)]

use parlor::prelude::*;

struct Move {
    x: f32,
}

#[derive(Default, Serialize, Deserialize)]
struct Arena {}

#[room(kind = "arena")]
impl Arena {
    #[msg::route("move")]
    fn game_move(&mut self, ctx: &mut Ctx, from: PlayerId, message: Move) {}

    #[msg::open]
    fn opened(&mut self, ctx: &mut Ctx, options: Vec<Move>) {}
}

fn main() {}
