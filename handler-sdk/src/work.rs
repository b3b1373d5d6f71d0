//! Outside work: async functions that a room may ask for, and what they may use.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use parlor_protocol::ErrorCode;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Failure, Payload, Refusal, Result, WorkId, bounds};

/// A future that ends in `T`.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A named async function with its types, made by `#[msg::work]` and handed to [`Ctx::run`](crate::Ctx::run).
pub struct Work<A, T, E = Failure> {
    name: &'static str,
    call: fn(Env, A) -> BoxFuture<Result<T, E>>,
}

impl<A, T, E> Work<A, T, E> {
    /// Names a function. The name is part of snapshots: keep it when the function moves.
    pub const fn new(name: &'static str, call: fn(Env, A) -> BoxFuture<Result<T, E>>) -> Self {
        Self { name, call }
    }

    /// The name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Calls the function directly, as a test might.
    pub fn call(&self, env: Env, arguments: A) -> BoxFuture<Result<T, E>> {
        (self.call)(env, arguments)
    }
}

impl<A, T, E> Clone for Work<A, T, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A, T, E> Copy for Work<A, T, E> {}

/// A work function without its types, as a room lists it in [`Room::works`](crate::Room::works).
#[derive(Clone)]
pub struct WorkFn {
    name: &'static str,
    call: Arc<dyn Fn(Env, Payload) -> BoxFuture<Result<Bytes>> + Send + Sync>,
}

impl WorkFn {
    /// Erases the types: arguments and result travel encoded.
    pub fn new<A, T, E>(work: Work<A, T, E>) -> Self
    where
        A: DeserializeOwned + Send + 'static,
        T: Serialize + 'static,
        E: Refusal + 'static,
    {
        let call = move |env, arguments: Payload| -> BoxFuture<Result<Bytes>> {
            Box::pin(async move {
                let arguments = arguments.decode()?;
                let value = (work.call)(env, arguments).await;
                let value = value.map_err(|refusal| bounds::sayable(refusal.into_failure()))?;
                parlor_protocol::codec::to_payload(&value)
                    .map_err(|error| Failure::from(ErrorCode::OutputFailed).because(error.to_string()))
            })
        };
        Self { name: work.name, call: Arc::new(call) }
    }

    /// The name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Runs the function.
    pub fn call(&self, env: Env, arguments: Payload) -> BoxFuture<Result<Bytes>> {
        (self.call)(env, arguments)
    }
}

impl fmt::Debug for WorkFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WorkFn").field(&self.name).finish()
    }
}

/// What came of outside work.
#[derive(Clone, Debug, PartialEq)]
pub struct Done<T, E = Failure> {
    /// Which piece of work.
    pub id: WorkId,
    /// Its result.
    pub result: Result<T, E>,
}

/// What a work function may use: the resources given to `App::with`, and the id of this piece of work.
#[derive(Clone, Default)]
pub struct Env {
    resources: Arc<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
    key: Option<Arc<str>>,
}

impl Env {
    /// The resource of this type, as it was given to `App::with`.
    ///
    /// # Panics
    /// When none was given: a mistake in `main`, which the room gets to see as a failed piece of work.
    pub fn get<T: Send + Sync + 'static>(&self) -> Arc<T> {
        self.try_get().unwrap_or_else(|| panic!("no `{}` was given to App::with", type_name::<T>()))
    }

    /// The resource of this type, if there is one.
    pub fn try_get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.resources.get(&TypeId::of::<T>()).and_then(|found| found.clone().downcast().ok())
    }

    /// A key that is the same whenever this piece of work is started again: room, input and output. Empty in a test that
    /// made its own environment.
    pub fn idempotency_key(&self) -> &str {
        self.key.as_deref().unwrap_or_default()
    }

    /// The same environment with one more resource; the last of a type wins.
    #[must_use]
    pub fn with<T: Send + Sync + 'static>(mut self, resource: T) -> Self {
        Arc::make_mut(&mut self.resources).insert(TypeId::of::<T>(), Arc::new(resource));
        self
    }

    /// The same environment for one piece of work.
    #[must_use]
    pub fn for_work(&self, key: &str) -> Self {
        Self { resources: self.resources.clone(), key: Some(key.into()) }
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env").field("resources", &self.resources.len()).field("key", &self.key).finish()
    }
}
