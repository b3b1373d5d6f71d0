#![allow(dead_code, unreachable_code, unused_variables)]

use parlor::prelude::*;

const SEATS: u32 = 0;

#[derive(Default, Serialize, Deserialize)]
struct Arena {}

#[room(kind = "arena", max_players = SEATS)]
impl Arena {
    #[msg::tick]
    fn tick(&mut self, ctx: &mut Ctx) {}
}

fn main() {}
