#![allow(dead_code, unreachable_code, unused_variables)]

use parlor::prelude::*;

#[derive(Serialize, Message)]
#[message("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")]
struct Long;

#[derive(Serialize, Message)]
#[message("")]
struct Nameless;

#[derive(Default, Serialize, Deserialize)]
struct Arena {}

#[room(kind = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")]
impl Arena {
    #[msg::route("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")]
    fn route(&mut self, ctx: &mut Ctx, from: PlayerId) {}

    #[msg::event]
    fn xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx(&mut self, ctx: &mut Ctx) {}
}

fn main() {}
