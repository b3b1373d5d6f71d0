//! Who is in a room, who follows which topic, and what has been said to all of them. Kept together, so that they cannot disagree.
//!
//! What goes to all is written down once, and given to the members at the end of the batch: most of them get all of it, in one piece.
//! Whoever is told something that others are not is given first what has been said to all before.

use std::collections::HashMap;

use parlor_protocol::PlayerId;
use parlor_protocol::frame::Role;
use parlor_protocol::room::{Player, Topic};

use super::state::Link;
use crate::wire::{Run, SharedFrame};

/// Frames for which there is room between batches.
const LASTING: usize = 64;

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
    /// How much of what the batch has said to all it has been given, or was not meant to get.
    heard: usize,
}

impl<L: Link> Member<L> {
    /// Gives it one frame, behind what has been said to all.
    fn tell(&mut self, said: &[SharedFrame], frame: &SharedFrame) {
        self.catch_up(said);
        self.link.deliver(frame);
    }

    fn catch_up(&mut self, said: &[SharedFrame]) {
        for frame in said.get(self.heard..).unwrap_or_default() {
            self.link.deliver(frame);
        }
        self.heard = said.len();
    }
}

/// All members, in the order of their numbers, which is the order in which they came.
#[derive(Debug)]
pub(crate) struct Members<L> {
    list: Vec<Member<L>>,
    /// How many of them are no spectators.
    players: usize,
    topics: HashMap<Topic, Vec<PlayerId>>,
    /// What the batch has said to all so far.
    said: Vec<SharedFrame>,
}

impl<L> Default for Members<L> {
    fn default() -> Self {
        Self { list: Vec::new(), players: 0, topics: HashMap::new(), said: Vec::new() }
    }
}

