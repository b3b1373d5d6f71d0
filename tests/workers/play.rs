//! Players who keep the room's books, and compare them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parlor_client::{Options, Parlor, Room, RoomEvent};
use parlor_tests::ledger::{Books, Entry, KIND, What};
use parlor_tests::seed::fork;
use parlor_tests::wait::soon;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};

/// What players do.
const ACTS: [&str; 3] = ["say", "ring", "work"];

/// When the room's last entry came, for all rooms.
#[derive(Clone)]
pub(crate) struct Pulse(Arc<Vec<watch::Sender<Instant>>>);

impl Pulse {
    pub(crate) fn new(rooms: usize) -> Self {
        Self(Arc::new((0..rooms).map(|_| watch::Sender::new(Instant::now())).collect()))
    }

    fn beat(&self, room: usize) {
        self.0[room].send_replace(Instant::now());
    }

    /// How long each room takes, from `since` on, until something new has come of it.
    pub(crate) async fn pauses(&self, since: Instant) -> Vec<Duration> {
        let mut pauses = Vec::new();
        for room in self.0.iter() {
            let mut last = room.subscribe();
            let at = *soon("a room goes on", last.wait_for(|at| *at > since)).await.unwrap();
            pauses.push(at - since);
        }
        pauses
    }
}

/// Says when all have played enough.
#[derive(Default)]
pub(crate) struct Whistle {
    blown: AtomicBool,
    heard: Notify,
}

impl Whistle {
    pub(crate) fn blow(&self) {
        self.blown.store(true, Ordering::SeqCst);
        self.heard.notify_waiters();
    }

    fn is_blown(&self) -> bool {
        self.blown.load(Ordering::SeqCst)
    }
}

/// What a player has seen of its room.
pub(crate) struct Diary {
    room: usize,
    me: parlor::PlayerId,
    begin: Books,
    entries: Vec<Entry>,
    /// What it has done, of each of [`ACTS`].
    done: [u64; 3],
    wrong: Vec<String>,
}

/// Plays until the whistle, and then until all that it has done has come back.
pub(crate) async fn play(
    mut table: Room,
    room: usize,
    mut rng: ChaCha8Rng,
    pause: Duration,
    pulse: Pulse,
    whistle: Arc<Whistle>,
) -> Diary {
    let begin: Books = table.view().unwrap();
    let (me, sender) = (table.player(), table.sender().clone());
    let mut diary = Diary { room, me, begin, entries: Vec::new(), done: [0; 3], wrong: Vec::new() };
    let mut next = Instant::now() + pause.mul_f64(rng.random());
    while !(whistle.is_blown() && diary.is_complete()) {
        let heard = whistle.heard.notified();
        tokio::select! {
            event = table.recv() => {
                let Some(event) = event else { break };
                if diary.read(&event) {
                    pulse.beat(room);
                }
                // What was refused does not come back, and nothing does when the room is over.
                if let RoomEvent::Closed { .. } | RoomEvent::Refused { .. } = event {
                    break;
                }
            }
            () = sleep(next.saturating_duration_since(Instant::now())), if !whistle.is_blown() => {
                let act = rng.random_range(0..ACTS.len());
                diary.done[act] += 1;
                sender.send(ACTS[act], &diary.done[act]).unwrap();
                next += pause;
            }
            () = heard => {}
        }
    }
    diary
}

impl Diary {
    /// Whether this was an entry.
    fn read(&mut self, event: &RoomEvent) -> bool {
        match event.decode::<Entry>() {
            Ok(entry) => self.entries.push(entry),
            Err(_) => self.wrong.push(format!("{event:?}")),
        }
        matches!(event, RoomEvent::Message { .. })
    }

    /// Whether everything that it has done has had its effect.
    fn is_complete(&self) -> bool {
        let mine = |what: &What| match what {
            What::Said(who, _) | What::Rang(who, _) | What::Worked(who, _) => *who == self.me,
            _ => false,
        };
        let had = self.entries.iter().filter(|entry| mine(&entry.what)).count() as u64;
        had >= self.done.iter().sum()
    }

