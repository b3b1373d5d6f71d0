#![allow(dead_code, unreachable_code, unused_variables)]

use parlor::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Arena {}

#[derive(Deserialize)]
struct Old {}

#[room(kind = "arena")]
impl Arena {
    #[msg::migrate("1")]
    fn named(from: &str, state: Old) -> Self {
        Self {}
    }

    #[msg::migrate]
    fn of_a_room(&mut self, from: String) {}

    #[msg::migrate_back]
    fn of_none(to: &str) {}
}

#[derive(Default, Serialize, Deserialize)]
struct Twice {}

#[room(kind = "twice")]
impl Twice {
    #[msg::migrate]
    fn one(from: &str, state: Old) -> Self {
        Self {}
    }

    #[msg::migrate]
    fn another(from: &str, state: Old) -> Self {
        Self {}
    }

    #[msg::migrate_forth]
    fn misspelt(from: &str, state: Old) -> Self {
        Self {}
    }
}

fn main() {}
