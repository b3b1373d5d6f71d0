//! A room as one of its members sees it.

use std::collections::BTreeMap;
use std::sync::Arc;

use parlor_protocol::frame::Role;
use parlor_protocol::{ClientFrame, Place, PlayerId, RoomId, RoomNo};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::error::ClientError;
use crate::event::{RoomEvent, decode};
use crate::link::{Answer, Handle, Kind};
use crate::member::{Member, Seat, short};

/// A room that was joined: its events, and everything that a [`RoomSender`] can do. Dropping it leaves the room.
///
/// The events must be read, if only to throw them away: when too many wait, the whole connection stops reading
/// ([`Options::event_count`](crate::Options::event_count)), and with it every reply that is awaited.
#[derive(Debug)]
pub struct Room {
    // First, so that the room is left before the connection's last handle goes.
    seat: Seat,
    sender: RoomSender,
}

/// The part of a [`Room`] that sends. Cheap to clone and usable from any task.
#[derive(Clone, Debug)]
pub struct RoomSender {
    member: Arc<Member>,
    handle: Arc<Handle>,
}

impl Room {
    pub(crate) fn new(seat: Seat, handle: Arc<Handle>) -> Self {
        let member = Arc::clone(&seat.member);
        Self { seat, sender: RoomSender { member, handle } }
    }

    /// The room's id, to be shared with those who shall join it.
    pub fn id(&self) -> &RoomId {
        &self.seat.member.id
    }

    /// The room's number on the wire.
    pub fn number(&self) -> RoomNo {
        self.seat.member.no
    }

    /// The room's kind.
    pub fn kind(&self) -> &str {
        &self.seat.member.kind
    }

    /// This member's number in the room.
    pub fn player(&self) -> PlayerId {
        self.seat.member.player
    }

    /// Player or spectator.
    pub fn role(&self) -> Role {
        self.seat.member.role
    }

    /// The place in the room's history as of which the joiner's view is; every event comes after it.
    pub fn place(&self) -> Place {
        self.seat.member.place
    }

    /// The code with which others may join ([`JoinRequest::by_invite`](crate::JoinRequest::by_invite)), in rooms that ask
    /// for one.
    pub fn invite(&self) -> Option<&str> {
        self.seat.member.invite.as_deref()
    }

    /// What the game showed on joining. A later [`RoomEvent::View`] replaces it for the application, not here.
    ///
    /// # Errors
    /// [`ClientError::Decode`] when it is no `T`.
    pub fn view<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        decode(&self.seat.member.view)
    }

    /// What the lobby shows of the room, as it was on joining.
    pub fn properties(&self) -> &BTreeMap<String, serde_json::Value> {
        &self.seat.member.properties
    }

    /// The part that sends, to be cloned and moved elsewhere.
    pub fn sender(&self) -> &RoomSender {
        &self.sender
    }

    /// The next event, in the order of the room's history. `None` after [`RoomEvent::Closed`], and when the client has
    /// ended ([`Parlor::lifecycle`](crate::Parlor::lifecycle) tells how). Cancel-safe.
    pub async fn recv(&mut self) -> Option<RoomEvent> {
        self.seat.member.events.pop().await
    }

    /// The next event if it is there already.
    pub fn try_recv(&mut self) -> Option<RoomEvent> {
        self.seat.member.events.try_pop().ok()
    }

    /// As [`RoomSender::send`].
    ///
    /// # Errors
    /// As [`RoomSender::send`].
    pub fn send(&self, name: &str, payload: &(impl Serialize + ?Sized)) -> Result<u64, ClientError> {
        self.sender.send(name, payload)
    }

    /// As [`RoomSender::request`].
    ///
    /// # Errors
    /// As [`RoomSender::request`].
    pub async fn request<T: DeserializeOwned>(
        &self,
        name: &str,
        payload: &(impl Serialize + ?Sized),
    ) -> Result<T, ClientError> {
        self.sender.request(name, payload).await
    }

    /// As [`RoomSender::subscribe`].
    ///
    /// # Errors
    /// As [`RoomSender::subscribe`].
    pub async fn subscribe(&self, topic: &str) -> Result<(), ClientError> {
        self.sender.subscribe(topic).await
    }

    /// As [`RoomSender::unsubscribe`].
    ///
    /// # Errors
    /// As [`RoomSender::unsubscribe`].
    pub async fn unsubscribe(&self, topic: &str) -> Result<(), ClientError> {
        self.sender.unsubscribe(topic).await
    }

    /// Leaves the room and waits until the broker has confirmed it. Events that come before that are thrown away; who wants
    /// them uses [`RoomSender::leave`] and reads on up to [`RoomEvent::Closed`].
    ///
    /// # Errors
    /// [`ClientError::Closed`] when the client ends first, [`ClientError::Timeout`] after
    /// [`Options::request_timeout`](crate::Options::request_timeout).
    pub async fn leave(&mut self) -> Result<(), ClientError> {
        self.sender.leave();
        let limit = self.seat.shared.options.request_timeout;
        timeout(limit, self.until_closed()).await.unwrap_or(Err(ClientError::Timeout))
    }

    async fn until_closed(&mut self) -> Result<(), ClientError> {
        while let Some(event) = self.recv().await {
            if let RoomEvent::Closed { .. } = event {
                return Ok(());
            }
        }
        // Closed was read before, or the connection has ended without it.
        self.seat.shared.end().map_or(Ok(()), |end| Err((&end).into()))
    }
}

