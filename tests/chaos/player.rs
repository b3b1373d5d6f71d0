//! One client in the simulation: what it does, at random, and what it writes down of what it saw and was told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use parlor::prelude::PlayerId;
use parlor_client::{
    ClientError, Lifecycle, LifecycleEvent, Options, Parlor, Place, Room, RoomEvent, RoomId, RoomSender,
};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::game::{ASK, BREAK, DENY, END, GO, KICK, LATER, Line, POSITIONS, SAY, Shown, WHISPER, Who, Word};

/// The longest time after the network is whole again until everybody is back: a back-off, the silence after which a
/// connection is given up, a deadline of the broker.
const SETTLES: Duration = Duration::from_secs(120);

/// The longest time until the broker answers, the network being whole.
const ANSWERS: Duration = Duration::from_secs(10);

/// What became of a message.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    /// Nothing was said when it was sent, and may have been later.
    Sent,
    Answered(Line),
    /// By this code.
    Refused(String),
    Unknown,
    /// Not even queued.
    NotSent,
    /// A request that is under way.
    Waits,
}

/// A message of a client.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) n: u64,
    pub(crate) route: &'static str,
    /// Of sends; requests are not told theirs.
    pub(crate) no: Option<u64>,
    pub(crate) told: Told,
}

/// One membership, as its client has it.
#[derive(Clone, Debug)]
pub(crate) struct Stay {
    pub(crate) who: Who,
    pub(crate) room: usize,
    pub(crate) player: PlayerId,
    pub(crate) place: Place,
    pub(crate) shown: Shown,
    pub(crate) events: Vec<RoomEvent>,
    pub(crate) messages: Vec<Message>,
    /// The client follows positions by its own choice, has ever since, and was told so.
    pub(crate) follows: bool,
    pub(crate) asked_to_leave: bool,
}

impl Stay {
    /// How it ended, if it did.
    pub(crate) fn end(&self) -> Option<&str> {
        self.events.iter().find_map(|event| match event {
            RoomEvent::Closed { code, .. } => Some(code.as_str()),
            _ => None,
        })
    }
}

type SharedStay = Arc<Mutex<Stay>>;

/// All that one client brings back.
#[derive(Debug, Default)]
pub(crate) struct Diary {
    pub(crate) stays: Vec<SharedStay>,
    pub(crate) lifecycle: Arc<Mutex<Vec<LifecycleEvent>>>,
    /// What should not have been.
    pub(crate) wrong: Vec<String>,
}

/// What a client is like, and where it lives.
pub(crate) struct Player {
    pub(crate) number: usize,
    pub(crate) rng: ChaCha8Rng,
    /// The rooms that it may join, with their numbers in the run.
    pub(crate) rooms: Vec<(usize, RoomId)>,
    /// When the network is whole again.
    pub(crate) heal: Instant,
    /// Bytes that are added to what is said.
    pub(crate) pad: usize,
    /// Between two things that it does, at most.
    pub(crate) pause: Duration,
    /// For how long it may look away instead of reading.
    pub(crate) looks_away: Duration,
    /// Whether it may end rooms and send others away.
    pub(crate) cruel: bool,
    /// Until everything has arrived that was said.
    pub(crate) quiet: Duration,
}

struct Playing {
    player: Player,
    parlor: Parlor,
    diary: Diary,
    here: Vec<Here>,
    asked: JoinSet<()>,
    next: u64,
}

/// A membership that is going on.
struct Here {
    stay: SharedStay,
    sender: RoomSender,
}

impl Player {
    /// Options of a client that never gives up.
    pub(crate) fn options(rng: &mut ChaCha8Rng, codec: parlor_client::Codec) -> Options {
        let mut options = Options::new()
            .codec(codec)
            .seed(rng.random())
            .request_timeout(Duration::from_secs(3_600))
            .reconnect_for(Duration::from_secs(3_600))
            .backoff(Duration::from_millis(50), Duration::from_secs(rng.random_range(1..5)));
        if rng.random_ratio(1, 4) {
            options = options.event_bound(rng.random_range(1..8), 1 << 20);
        }
        if rng.random_ratio(1, 4) {
            options = options.ping_every(Duration::from_secs(rng.random_range(0..6)));
        }
        options
    }

