//! The game that is played in the simulation, and what its handler writes down of it: the truth that everything else is compared with.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use bytes::Bytes;
use parlor::Payload;
use parlor::policy::{Handled, Policy};
use parlor::prelude::*;

/// What clients may say.
pub(crate) const SAY: &str = "say";
pub(crate) const ASK: &str = "ask";
pub(crate) const LATER: &str = "later";
pub(crate) const WHISPER: &str = "whisper";
pub(crate) const GO: &str = "go";
pub(crate) const DENY: &str = "deny";
/// Has the handler panic.
pub(crate) const BREAK: &str = "break";
pub(crate) const KICK: &str = "kick";
pub(crate) const END: &str = "end";
/// The topic of which the newest value of each key matters.
pub(crate) const POSITIONS: &str = "positions";
const NEWS: &str = "news";

/// Something that a client says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Word {
    /// Different for all words of a client.
    pub(crate) n: u64,
    pub(crate) to: PlayerId,
    pub(crate) pad: String,
}

/// Who joins.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Who {
    pub(crate) client: usize,
    /// Which membership of the client.
    pub(crate) stay: u64,
}

/// Everything that the room says: `count` is different for all of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) count: u64,
    pub(crate) n: u64,
    pub(crate) pad: String,
}

/// What is shown of the room.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shown {
    pub(crate) count: u64,
    /// Of everything that has happened.
    pub(crate) digest: u64,
}

macro_rules! lines {
    ($($name:ident)*) => { $(
        #[derive(Serialize, Deserialize, Message)]
        struct $name(Line);
    )* };
}
lines! { Said Whispered Told Moved Present }

#[derive(Serialize, Deserialize, Message)]
struct Due {
    to: Origin,
    n: u64,
}

/// To whom something was said.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum To {
    All,
    One(PlayerId),
    /// Those with even numbers.
    News,
    Latest(String),
    Reply(Origin),
    Kicked(PlayerId),
    Closed,
    /// Nobody.
    Inside,
}

/// One output, under its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Out {
    pub(crate) index: u32,
    pub(crate) to: To,
    pub(crate) name: &'static str,
    pub(crate) count: u64,
}

/// What a handler was given.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fact {
    Opened,
    Joined(PlayerId, Who),
    Dropped(PlayerId),
    Resumed(PlayerId),
    Left(PlayerId, Leave),
    Said { from: Origin, n: u64, route: String },
    Timer,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) seq: u64,
    pub(crate) fact: Fact,
    pub(crate) outs: Vec<Out>,
    pub(crate) shown: Shown,
}

/// The room's history as its handler has seen it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    pub(crate) entries: Vec<Entry>,
    /// Inputs that it has panicked on, and whose they were.
    pub(crate) broken: Vec<(u64, Origin)>,
    /// What the handler did otherwise when it was made anew.
    pub(crate) wrong: Vec<String>,
}

impl Record {
    /// An input that is replayed must be what it was before.
    fn note(&mut self, entry: Entry) {
        match self.entries.binary_search_by_key(&entry.seq, |before| before.seq) {
            Err(_) => self.entries.push(entry),
            Ok(at) if self.entries[at] == entry => {}
            Ok(at) => self.wrong.push(format!("{:?} was replayed as {entry:?}", self.entries[at])),
        }
    }
}

pub(crate) type SharedRecord = Arc<Mutex<Record>>;

/// Records by number, for handlers to find theirs by the options that their room was opened with.
static RECORDS: LazyLock<Mutex<HashMap<u64, SharedRecord>>> = LazyLock::new(Mutex::default);

/// A new record, and the number to open the room with.
pub(crate) fn record() -> (u64, SharedRecord) {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let record = SharedRecord::default();
    RECORDS.lock().unwrap().insert(number, record.clone());
    (number, record)
}

/// The end of a run.
pub(crate) fn forget(number: u64) {
    RECORDS.lock().unwrap().remove(&number);
}

/// The options to open a room with.
pub(crate) fn options(number: u64) -> Bytes {
    parlor_protocol::codec::to_payload(&number).unwrap()
}

/// The game. With `BRIEF` it waits for nobody for long, takes few messages at a time, and tells what it has handled.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Game<const BRIEF: bool> {
    shown: Shown,
    number: u64,
    /// Of the input that is being handled.
    #[serde(skip)]
    outs: Vec<Out>,
}

impl<const BRIEF: bool> Game<BRIEF> {
    fn out(&mut self, to: To, name: &'static str, n: u64, pad: &str) -> Line {
        self.shown.count += 1;
        let count = self.shown.count;
        self.outs.push(Out { index: self.outs.len() as u32, to, name, count });
        Line { count, n, pad: pad.to_owned() }
    }

    fn broadcast(&mut self, ctx: &mut Ctx, word: &Word) {
        let line = self.out(To::All, Said::TYPE, word.n, &word.pad);
        ctx.broadcast(&Said(line));
    }

    fn inside(&mut self) {
        self.outs.push(Out { index: self.outs.len() as u32, to: To::Inside, name: "", count: 0 });
    }

    fn reply(&mut self, ctx: &mut Ctx, to: Origin, n: u64) {
        let line = self.out(To::Reply(to), "", n, "");
        ctx.reply(to, &line);
    }

    fn present(&mut self, ctx: &mut Ctx, player: &Player) {
        let line = self.out(To::All, Present::TYPE, u64::from(player.id.0), "");
        ctx.broadcast(&Present(line));
    }

