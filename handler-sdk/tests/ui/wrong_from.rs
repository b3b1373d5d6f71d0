#![allow(dead_code, unreachable_code, unused_variables)]

use parlor::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Arena {}

#[room(kind = "arena")]
impl Arena {
    #[msg::route("a")]
    fn player(&mut self, ctx: &mut Ctx, from: &Player) {}

    #[msg::route("b")]
    fn missing(&mut self, ctx: &mut Ctx) {}
}

fn main() {}
