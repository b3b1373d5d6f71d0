//! What must be true of what went over the wire: what a client that came back was told is what then happened.

use std::collections::BTreeMap;

use parlor::prelude::PlayerId;
use parlor_client::{Recovered, RoomNo};
use parlor_protocol::{BrokerFrame, ClientFrame};

use crate::game::Fact;
use crate::run::{ClientReport, Report};
use crate::wire::{Minute, Wire};

/// What was promised of a room on the present connection.
#[derive(Debug)]
enum Promise {
    /// So many missed frames follow; so many have; beyond the second input they are none that were missed.
    Frames { told: u64, came: u64, surely: u64, until: Option<u64> },
    /// A view, and nothing but answers before it.
    View,
}

#[derive(Default)]
struct Reader {
    promises: BTreeMap<RoomNo, Promise>,
    players: BTreeMap<RoomNo, PlayerId>,
    /// Counted frames of the session that have arrived.
    received: u64,
    /// Of these the broker was told.
    acked: u64,
    /// How far the rooms were when the client said hello last, when that was, and what for.
    hello: Option<(Vec<u64>, u64)>,
    /// When something last went over the wire before.
    heard_ms: u64,
    line: u64,
}

pub(crate) fn check(client: &ClientReport, report: &Report, wrong: &mut Vec<String>) {
    let mut reader = Reader::default();
    for minute in &client.minutes {
        if let Err(what) = reader.take(minute, report) {
            wrong.push(format!("at {} ms on line {}: {what}", minute.at_ms, minute.line));
            return;
        }
    }
    if reader.acked != reader.received {
        let Reader { received, acked, .. } = reader;
        wrong.push(format!("of {received} frames that arrived only {acked} were acknowledged: the rest is still kept"));
    }
}

impl Reader {
    fn take(&mut self, minute: &Minute, report: &Report) -> Result<(), String> {
        if let Wire::Connects(_) = &minute.wire {
            (self.line, self.promises) = (minute.line, BTreeMap::new());
            self.hello = None;
            return Ok(());
        }
        // Of older connections the client hears nothing any more.
        if minute.line != self.line {
            return Ok(());
        }
        match &minute.wire {
            Wire::Up(ClientFrame::Hello(hello)) => {
                let received = hello.resume.as_ref().and_then(|wish| wish.received);
                self.hello = Some((minute.seen.clone(), self.heard_ms));
                if received > Some(self.received) {
                    return Err(format!("it says that it has had {received:?}, but {} came", self.received));
                }
                self.received = received.unwrap_or_default();
            }
            Wire::Up(ClientFrame::Ack { received }) => self.acked = *received,
            Wire::Down(frame) => {
                self.heard_ms = minute.at_ms;
                self.down(frame, minute.at_ms, report)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn down(&mut self, frame: &BrokerFrame, now_ms: u64, report: &Report) -> Result<(), String> {
        match frame {
            BrokerFrame::Welcome(welcome) => {
                (self.received, self.acked) = (0, 0);
                let away = now_ms - self.hello.as_ref().map_or(now_ms, |(_, since)| *since);
                let window = if report.rooms.iter().any(|room| room.brief) { 3_000 } else { 25_000 };
                match welcome.lost.as_deref() {
                    // What had to be kept may not have fitted.
                    None | Some("expired") if welcome.lost.is_none() || report.tight || away >= window => Ok(()),
                    lost => Err(format!("the session was {lost:?} after {away} ms")),
                }
            }
            BrokerFrame::Resumed { rooms, .. } => {
                for room in rooms {
                    let promise = match room.outcome {
                        Recovered::Frames => self.frames(room.room, room.frames.unwrap_or_default(), report),
                        Recovered::View => Promise::View,
                        Recovered::Lost if room.reason.is_some() => continue,
                        Recovered::Lost => return Err("lost, without a reason".to_owned()),
                    };
                    self.promises.insert(room.room, promise);
                }
                Ok(())
            }
            frame => {
                self.received += u64::from(is_counted(frame));
                self.room_frame(frame)
            }
        }
    }

    fn frames(&self, room: RoomNo, told: u64, report: &Report) -> Promise {
        let at = report.rooms.iter().position(|other| other.no == room);
        let seen =
            at.and_then(|at| self.hello.as_ref().and_then(|(seen, _)| seen.get(at).copied())).unwrap_or_default();
        // What a handler has just made may not be under way yet, where there are several threads.
        let surely = if report.parallel { 0 } else { seen };
        let entries = at.map_or(&[][..], |at| &report.rooms[at].last.entries);
        let player = self.players.get(&room);
        let back = |fact: &Fact| matches!(fact, Fact::Resumed(who) if Some(who) == player);
        let until = entries.iter().find(|entry| entry.seq > seen && back(&entry.fact)).map(|entry| entry.seq);
        Promise::Frames { told, came: 0, surely, until }
    }

    fn room_frame(&mut self, frame: &BrokerFrame) -> Result<(), String> {
        let (room, seq) = match frame {
            BrokerFrame::Joined { joined, .. } | BrokerFrame::View { joined, .. } => {
                self.players.insert(joined.room, joined.player);
                (joined.room, Some(joined.seq.0))
            }
            BrokerFrame::Types { room, .. } | BrokerFrame::Handled { room, .. } => (*room, None),
            BrokerFrame::Publish { room, place, .. }
            | BrokerFrame::Reply { room, place, .. }
            | BrokerFrame::Latest { room, place, .. }
            | BrokerFrame::Refused { room, place, .. }
            | BrokerFrame::Closed { room, place, .. } => (*room, Some(place.seq.0)),
            _ => return Ok(()),
        };
        let ends = matches!(frame, BrokerFrame::View { .. } | BrokerFrame::Closed { .. });
        match self.promises.get_mut(&room) {
            Some(Promise::View) if ends => {
                self.promises.remove(&room);
            }
            Some(Promise::View) => {
                let answer = matches!(
                    frame,
                    BrokerFrame::Reply { .. } | BrokerFrame::Refused { .. } | BrokerFrame::Joined { .. }
                );
                if !answer {
                    return Err(format!("a view was told, and {frame:?} came before it"));
                }
            }
            Some(Promise::Frames { told, came, surely, until }) if is_counted(frame) => {
                let new = seq.zip(*until).is_some_and(|(seq, until)| seq >= until);
                if new && *came < *told {
                    return Err(format!("{told} missed frames were told, and only {came} came"));
                }
                *came += 1;
                if seq.is_some_and(|seq| seq <= *surely) && *came > *told {
                    return Err(format!("{told} missed frames were told, and {came} came: {frame:?}"));
                }
                if new {
                    self.promises.remove(&room);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// By PROTOCOL.md, section 9.
fn is_counted(frame: &BrokerFrame) -> bool {
    use BrokerFrame::{Acked, Latest, Pong, Resumed, Welcome};
    !matches!(frame, Welcome(_) | Resumed { .. } | Pong { .. } | Acked { .. } | Latest { .. })
}