    /// Lives until the network is whole and everything is said.
    pub(crate) async fn play(self, parlor: Parlor) -> (Diary, Parlor) {
        let diary = Diary::default();
        tokio::spawn(write_down(parlor.lifecycle(), diary.lifecycle.clone()));
        let (here, asked) = (Vec::new(), JoinSet::new());
        let mut playing = Playing { player: self, parlor, diary, here, asked, next: 1 };
        while Instant::now() < playing.player.heal {
            let pause = playing.player.pause.mul_f64(playing.player.rng.random());
            sleep(pause).await;
            playing.act().await;
        }
        playing.settle().await;
        (playing.diary, playing.parlor)
    }
}

impl Playing {
    async fn act(&mut self) {
        self.here.retain(|here| here.stay.lock().unwrap().end().is_none());
        let dice = self.player.rng.random_range(0..100);
        if self.here.is_empty() || dice < 4 {
            return self.join().await;
        }
        let at = self.player.rng.random_range(0..self.here.len());
        match dice {
            4..8 => {
                let here = self.here.swap_remove(at);
                here.stay.lock().unwrap().asked_to_leave = true;
                here.sender.leave();
            }
            8..11 => self.follow(at),
            11..14 if self.player.cruel => {
                let route = if dice == 11 { END } else { KICK };
                self.say(at, route);
            }
            14..40 => self.ask(at),
            _ => {
                let routes = [SAY, SAY, SAY, WHISPER, WHISPER, GO, GO, GO, DENY, BREAK];
                let route = routes[self.player.rng.random_range(0..routes.len())];
                for _ in 0..self.player.rng.random_range(1..4) {
                    self.say(at, route);
                }
            }
        }
    }

    fn word(&mut self) -> Word {
        let n = self.next;
        self.next += 1;
        let to = PlayerId(self.player.rng.random_range(1..6));
        Word { n, to, pad: "x".repeat(self.player.rng.random_range(0..=self.player.pad)) }
    }

    fn say(&mut self, at: usize, route: &'static str) {
        let word = self.word();
        let sent = self.here[at].sender.send(route, &word);
        let told = match &sent {
            Ok(_) => Told::Sent,
            Err(_) => Told::NotSent,
        };
        let message = Message { n: word.n, route, no: sent.as_ref().ok().copied(), told };
        self.here[at].stay.lock().unwrap().messages.push(message);
        if let Err(error) = sent
            && !matches!(error.code(), "not_a_member" | "buffer_full")
        {
            self.diary.wrong.push(format!("a send failed: {error}"));
        }
    }

    fn ask(&mut self, at: usize) {
        let routes = [ASK, ASK, ASK, LATER, LATER, DENY, BREAK];
        let route = routes[self.player.rng.random_range(0..routes.len())];
        let word = self.word();
        let (sender, stay) = (self.here[at].sender.clone(), self.here[at].stay.clone());
        stay.lock().unwrap().messages.push(Message { n: word.n, route, no: None, told: Told::Waits });
        self.asked.spawn(async move {
            ask(&sender, &stay, route, word).await;
        });
    }

    fn follow(&mut self, at: usize) {
        let (sender, stay) = (self.here[at].sender.clone(), self.here[at].stay.clone());
        let follows = self.player.rng.random_ratio(3, 4);
        stay.lock().unwrap().follows = false;
        self.asked.spawn(async move {
            let asked = async {
                match follows {
                    true => sender.subscribe(POSITIONS).await,
                    false => sender.unsubscribe(POSITIONS).await,
                }
            };
            // One that waits in the queue of a room that sends its member away is never answered.
            let _ = timeout(ANSWERS, asked).await;
        });
    }

