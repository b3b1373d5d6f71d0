#![allow(dead_code, unreachable_code, unused_variables)]

use parlor::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Arena {}

#[room(kind = "arena")]
impl Arena {
    #[msg::route("a")]
    fn text(&mut self, ctx: &mut Ctx, from: String) {}

    #[msg::route("b")]
    fn swapped(&mut self, ctx: &mut Ctx, message: u32, from: PlayerId) {}
}

fn main() {}
