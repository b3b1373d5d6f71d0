//! Everything that the macros name is named by its full path.
#![allow(dead_code, non_camel_case_types)]
#![deny(warnings)]

mod std {}
mod core {}

#[derive(serde::Serialize, serde::Deserialize)]
struct Result;
#[derive(Default)]
struct Option;
struct String;
struct Vec;
struct Box;
struct Policy;
struct Payload;
struct Some;
struct None;
struct Ok;
struct Err;
trait Default {}
trait From {}
trait Room {}
trait Refusal {}

#[derive(::core::default::Default, serde::Serialize, serde::Deserialize)]
struct Arena {
    count: u32,
}

#[derive(parlor::Refusal)]
enum Denied {
    #[refusal(text = "{failure} and {code}")]
    Odd { failure: u32, code: u32 },
    #[refusal(transparent)]
    Inner(parlor::Failure),
}

#[derive(serde::Serialize, parlor::Message)]
struct Moved;

#[parlor::room(kind = "arena", match_by = ["map"], empty_ttl = "1m", handled, tick_when = "always")]
impl Arena {
    // No `Result` of the language: the reply is this structure.
    #[parlor::msg::route("result")]
    fn result(&mut self, ctx: &mut parlor::Ctx, from: parlor::PlayerId) -> Result {
        self.answer();
        ctx.send(from, &Moved);
        Result
    }

    #[parlor::msg::route("payload")]
    fn payload(&mut self, _: &mut parlor::Ctx, _: parlor::PlayerId, payload: u32) -> parlor::Result<u32, Denied> {
        match payload {
            0 => parlor::Result::Err(Denied::Odd { failure: 1, code: 2 }),
            1 => parlor::Result::Err(Denied::Inner(parlor::Failure::app("inner", "inner"))),
            _ => parlor::Result::Ok(payload),
        }
    }

    #[parlor::msg::work]
    async fn work(env: parlor::Env, job: u32) -> parlor::Result<u32> {
        let _ = env;
        parlor::Result::Ok(job)
    }

    #[parlor::msg::event]
    fn on_work(&mut self, ctx: &mut parlor::Ctx, result: parlor::Done<u32>) {
        let _ = (ctx, result);
    }

    #[parlor::msg::tick]
    fn on_tick(&mut self, ctx: &mut parlor::Ctx) {
        ctx.run(Self::work, 1);
    }

    #[parlor::msg::view]
    fn view(&self, _: &parlor::Player) -> parlor::Result<u32> {
        parlor::Result::Ok(self.count)
    }

    fn answer(&mut self) {}

    #[allow(unused)]
    fn policy() {}
}

fn main() {
    let kind = parlor::Kind::of::<Arena>();
    assert_eq!(kind.routes, ["result", "payload"]);
    assert_eq!(kind.works.len(), 1);
}
