#![allow(dead_code, unreachable_code, unused_variables)]

use parlor::prelude::*;

struct Receipt;

#[derive(Default, Serialize, Deserialize)]
struct Arena {}

#[room(kind = "arena")]
impl Arena {
    #[msg::route("buy")]
    fn buy(&mut self, ctx: &mut Ctx, from: PlayerId) -> Result<Receipt> {
        Ok(Receipt)
    }

    #[msg::route("sell")]
    fn sell(&mut self, ctx: &mut Ctx, from: PlayerId) -> Receipt {
        Receipt
    }

    #[msg::route("steal")]
    fn steal(&mut self, ctx: &mut Ctx, from: PlayerId) -> Result<(), String> {
        Ok(())
    }

    #[msg::event]
    fn shout(&mut self, ctx: &mut Ctx) {
        ctx.broadcast(&Receipt);
    }

    #[msg::view]
    fn view(&self, to: &Player) -> Receipt {
        Receipt
    }
}

fn main() {}
