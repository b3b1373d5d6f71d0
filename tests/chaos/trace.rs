//! A run as lines of text, without what is different each time: ids, tokens and the time of day.

use parlor_protocol::{BrokerFrame, ClientFrame};

use crate::run::Report;
use crate::wire::{Minute, Wire};

pub(crate) fn of(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    for room in &report.rooms {
        lines.extend(room.last.entries.iter().map(|entry| format!("room {}: {entry:?}", room.no.0)));
    }
    for (number, client) in report.clients.iter().enumerate() {
        lines.extend(client.minutes.iter().map(|minute| format!("client {number}: {}", wire(minute))));
        for stay in &client.stays {
            let head =
                format!("client {number}: {:?} in {} as {} from {:?}", stay.who, stay.room, stay.player.0, stay.place);
            lines.push(head);
            lines.extend(stay.events.iter().map(|event| format!("client {number}: {event:?}")));
            lines.extend(stay.messages.iter().map(|message| format!("client {number}: {message:?}")));
        }
    }
    lines
}

fn wire(minute: &Minute) -> String {
    let Minute { at_ms, line, wire, .. } = minute;
    let what = match wire {
        Wire::Up(ClientFrame::Hello(hello)) => {
            format!("hello {:?}", hello.resume.as_ref().map(|wish| wish.received))
        }
        Wire::Up(ClientFrame::Join { id, .. }) => format!("join {id}"),
        Wire::Down(BrokerFrame::Welcome(welcome)) => format!("welcome {:?}", welcome.lost),
        Wire::Down(BrokerFrame::Resumed { received, rooms, .. }) => format!("resumed {received} {rooms:?}"),
        Wire::Down(BrokerFrame::Pong { time, .. }) => format!("pong {time}"),
        Wire::Down(BrokerFrame::Joined { id, joined, .. }) => {
            format!("joined {id} {:?} at {}", joined.room, joined.seq.0)
        }
        Wire::Down(BrokerFrame::View { joined, handled, .. }) => {
            format!("view {:?} {handled} at {}", joined.room, joined.seq.0)
        }
        Wire::Down(BrokerFrame::Error { id, error }) => {
            format!("error {id:?} {} {:?} {:?}", error.code, error.room, error.no)
        }
        wire => format!("{wire:?}"),
    };
    format!("{at_ms} ms, line {line}: {what}")
}
