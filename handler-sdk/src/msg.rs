//! The attributes of a room's methods. They stand inside an `#[room]` impl block, which turns them into calls.
//!
//! Unless it says otherwise below, a method may leave out its last parameter, and returns `()` or `Result<(), E>` for any
//! `E:` [`Refusal`](crate::Refusal). There is at most one each of `open`, `join`, `drop`, `resume`,
//! `leave`, `close`, `view`, `tick`, `migrate` and `migrate_back`.

/// The room begins: `fn(&mut self, ctx: &mut Ctx, options: T)`. An `Err` means that there will be no room.
pub use parlor_macros::msg_open as open;

/// Somebody wants in: `fn(&mut self, ctx: &mut Ctx, player: &Player, options: T)`. An `Err` refuses.
pub use parlor_macros::msg_join as join;

/// A member has lost its connection: `fn(&mut self, ctx: &mut Ctx, player: &Player)`. Its seat is kept for the policy's `resume`, and
/// what is sent to it meanwhile waits; then either `resume` comes, or `leave`.
pub use parlor_macros::msg_drop as drop;

/// A member that had lost its connection is back: `fn(&mut self, ctx: &mut Ctx, player: &Player)`.
pub use parlor_macros::msg_resume as resume;

/// A member is gone: `fn(&mut self, ctx: &mut Ctx, player: &Player, why: Leave)`.
pub use parlor_macros::msg_leave as leave;

/// The room is to be closed from outside: `fn(&mut self, ctx: &mut Ctx, why: CloseWhy, grace: Duration)`, of which `why` may
/// be left out too.
pub use parlor_macros::msg_close as close;

/// A client sends a message of this type: `#[msg::route("move")] fn(&mut self, ctx: &mut Ctx, from: PlayerId, message: T)`.
///
/// What it returns is the reply, if the message was a request that has not been deferred with
/// [`Ctx::defer_reply`](crate::Ctx::defer_reply): the value, or the value in a `Result`, whose `Err` refuses the message.
/// `"/type=move"` says the same as `"move"`.
pub use parlor_macros::msg_route as route;

/// The server side raises an event: `fn(&mut self, ctx: &mut Ctx, event: T)`. Clients cannot send it.
///
/// Its name is the method's, or `#[msg::event("name")]`. A method that takes a [`Done<T, E>`](crate::Done) is called with the
/// result of the work that returns `Result<T, E>`, and for nothing else.
pub use parlor_macros::msg_event as event;

/// What takes time, outside the room: `async fn load(env: Env, job: T) -> Result<U, E>`.
///
/// The function becomes a constant [`Work`](crate::Work) for [`Ctx::run`](crate::Ctx::run): `ctx.run(Self::load, job)`. Its
/// result goes to the one event that takes a `Done<U, E>`, or to the one named by `#[msg::work(done = "event")]`. In logs and
/// snapshots the work goes by the function's name, or `#[msg::work("name")]`.
pub use parlor_macros::msg_work as work;

/// What a player gets to see on joining, and when it missed too much: `fn(&self, to: &Player) -> T`, or `-> Result<T, E>`.
pub use parlor_macros::msg_view as view;

/// The clock ticked: `fn(&mut self, ctx: &mut Ctx, dt: Duration)`.
pub use parlor_macros::msg_tick as tick;

/// The room goes on from the state that another version of the game has saved: `fn(from: &str, state: T) -> Self`, or `-> Result<Self, E>`,
/// where an `Err` leaves the room in that version.
///
/// `T` is what that version's state looks like, or [`Payload`](crate::Payload), to be decoded when it is known which version it is. A
/// room without a migration reads the state as its own: fields that are new need a `#[serde(default)]`, and no more.
pub use parlor_macros::msg_migrate as migrate;

/// The room is to go back to an older version of the game: `fn(&self, to: &str) -> Option<T>`, or `-> Result<Option<T>, E>`, with the state as that
/// version would have saved it.
///
/// `None` is for versions that read this one's states as they are, and for those that it does not know, such as the one after it.
pub use parlor_macros::msg_migrate_back as migrate_back;
