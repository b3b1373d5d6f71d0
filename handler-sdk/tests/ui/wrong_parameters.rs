#![allow(dead_code, unreachable_code, unused_variables)]

use parlor::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Arena {}

#[room(kind = "arena")]
impl Arena {
    #[msg::route("a")]
    fn too_many(&mut self, ctx: &mut Ctx, from: PlayerId, a: u32, b: u32) {}

    #[msg::route("b")]
    fn by_reference(&mut self, ctx: &mut Ctx, from: PlayerId, text: &str) {}

    #[msg::join]
    fn joined(&mut self, ctx: &mut Ctx, player: Player) {}

    #[msg::leave]
    fn left(&mut self, ctx: &mut Ctx, player: &Player, why: &Leave) {}

    #[msg::view]
    fn view(&self) {}

    #[msg::drop]
    fn dropped(&mut self, ctx: &mut Ctx, player: &Player, why: Leave) {}

    #[msg::resume]
    fn resumed(&mut self, ctx: &mut Ctx) {}
}

fn main() {}
