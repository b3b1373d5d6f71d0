#![allow(dead_code, unreachable_code, unused_variables)]

use parlor::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Arena {}

#[room(kind = "arena")]
impl Arena {
    #[msg::route("look")]
    fn look(&self, ctx: &mut Ctx, from: PlayerId) {}

    #[msg::route("go")]
    fn go(ctx: &mut Ctx, from: PlayerId) {}

    #[msg::tick]
    fn tick(self, ctx: &mut Ctx) {}

    #[msg::view]
    fn view(&mut self, to: &Player) {}

    #[msg::event]
    fn fine(self: &mut Self, ctx: &mut Ctx) {}
}

fn main() {}