impl<L: Link> Members<L> {
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
            heard: self.said.len(),
        });
    }

    pub(crate) fn remove(&mut self, player: PlayerId) -> Option<Member<L>> {
        let at = self.position(player)?;
        let mut member = self.list.remove(at);
        member.catch_up(&self.said);
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

    /// Says something to all.
    pub(crate) fn tell_all(&mut self, frame: SharedFrame) {
        if !self.list.is_empty() {
            self.said.push(frame);
        }
    }

    /// Says something to all but these.
    pub(crate) fn tell_others(&mut self, but: impl IntoIterator<Item = PlayerId>, frame: SharedFrame) {
        for player in but {
            if let Some(at) = self.position(player) {
                self.list[at].catch_up(&self.said);
                self.list[at].heard = self.said.len() + 1;
            }
        }
        self.tell_all(frame);
    }

    /// Says something to one.
    pub(crate) fn tell(&mut self, player: PlayerId, frame: &SharedFrame) {
        if let Some(at) = self.position(player) {
            self.list[at].tell(&self.said, frame);
        }
    }

    /// Says something to those who follow the topic and are `wanted`.
    pub(crate) fn tell_followers(&mut self, topic: &Topic, frame: &SharedFrame, wanted: impl Fn(&Member<L>) -> bool) {
        let mut from = 0;
        for player in self.topics.get(topic).map_or(&[][..], Vec::as_slice) {
            // Both are in the order of the numbers.
            from = first_from(&self.list, from, *player);
            if let Some(member) = self.list.get_mut(from).filter(|member| member.player.id == *player && wanted(member))
            {
                member.tell(&self.said, frame);
            }
        }
    }

    /// Gives everybody what has been said to all; `last` says whether the member gets nothing more after that.
    pub(crate) fn end_batch(&mut self, last: impl Fn(&Member<L>) -> bool) {
        if self.said.is_empty() {
            return;
        }
        let run = Run::new(&self.said);
        for member in &mut self.list {
            match member.heard {
                0 => {
                    let last = last(member);
                    member.link.deliver_all(&run, last);
                }
                _ => member.catch_up(&self.said),
            }
            member.heard = 0;
        }
        self.said.clear();
        self.said.shrink_to(LASTING);
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
        let said = std::mem::take(&mut self.said);
        self.list.drain(..).map(move |mut member| {
            member.catch_up(&said);
            member
        })
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

/// Where the first member from `from` on is whose number is not below `player`: found by steps that double, since those who follow a topic
/// often came one after the other.
fn first_from<L>(list: &[Member<L>], from: usize, player: PlayerId) -> usize {
    let below = |member: &Member<L>| member.player.id < player;
    let (mut start, mut step) = (from, 1);
    while list.get(start + step - 1).is_some_and(below) {
        (start, step) = (start + step, 2 * step);
    }
    let end = list.len().min(start + step);
    start + list[start..end].partition_point(below)
}

#[cfg(test)]
mod tests {
    use super::*;
    use parlor_protocol::BrokerFrame;

    /// Remembers the ids of the replies that it is given, and in what pieces.
    #[derive(Debug, Default)]
    struct Heard(Vec<Vec<u64>>);

    impl Link for Heard {
        fn seated(&mut self, _: PlayerId) {}

        fn can_read(&self, _: &SharedFrame) -> bool {
            true
        }

        fn deliver(&mut self, frame: &SharedFrame) {
            self.0.push(vec![id(frame)]);
        }

        fn deliver_all(&mut self, run: &Run<'_>, _: bool) {
            self.0.push(run.frames().iter().map(id).collect());
        }
    }

    fn done(id: u64) -> SharedFrame {
        SharedFrame::new(BrokerFrame::Done { id })
    }

    fn id(frame: &SharedFrame) -> u64 {
        let BrokerFrame::Done { id } = frame.frame() else { panic!("{frame:?}") };
        *id
    }

    fn members(count: u32) -> Members<Heard> {
        let mut members = Members::default();
        for id in 1..=count {
            let player = Player { id: PlayerId(id), account: String::new(), name: String::new(), role: Role::Player };
            members.add(player, Heard::default());
        }
        members
    }

    fn followers(members: &mut Members<Heard>, topic: &Topic) -> Vec<u32> {
        members.topics.get(topic).into_iter().flatten().map(|player| player.0).collect()
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

    #[test]
    fn whoever_follows_a_topic_is_found_however_far_apart_they_are() {
        for gap in 1..60 {
            let (mut members, here) = (members(130), Topic::Cell(0, 0));
            let mut follow: Vec<_> = (1..=130).filter(|id| id % gap == 0 || id % 50 < 3).collect();
            follow.iter().for_each(|id| drop(members.set_given(PlayerId(*id), vec![here.clone()])));
            for gone in [1, 49, 51, 60, 130] {
                members.remove(PlayerId(gone));
                follow.retain(|id| *id != gone);
            }
            members.tell_followers(&here, &done(7), |member| member.player.id != PlayerId(101));
            follow.retain(|id| *id != 101);
            let heard = members.list.iter().filter(|member| member.link.0 == [[7]]);
            assert_eq!(heard.map(|member| member.player.id.0).collect::<Vec<_>>(), follow, "{gap} apart");
        }
    }

    #[test]
    fn what_goes_to_all_goes_in_one_piece_to_those_who_are_told_nothing_else() {
        let mut members = members(4);
        members.tell_all(done(1));
        members.tell_others([PlayerId(2), PlayerId(2), PlayerId(9)], done(2));
        members.tell(PlayerId(3), &done(3));
        members.tell_all(done(4));
        let left = members.remove(PlayerId(4)).unwrap();
        members.add(Player { id: PlayerId(5), ..left.player }, Heard::default());
        members.tell_all(done(5));
        members.end_batch(|_| true);
        members.tell_all(done(6));
        members.end_batch(|_| true);
        let heard: Vec<_> = members.list.iter().map(|member| member.link.0.clone()).collect();
        assert_eq!(left.link.0.concat(), [1, 2, 4]);
        assert_eq!(heard[0], [vec![1, 2, 4, 5], vec![6]], "in one piece");
        assert_eq!(heard[1].concat(), [1, 4, 5, 6], "but for what was for others");
        assert_eq!(heard[2].concat(), [1, 2, 3, 4, 5, 6], "its own in its place");
        assert_eq!(heard[3].concat(), [5, 6], "from its coming on");
    }
}