    /// Ends an input.
    fn note(&mut self, ctx: &Ctx, fact: Fact) {
        let seq = ctx.input_no();
        for byte in format!("{seq} {fact:?}").bytes() {
            // FNV-1a; kept within what all codecs can say.
            self.shown.digest = (self.shown.digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3) & ((1 << 53) - 1);
        }
        let entry = Entry { seq, fact, outs: std::mem::take(&mut self.outs), shown: self.shown.clone() };
        if let Some(record) = RECORDS.lock().unwrap().get(&self.number) {
            record.lock().unwrap().note(entry);
        }
    }
}

impl<const BRIEF: bool> Room for Game<BRIEF> {
    const KIND: &'static str = if BRIEF { "brief" } else { "lasting" };
    const ROUTES: &'static [&'static str] = &[SAY, ASK, LATER, WHISPER, GO, DENY, BREAK, KICK, END];
    const EVENTS: &'static [&'static str] = &[Due::TYPE];

    fn policy() -> Policy {
        let topics = vec![POSITIONS.to_owned()];
        let usual = Policy { latest_topics: topics.clone(), client_topics: topics, ..Policy::default() };
        let usual = Policy { empty_ttl_ms: 2_000, resume_ms: 25_000, ..usual };
        match BRIEF {
            false => usual,
            true => {
                let usual = Policy { snapshot_every: 5, snapshot_bytes: 2 << 10, ..usual };
                Policy { resume_ms: 3_000, member_queue_len: 6, handled: Handled::Told, ..usual }
            }
        }
    }

    fn on_open(&mut self, ctx: &mut Ctx, options: &Payload) -> Result {
        self.number = options.decode()?;
        self.note(ctx, Fact::Opened);
        Ok(())
    }

    fn on_join(&mut self, ctx: &mut Ctx, player: &Player, options: &Payload) -> Result {
        let who: Who = options.decode()?;
        if player.id.0.is_multiple_of(2) {
            ctx.set_topics(player.id, [NEWS, POSITIONS]);
            self.inside();
        }
        let line = self.out(To::One(player.id), Whispered::TYPE, 0, "welcome");
        ctx.send(player.id, &Whispered(line));
        self.present(ctx, player);
        self.note(ctx, Fact::Joined(player.id, who));
        Ok(())
    }

    fn on_drop(&mut self, ctx: &mut Ctx, player: &Player) -> Result {
        self.present(ctx, player);
        self.note(ctx, Fact::Dropped(player.id));
        Ok(())
    }

    fn on_resume(&mut self, ctx: &mut Ctx, player: &Player) -> Result {
        self.present(ctx, player);
        self.note(ctx, Fact::Resumed(player.id));
        Ok(())
    }

    fn on_leave(&mut self, ctx: &mut Ctx, player: &Player, why: Leave) -> Result {
        self.present(ctx, player);
        self.note(ctx, Fact::Left(player.id, why));
        Ok(())
    }

    fn on_message(&mut self, ctx: &mut Ctx, from: Origin, route: &str, payload: &Payload) -> Result {
        let word: Word = payload.decode()?;
        let fact = Fact::Said { from, n: word.n, route: route.to_owned() };
        match route {
            DENY => {
                self.note(ctx, fact);
                return Err(Failure::app("denied", "as asked for"));
            }
            BREAK => {
                self.broadcast(ctx, &word);
                self.shown = Shown { count: u64::MAX, digest: 0 };
                let record = RECORDS.lock().unwrap().get(&self.number).cloned();
                let record = record.unwrap_or_default();
                let mut record = record.lock().unwrap();
                // One that dies over it may have been here before.
                if record.broken.last() != Some(&(ctx.input_no(), from)) {
                    record.broken.push((ctx.input_no(), from));
                }
                drop(record);
                panic!("on purpose");
            }
            SAY => self.broadcast(ctx, &word),
            ASK => {
                self.broadcast(ctx, &word);
                self.reply(ctx, from, word.n);
            }
            LATER => {
                let due = Due { to: ctx.defer_reply(), n: word.n };
                ctx.after(Duration::from_millis(700), due);
                self.inside();
            }
            WHISPER => {
                let line = self.out(To::One(word.to), Whispered::TYPE, word.n, &word.pad);
                ctx.send(word.to, &Whispered(line));
                let line = self.out(To::News, Told::TYPE, word.n, "");
                ctx.publish(NEWS, &Told(line));
            }
            GO => {
                let key = (word.n % 3).to_string();
                let line = self.out(To::Latest(key.clone()), Moved::TYPE, word.n, &word.pad);
                ctx.publish_latest(POSITIONS, key, &Moved(line));
            }
            KICK => {
                self.broadcast(ctx, &word);
                self.out(To::Kicked(word.to), "", word.n, "");
                ctx.kick(word.to, &word.n);
            }
            END => {
                self.broadcast(ctx, &word);
                self.out(To::Closed, "", word.n, "");
                ctx.close(&word.n);
            }
            _ => return Err(Failure::app("unheard", "not one of the routes")),
        }
        self.note(ctx, fact);
        Ok(())
    }

    fn on_event(&mut self, ctx: &mut Ctx, _event: &str, payload: &Payload) -> Result {
        let Due { to, n } = payload.decode()?;
        self.reply(ctx, to, n);
        self.note(ctx, Fact::Timer);
        Ok(())
    }

    fn on_view(&self, _to: &Player) -> Result<Option<Bytes>> {
        parlor_protocol::codec::to_payload(&self.shown)
            .map(Some)
            .map_err(|error| Failure::app("view", error.to_string()))
    }
}
