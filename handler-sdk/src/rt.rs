//! What the macros' code calls. Not for use by hand; may change in any version.

pub use bytes::Bytes;
pub use parlor_protocol::policy::{Admission, Handled, OnDivergence, OnPanic, Policy, SameAccount, TickWhen};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Ctx, Done, Failure, Payload, Refusal, Result, Work, WorkFn, WorkId};

/// A type that a payload can be decoded into; the bound that `#[room]` puts on handler arguments.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be decoded from a message",
    label = "not a payload",
    note = "add `#[derive(serde::Deserialize)]` to `{Self}`"
)]
pub trait FromPayload: DeserializeOwned {}

// What is missing is the user's `Deserialize`, not this trait's way to it.
#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> FromPayload for T {}

/// A type that can be sent; the bound that `#[room]` puts on what handlers return.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be encoded as a message",
    label = "not a payload",
    note = "add `#[derive(serde::Serialize)]` to `{Self}`"
)]
pub trait ToPayload: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize> ToPayload for T {}

/// Decodes a handler's argument.
pub fn payload<T: FromPayload>(payload: &Payload) -> Result<T> {
    payload.decode()
}

/// A work function without its types.
pub fn work<A, R>(work: Work<A, R::Value, R::Refusal>) -> WorkFn
where
    A: FromPayload + Send + 'static,
    R: WorkResult,
{
    WorkFn::new(work)
}

/// What outside work returns: its result leaves as a payload and comes back as one.
#[diagnostic::on_unimplemented(message = "work returns a `Result`", label = "`Result<T, E>` was expected here")]
pub trait WorkResult:
    IsResult<Value: ToPayload + FromPayload + 'static, Refusal: Refusal + From<Failure> + 'static>
{
}

impl<T, E> WorkResult for Result<T, E>
where
    T: ToPayload + FromPayload + 'static,
    E: Refusal + From<Failure> + 'static,
{
}

/// The types in a `Result`, by whatever name the user calls it.
#[diagnostic::on_unimplemented(message = "work returns a `Result`", label = "`Result<T, E>` was expected here")]
pub trait IsResult {
    /// `T`.
    type Value;
    /// `E`.
    type Refusal;
}

impl<T, E> IsResult for Result<T, E> {
    type Value = T;
    type Refusal = E;
}

/// `T` of a `Result<T, E>`.
pub type ValueOf<R> = <R as IsResult>::Value;

/// `E` of a `Result<T, E>`.
pub type RefusalOf<R> = <R as IsResult>::Refusal;

/// Decodes the result of work that returns an `R`.
pub fn done<R: WorkResult>(id: WorkId, result: Result<Payload>) -> Result<Done<R::Value, R::Refusal>> {
    Ok(Done {
        id,
        result: match result {
            Ok(payload) => Ok(payload.decode()?),
            Err(failure) => Err(failure.into()),
        },
    })
}

/// What a handler's parameter may be when the room has just one thing to pass: that thing.
#[diagnostic::on_unimplemented(message = "a `{T}` is passed here, not a `{Self}`", label = "expected `{T}`")]
pub trait Given<T> {
    /// Passes it.
    fn given(value: T) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T> Given<T> for T {
    fn given(value: T) -> Self {
        value
    }
}

/// Passes what the room has to a handler, if that is what the handler takes.
pub fn given<P: Given<T>, T>(value: T) -> P {
    P::given(value)
}

/// What a handler returns that has nobody to answer.
#[diagnostic::on_unimplemented(
    message = "this handler has nobody to answer",
    label = "`()` or `Result<(), E>` was expected here",
    note = "only `#[msg::route]` and `#[msg::view]` return a value"
)]
pub trait HookReturn {
    /// As the runner wants it.
    fn into_result(self) -> Result;
}

impl HookReturn for () {
    fn into_result(self) -> Result {
        Ok(())
    }
}

impl<E: Refusal> HookReturn for Result<(), E> {
    fn into_result(self) -> Result {
        self.map_err(Refusal::into_failure)
    }
}

/// The end of a handler that has nobody to answer.
pub fn hook<R: HookReturn>(returned: R) -> Result {
    returned.into_result()
}

