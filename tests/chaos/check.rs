//! What must be true of a run, whatever happened to its connections: the promises of PROTOCOL.md, sections 9 and 10, held against
//! what the handlers wrote down. Shares no code with broker and client.

use std::collections::{BTreeMap, BTreeSet};

use parlor::prelude::Leave;
use parlor_client::{LifecycleEvent, Place, RoomEvent};

use crate::game::{BREAK, DENY, Entry, Fact, Line, Out, Record, Shown, To};
use crate::player::{Message, Stay, Told};
use crate::run::{ClientReport, Report, RoomReport};

/// What is wrong with a run.
pub(crate) fn check(report: &Report) -> Vec<String> {
    let mut wrong = report.wrong.clone();
    for room in &report.rooms {
        let mut room_wrong = Vec::new();
        hooks(&room.last, &mut room_wrong);
        wrong.extend(room_wrong.into_iter().map(|what| format!("room {}: {what}", room.no.0)));
    }
    for (number, client) in report.clients.iter().enumerate() {
        for stay in &client.stays {
            let room = &report.rooms[stay.room];
            let mut checked = Checked { room, stay, client, tight: report.tight, wrong: Vec::new() };
            checked.check();
            let name = format!("client {number} ({:?}) in room {} as {}", client.codec, room.no.0, stay.player.0);
            wrong.extend(checked.wrong.into_iter().map(|what| format!("{name}: {what}")));
        }
        crate::minutes::check(client, report, &mut wrong);
    }
    wrong
}

/// Where a player is, as its room's handler was told.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Where {
    Here,
    Away,
    Gone,
}

/// Hooks come once each and by turns; messages come from those who are there, each once and in their order.
fn hooks(record: &Record, wrong: &mut Vec<String>) {
    let (mut players, mut words) = (BTreeMap::new(), BTreeSet::new());
    let mut last = 0;
    for entry in &record.entries {
        if entry.seq <= last {
            wrong.push(format!("input {} after {last}", entry.seq));
        }
        last = entry.seq;
        let (player, from, to) = match &entry.fact {
            Fact::Opened | Fact::Timer => continue,
            Fact::Joined(player, _) => (player, None, Where::Here),
            Fact::Dropped(player) => (player, Some(Where::Here), Where::Away),
            Fact::Resumed(player) => (player, Some(Where::Away), Where::Here),
            Fact::Left(player, _) => (player, None, Where::Gone),
            Fact::Said { from, .. } => (&from.player, Some(Where::Here), Where::Here),
        };
        let before = players.insert(*player, (to, entry.seq)).map(|(before, _)| before);
        let fits = match &entry.fact {
            Fact::Joined(..) => before.is_none(),
            Fact::Left(..) => matches!(before, Some(Where::Here | Where::Away)),
            _ => before == from,
        };
        if !fits {
            wrong.push(format!("{:?} came to one who was {before:?}", entry.fact));
        }
        if let Fact::Said { from, n, .. } = &entry.fact
            && !words.insert((from.player, from.no, *n))
        {
            wrong.push(format!("{:?} twice", entry.fact));
        }
    }
    senders(record, wrong);
    let closed = record.entries.iter().any(|entry| entry.outs.iter().any(|out| out.to == To::Closed));
    for (player, (place, _)) in players {
        if place != Where::Gone && !closed {
            wrong.push(format!("player {} never left", player.0));
        }
    }
}

fn senders(record: &Record, wrong: &mut Vec<String>) {
    let mut last = BTreeMap::new();
    for entry in &record.entries {
        if let Fact::Said { from, .. } = &entry.fact {
            let before = last.insert(from.player, from.no).unwrap_or_default();
            if from.no <= before {
                wrong.push(format!("message {} of player {} after {before}", from.no, from.player.0));
            }
        }
    }
}

struct Checked<'a> {
    room: &'a RoomReport,
    stay: &'a Stay,
    client: &'a ClientReport,
    tight: bool,
    wrong: Vec<String>,
}

