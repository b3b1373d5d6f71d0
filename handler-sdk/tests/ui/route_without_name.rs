#![allow(dead_code, unreachable_code, unused_variables)]

use parlor::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Arena {}

#[room(kind = "arena")]
impl Arena {
    #[msg::route]
    fn bare(&mut self, ctx: &mut Ctx, from: PlayerId) {}

    #[msg::route()]
    fn empty(&mut self, ctx: &mut Ctx, from: PlayerId) {}

    #[msg::route("/type=")]
    fn nothing(&mut self, ctx: &mut Ctx, from: PlayerId) {}

    #[msg::route(unquoted)]
    fn unquoted(&mut self, ctx: &mut Ctx, from: PlayerId) {}
}

fn main() {}
