//! A module into which the language's prelude does not reach.
#![no_implicit_prelude]
#![deny(warnings)]

#[derive(::std::default::Default, ::serde::Serialize, ::serde::Deserialize)]
struct Arena {
    total: u32,
}

#[derive(::serde::Serialize, ::parlor::Message)]
struct Moved;

#[derive(::parlor::Refusal)]
enum Denied {
    #[refusal(text = "need {need}", retryable)]
    TooPoor { need: u32 },
}

#[::parlor::room(kind = "arena", match_by = ["map"], client_topics = ["chat"], latest_topics = ["at"], join = "invite", same_account = "allow", max_output_bytes = "1KiB")]
impl Arena {
    #[::parlor::msg::open]
    fn opened(&mut self, ctx: &mut ::parlor::Ctx, total: u32) {
        self.total = total;
        ctx.broadcast(&Moved);
    }

    #[::parlor::msg::route("buy")]
    fn buy(&mut self, _: &mut ::parlor::Ctx, _: ::parlor::PlayerId, need: u32) -> ::std::result::Result<u32, Denied> {
        if need > self.total {
            return ::std::result::Result::Err(Denied::TooPoor { need });
        }
        ::std::result::Result::Ok(self.total - need)
    }

    #[::parlor::msg::work]
    async fn load(_: ::parlor::Env, job: u32) -> ::parlor::Result<u32> {
        ::std::result::Result::Ok(job)
    }

    #[::parlor::msg::event]
    fn loaded(&mut self, ctx: &mut ::parlor::Ctx, _: ::parlor::Done<u32>) {
        ctx.run(Self::load, 1);
    }

    #[::parlor::msg::drop]
    fn dropped(&mut self, ctx: &mut ::parlor::Ctx, player: &::parlor::Player) {
        ctx.forget_latest("at", player.id);
    }

    #[::parlor::msg::resume]
    fn resumed(&mut self, ctx: &mut ::parlor::Ctx, player: &::parlor::Player) -> ::parlor::Result {
        ctx.publish_latest("at", player.id, &Moved);
        ::std::result::Result::Ok(())
    }

    #[::parlor::msg::view]
    fn view(&self, _: &::parlor::Player) -> u32 {
        self.total
    }
}

fn main() {
    let _ = ::parlor::Kind::of::<Arena>();
}
