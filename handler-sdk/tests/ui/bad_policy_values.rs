#![allow(dead_code, unreachable_code, unused_variables)]

use parlor::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Arena {}

#[room(kind = 7, max_players = 0, tick_hz = 5000, tick_when = "sometimes", empty_ttl = 30, close_grace = "30 sec",
    queue_bytes = "4MB", match_by = "map", client_topics = ["chat", 3], handled = true, on_panic, queue_len = -1, max_players = 2,
    resume = 30, join = "closed", watch = true, same_account = "kick", latest_topics = "pos", max_latest = "1000")]
impl Arena {
    #[msg::tick]
    fn tick(&mut self, ctx: &mut Ctx) {}
}

fn main() {}
