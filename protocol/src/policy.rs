//! A room kind's policy, and the one table of its defaults.

use serde::{Deserialize, Serialize};

use crate::limits::MAX_NAME;

/// How rooms of a kind behave. Everything has a default, so a game states only what it wants otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// Seats for players. Default 64.
    pub max_players: u32,
    /// Places for spectators. Default 0: nobody may only watch.
    pub max_spectators: u32,
    /// Ticks a second, 0 to 1000. Default 0: no ticks.
    pub tick_hz: u32,
    /// Whether a room without players ticks. Default [`TickWhen::Occupied`].
    pub tick_when: TickWhen,
    /// Milliseconds that a room without members lives on. Default 30,000: long enough to reload a page.
    pub empty_ttl_ms: u64,
    /// Milliseconds that a member who lost its connection keeps its seat. Default 30,000: a tunnel, a reload, a change of network.
    pub resume_ms: u64,
    /// Who may play. Default [`Admission::Open`].
    pub join: Admission,
    /// Who may watch, where there are places for spectators. Default [`Admission::Open`].
    pub watch: Admission,
    /// What becomes of a member when its account joins a second time. Default [`SameAccount::Replace`].
    pub same_account: SameAccount,
    /// Joins and client messages that may wait in the room queue. Default 4096: a tenth of a second at 40,000 a second.
    pub queue_len: u32,
    /// Bytes of payload that may wait in the room queue. Default 4 MiB.
    pub queue_bytes: u64,
    /// Messages of one member that may wait, so that one cannot fill the queue. Default 256.
    pub member_queue_len: u32,
    /// Bytes of a single output. Default 64 KiB: more would hold up everything behind it on a slow link.
    pub max_output_bytes: u64,
    /// Bytes of all outputs of one input together. Default 1 MiB.
    pub max_outputs_bytes: u64,
    /// Bytes of a view, what a player gets to see on joining. A join with a larger one fails. Default 1 MiB.
    pub max_view_bytes: u64,
    /// Fields of the join options on which a room found by `find_or_create` must agree with the joiner. They become
    /// properties of the room that is made. Default none.
    pub match_by: Vec<String>,
    /// Named topics that clients may follow and leave by themselves. Default none.
    pub client_topics: Vec<String>,
    /// Named topics of which only the latest value of each key matters. Default none.
    pub latest_topics: Vec<String>,
    /// Keys of all `latest` topics together that a room keeps the values of; beyond it the one set longest ago is forgotten. Default 4096.
    pub max_latest: u32,
    /// Whether clients are told which of their messages the publishes reflect, for prediction. Default no.
    pub handled: Handled,
    /// What a panic of the handler does to the room. Default [`OnPanic::Restore`].
    pub on_panic: OnPanic,
    /// What becomes of a room whose handler, made anew, says something else than it has said before. Default [`OnDivergence::Resync`].
    pub on_divergence: OnDivergence,
    /// Inputs after which the handler's state is saved, if they and their outputs are larger than it. Default 256: some milliseconds of
    /// replay.
    pub snapshot_every: u32,
    /// Bytes of inputs and outputs after which the state is saved however large it is. Default 256 KiB. When it cannot be saved, messages and
    /// joins are refused at eight times as many, and at twice that, and `queue_bytes`, the room ends.
    pub snapshot_bytes: u64,
    /// Milliseconds after which the next input has the state saved. Default 60,000.
    pub snapshot_age_ms: u64,
    /// Bytes of a saved state. Default 16 MiB: some 20 ms to save.
    pub max_snapshot_bytes: u64,
    /// Milliseconds without any input after which a handler in another process is given up, its state saved, until the next one. Default
    /// 60,000: nobody is about to say something.
    pub sleep_after_ms: u64,
    /// Milliseconds that a room may go on after its `close` hook when the hook did not end it. Default 0; at most 8,000
    /// count when the broker shuts down.
    pub close_grace_ms: u64,
}

impl Policy {
    /// Whether rooms can be run by this policy. `#[room]` checks as much when the game is compiled.
    ///
    /// # Errors
    /// What is wrong, naming the key.
    pub fn check(&self) -> Result<(), String> {
        let named = |names: &[String]| names.iter().all(|name| (1..=MAX_NAME).contains(&name.len()));
        let checks = [
            (self.max_players >= 1, "max_players must be at least 1"),
            (
                self.max_players < u32::MAX && self.max_spectators < u32::MAX,
                "max_players and max_spectators are below 2^32 - 1",
            ),
            (self.tick_hz <= 1000, "tick_hz must be at most 1000"),
            (self.queue_len >= 1 && self.member_queue_len >= 1, "queue_len and member_queue_len must be at least 1"),
            (self.snapshot_every >= 1, "snapshot_every must be at least 1"),
            (self.snapshot_bytes >= 1024, "snapshot_bytes must be at least 1024"),
            (named(&self.match_by), "names in match_by have 1 to 64 bytes"),
            (named(&self.client_topics), "names in client_topics have 1 to 64 bytes"),
            (named(&self.latest_topics), "names in latest_topics have 1 to 64 bytes"),
        ];
        checks.iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, why)| Err((*why).to_owned()))
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_players: 64,
            max_spectators: 0,
            tick_hz: 0,
            tick_when: TickWhen::Occupied,
            empty_ttl_ms: 30_000,
            resume_ms: 30_000,
            join: Admission::Open,
            watch: Admission::Open,
            same_account: SameAccount::Replace,
            queue_len: 4096,
            queue_bytes: 4 << 20,
            member_queue_len: 256,
            max_output_bytes: 64 << 10,
            max_outputs_bytes: 1 << 20,
            max_view_bytes: 1 << 20,
            match_by: Vec::new(),
            client_topics: Vec::new(),
            latest_topics: Vec::new(),
            max_latest: 4096,
            handled: Handled::Silent,
            on_panic: OnPanic::Restore,
            on_divergence: OnDivergence::Resync,
            snapshot_every: 256,
            snapshot_bytes: 256 << 10,
            snapshot_age_ms: 60_000,
            max_snapshot_bytes: 16 << 20,
            sleep_after_ms: 60_000,
            close_grace_ms: 0,
        }
    }
}

/// Who is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Admission {
    /// Whoever finds the room.
    Open,
    /// Those who have a ticket from the game's backend.
    Ticket,
    /// Those who know the room's invite code, and whoever makes the room.
    Invite,
}

/// What a second membership of one account does to the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SameAccount {
    /// The first ends.
    Replace,
    /// The second is refused with `already_joined`.
    Refuse,
    /// Both go on.
    Allow,
}

/// When a room ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TickWhen {
    /// While a player is in.
    Occupied,
    /// As long as the room lives.
    Always,
}

/// Whether clients are told what has been handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handled {
    /// They are not.
    Silent,
    /// Each gets a `handled` frame behind the publishes that reflect a message of its own.
    Told,
}

/// What a panic of the handler does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnPanic {
    /// The handler is made anew with the state as it was before the input. The input is set aside, its sender is told, and the room goes on.
    Restore,
    /// The room is closed with `room_failed`.
    Close,
}

/// What becomes of a room whose handler is not deterministic, which shows when it is made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDivergence {
    /// It goes on from the state that it has now, and all members get a fresh view.
    Resync,
    /// The room is closed with `room_failed`.
    Stop,
}
