#![allow(dead_code, unreachable_code, unused_variables)]

use parlor::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Arena {}

#[room(kind = "arena")]
impl Arena {
    #[msg::rout("move")]
    fn game_move(&mut self, ctx: &mut Ctx, from: PlayerId) {}

    #[msg::opened]
    fn opened(&mut self, ctx: &mut Ctx) {}

    #[msg::message("hello")]
    fn hello(&mut self, ctx: &mut Ctx, from: PlayerId) {}

    #[msg::tick(20)]
    fn tick(&mut self, ctx: &mut Ctx) {}

    #[msg::event]
    #[msg::leave]
    fn both(&mut self, ctx: &mut Ctx, player: &Player) {}

    #[msg::resumed]
    fn resumed(&mut self, ctx: &mut Ctx, player: &Player) {}

    #[msg::drop(30)]
    fn dropped(&mut self, ctx: &mut Ctx, player: &Player) {}
}

fn main() {}
