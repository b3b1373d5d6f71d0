#![allow(dead_code, unreachable_code, unused_variables)]

use parlor::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Arena {}

#[room(kind = "arena")]
impl Arena {
    #[msg::tick]
    fn tick(&mut self, ctx: &mut Ctx) -> u32 {
        0
    }

    #[msg::join]
    fn joined(&mut self, ctx: &mut Ctx, player: &Player) -> Result<u32> {
        Ok(0)
    }

    #[msg::leave]
    fn left(&mut self, ctx: &mut Ctx, player: &Player) -> Result<(), String> {
        Ok(())
    }
}

fn main() {}
