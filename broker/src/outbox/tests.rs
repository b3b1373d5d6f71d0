//! The ring against a plain model, over random lives of a session.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use parlor_protocol::RoomNo;
use proptest::prelude::*;

use super::frame::{Frame, Kind};
use super::ring::{Bound, Fit, Ring};

const BOUND: Bound = Bound { frames: 24, bytes: 600, overhead: 10 };
const ROOMS: u32 = 3;

#[derive(Clone, Debug)]
enum Step {
    /// A batch of frames: kind, room, size.
    Push(Vec<(u8, u32, u8)>),
    /// The writer takes so many.
    Take(usize),
    /// The client reads so many of what was taken, if it is connected.
    Read(usize),
    /// The client acknowledges what it has read.
    Ack,
    /// The connection breaks; what was taken and not read is lost.
    Cut,
    /// The client comes back.
    Resume,
    /// A page is loaded again: it comes back and remembers nothing.
    Reload,
    /// Rooms that were asked for a view send one.
    Show,
}

fn step() -> impl Strategy<Value = Step> {
    let frame = (0..12_u8, 0..ROOMS, 0..40_u8);
    prop_oneof![
        6 => proptest::collection::vec(frame, 1..5).prop_map(Step::Push),
        4 => (1..8_usize).prop_map(Step::Take),
        4 => (1..8_usize).prop_map(Step::Read),
        2 => Just(Step::Ack),
        1 => Just(Step::Cut),
        2 => Just(Step::Resume),
        1 => Just(Step::Reload),
        2 => Just(Step::Show),
    ]
}

/// What a client knows, and what it must have been told.
#[derive(Default)]
struct Client {
    /// Counted frames that it has had, by the protocol's counting.
    received: u64,
    /// For each room the number of the last publish that it knows the effect of.
    known: BTreeMap<u32, u64>,
    /// Replies that it has had.
    replies: Vec<u64>,
}

/// What the rooms have said.
#[derive(Default)]
struct Rooms {
    said: BTreeMap<u32, u64>,
    replies: u64,
    asked: Vec<RoomNo>,
}

impl Rooms {
    fn frame(&mut self, kind: u8, room: u32, size: u8) -> Frame {
        let (kind, text) = match kind {
            0..=5 => {
                let said = self.said.entry(room).or_default();
                *said += 1;
                (Kind::Publish, format!("p {room} {said}"))
            }
            6..=7 => {
                self.replies += 1;
                (Kind::Kept, format!("r {}", self.replies))
            }
            8 => (Kind::Latest(1), format!("l {room}")),
            9 => (Kind::Passing, "x".to_owned()),
            _ => return self.run(room, 2 + u32::from(size % 4)),
        };
        frame(kind, room, &format!("{text} {}", "-".repeat(usize::from(size))))
    }

    /// So many publishes of one room, joined.
    fn run(&mut self, room: u32, count: u32) -> Frame {
        let mut frames: Vec<_> = (0..count).map(|_| self.frame(0, room, 3)).collect();
        Frame::join_small(&mut frames);
        assert_eq!((frames.len(), frames[0].kind), (1, Kind::Run(count)));
        frames.remove(0)
    }

    fn view(&self, room: RoomNo) -> Frame {
        let said = self.said.get(&room.0).copied().unwrap_or_default();
        frame(Kind::View, room.0, &format!("v {} {said} ", room.0))
    }
}

fn frame(kind: Kind, room: u32, text: &str) -> Frame {
    Frame { bytes: framed(text), kind, room: Some(RoomNo(room)) }
}

