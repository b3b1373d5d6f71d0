//! Which type a name stands for is the compiler's affair.
#![deny(warnings)]

use parlor::prelude::*;
use parlor::{Ctx as Context, PlayerId as Who};

type Answer = Result<u32, Denied>;
type Finished = Done<u32, Failure>;
type Outcome<T> = std::result::Result<T, Failure>;
type Seconds = Duration;

#[derive(Refusal)]
enum Denied {
    Never,
}

#[derive(Default, Serialize, Deserialize)]
struct Arena {}

#[room(kind = "arena")]
impl Arena {
    #[msg::route("ask")]
    fn ask(&mut self, ctx: &mut Context, _: Who) -> Answer {
        ctx.run(Self::load, 7);
        Err(Denied::Never)
    }

    #[msg::route("add")]
    fn add(self: &mut Self, _: &mut Context, _: Who, (a, b): (u32, u32)) -> impl Serialize + use<> {
        a + b
    }

    #[msg::tick]
    fn tick(&mut self, _: &mut Context, _: Seconds) -> Outcome<()> {
        Ok(())
    }

    #[msg::work(done = "loaded")]
    async fn load(_: Env, job: u32) -> Outcome<u32> {
        Ok(job)
    }

    #[msg::event]
    fn loaded(&mut self, _: &mut Ctx, done: Finished) {
        assert_eq!(done.result, Ok(7));
    }
}

fn main() {
    assert!(parlor::Kind::of::<Arena>().events.is_empty());
}
