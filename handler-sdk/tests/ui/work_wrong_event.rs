#![allow(dead_code, unreachable_code, unused_variables)]

use parlor::prelude::*;

#[derive(Serialize, Deserialize)]
struct Load;

#[derive(Serialize, Deserialize)]
struct Loaded;

#[derive(Default, Serialize, Deserialize)]
struct Arena {}

#[room(kind = "arena")]
impl Arena {
    #[msg::work(done = "loadet")]
    async fn load(env: Env, job: Load) -> Result<Loaded> {
        Ok(Loaded)
    }

    #[msg::event]
    fn loaded(&mut self, ctx: &mut Ctx, done: Done<Loaded>) {}
}

fn main() {}
