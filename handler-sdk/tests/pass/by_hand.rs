//! The same without macros.
#![deny(warnings)]

use parlor::prelude::*;
use parlor::{Payload, Policy};

struct Moved;

impl Message for Moved {
    const TYPE: &'static str = "moved";
}

impl Serialize for Moved {
    fn serialize<S: serde::Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        to.serialize_unit()
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Arena {}

impl Room for Arena {
    const KIND: &'static str = "arena";
    const ROUTES: &'static [&'static str] = &["move"];

    fn policy() -> Policy {
        Policy { max_players: 2, ..Policy::default() }
    }

    fn on_message(&mut self, ctx: &mut Ctx, from: Origin, route: &str, payload: &Payload) -> Result {
        match route {
            "move" => {
                let (_x, _y): (f32, f32) = payload.decode()?;
                ctx.broadcast_except(&[from.player], &Moved);
                Ok(())
            }
            _ => Err(Failure::app("unknown", "unknown")),
        }
    }
}

fn main() {
    assert_eq!(parlor::Kind::of::<Arena>().policy.max_players, 2);
}
