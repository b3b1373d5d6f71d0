#![allow(dead_code, unreachable_code, unused_variables)]

use parlor::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Arena {}

#[room("arena")]
impl Arena {
    #[msg::tick]
    fn tick(&mut self, ctx: &mut Ctx) {}
}

#[derive(Default, Serialize, Deserialize)]
struct Maze {}

#[room(kind = "maze" max_players = 4)]
impl Maze {}

#[derive(Default, Serialize, Deserialize)]
struct Den {}

#[room]
impl Den {
    #[msg::event(loaded)]
    fn loaded(&mut self, ctx: &mut Ctx) {}

    #[msg::event("a", "b")]
    fn two(&mut self, ctx: &mut Ctx) {}

    #[msg::event("a", done = "b")]
    fn done(&mut self, ctx: &mut Ctx) {}

    #[msg::route = "a"]
    fn equals(&mut self, ctx: &mut Ctx, from: PlayerId) {}
}

fn main() {}
