#![allow(dead_code, unreachable_code, unused_variables)]

use parlor::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Arena {}

#[room(kind = "arena")]
impl Arena {
    #[msg::tick]
    fn tick(&mut self, ctx: &mut Ctx) {}

    #[msg::tick]
    fn tock(&mut self, ctx: &mut Ctx) {}
}

fn main() {}
