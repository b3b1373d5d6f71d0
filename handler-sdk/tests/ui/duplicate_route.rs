#![allow(dead_code, unreachable_code, unused_variables)]

use parlor::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Arena {}

#[room(kind = "arena")]
impl Arena {
    #[msg::route("move")]
    fn walk(&mut self, ctx: &mut Ctx, from: PlayerId) {}

    #[msg::route("/type=move")]
    fn run(&mut self, ctx: &mut Ctx, from: PlayerId) {}

    #[msg::event]
    fn dawn(&mut self, ctx: &mut Ctx) {}

    #[msg::event("dawn")]
    fn sunrise(&mut self, ctx: &mut Ctx) {}
}

fn main() {}
