#![allow(dead_code, unreachable_code, unused_variables)]

use parlor::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Arena {}

#[room(kind = "arena", max_player = 4, colour = "red", resumes = "30s")]
impl Arena {
    #[msg::tick]
    fn tick(&mut self, ctx: &mut Ctx) {}
}

fn main() {}
