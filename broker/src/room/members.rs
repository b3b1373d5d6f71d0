//! Who is in a room, and who follows which topic. Kept together, so that they cannot disagree.

use std::collections::HashMap;

use parlor_protocol::PlayerId;
use parlor_protocol::frame::Role;
use parlor_protocol::room::{Player, Topic};

/// One member, reached through `L`.
#[derive(Debug)]
pub(crate) struct Member<L> {
    pub(crate) player: Player,
    pub(crate) link: L,
    /// Number of the last message of this member that was handled, and the last that it was told of.
    pub(crate) handled: u64,
    pub(crate) told: u64,
    /// While it has no connection: until when its seat is kept.
    pub(crate) away_until_us: Option<u64>,
    /// Topics that the handler chose for it, and those that it chose itself.
    given: Vec<Topic>,
    chosen: Vec<Topic>,
}

/// All members, in the order of their numbers, which is the order in which they came.
#[derive(Debug)]
pub(crate) struct Members<L> {
    list: Vec<Member<L>>,
    /// How many of them are no spectators.
    players: usize,
    topics: HashMap<Topic, Vec<PlayerId>>,
}

impl<L> Default for Members<L> {
    fn default() -> Self {
        Self { list: Vec::new(), players: 0, topics: HashMap::new() }
    }
}

impl<L> Members<L> {
    pub(crate) fn add(&mut self, player: Player, link: L) {
        debug_assert!(self.list.last().is_none_or(|last| last.player.id < player.id), "numbers rise");
        self.players += usize::from(player.role == Role::Player);
        self.list.push(Member {
            player,
            link,
            handled: 0,
            told: 0,
            away_until_us: None,
            given: Vec::new(),
            chosen: Vec::new(),
        });
    }

    pub(crate) fn remove(&mut self, player: PlayerId) -> Option<Member<L>> {
        let at = self.position(player)?;
        let member = self.list.remove(at);
        self.players -= usize::from(member.player.role == Role::Player);
        for topic in member.given.iter().chain(&member.chosen) {
            self.unfollow(topic, player);
        }
        Some(member)
    }

    pub(crate) fn get_mut(&mut self, player: PlayerId) -> Option<&mut Member<L>> {
        let at = self.position(player)?;
        self.list.get_mut(at)
    }

    pub(crate) fn contains(&self, player: PlayerId) -> bool {
        self.position(player).is_some()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Member<L>> {
        self.list.iter_mut()
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn players(&self) -> usize {
        self.players
    }

    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Member<L>> {
        self.topics.clear();
        self.players = 0;
        self.list.drain(..)
    }

    /// Members of this account, in the order in which they came.
    pub(crate) fn of_account(&self, account: &str) -> Vec<PlayerId> {
        self.list.iter().filter(|member| member.player.account == account).map(|member| member.player.id).collect()
    }

    /// Replaces the topics that the handler chose for a player. Returns those that it did not follow before.
    pub(crate) fn set_given(&mut self, player: PlayerId, mut topics: Vec<Topic>) -> Vec<Topic> {
        topics.sort_unstable();
        topics.dedup();
        let Some(member) = self.get_mut(player) else { return Vec::new() };
        let before = std::mem::replace(&mut member.given, topics);
        let follows = |topic: &&Topic| !before.contains(topic) && !member.chosen.contains(topic);
        let new = member.given.iter().filter(follows).cloned().collect();
        self.reindex(player, &before);
        new
    }

    /// All that a player follows.
    pub(crate) fn topics(&self, player: PlayerId) -> Vec<Topic> {
        let Some(member) = self.position(player).and_then(|at| self.list.get(at)) else { return Vec::new() };
        let own = member.chosen.iter().filter(|topic| !member.given.contains(topic));
        member.given.iter().chain(own).cloned().collect()
    }

    /// Adds or removes a topic that the player chose.
    pub(crate) fn choose(&mut self, player: PlayerId, topic: Topic, follows: bool) {
        let Some(member) = self.get_mut(player) else { return };
        let before = member.chosen.clone();
        member.chosen.retain(|chosen| *chosen != topic);
        if follows {
            member.chosen.push(topic);
        }
        self.reindex(player, &before);
    }

    /// Calls `each` for every member that follows the topic.
    pub(crate) fn each_follower(&mut self, topic: &Topic, mut each: impl FnMut(&mut Member<L>)) {
        let Some(followers) = self.topics.get(topic) else { return };
        for player in followers {
            if let Ok(at) = self.list.binary_search_by_key(player, |member| member.player.id) {
                each(&mut self.list[at]);
            }
        }
    }

    /// Brings the index in line after one of the player's two lists was `before`.
    fn reindex(&mut self, player: PlayerId, before: &[Topic]) {
        let Some(at) = self.position(player) else { return };
        let now: Vec<Topic> = self.list[at].given.iter().chain(&self.list[at].chosen).cloned().collect();
        for topic in before {
            if !now.contains(topic) {
                self.unfollow(topic, player);
            }
        }
        for topic in now {
            let followers = self.topics.entry(topic).or_default();
            // Sorted, so that all members see one order and a replay sees the same.
            if let Err(at) = followers.binary_search(&player) {
                followers.insert(at, player);
            }
        }
    }

    fn unfollow(&mut self, topic: &Topic, player: PlayerId) {
        if let Some(followers) = self.topics.get_mut(topic) {
            followers.retain(|follower| *follower != player);
            if followers.is_empty() {
                self.topics.remove(topic);
            }
        }
    }

    fn position(&self, player: PlayerId) -> Option<usize> {
        self.list.binary_search_by_key(&player, |member| member.player.id).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(count: u32) -> Members<()> {
        let mut members = Members::default();
        for id in 1..=count {
            let player = Player { id: PlayerId(id), account: String::new(), name: String::new(), role: Role::Player };
            members.add(player, ());
        }
        members
    }

    fn followers(members: &mut Members<()>, topic: &Topic) -> Vec<u32> {
        let mut found = Vec::new();
        members.each_follower(topic, |member| found.push(member.player.id.0));
        found
    }

    #[test]
    fn given_topics_are_replaced_and_chosen_ones_stay() {
        let (mut members, chat, here, there) = (members(2), Topic::from("chat"), Topic::Cell(0, 0), Topic::Cell(1, 0));
        members.choose(PlayerId(1), chat.clone(), true);
        members.set_given(PlayerId(1), vec![here.clone(), chat.clone()]);
        members.set_given(PlayerId(2), vec![here.clone()]);
        assert_eq!(followers(&mut members, &here), [1, 2]);
        members.set_given(PlayerId(1), vec![there.clone()]);
        assert_eq!(followers(&mut members, &here), [2]);
        assert_eq!(followers(&mut members, &chat), [1], "chosen by the player itself");
        members.choose(PlayerId(1), chat.clone(), false);
        assert_eq!(followers(&mut members, &chat), [0; 0]);
    }

    #[test]
    fn a_member_that_is_gone_follows_nothing() {
        let (mut members, here) = (members(3), Topic::Cell(0, 0));
        for id in 1..=3 {
            members.set_given(PlayerId(id), vec![here.clone(), here.clone()]);
        }
        assert!(members.remove(PlayerId(2)).is_some());
        assert!(members.remove(PlayerId(2)).is_none());
        assert_eq!(followers(&mut members, &here), [1, 3]);
        members.remove(PlayerId(1));
        members.remove(PlayerId(3));
        assert!(members.topics.is_empty());
    }
}
