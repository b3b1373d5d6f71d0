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
    #[msg::work(done = "counted")]
    async fn load(env: Env, job: Load) -> Result<Loaded> {
        Ok(Loaded)
    }

    #[msg::event]
    fn counted(&mut self, ctx: &mut Ctx, done: Done<u32>) {}

    #[msg::work(done = "stored")]
    async fn store(env: Env, job: Load) -> bool {
        true
    }

    #[msg::event]
    fn stored(&mut self, ctx: &mut Ctx) {}
}

fn main() {}
