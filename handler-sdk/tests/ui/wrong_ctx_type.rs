#![allow(dead_code, unreachable_code, unused_variables)]

use parlor::prelude::*;

struct Context;

#[derive(Default, Serialize, Deserialize)]
struct Arena {}

#[room(kind = "arena")]
impl Arena {
    #[msg::route("a")]
    fn other_type(&mut self, ctx: &mut Context, from: PlayerId) {}
}

fn main() {}
