//! The room that the lobby's tests meet in.

use parlor::broker::{Broker, Config};
use parlor::prelude::*;
use parlor_tests::config;

#[derive(Default, Serialize, Deserialize)]
pub(super) struct Hall {}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Wishes {
    map: Option<String>,
    refuse_open: bool,
    refuse_join: bool,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
pub(super) struct Rung {
    pub(super) times: u32,
}

#[derive(Deserialize)]
struct Property {
    name: String,
    value: serde_json::Value,
}

#[room(kind = "hall", max_players = 4, max_spectators = 2, match_by = ["map", "hard"])]
impl Hall {
    #[msg::open]
    fn opened(&mut self, ctx: &mut Ctx, wishes: Option<Wishes>) -> Result {
        let wishes = wishes.unwrap_or_default();
        if wishes.refuse_open {
            return Err(Failure::app("no_hall", "there is no hall").with("map", wishes.map));
        }
        ctx.set_property("opened_with", wishes.map);
        Ok(())
    }

    #[msg::join]
    fn joined(&mut self, _ctx: &mut Ctx, _player: &Player, wishes: Option<Wishes>) -> Result {
        if wishes.unwrap_or_default().refuse_join { Err(Failure::app("stay_out", "no")) } else { Ok(()) }
    }

    #[msg::route("set")]
    fn set(&mut self, ctx: &mut Ctx, _from: PlayerId, property: Property) {
        ctx.set_property(&property.name, property.value);
    }

    #[msg::route("lock")]
    fn lock(&mut self, ctx: &mut Ctx, _from: PlayerId) {
        ctx.lock();
    }

    #[msg::route("unlock")]
    fn unlock(&mut self, ctx: &mut Ctx, _from: PlayerId) {
        ctx.unlock();
    }

    #[msg::event("ring")]
    fn ring(&mut self, ctx: &mut Ctx, rung: Rung) {
        ctx.broadcast(&rung);
    }

    #[msg::close]
    fn closing(&mut self, ctx: &mut Ctx, why: CloseWhy) {
        ctx.broadcast(&Rung { times: 99 });
        ctx.close(&format!("{why:?}"));
    }
}

pub(super) async fn start() -> Broker {
    start_with(|_| {}).await
}

pub(super) async fn start_with(change: impl FnOnce(&mut Config)) -> Broker {
    let mut config = config();
    change(&mut config);
    parlor::App::new().room::<Hall>().start(&config).await.unwrap()
}