/// A text as it would go over the wire.
fn framed(text: &str) -> Bytes {
    [&[0x82, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat().into()
}

impl Client {
    /// What came at once, which may be several frames.
    fn read(&mut self, mut bytes: &[u8]) {
        while let [_, len, rest @ ..] = bytes {
            let (text, rest) = rest.split_at(usize::from(*len));
            self.read_one(std::str::from_utf8(text).unwrap());
            bytes = rest;
        }
    }

    fn read_one(&mut self, text: &str) {
        let mut words = text.split(' ');
        let word = words.next().unwrap();
        let mut number = || words.next().unwrap().parse::<u64>().unwrap();
        self.received += u64::from(!matches!(word, "l" | "x" | "greeting"));
        match word {
            "p" => {
                let (room, said) = (number() as u32, number());
                let known = self.known.entry(room).or_default();
                assert_eq!(said, *known + 1, "room {room}: a gap or a double without a view");
                *known = said;
            }
            "v" => {
                let (room, said) = (number() as u32, number());
                let known = self.known.insert(room, said).unwrap_or_default();
                assert!(known <= said, "room {room}: a view of the past");
            }
            "r" => {
                let reply = number();
                assert_eq!(reply, self.replies.last().copied().unwrap_or_default() + 1, "replies come once, in order");
                self.replies.push(reply);
            }
            _ => {}
        }
    }
}

struct Life {
    ring: Ring,
    rooms: Rooms,
    client: Client,
    wire: VecDeque<Bytes>,
    connected: bool,
    /// What must be kept did not fit: nothing is promised any more.
    over: bool,
}

impl Life {
    fn new() -> Self {
        let mut ring = Ring::new(BOUND);
        ring.keep();
        let (rooms, client) = (Rooms::default(), Client::default());
        Self { ring, rooms, client, wire: VecDeque::new(), connected: true, over: false }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Push(frames) => {
                let mut batch: Vec<_> = frames.into_iter().map(|(k, r, s)| self.rooms.frame(k, r, s)).collect();
                self.push(&mut batch);
            }
            Step::Take(count) if self.connected => {
                self.ring.take(&mut self.wire, count, usize::MAX);
                if !self.ring.has_unsent() {
                    self.rooms.asked.extend(self.ring.ask());
                }
            }
            Step::Read(count) if self.connected => {
                for bytes in self.wire.drain(..count.min(self.wire.len())) {
                    self.client.read(&bytes);
                }
            }
            Step::Ack if self.connected => self.ring.ack(self.client.received).unwrap(),
            Step::Cut if self.connected => {
                self.connected = false;
                self.wire.clear();
                self.ring.leave();
            }
            Step::Resume => self.resume(Some(self.client.received)),
            Step::Reload => {
                // Whoever remembers nothing is owed no answers to what was asked before.
                let replies = (self.rooms.replies > 0).then_some(self.rooms.replies).into_iter().collect();
                self.client = Client { replies, ..Client::default() };
                self.resume(None);
            }
            Step::Show => {
                for room in std::mem::take(&mut self.rooms.asked) {
                    let view = self.rooms.view(room);
                    let allowance = view.bytes.len();
                    self.push_with(&mut vec![view], allowance);
                }
            }
            Step::Take(_) | Step::Read(_) | Step::Ack | Step::Cut => {}
        }
        let (frames, bytes) = self.ring.len();
        // A greeting comes on top, and what came in its place may still be there at the next one.
        let within = frames <= BOUND.frames + 2 && bytes <= BOUND.bytes + self.ring.allowance();
        assert!(within || self.over, "{frames} frames, {bytes} bytes");
    }

    fn push(&mut self, batch: &mut Vec<Frame>) {
        self.push_with(batch, 0);
    }

    fn push_with(&mut self, batch: &mut Vec<Frame>, allowance: usize) {
        self.over |= self.ring.push(batch, allowance) == Fit::No;
    }

    fn resume(&mut self, received: Option<u64>) {
        self.wire.clear();
        let rooms: Vec<_> = (0..ROOMS).map(RoomNo).collect();
        let resumed = self.ring.resume(received, &rooms).unwrap();
        self.ring.push_first(framed("greeting"));
        self.connected = true;
        let due = |room: &RoomNo| resumed.due.contains(room);
        assert!(resumed.missed.keys().filter(|room| due(room)).count() <= ROOMS as usize);
        self.rooms.asked.extend(self.ring.ask());
    }

    /// Lets everything come to rest: the client is back and reads all there is.
    fn settle(&mut self) {
        if !self.connected {
            self.step(Step::Resume);
        }
        for _ in 0..8 {
            for step in [Step::Take(usize::MAX), Step::Read(usize::MAX), Step::Ack, Step::Show] {
                self.step(step);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    /// Over cuts and slow reading a client has in the end all replies once and in order, and of every room all publishes or a view
    /// that contains them; and no more is held than may be.
    #[test]
    fn a_client_misses_nothing_that_no_view_makes_up_for(steps in proptest::collection::vec(step(), 1..120)) {
        let mut life = Life::new();
        for step in steps.into_iter().filter(|step| !matches!(step, Step::Reload)) {
            life.step(step);
            if life.over {
                return Ok(());
            }
        }
        life.settle();
        if !life.over {
            prop_assert_eq!(life.client.replies.len() as u64, life.rooms.replies);
            for (room, said) in &life.rooms.said {
                prop_assert_eq!(life.client.known.get(room), Some(said), "room {}", room);
            }
            prop_assert_eq!(life.ring.len(), (0, 0));
        }
    }

    /// A page that was loaded again gets views first, whatever was before, and then misses nothing.
    #[test]
    fn a_client_that_remembers_nothing_is_shown_everything(steps in proptest::collection::vec(step(), 1..60)) {
        let mut life = Life::new();
        for step in steps {
            life.step(step);
            if life.over {
                return Ok(());
            }
        }
        life.settle();
        if !life.over {
            for (room, said) in &life.rooms.said {
                prop_assert_eq!(life.client.known.get(room), Some(said), "room {}", room);
            }
        }
    }
}

/// No view comes of a room that the client has asked to leave, so nothing may come behind a gap but the end.
#[test]
fn of_a_room_that_is_being_left_only_the_end_follows_a_gap() {
    let text = |kind, text: &str| vec![frame(kind, 1, text)];
    for ends_first in [false, true] {
        let mut ring = Ring::new(BOUND);
        ring.keep();
        for n in 0..=BOUND.frames {
            assert_eq!(ring.push(&mut text(Kind::Publish, &n.to_string()), 0), Fit::Yes);
            ring.take(&mut VecDeque::new(), 1, usize::MAX);
        }
        if ends_first {
            ring.push(&mut text(Kind::End, "end"), 0);
        }
        ring.leave();
        assert_eq!(ring.resume(Some(0), &[]).unwrap().missed.get(&RoomNo(1)).copied(), ends_first.then_some(1));
        if !ends_first {
            ring.push(&mut text(Kind::Publish, "late"), 0);
            ring.push(&mut text(Kind::End, "end"), 0);
        }
        // It has joined again.
        ring.push(&mut text(Kind::Publish, "again"), 0);
        let mut taken = VecDeque::new();
        ring.take(&mut taken, BOUND.frames, usize::MAX);
        assert_eq!(taken, ["end", "again"].map(framed));
    }
}

/// A client may have read a part of what was joined: it is sent the rest, and no more.
#[test]
fn a_run_is_acknowledged_and_sent_again_by_the_frame() {
    for read in 0..=4 {
        let mut ring = Ring::new(BOUND);
        ring.keep();
        let run = Rooms::default().run(1, 4);
        let whole = run.bytes.clone();
        assert_eq!(ring.push(&mut vec![run], 0), Fit::Yes);
        assert_eq!(ring.len(), (4, whole.len() + 4 * BOUND.overhead), "a run weighs what its frames would");
        ring.take(&mut VecDeque::new(), 1, usize::MAX);
        ring.leave();
        let resumed = ring.resume(Some(read), &[RoomNo(1)]).unwrap();
        assert_eq!(resumed.missed.get(&RoomNo(1)).copied().unwrap_or_default(), 4 - read);
        let mut again = VecDeque::new();
        ring.take(&mut again, 1, usize::MAX);
        let rest = again.front().map_or(&[][..], |bytes| bytes);
        assert_eq!(rest, &whole[whole.len() / 4 * read as usize..]);
    }
    assert!(Ring::new(BOUND).ack(1).is_err());
}
