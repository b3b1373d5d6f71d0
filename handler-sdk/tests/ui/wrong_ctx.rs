#![allow(dead_code, unreachable_code, unused_variables)]

use parlor::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Arena {}

#[room(kind = "arena")]
impl Arena {
    #[msg::route("a")]
    fn by_value(&mut self, ctx: Ctx, from: PlayerId) {}

    #[msg::route("b")]
    fn shared(&mut self, ctx: &Ctx, from: PlayerId) {}

    #[msg::tick]
    fn missing(&mut self) {}
}

fn main() {}
