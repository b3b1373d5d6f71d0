//! The newest values of a room's `latest` topics, for those who begin to follow one or come back.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use parlor_protocol::room::Topic;

use crate::wire::SharedFrame;

/// Values by topic and key.
#[derive(Debug)]
pub(crate) struct Latest {
    max: usize,
    values: BTreeMap<(Topic, String), Value>,
    /// Counts values that were set.
    clock: u64,
    next_slot: u32,
}

#[derive(Debug)]
struct Value {
    /// Names topic and key in outboxes.
    slot: u32,
    set_at: u64,
    frame: SharedFrame,
}

impl Latest {
    pub(crate) fn new(max: u32) -> Self {
        Self { max: max as usize, values: BTreeMap::new(), clock: 0, next_slot: 0 }
    }

    /// Keeps so many values from the next on.
    pub(crate) fn set_max(&mut self, max: u32) {
        self.max = max as usize;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Sets a value; `make` makes its frame for the slot. When there would be too many, the one set longest ago is forgotten.
    pub(crate) fn set(&mut self, topic: Topic, key: String, make: impl FnOnce(u32) -> SharedFrame) -> &SharedFrame {
        self.clock += 1;
        let place = (topic, key);
        if !self.values.contains_key(&place) {
            self.make_room();
        }
        let set_at = self.clock;
        let value = match self.values.entry(place) {
            Entry::Occupied(known) => {
                let value = known.into_mut();
                (value.set_at, value.frame) = (set_at, make(value.slot));
                value
            }
            Entry::Vacant(new) => {
                // By the time that numbers come round, nobody is owed a value of the old slot any more.
                self.next_slot = self.next_slot.wrapping_add(1);
                let slot = self.next_slot;
                new.insert(Value { slot, set_at, frame: make(slot) })
            }
        };
        &value.frame
    }

    /// Forgets a value.
    pub(crate) fn forget(&mut self, topic: Topic, key: String) {
        self.values.remove(&(topic, key));
    }

    /// The present values of a topic, by key.
    pub(crate) fn of<'a>(&'a self, topic: &'a Topic) -> impl Iterator<Item = &'a SharedFrame> {
        let from = (topic.clone(), String::new());
        self.values.range(from..).take_while(move |((of, _), _)| of == topic).map(|(_, value)| &value.frame)
    }

    fn make_room(&mut self) {
        // More than one when there may be fewer than before.
        while self.values.len() >= self.max {
            let oldest = self.values.iter().min_by_key(|(_, value)| value.set_at).map(|(place, _)| place.clone());
            let Some(oldest) = oldest else { return };
            self.values.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parlor_protocol::BrokerFrame;

    fn set(latest: &mut Latest, topic: &str, key: &str) -> u32 {
        let mut found = 0;
        latest.set(topic.into(), key.into(), |slot| {
            found = slot;
            SharedFrame::latest(BrokerFrame::Done { id: u64::from(slot) }, slot)
        });
        found
    }

    #[test]
    fn a_key_keeps_its_slot_and_topics_are_apart() {
        let mut latest = Latest::new(10);
        let (a, b) = (set(&mut latest, "pos", "1"), set(&mut latest, "pos", "2"));
        assert_ne!(a, b);
        assert_eq!(set(&mut latest, "pos", "1"), a);
        set(&mut latest, "other", "1");
        assert_eq!(latest.of(&"pos".into()).count(), 2);
        latest.forget("pos".into(), "1".into());
        assert_eq!(latest.of(&"pos".into()).count(), 1);
    }

    #[test]
    fn there_may_be_fewer_from_the_next_on() {
        let mut latest = Latest::new(3);
        let _ = ["a", "b", "c"].map(|key| set(&mut latest, "pos", key));
        latest.set_max(2);
        set(&mut latest, "pos", "d");
        let keys: Vec<_> = latest.values.keys().map(|(_, key)| key.as_str()).collect();
        assert_eq!(keys, ["c", "d"]);
    }

    #[test]
    fn the_value_set_longest_ago_goes_first() {
        let mut latest = Latest::new(2);
        set(&mut latest, "pos", "a");
        set(&mut latest, "pos", "b");
        set(&mut latest, "pos", "a");
        set(&mut latest, "pos", "c");
        let keys: Vec<_> = latest.values.keys().map(|(_, key)| key.as_str()).collect();
        assert_eq!(keys, ["a", "c"]);
    }
}
