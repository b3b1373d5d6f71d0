#![allow(dead_code, unreachable_code, unused_variables)]

use parlor::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Arena {}

#[room(kind = "arena")]
impl Arena {
    #[msg::route("a")]
    fn generic<T>(&mut self, ctx: &mut Ctx, from: PlayerId, message: T) {}

    #[msg::route("b")]
    fn lifetime<'a>(&'a mut self, ctx: &'a mut Ctx, from: PlayerId) {}
}

fn main() {}
