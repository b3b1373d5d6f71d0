#![allow(dead_code, unreachable_code, unused_variables)]

use parlor::prelude::*;

#[room(kind = "arena")]
struct Arena {}

struct Maze<T>(T);

#[room(kind = "maze")]
impl<T> Maze<T> {
    #[msg::route("turn")]
    fn turn(&mut self, ctx: &mut Ctx, from: PlayerId) {}
}

struct Lobby;

#[room(kind = "lobby")]
impl Clone for Lobby {
    fn clone(&self) -> Self {
        Lobby
    }
}

fn main() {}