impl RoomSender {
    /// Queues a message without waiting. Returns its number: from 1, counting what this member sends and requests in this
    /// room. A refusal comes as [`RoomEvent::Refused`] with that number. While the client is away the message waits.
    ///
    /// # Errors
    /// [`ClientError::BufferFull`], [`ClientError::Closed`], [`ClientError::Invalid`], and [`ClientError::Refused`] with
    /// `not_a_member` once the membership has ended or `frame_too_large`. In all these cases no number is used up.
    pub fn send(&self, name: &str, payload: &(impl Serialize + ?Sized)) -> Result<u64, ClientError> {
        let (room, type_) = (self.member.no, self.member.type_ref(name)?);
        let payload = crate::payload(payload)?;
        self.handle.shared.send(&self.member, &ClientFrame::Send { room, type_, payload })
    }

    /// Sends a message that is answered, and waits for the answer.
    ///
    /// # Errors
    /// [`ClientError::Refused`] by the handler or the broker, [`ClientError::OutcomeUnknown`] when the session or the
    /// membership ends first, [`ClientError::Timeout`], [`ClientError::Decode`] when the reply is no `T`, and the errors of
    /// [`send`](Self::send).
    pub async fn request<T: DeserializeOwned>(
        &self,
        name: &str,
        payload: &(impl Serialize + ?Sized),
    ) -> Result<T, ClientError> {
        let (room, type_) = (self.member.no, self.member.type_ref(name)?);
        let payload = crate::payload(payload)?;
        let frame = |id| ClientFrame::Request { room, type_, id, payload };
        match self.handle.shared.ask(&self.member, Kind::Request, frame).await? {
            Answer::Reply(reply) => decode(&reply),
            _ => Err(ClientError::Protocol("a request was answered by something else".to_owned())),
        }
    }

    /// Asks for a topic that the room lets clients choose.
    ///
    /// # Errors
    /// [`ClientError::Refused`] (`topic_denied`), [`ClientError::Closed`], [`ClientError::Lost`], [`ClientError::Timeout`],
    /// [`ClientError::BufferFull`] and [`ClientError::Invalid`].
    pub async fn subscribe(&self, topic: &str) -> Result<(), ClientError> {
        let (room, topic) = self.topic(topic)?;
        self.confirmed(|id| ClientFrame::Subscribe { id, room, topic }).await
    }

    /// Takes [`subscribe`](Self::subscribe) back.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    pub async fn unsubscribe(&self, topic: &str) -> Result<(), ClientError> {
        let (room, topic) = self.topic(topic)?;
        self.confirmed(|id| ClientFrame::Unsubscribe { id, room, topic }).await
    }

    /// Asks to leave the room, behind what was sent before. [`RoomEvent::Closed`] confirms it. Does nothing the second time.
    pub fn leave(&self) {
        self.handle.shared.leave(&self.member);
    }

    fn topic(&self, topic: &str) -> Result<(RoomNo, String), ClientError> {
        short("the topic", topic)?;
        Ok((self.member.no, topic.to_owned()))
    }

    async fn confirmed(&self, frame: impl FnOnce(u64) -> ClientFrame) -> Result<(), ClientError> {
        match self.handle.shared.ask(&self.member, Kind::Subscription, frame).await? {
            Answer::Done => Ok(()),
            _ => Err(ClientError::Protocol("a subscription was answered by something else".to_owned())),
        }
    }
}
