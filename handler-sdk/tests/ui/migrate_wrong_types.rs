#![allow(dead_code, unreachable_code, unused_variables)]

use parlor::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Arena {}

struct Opaque;

#[room(kind = "arena")]
impl Arena {
    #[msg::migrate]
    fn from_older(from: &u32, state: Opaque) -> Result<u32> {
        Ok(0)
    }

    #[msg::migrate_back]
    fn for_older(&self, to: &str) -> Option<Opaque> {
        None
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Always {}

#[room(kind = "always")]
impl Always {
    #[msg::migrate]
    fn from_older(from: &str, state: u32) -> Result<Self, String> {
        Ok(Self {})
    }

    #[msg::migrate_back]
    fn for_older(&self, to: &str) -> u32 {
        0
    }
}

fn main() {}
