#![allow(dead_code, unreachable_code, unused_variables)]

use parlor::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Arena {}

#[room(kind = "arena")]
impl Arena {
    #[msg::event]
    fn loaded(&mut self, ctx: &mut Ctx, done: Done<u32>) {}
}

fn main() {}
