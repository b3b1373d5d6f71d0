#![allow(dead_code, unreachable_code, unused_variables)]

use parlor::prelude::*;

#[derive(Deserialize)]
struct Arena {}

#[room(kind = "arena")]
impl Arena {
    #[msg::tick]
    fn tick(&mut self, ctx: &mut Ctx) {}
}

fn main() {}