    async fn join(&mut self) {
        let (room, id) = self.player.rooms[self.player.rng.random_range(0..self.player.rooms.len())].clone();
        if self.here.iter().any(|here| here.stay.lock().unwrap().room == room) {
            return;
        }
        let who = Who { client: self.player.number, stay: self.diary.stays.len() as u64 };
        let joined = self.parlor.join_by_id(&id, &who).await;
        let joined = match joined {
            Ok(joined) => joined,
            Err(error) => {
                let usual = ["unknown_room", "room_closed", "already_joined", "lost", "queue_full"];
                if !usual.contains(&error.code()) {
                    self.diary.wrong.push(format!("a join failed: {error}"));
                }
                return;
            }
        };
        let stay = Stay {
            who,
            room,
            player: joined.player(),
            place: joined.place(),
            shown: joined.view().unwrap_or_default(),
            events: Vec::new(),
            messages: Vec::new(),
            follows: false,
            asked_to_leave: false,
        };
        let stay = Arc::new(Mutex::new(stay));
        self.diary.stays.push(stay.clone());
        self.here.push(Here { stay: stay.clone(), sender: joined.sender().clone() });
        let (looks_away, heal) = (self.player.looks_away, self.player.heal);
        let rng = parlor_tests::seed::fork(&mut self.player.rng);
        tokio::spawn(read(joined, stay, looks_away, heal, rng));
    }

    /// With the network whole, all questions are answered, and every room answers one more.
    async fn settle(&mut self) {
        let deadline = Instant::now() + SETTLES;
        let mut late = 0;
        while !self.asked.is_empty() {
            if tokio::time::timeout_at(deadline, self.asked.join_next()).await.is_err() {
                late += 1;
                break;
            }
        }
        if late > 0 {
            self.diary.wrong.push(format!("{} requests were never answered", self.asked.len()));
            return self.asked.abort_all();
        }
        for at in 0..self.here.len() {
            self.follow_at_last(at, deadline).await;
            let word = self.word();
            let (sender, stay) = (self.here[at].sender.clone(), self.here[at].stay.clone());
            stay.lock().unwrap().messages.push(Message { n: word.n, route: ASK, no: None, told: Told::Waits });
            if tokio::time::timeout_at(deadline, ask(&sender, &stay, ASK, word)).await.is_err() {
                self.diary.wrong.push("the last question was never answered".to_owned());
            }
        }
        // Nobody is disturbed by others who go while they still speak.
        sleep(self.player.quiet).await;
        if self.parlor.is_closed() {
            self.diary.wrong.push("the client has ended by itself".to_owned());
        }
    }
}

impl Playing {
    /// Follows positions, unless the membership ends first. A queue that is full is so for a moment only.
    async fn follow_at_last(&self, at: usize, deadline: Instant) {
        let Here { sender, stay } = &self.here[at];
        while Instant::now() < deadline && stay.lock().unwrap().end().is_none() {
            if let Ok(Ok(())) = timeout(ANSWERS, sender.subscribe(POSITIONS)).await {
                stay.lock().unwrap().follows = true;
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn ask(sender: &RoomSender, stay: &SharedStay, route: &'static str, word: Word) {
    let told = match sender.request::<Line>(route, &word).await {
        Ok(line) => Told::Answered(line),
        Err(ClientError::OutcomeUnknown) => Told::Unknown,
        Err(ClientError::BufferFull) => Told::NotSent,
        Err(error) => Told::Refused(error.code().to_owned()),
    };
    let mut stay = stay.lock().unwrap();
    let message = stay.messages.iter_mut().find(|message| message.n == word.n);
    message.expect("it was written down before it was sent").told = told;
}

async fn write_down(mut lifecycle: Lifecycle, into: Arc<Mutex<Vec<LifecycleEvent>>>) {
    while let Some(event) = lifecycle.recv().await {
        into.lock().unwrap().push(event);
    }
}

/// Reads a room to its end, and looks away now and then while the network is bad.
async fn read(mut room: Room, stay: SharedStay, away: Duration, heal: Instant, mut rng: ChaCha8Rng) {
    while let Some(event) = room.recv().await {
        let over = matches!(event, RoomEvent::Closed { .. });
        stay.lock().unwrap().events.push(event);
        if over {
            return;
        }
        if !away.is_zero() && rng.random_ratio(1, 20) && Instant::now() < heal {
            sleep_until(heal.min(Instant::now() + away.mul_f64(rng.random()))).await;
        }
    }
}
