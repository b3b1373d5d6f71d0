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
    #[msg::work]
    fn not_async(env: Env, job: Load) -> Result<Loaded> {
        Ok(Loaded)
    }

    #[msg::work]
    async fn with_self(&self, env: Env, job: Load) -> Result<Loaded> {
        Ok(Loaded)
    }

    #[msg::work]
    async fn no_env(job: Load) -> Result<Loaded> {
        Ok(Loaded)
    }

    #[msg::work]
    async fn no_result(env: Env, job: Load) {}
}

fn main() {}
