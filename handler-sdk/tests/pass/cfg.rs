//! What is not compiled is not called either.
#![deny(warnings)]

use parlor::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Arena {}

#[room(kind = "arena")]
impl Arena {
    #[cfg(any())]
    #[msg::route("gone")]
    fn gone(&mut self, ctx: &mut Ctx, from: PlayerId, what: Gone) {}

    #[cfg(all())]
    #[msg::route("here")]
    fn here(&mut self, _: &mut Ctx, _: PlayerId) {}

    #[cfg(any())]
    #[msg::route("either")]
    fn one(&mut self, ctx: &mut Ctx, from: PlayerId) {}

    #[cfg(not(any()))]
    #[msg::route("either")]
    fn other(&mut self, _: &mut Ctx, _: PlayerId) {}

    #[msg::tick]
    #[cfg(any())]
    fn tick(&mut self, ctx: &mut Ctx) {}

    #[msg::drop]
    #[cfg(any())]
    fn dropped(&mut self, ctx: &mut Ctx, player: &Gone) {}

    #[msg::view]
    #[cfg(any())]
    fn view(&self, to: &Player) -> Gone {}

    #[cfg(any())]
    #[msg::event]
    fn gone_too(&mut self, ctx: &mut Ctx, event: Gone) {}

    #[cfg(any())]
    #[msg::work]
    async fn load(env: Env, job: Gone) -> Result<Gone> {}

    #[cfg(any())]
    #[msg::event]
    fn loaded(&mut self, ctx: &mut Ctx, done: Done<Gone>) {}
}

fn main() {
    let kind = parlor::Kind::of::<Arena>();
    assert_eq!(kind.routes, ["here", "either"]);
    assert!(kind.events.is_empty());
    assert!(kind.works.is_empty());
}
