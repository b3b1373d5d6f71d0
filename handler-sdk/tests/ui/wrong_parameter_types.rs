#![allow(dead_code, unreachable_code, unused_variables)]

use parlor::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Arena {}

#[room(kind = "arena")]
impl Arena {
    #[msg::join]
    fn joined(&mut self, ctx: &mut Ctx, player: &PlayerId) {}

    #[msg::close]
    fn closing(&mut self, ctx: &mut Ctx, why: Leave, grace: Duration) {}

    #[msg::tick]
    fn tick(&mut self, ctx: &mut Ctx, dt: f32) {}
}

fn main() {}
