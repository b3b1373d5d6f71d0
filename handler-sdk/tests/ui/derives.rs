#![allow(dead_code, unreachable_code, unused_variables)]

use parlor::prelude::*;

#[derive(Serialize, Message)]
#[message(name = "moved")]
struct Moved;

#[derive(Message)]
union Bits {
    a: u32,
    b: f32,
}

#[derive(Refusal)]
enum Denied {
    TooPoor(u32, u32),
    #[refusal(cod = "none")]
    NoneLeft,
    #[refusal(transparent)]
    Inner,
    #[refusal(code = "")]
    Nameless,
    #[refusal(transparent, retryable)]
    Both(Failure),
}

#[derive(Refusal)]
#[refusal(text = "need {need}")]
struct Broke {
    have: u32,
}

fn main() {}
