#![allow(dead_code, unreachable_code, unused_variables)]

use std::rc::Rc;

use parlor::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Arena {}

#[room(kind = "arena")]
impl Arena {
    #[msg::work]
    async fn load(env: Env, job: u32) -> Result<u32> {
        let count = Rc::new(job);
        std::future::ready(()).await;
        Ok(*count)
    }

    #[msg::event]
    fn loaded(&mut self, ctx: &mut Ctx, done: Done<u32>) {}
}

fn main() {}