    /// What is wrong with it by itself.
    pub(crate) fn check(&self) -> Vec<String> {
        let mut wrong = self.wrong.clone();
        let mut count = self.begin.count;
        for entry in &self.entries {
            count += 1;
            if entry.count != count {
                wrong.push(format!("entry {} in place of {count}: {:?}", entry.count, entry.what));
                count = entry.count;
            }
        }
        let mine = |wanted: usize| {
            let number = move |what: &What| match (what, wanted) {
                (What::Said(who, n), 0) | (What::Rang(who, n), 1) | (What::Worked(who, n), 2) => Some((*who, *n)),
                _ => None,
            };
            let all = self.entries.iter().filter_map(move |entry| number(&entry.what));
            all.filter(|(who, _)| *who == self.me).map(|(_, n)| n).collect::<Vec<_>>()
        };
        if !mine(0).iter().copied().eq(1..=self.done[0]) {
            wrong.push(format!("said 1 to {}, and heard {:?}", self.done[0], mine(0)));
        }
        // Timers and work end when they end, but each once.
        for act in [1, 2] {
            let had = mine(act);
            if had.len() as u64 != self.done[act] || had.iter().collect::<BTreeSet<_>>().len() != had.len() {
                wrong.push(format!("{} {} times, and heard {had:?}", ACTS[act], self.done[act]));
            }
        }
        wrong.iter().map(|what| format!("room {} player {}: {what}", self.room, self.me)).collect()
    }

    /// Whether both have seen the same where both have looked.
    fn agrees(&self, other: &Self) -> bool {
        let of = |diary: &Self, count: u64| diary.entries.iter().position(|entry| entry.count == count);
        let (Some(first), Some(last)) = (self.entries.first(), self.entries.last()) else { return true };
        let both = first.count.max(other.begin.count + 1)..=last.count.min(other.entries.last().map_or(0, |e| e.count));
        both.into_iter().all(|count| match (of(self, count), of(other, count)) {
            (Some(mine), Some(theirs)) => self.entries[mine] == other.entries[theirs],
            _ => false,
        })
    }
}

/// What is wrong with all of them together.
pub(crate) fn check(diaries: &[Diary]) -> Vec<String> {
    let mut wrong: Vec<_> = diaries.iter().flat_map(Diary::check).collect();
    for diary in diaries {
        let first = diaries.iter().find(|other| other.room == diary.room).unwrap();
        if !diary.agrees(first) {
            wrong.push(format!(
                "players {} and {} of room {} have seen different things",
                first.me, diary.me, diary.room
            ));
        }
    }
    wrong
}

/// Rooms with players in them.
pub(crate) struct Crowd {
    pub(crate) pulse: Pulse,
    whistle: Arc<Whistle>,
    players: Vec<tokio::task::JoinHandle<Diary>>,
    clients: Vec<Parlor>,
}

impl Crowd {
    /// Opens rooms, has players join them, and lets them play; each does something every `pause`.
    pub(crate) async fn gather(url: &str, rooms: usize, players: usize, pause: Duration, rng: &mut ChaCha8Rng) -> Self {
        let (pulse, whistle) = (Pulse::new(rooms), Arc::new(Whistle::default()));
        let (mut playing, mut clients) = (Vec::new(), Vec::new());
        for room in 0..rooms {
            let mut id = None;
            for _ in 0..players {
                let client = Parlor::connect(url, Options::new()).await.unwrap();
                let table = match &id {
                    None => client.create(KIND, &()).await.unwrap(),
                    Some(id) => client.join_by_id(id, &()).await.unwrap(),
                };
                id = Some(table.id().clone());
                let (pulse, whistle) = (pulse.clone(), whistle.clone());
                playing.push(tokio::spawn(play(table, room, fork(rng), pause, pulse, whistle)));
                clients.push(client);
            }
        }
        Self { pulse, whistle, players: playing, clients }
    }

    /// Ends the game; what was wrong with it, and how many entries were read.
    pub(crate) async fn end(self) -> (Vec<String>, usize) {
        self.whistle.blow();
        let mut diaries = Vec::new();
        for player in self.players {
            diaries.push(soon("all that was done comes back", player).await.unwrap());
        }
        for client in &self.clients {
            client.close().await;
        }
        (check(&diaries), diaries.iter().map(|diary| diary.entries.len()).sum())
    }
}
