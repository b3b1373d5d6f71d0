//! What one player has sent that a message of the room is still to answer. No clock, no I/O.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use crate::script::Answer;
use crate::template::{Filled, Filling};

type Fields = BTreeMap<String, Value>;

/// A message that was sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sent {
    /// Its number, by which a refusal names it; none for a request, whose refusal is its reply.
    pub(crate) no: Option<u64>,
    /// When it should have been sent.
    pub(crate) due: Instant,
    pub(crate) measured: bool,
}

/// The messages of one action that wait, the oldest first.
#[derive(Debug)]
pub(crate) struct Waiting {
    answer: Answer,
    sent: VecDeque<(Sent, Fields)>,
}

impl Waiting {
    pub(crate) fn new(answer: Answer) -> Self {
        Self { answer, sent: VecDeque::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    pub(crate) fn push(&mut self, sent: Sent, filling: Filling) {
        let fill = |template| serde_json::to_value(Filled(template, filling)).unwrap_or_default();
        let fields = self.answer.fields.iter().map(|(name, template)| (name.clone(), fill(template))).collect();
        self.sent.push_back((sent, fields));
    }

    /// A message came: gives everything that it answers. With fields to compare, that is the oldest that they fit.
    pub(crate) fn answered(&mut self, type_: &str, payload: &[u8]) -> Vec<Sent> {
        if self.sent.is_empty() || type_ != self.answer.type_ {
            return Vec::new();
        }
        if self.answer.fields.is_empty() {
            return self.sent.drain(..).map(|(sent, _)| sent).collect();
        }
        let Some(seen) = fields(&self.answer, payload) else { return Vec::new() };
        let at = self.sent.iter().position(|(_, wanted)| *wanted == seen);
        at.and_then(|at| self.sent.remove(at)).map(|(sent, _)| sent).into_iter().collect()
    }

    /// The message with this number was refused, so that nothing will answer it.
    pub(crate) fn refused(&mut self, no: u64) {
        self.sent.retain(|(sent, _)| sent.no != Some(no));
    }

    /// Nothing will answer this one.
    pub(crate) fn forget(&mut self, gone: Sent) {
        self.sent.retain(|(sent, _)| *sent != gone);
    }

    /// Those that nothing has answered.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = Sent> {
        self.sent.drain(..).map(|(sent, _)| sent)
    }
}

/// Those fields of a message that an answer is known by; none if it is no map.
fn fields(answer: &Answer, payload: &[u8]) -> Option<Fields> {
    Wanted(answer).deserialize(&mut rmp_serde::Deserializer::from_read_ref(payload)).ok()
}

/// Reads some fields of a map and passes over the others, whatever they are.
struct Wanted<'a>(&'a Answer);

impl<'de> DeserializeSeed<'de> for Wanted<'_> {
    type Value = Fields;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Fields, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Wanted<'_> {
    type Value = Fields;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut found = Fields::new();
        while let Some(Key(key)) = map.next_key()? {
            match key.filter(|key| self.0.fields.contains_key(key)) {
                Some(key) => drop(found.insert(key, map.next_value()?)),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

/// A key of a map, if it is a text.
struct Key(Option<String>);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self(Value::deserialize(from)?.as_str().map(str::to_owned)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::Script;

    const NONE: [u64; 0] = [];

    fn waiting(answered_by: &str) -> Waiting {
        let text = format!("[room]\nkind = \"a\"\n[[action]]\nsend = \"x\"\nhz = 1\nanswered_by = {answered_by}");
        Waiting::new(Script::parse(&text).unwrap().actions.remove(0).answered_by.unwrap())
    }

    fn push(waiting: &mut Waiting, no: u64) {
        let sent = Sent { no: Some(no), due: Instant::now(), measured: true };
        waiting.push(sent, Filling { player: 3, index: 0, n: no });
    }

    fn numbers(answered: Vec<Sent>) -> Vec<u64> {
        answered.into_iter().filter_map(|sent| sent.no).collect()
    }

    fn packed(value: &impl serde::Serialize) -> Vec<u8> {
        rmp_serde::to_vec_named(value).unwrap()
    }

    #[test]
    fn a_type_alone_answers_everything() {
        let mut waiting = waiting("\"frame\"");
        push(&mut waiting, 1);
        push(&mut waiting, 2);
        assert_eq!(numbers(waiting.answered("other", &[0xc0])), NONE);
        assert_eq!(numbers(waiting.answered("frame", &[0xc0])), [1, 2]);
        assert!(waiting.is_empty());
    }

    #[test]
    fn fields_answer_the_oldest_that_they_fit() {
        let mut mine = waiting("{ type = \"said\", where = { from = \"{player}\" } }");
        (1..=3).for_each(|no| push(&mut mine, no));
        let said = |from: u32| packed(&serde_json::json!({"text": "hi", "from": from, "deep": [{"from": 9}]}));
        assert_eq!(numbers(mine.answered("said", &said(4))), NONE);
        assert_eq!(numbers(mine.answered("said", &said(3))), [1]);
        mine.refused(2);
        assert_eq!(numbers(mine.answered("said", &said(3))), [3]);
        assert_eq!(numbers(mine.answered("said", &said(3))), NONE);

        let mut numbered = waiting("{ type = \"said\", where = { from = \"{player}\", text = \"no {n}\" } }");
        (1..=3).for_each(|no| push(&mut numbered, no));
        let said = |text: &str| packed(&serde_json::json!({"text": text, "from": 3}));
        assert_eq!(numbers(numbered.answered("said", &said("no 2"))), [2]);
        assert_eq!(numbers(numbered.answered("said", &said("no 2"))), NONE);
        assert_eq!(numbers(numbered.take().collect()), [1, 3]);
    }

    #[test]
    fn messages_of_any_shape_are_looked_at() {
        let mut waiting = waiting("{ type = \"said\", where = { from = \"{player}\" } }");
        push(&mut waiting, 1);
        for other in [packed(&()), packed(&[3]), packed(&BTreeMap::from([(3, 3)])), packed(&"from"), vec![0xc1]] {
            assert_eq!(numbers(waiting.answered("said", &other)), NONE);
        }
        // Keys that are no texts, and values that JSON has no words for, are passed over.
        let mixed = [0x83, 0x01, 0x02, 0xa1, b'b', 0xc4, 0x01, 0xff, 0xa4, b'f', b'r', b'o', b'm', 0x03];
        assert_eq!(numbers(waiting.answered("said", &mixed)), [1]);
    }
}
