#![allow(dead_code, unreachable_code, unused_variables)]

use parlor::prelude::*;

struct Load;

struct Loaded;

#[derive(Default, Serialize, Deserialize)]
struct Arena {}

#[room(kind = "arena")]
impl Arena {
    #[msg::work]
    async fn load(env: Env, job: Load) -> Result<Loaded> {
        Ok(Loaded)
    }

    #[msg::event]
    fn loaded(&mut self, ctx: &mut Ctx, done: Done<Loaded>) {}
}

fn main() {}
