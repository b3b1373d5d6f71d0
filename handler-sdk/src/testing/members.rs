//! How members come to a room under test, lose their connections, and go.

use parlor_broker::room::state::Newcomer;
use parlor_protocol::ErrorCode;
use parlor_protocol::frame::Role;
use parlor_protocol::policy::SameAccount;
use parlor_protocol::room::{Leave, UsedTicket};
use serde::Serialize;

use super::inbox::{Inbox, TestLink};
use super::{OPENED_MS, TestRoom, payload};
use crate::{PlayerId, Result, Room};

/// How long a ticket lets somebody in after the room has opened.
const TICKETS_S: u64 = 24 * 60 * 60;

/// Coming. Whoever asks has what the policy's `join` and `watch` want: that is looked at before a join gets to the room.
impl<R: Room> TestRoom<R> {
    /// Lets a player in. Each name is an account; the policy's `same_account` says what becomes of one that is here already.
    ///
    /// # Panics
    /// When the room refuses.
    pub fn join(&mut self, name: &str) -> PlayerId {
        self.try_join(name, &()).unwrap_or_else(|failure| panic!("{name} was refused: {failure}"))
    }

    /// Asks for a player to be let in.
    ///
    /// # Errors
    /// Why the room refuses: the handler's reason, `room_full`, `room_locked`, `room_closed`, `already_joined`.
    pub fn try_join(&mut self, name: &str, options: &impl Serialize) -> Result<PlayerId> {
        self.enter(name, Role::Player, options, None)
    }

    /// Asks for a player to be let in with the ticket of this id, which lets in once within a day of the room's opening.
    ///
    /// # Errors
    /// As [`try_join`](Self::try_join), and `ticket_used`, `ticket_expired`. A join that fails does not use the ticket up.
    pub fn join_with_ticket(&mut self, name: &str, ticket: &str, options: &impl Serialize) -> Result<PlayerId> {
        let expires_s = OPENED_MS / 1000 + TICKETS_S;
        if self.now_ms() / 1000 > expires_s {
            return Err(ErrorCode::TicketExpired.into());
        }
        self.enter(name, Role::Player, options, Some(UsedTicket { id: ticket.to_owned(), expires_s }))
    }

    /// Lets a spectator in.
    ///
    /// # Errors
    /// As [`try_join`](Self::try_join).
    pub fn watch(&mut self, name: &str) -> Result<PlayerId> {
        self.enter(name, Role::Spectator, &(), None)
    }

    fn enter(
        &mut self,
        name: &str,
        role: Role,
        options: &impl Serialize,
        ticket: Option<UsedTicket>,
    ) -> Result<PlayerId> {
        let (account, name) = (format!("account-{name}"), name.to_owned());
        self.has_seat(role, &account)?;
        self.state.make_way(&account, ticket.as_ref());
        self.settle();
        let inbox = Inbox::new(role, account.clone());
        let link = TestLink(inbox.clone());
        let input = self.state.join(Newcomer { id: 0, account, name, role, options: payload(options), ticket, link });
        self.handle_all(input);
        let player = inbox.player().ok_or_else(|| inbox.turned_away())?;
        self.inboxes.insert(player, inbox);
        Ok(player)
    }

    /// Whoever the newcomer replaces makes its seat free.
    fn has_seat(&self, role: Role, account: &str) -> Result {
        let policy = &self.kind.policy;
        let max = match role {
            Role::Player => policy.max_players,
            Role::Spectator => policy.max_spectators,
        };
        let stays = |inbox: &&Inbox| policy.same_account != SameAccount::Replace || !inbox.is_of(account);
        let inside = self.inboxes.values().filter(|inbox| inbox.holds_seat(role)).filter(stays).count();
        if inside < max as usize { Ok(()) } else { Err(ErrorCode::RoomFull.into()) }
    }
}

/// Connections.
impl<R: Room> TestRoom<R> {
    /// A member loses its connection. Its seat is kept for the policy's `resume`: when that much time is
    /// [let pass](Self::advance) before [`resume`](Self::resume), it has left.
    pub fn drop(&mut self, player: PlayerId) {
        self.inbox(player).set_away(true);
        let input = self.state.drop_out(player);
        self.handle_all(input);
    }

    /// A member that has lost its connection is back, and gets what has waited for it.
    ///
    /// # Panics
    /// When its membership has ended.
    pub fn resume(&mut self, player: PlayerId) {
        assert!(!self.inbox(player).is_gone(), "player {player} came too late: its membership has ended");
        self.inbox(player).set_away(false);
        let input = self.state.resume(player);
        self.handle_all(input);
    }

    /// A member has missed so much that it is shown the room anew, instead of all that it has not taken yet; answers to its requests
    /// stay. One that was away is back.
    ///
    /// # Panics
    /// When its membership has ended.
    pub fn resync(&mut self, player: PlayerId) {
        self.resume(player);
        let input = self.state.view(player);
        self.handle_all(input);
    }

    /// A member loses its connection and has none to come back to: the client did not ask for that.
    pub fn disconnect(&mut self, player: PlayerId) {
        let input = self.state.leave(player, &Leave::Disconnected);
        self.handle_all(input);
    }

    /// A member leaves of its own will.
    pub fn leave(&mut self, player: PlayerId) {
        let input = self.state.leave(player, &Leave::Left);
        self.handle_all(input);
    }
}

/// Topics that clients choose.
impl<R: Room> TestRoom<R> {
    /// A member begins to follow a topic.
    ///
    /// # Errors
    /// `topic_denied` when the topic is none of the policy's `client_topics`.
    pub fn follow(&mut self, player: PlayerId, topic: &str) -> Result {
        self.choose(player, topic, true)
    }

    /// A member follows a topic no longer.
    ///
    /// # Errors
    /// As [`follow`](Self::follow).
    pub fn unfollow(&mut self, player: PlayerId, topic: &str) -> Result {
        self.choose(player, topic, false)
    }

    fn choose(&mut self, player: PlayerId, topic: &str, follows: bool) -> Result {
        let input = self.state.follow(player, 0, topic, follows);
        self.handle_all(input);
        self.inbox(player).error().map_or(Ok(()), Err)
    }
}