/// What a route or a view returned. A `Result` finds the methods below, which refuse or go on with its value; everything
/// else finds those of [`ByValue`], because a type's own methods come before a trait's. So the compiler tells them apart, and
/// neither an alias nor another type of that name can mislead it.
pub struct Returned<T>(pub T);

impl<T, E> Returned<Result<T, E>> {
    /// The reply, or the refusal.
    pub fn answer(self, ctx: &mut Ctx) -> Result
    where
        T: ToPayload,
        E: Refusal,
    {
        answer(ctx, &self.0.map_err(Refusal::into_failure)?)
    }

    /// The value, or why there is none.
    pub fn value(self) -> Result<T>
    where
        E: Refusal,
    {
        self.0.map_err(Refusal::into_failure)
    }

    /// The view, or why there is none.
    pub fn view(self) -> Result<Option<Bytes>>
    where
        T: ToPayload,
        E: Refusal,
    {
        view(&self.0.map_err(Refusal::into_failure)?)
    }
}

/// What to do with a value that is no `Result`.
pub trait ByValue {
    /// The value's type.
    type Value;

    /// Makes it the reply.
    fn answer(self, ctx: &mut Ctx) -> Result
    where
        Self::Value: ToPayload;

    /// Passes it on.
    fn value(self) -> Result<Self::Value>;

    /// Makes it the view.
    fn view(self) -> Result<Option<Bytes>>
    where
        Self::Value: ToPayload;
}

impl<T> ByValue for Returned<T> {
    type Value = T;

    fn answer(self, ctx: &mut Ctx) -> Result
    where
        T: ToPayload,
    {
        answer(ctx, &self.0)
    }

    fn value(self) -> Result<T> {
        Ok(self.0)
    }

    fn view(self) -> Result<Option<Bytes>>
    where
        T: ToPayload,
    {
        view(&self.0)
    }
}

/// What a migration takes. [`Payload`] comes as it is, by its own method; everything else is decoded, by that of [`Decoded`].
pub struct Older<'a, T>(pub &'a Payload, pub std::marker::PhantomData<T>);

impl Older<'_, Payload> {
    /// The state.
    pub fn read(self) -> Result<Payload> {
        Ok(self.0.clone())
    }
}

/// What to do with a state that is no [`Payload`].
pub trait Decoded {
    /// Its type.
    type State;

    /// Decodes it.
    fn read(self) -> Result<Self::State>
    where
        Self::State: FromPayload;
}

impl<T> Decoded for Older<'_, T> {
    type State = T;

    fn read(self) -> Result<T>
    where
        T: FromPayload,
    {
        self.0.decode()
    }
}

/// Encodes a state for an older version.
pub fn older<T: ToPayload>(state: Option<T>) -> Result<Option<Payload>> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::from(parlor_protocol::ErrorCode::OutputFailed).because(error.to_string())
    };
    let encode = |state: T| parlor_protocol::codec::to_payload(&state).map(Payload).map_err(|error| failed(&error));
    state.map(encode).transpose()
}

/// Makes a handler's return value the reply, if the message was a request that has not been deferred.
fn answer<T: ToPayload>(ctx: &mut Ctx, value: &T) -> Result {
    if let Some(origin) = ctx.asked_by.take().filter(|origin| origin.request.is_some()) {
        ctx.reply(origin, value);
    }
    Ok(())
}

/// A vector, made without a name that the user's scope may lack.
pub fn list<T, const N: usize>(items: [T; N]) -> Vec<T> {
    items.into()
}

/// A vector of names.
pub fn names(names: &[&str]) -> Vec<String> {
    names.iter().copied().map(String::from).collect()
}

/// Refuses to compile a number of a policy that is out of its range.
pub const fn in_range(value: u32, least: u32, most: u32, text: &str) {
    if value < least || value > most {
        panic!("{}", text);
    }
}

/// Encodes a view.
fn view<T: ToPayload>(value: &T) -> Result<Option<Bytes>> {
    parlor_protocol::codec::to_payload(value)
        .map(Some)
        .map_err(|error| Failure::from(parlor_protocol::ErrorCode::OutputFailed).because(error.to_string()))
}

/// What a route without a handler gets; the broker refuses these before they become inputs.
pub fn unknown(name: &str) -> Failure {
    Failure::from(parlor_protocol::ErrorCode::UnknownType).with("type", name)
}
