#![allow(dead_code, unreachable_code, unused_variables)]

use parlor::prelude::*;

struct Arena;

impl Arena {
    #[msg::route("move")]
    fn game_move(&mut self, ctx: &mut Ctx, from: PlayerId) {}

    #[msg::tick]
    fn tick(&mut self, ctx: &mut Ctx) {}
}

#[msg::work]
async fn load() {}

fn main() {
    Arena.game_move(todo!(), PlayerId(1));
}
