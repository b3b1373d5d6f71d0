//! What goes over the wire, in both directions.

use parlor::prelude::*;

use crate::vector::Vector;

/// The options of a room, and of joining one: rooms found by `find_or_create` are of the same map.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Options {
    pub(crate) map: Map,
}

/// Where a room plays.
#[derive(Clone, Copy, Default, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Map {
    #[default]
    Dust,
    /// Smaller, and slippery.
    Ice,
}

/// A direction: at most of length one.
#[derive(Serialize, Deserialize)]
pub(crate) struct Steer {
    pub(crate) x: f32,
    pub(crate) y: f32,
}

/// Why not.
#[derive(Refusal)]
pub(crate) enum Refused {
    #[refusal(text = "your dash needs {ready_in_ms} ms more", retryable)]
    Cooling { ready_in_ms: u64 },
    #[refusal(text = "that is no direction")]
    NoDirection,
}

/// The reply to a dash.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ready {
    pub(crate) ready_in_ms: u64,
}

/// Everything there is to see: the view of who joins.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Scene {
    pub(crate) map: Map,
    pub(crate) width: f32,
    pub(crate) height: f32,
    pub(crate) goal: u32,
    pub(crate) winner: Option<PlayerId>,
    pub(crate) discs: Vec<Shown>,
    pub(crate) orbs: Vec<Orb>,
}

/// A player's disc, as others see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shown {
    pub(crate) id: PlayerId,
    pub(crate) name: String,
    pub(crate) at: Vector,
    pub(crate) score: u32,
    pub(crate) radius: f32,
    pub(crate) wins: u32,
    /// Its player has lost the connection, and may come back.
    pub(crate) away: bool,
}

/// Something to collect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Orb {
    pub(crate) at: Vector,
    pub(crate) worth: u32,
}

/// Where all are, in tenths: a disc is ten bytes or fewer.
#[derive(Serialize, Deserialize, Message)]
pub(crate) struct Frame {
    pub(crate) now: u64,
    pub(crate) discs: Vec<(PlayerId, u16, u16)>,
}

/// Somebody came.
#[derive(Serialize, Deserialize, Message)]
pub(crate) struct Joined {
    pub(crate) disc: Shown,
}

/// Somebody has lost the connection, or is back.
#[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
pub(crate) struct Away {
    pub(crate) id: PlayerId,
    pub(crate) away: bool,
}

/// Somebody is gone, of its own will or because it did not come back.
#[derive(Serialize, Deserialize, Message)]
pub(crate) struct Left {
    pub(crate) id: PlayerId,
    pub(crate) lost: bool,
}

/// An orb was collected, and lies elsewhere now.
#[derive(Serialize, Deserialize, Message)]
pub(crate) struct Eaten {
    pub(crate) by: PlayerId,
    pub(crate) orb: usize,
    pub(crate) next: Orb,
}

/// A disc has another score, and so another size.
#[derive(Serialize, Deserialize, Message)]
pub(crate) struct Scored {
    pub(crate) id: PlayerId,
    pub(crate) score: u32,
    pub(crate) radius: f32,
}

/// Somebody dashes.
#[derive(Serialize, Deserialize, Message)]
pub(crate) struct Dashed {
    pub(crate) id: PlayerId,
}

/// Somebody dashed into another and took points.
#[derive(Serialize, Deserialize, Message)]
pub(crate) struct Robbed {
    pub(crate) by: PlayerId,
    pub(crate) whom: PlayerId,
}

/// Somebody reached the goal. Nothing counts until the next round.
#[derive(Serialize, Deserialize, Message)]
pub(crate) struct Won {
    pub(crate) id: PlayerId,
    pub(crate) wins: u32,
}

/// Everybody starts from zero. First a timer of the room, then a message to its members.
#[derive(Serialize, Deserialize, Message)]
pub(crate) struct NextRound {}
