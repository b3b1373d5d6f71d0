//! What happened in runs, counted: a simulation shows nothing of what never happens in it.

use std::collections::BTreeMap;
use std::sync::Mutex;

use parlor_client::{LifecycleEvent, Recovered, RoomEvent, ViewReason};

use crate::player::Told;
use crate::run::Report;

/// All that should happen now and then.
const WANTED: [&str; 19] = [
    "resumed",
    "recovered some",
    "view",
    "membership lost",
    "session lost",
    "connection replaced",
    "handler restored",
    "fell behind",
    "latest",
    "handled",
    "left",
    "closed",
    "kicked",
    "expired",
    "refused by the room",
    "refused by the handler",
    "request refused",
    "request answered",
    "outcome unknown",
];

#[derive(Debug, Default)]
pub(crate) struct Met(Mutex<BTreeMap<String, u64>>);

impl Met {
    /// Counts what happened in a run.
    pub(crate) fn count(&self, report: &Report) {
        let mut met = self.0.lock().unwrap();
        let mut add = |what: &str, count| *met.entry(what.to_owned()).or_default() += count;
        add("connection replaced", report.replaced);
        add("handler restored", report.restored);
        for client in &report.clients {
            for event in &client.lifecycle {
                match event {
                    LifecycleEvent::Resumed { rooms } => {
                        add("resumed", 1);
                        for room in rooms {
                            match room.outcome {
                                Recovered::Frames => add("recovered some", u64::from(room.frames > Some(0))),
                                Recovered::View => add("view", 1),
                                Recovered::Lost => add("membership lost", 1),
                            }
                        }
                    }
                    LifecycleEvent::Lost { .. } => add("session lost", 1),
                    _ => {}
                }
            }
            for stay in &client.stays {
                for event in &stay.events {
                    match event {
                        RoomEvent::View { why: ViewReason::FellBehind, .. } => add("fell behind", 1),
                        RoomEvent::Message { key: Some(_), .. } => add("latest", 1),
                        RoomEvent::Handled { .. } => add("handled", 1),
                        RoomEvent::Refused { place: None, .. } => add("refused by the room", 1),
                        RoomEvent::Refused { .. } => add("refused by the handler", 1),
                        RoomEvent::Closed { code, .. } => add(code, 1),
                        _ => {}
                    }
                }
                for message in &stay.messages {
                    match &message.told {
                        Told::Answered(_) => add("request answered", 1),
                        Told::Refused(_) => add("request refused", 1),
                        Told::Unknown => add("outcome unknown", 1),
                        _ => {}
                    }
                }
            }
        }
    }

    /// What never happened.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let met = self.0.lock().unwrap();
        WANTED.into_iter().filter(|what| met.get(*what).is_none_or(|count| *count == 0)).collect()
    }
}
