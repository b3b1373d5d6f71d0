#![allow(dead_code, unreachable_code, unused_variables)]

use parlor::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Arena {}

#[room(kind = "arena")]
impl Arena {
    #[msg::route("dawn")]
    fn ask_for_dawn(&mut self, ctx: &mut Ctx, from: PlayerId) {}

    #[msg::event]
    fn dawn(&mut self, ctx: &mut Ctx) {}
}

fn main() {}