/// How far a reader is.
struct Reader<'a> {
    expected: Vec<(Place, &'a Out)>,
    next: usize,
    /// The newest value of each key.
    latest: BTreeMap<String, Place>,
}

impl<'a> Checked<'a> {
    fn entries(&self) -> &'a [Entry] {
        &self.room.quiet.entries
    }

    fn check(&mut self) {
        self.joined();
        let mut reader = Reader { expected: self.deliveries(), next: 0, latest: BTreeMap::new() };
        for (at, event) in self.stay.events.iter().enumerate() {
            let before = self.wrong.len();
            self.event(event, &mut reader);
            if self.wrong.len() > before {
                // What follows from a mistake is none.
                let text = format!("at event {at} of {}", self.stay.events.len());
                self.wrong[before].push_str(&format!(" ({text})"));
                break;
            }
        }
        if self.wrong.is_empty() && self.stay.end().is_none() {
            self.is_up_to_date(&reader);
        }
        for message in &self.stay.messages {
            self.message(message);
        }
        self.tail();
    }

    fn joined(&mut self) {
        let (stay, seq) = (self.stay, self.stay.place.seq.0);
        let entry = self.entries().iter().find(|entry| entry.fact == Fact::Joined(stay.player, stay.who));
        match entry {
            None => self.wrong.push("a join that the handler knows nothing of".to_owned()),
            Some(entry) if entry.seq != seq || entry.shown != stay.shown => {
                self.wrong.push(format!("joined at {seq} with {:?}, but it was {entry:?}", stay.shown));
            }
            Some(_) => {}
        }
    }

    /// Everything that the room had to say to this member, in order.
    fn deliveries(&self) -> Vec<(Place, &'a Out)> {
        let (player, joined) = (self.stay.player, self.stay.place.seq.0);
        let mut found = Vec::new();
        for entry in self.entries().iter().filter(|entry| entry.seq >= joined) {
            if matches!(&entry.fact, Fact::Left(who, _) if *who == player) {
                break;
            }
            for out in &entry.outs {
                let place = Place { seq: parlor_client::Seq(entry.seq), index: out.index };
                match &out.to {
                    // Its view contains what its own join made the room say to all.
                    To::All if entry.seq > joined => found.push((place, out)),
                    To::News if entry.seq > joined && player.0.is_multiple_of(2) => found.push((place, out)),
                    To::One(to) if *to == player => found.push((place, out)),
                    To::Kicked(who) if *who == player => return found,
                    _ => {}
                }
            }
        }
        found
    }

    fn event(&mut self, event: &RoomEvent, reader: &mut Reader<'a>) {
        match event {
            RoomEvent::Message { place, name, key: None, .. } => {
                let Some((expected, out)) = reader.expected.get(reader.next) else {
                    return self.wrong.push(format!("{name} at {place:?}, but nothing more was said"));
                };
                let count = event.decode::<Line>().map(|line| line.count).unwrap_or_default();
                if (place, &**name, count) != (expected, out.name, out.count) {
                    let what =
                        format!("{name} {count} at {place:?} instead of {} {} at {expected:?}", out.name, out.count);
                    return self.wrong.push(what);
                }
                reader.next += 1;
            }
            RoomEvent::Message { place, key: Some(key), .. } => self.latest(event, *place, key, reader),
            RoomEvent::View { place, handled, .. } => {
                let shown: Shown = event.decode().unwrap_or_default();
                let so_far = self.entries().iter().rfind(|entry| entry.seq <= place.seq.0);
                if so_far.is_none_or(|entry| entry.shown != shown) {
                    self.wrong.push(format!("a view as of {place:?} shows {shown:?}, not {so_far:?}"));
                }
                let after = reader.expected.partition_point(|(other, _)| other.seq <= place.seq);
                if after < reader.next {
                    self.wrong.push(format!("a view as of {place:?} after {:?}", reader.expected[reader.next - 1].0));
                }
                reader.next = after;
                let last = self.dealt_with().filter(|(seq, _)| *seq <= place.seq.0).max().map_or(0, |(_, no)| no);
                if *handled != last {
                    self.wrong.push(format!("a view tells that {handled} is handled, but {last} was"));
                }
            }
            RoomEvent::Handled { no, .. } => {
                let seq = self.dealt_with().find(|(_, other)| other == no).map(|(seq, _)| seq);
                let due = reader.expected.partition_point(|(place, _)| Some(place.seq.0) <= seq);
                if seq.is_none() || reader.next < due {
                    self.wrong.push(format!("told that {no} is handled too early"));
                }
            }
            RoomEvent::Closed { code, .. } => self.closed(code, event, reader),
            _ => {}
        }
    }

    fn latest(&mut self, event: &RoomEvent, place: Place, key: &str, reader: &mut Reader<'a>) {
        let count = event.decode::<Line>().map(|line| line.count).unwrap_or_default();
        let entry = self.entries().iter().find(|entry| entry.seq == place.seq.0);
        let out = entry.and_then(|entry| entry.outs.get(place.index as usize));
        if out.is_none_or(|out| out.count != count || out.to != To::Latest(key.to_owned())) {
            self.wrong.push(format!("the value {count} of {key} at {place:?} was never set: {out:?}"));
        }
        let before = reader.latest.insert(key.to_owned(), place);
        if before > Some(place) {
            self.wrong.push(format!("the value of {key} at {place:?} came after that at {before:?}"));
        }
    }

    fn closed(&mut self, code: &str, event: &RoomEvent, reader: &Reader<'a>) {
        // The end pays what a room still owed.
        if code != "lost" && !self.tight && reader.next < reader.expected.len() {
            let missed = reader.expected.len() - reader.next;
            self.wrong.push(format!("closed ({code}), with {missed} messages missing"));
        }
        let player = self.stay.player;
        let left = self.entries().iter().find_map(|entry| match &entry.fact {
            Fact::Left(who, why) if *who == player => Some(why.clone()),
            _ => None,
        });
        let result = event.decode::<u64>().ok();
        let by = |to: To| {
            let since = self.entries().iter().skip_while(|entry| entry.seq < self.stay.place.seq.0);
            let closing = since.into_iter().find(|entry| entry.outs.iter().any(|out| out.to == to));
            closing.and_then(|entry| match entry.fact {
                Fact::Said { n, .. } => Some(n),
                _ => None,
            })
        };
        let fits = match code {
            "left" => self.stay.asked_to_leave && left == Some(Leave::Left),
            "expired" => left == Some(Leave::Disconnected),
            "kicked" => left == Some(Leave::Kicked) && by(To::Kicked(player)) == result,
            "closed" => left.is_none() && result.is_some() && by(To::Closed) == result,
            "lost" => true,
            _ => false,
        };
        if !fits {
            self.wrong.push(format!("closed with {code} and {result:?}, but the handler knows {left:?}"));
        }
    }

    fn is_up_to_date(&mut self, reader: &Reader<'a>) {
        let player = self.stay.player;
        if self.entries().iter().any(|entry| matches!(&entry.fact, Fact::Left(who, _) if *who == player)) {
            self.wrong.push("never told of its end".to_owned());
        }
        if let Some((place, out)) = reader.expected.get(reader.next) {
            let missed = reader.expected.len() - reader.next;
            self.wrong.push(format!("{missed} messages never came, the first at {place:?}: {out:?}"));
        }
        if !self.stay.follows {
            return self.wrong.push("its last subscription was not confirmed".to_owned());
        }
        let mut newest = BTreeMap::new();
        for entry in self.entries() {
            for out in &entry.outs {
                if let To::Latest(key) = &out.to {
                    newest.insert(key.clone(), Place { seq: parlor_client::Seq(entry.seq), index: out.index });
                }
            }
        }
        if newest.iter().any(|(key, place)| reader.latest.get(key) != Some(place)) {
            self.wrong.push(format!("has {:?} for the newest values, which are {newest:?}", reader.latest));
        }
    }

    /// What the handler heard of this member: input, number, word.
    fn said(&self) -> impl Iterator<Item = (u64, u64, u64)> + use<'a> {
        let player = self.stay.player;
        self.entries().iter().filter_map(move |entry| match &entry.fact {
            Fact::Said { from, n, .. } if from.player == player => Some((entry.seq, from.no, *n)),
            _ => None,
        })
    }

    /// The same, and what it has panicked on: input and number.
    fn dealt_with(&self) -> impl Iterator<Item = (u64, u64)> + use<'a> {
        let player = self.stay.player;
        let broken = self.room.last.broken.iter().filter(move |(_, from)| from.player == player);
        self.said().map(|(seq, no, _)| (seq, no)).chain(broken.map(|(seq, from)| (*seq, from.no)))
    }

    fn message(&mut self, message: &Message) {
        let handled = self.said().find(|(.., n)| *n == message.n);
        let live = self.stay.end().is_none();
        let Message { n, route, no, told } = message;
        let what = match (told, handled) {
            (Told::NotSent, Some(_)) => "was never sent, and yet handled",
            (Told::Sent, Some((_, handled_as, _))) if Some(handled_as) != *no => "was handled under another number",
            (Told::Sent, Some((_, no, _))) if *route == DENY && live && self.refusals(no) != 1 => {
                "was refused by the handler, but not told so once"
            }
            (Told::Sent, Some((_, no, _))) if *route != DENY && self.refusals(no) > 0 => "was handled and refused",
            (Told::Sent, None) if live && no.is_none_or(|no| self.refusals(no) != 1) => "was lost",
            (Told::Answered(line), handled) => match handled.and_then(|(seq, ..)| self.reply(seq, *n)) {
                Some(count) if count == line.count && line.n == *n && *route != DENY => return,
                _ => "was answered by something else",
            },
            (Told::Refused(code), Some(_)) if code != "app.denied" || *route != DENY => "was handled and refused",
            (Told::Refused(code), None)
                if !matches!(&**code, "queue_full" | "room_closed" | "not_a_member")
                    && (&**code, *route) != ("handler_panicked", BREAK) =>
            {
                "was refused for no reason"
            }
            (Told::Unknown, _) if live => "has an unknown outcome in a session that goes on",
            (Told::Waits, _) => "was never answered",
            _ => return,
        };
        self.wrong.push(format!("the message {n} ({route}, {no:?}, {told:?}, {handled:?}) {what}"));
    }

    /// How often it was told that a send was refused.
    fn refusals(&self, number: u64) -> usize {
        let refused = |event: &&RoomEvent| matches!(event, RoomEvent::Refused { no, .. } if *no == number);
        self.stay.events.iter().filter(refused).count()
    }

    /// The count of the reply to what came with an input, now or later.
    fn reply(&self, seq: u64, n: u64) -> Option<u64> {
        let entry = self.entries().iter().find(|entry| entry.seq == seq)?;
        let Fact::Said { from, n: asked, .. } = &entry.fact else { return None };
        let outs = self.entries().iter().flat_map(|entry| &entry.outs);
        let reply = outs.filter(|out| out.to == To::Reply(*from)).map(|out| out.count).next_back();
        reply.filter(|_| *asked == n)
    }

    /// In a membership that has ended, what was lost is the end of what was sent.
    fn tail(&mut self) {
        let handled: BTreeSet<u64> = self.said().map(|(_, no, _)| no).collect();
        let last = handled.last().copied().unwrap_or_default();
        for message in &self.stay.messages {
            let Some(no) = message.no.filter(|no| *no < last && !handled.contains(no)) else { continue };
            let told_outside = self.client.lifecycle.iter().any(|event| {
                matches!(event, LifecycleEvent::Error(error) if error.no == Some(no) && error.room == Some(self.room.no))
            });
            // A session that is lost takes refusals with it that were on their way.
            if self.refusals(no) != 1 && !told_outside && self.stay.end() != Some("lost") {
                self.wrong.push(format!("{no} was lost although {last} was handled"));
            }
        }
    }
}
