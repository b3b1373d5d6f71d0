#![allow(dead_code, unreachable_code, unused_variables)]

use parlor::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Arena {}

#[room(kind = "arena")]
impl Arena {
    #[msg::route("load")]
    async fn load(&mut self, ctx: &mut Ctx, from: PlayerId) {}
}

fn main() {}
