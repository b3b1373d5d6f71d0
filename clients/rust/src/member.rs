//! One membership of one room, as the handles and the connection's task share it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::RwLock;
use parlor_protocol::frame::{Joined, Role, TypeRef};
use parlor_protocol::limits::MAX_NAME;
use parlor_protocol::{ErrorCode, Place, PlayerId, RoomId, RoomNo};
use tokio::sync::watch;

use crate::error::ClientError;
use crate::link::Shared;
use crate::options::Options;
use crate::queue::EventQueue;

/// What is known of a room since it was joined.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) no: RoomNo,
    pub(crate) id: RoomId,
    pub(crate) kind: String,
    pub(crate) player: PlayerId,
    pub(crate) role: Role,
    pub(crate) place: Place,
    pub(crate) properties: BTreeMap<String, serde_json::Value>,
    pub(crate) invite: Option<String>,
    pub(crate) view: Bytes,
    pub(crate) events: EventQueue,
    /// The types that may be sent by number.
    routes: RwLock<HashMap<String, u32>>,
    /// Messages numbered so far. Changed under the link's lock only, which gives it its order.
    sent: AtomicU64,
    /// Neither left nor closed. Changed under the link's lock or by the connection's task.
    sending: AtomicBool,
    /// Whether the room has closed for this member.
    over: watch::Sender<bool>,
}

impl Member {
    /// A membership, and the room's type table as it was on joining.
    pub(crate) fn new(joined: Joined, view: Bytes, options: &Options) -> (Self, Vec<Arc<str>>) {
        let types = table(&joined.types);
        let member = Self {
            no: joined.room,
            id: joined.id,
            kind: joined.kind,
            player: joined.player,
            role: joined.role,
            place: Place { seq: joined.seq, index: joined.index },
            properties: joined.properties,
            invite: joined.invite,
            view,
            events: EventQueue::new(options),
            routes: RwLock::new(routes(joined.types, joined.routes)),
            sent: AtomicU64::new(0),
            sending: AtomicBool::new(true),
            over: watch::Sender::new(false),
        };
        (member, types)
    }

    /// The shortest way to name a type on the wire.
    pub(crate) fn type_ref(&self, name: &str) -> Result<TypeRef, ClientError> {
        let number = self.routes.read().get(name).copied();
        match number {
            Some(number) => Ok(TypeRef::Number(number)),
            None => short("the type", name).map(|()| TypeRef::Name(name.to_owned())),
        }
    }

    /// A fresh view has come, with the whole type table; returns that.
    pub(crate) fn renew(&self, types: Vec<String>, numbered: u32) -> Vec<Arc<str>> {
        let table = table(&types);
        *self.routes.write() = routes(types, numbered);
        table
    }

    /// Whether anything may be sent to the room.
    pub(crate) fn may_send(&self) -> Result<(), ClientError> {
        // What the broker would answer if the message crossed the end of the membership.
        if self.sending.load(Ordering::Relaxed) { Ok(()) } else { Err(ErrorCode::NotAMember.into()) }
    }

    /// The number of the next message, if it may be sent at all.
    pub(crate) fn next_no(&self) -> Result<u64, ClientError> {
        self.may_send()?;
        Ok(self.sent.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The broker has ended the membership.
    pub(crate) fn end(&self) {
        self.over.send_replace(true);
    }

    /// Waits until the broker has ended the membership.
    pub(crate) async fn over(&self) {
        // The sender lives in `self`, so this cannot fail.
        let _ = self.over.subscribe().wait_for(|over| *over).await;
    }

    /// Lets no more messages be sent; tells whether they could be until now.
    pub(crate) fn end_sending(&self) -> bool {
        self.sending.swap(false, Ordering::Relaxed)
    }
}

fn table(types: &[String]) -> Vec<Arc<str>> {
    types.iter().map(|name| name.as_str().into()).collect()
}

fn routes(types: Vec<String>, numbered: u32) -> HashMap<String, u32> {
    types.into_iter().zip(0..numbered).collect()
}

/// The right to read a room's events. Dropping it leaves the room: nobody could see any more what happens there.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) member: Arc<Member>,
    pub(crate) shared: Arc<Shared>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.member.events.abandon();
        self.shared.leave(&self.member);
    }
}

/// Refuses names that no broker takes, before they use up a number.
pub(crate) fn short(what: &str, name: &str) -> Result<(), ClientError> {
    if name.len() <= MAX_NAME { Ok(()) } else { Err(ClientError::Invalid(format!("{what} is too long: {name}"))) }
}
