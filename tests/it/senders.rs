//! First in, first out per sender: what is accepted is handled in the sender's order, and what is refused is named by its number.

use std::time::Instant;

use parlor::prelude::*;
use parlor_client::{Codec, ErrorCode, Options, Room as Membership, RoomEvent};
use parlor_tests::seed::{fork, seeded};
use parlor_tests::serve::Anywhere;
use parlor_tests::wait::soon;
use parlor_tests::{config, connect_with};
use rand_chacha::ChaCha8Rng;
use tokio::task::JoinSet;

const SENDERS: usize = 6;
const MESSAGES: u64 = 400;

/// So slow, and with so short a queue, that some messages find no room.
#[derive(Default, Serialize, Deserialize)]
struct Clerk {}

#[derive(Serialize, Deserialize)]
struct Form {
    number: u64,
    pad: String,
}

#[derive(Debug, Serialize, Deserialize, Message)]
struct Stamped {
    number: u64,
}

#[derive(Refusal)]
enum Denied {
    Seventh,
}

#[room(kind = "clerk", queue_len = 24, member_queue_len = 8)]
impl Clerk {
    #[msg::route("form")]
    fn form(&mut self, ctx: &mut Ctx, from: PlayerId, form: Form) -> Result<(), Denied> {
        let began = Instant::now();
        while began.elapsed() < Duration::from_micros(100) {
            std::hint::spin_loop();
        }
        if form.number.is_multiple_of(7) {
            return Err(Denied::Seventh);
        }
        ctx.send(from, &Stamped { number: form.number });
        Ok(())
    }
}

/// What became of one sender's messages, in the order in which it was told.
#[derive(Default)]
struct Fate {
    handled: Vec<u64>,
    denied: Vec<u64>,
    no_room: Vec<u64>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accepted_messages_keep_their_order_and_refused_ones_are_named() {
    let mut rng = seeded();
    let mut config = config();
    config.shards = 2;
    let broker = parlor::App::new().room::<Clerk>().anywhere(&config).await;
    let mut members = Vec::new();
    for number in 0..SENDERS {
        let codec = if number % 2 == 0 { Codec::Json } else { Codec::MsgPack };
        let client = connect_with(&broker, Options::new().codec(codec)).await;
        members.push(client.join_or_create("clerk", &()).await.unwrap());
    }
    // All are in before the first sends: a full queue refuses joins too.
    let mut senders = JoinSet::new();
    for room in members {
        senders.spawn(hand_in(room, fork(&mut rng)));
    }
    let (mut handled, mut no_room) = (0, 0);
    while let Some(fate) = senders.join_next().await {
        let fate = fate.unwrap();
        check(&fate);
        handled += fate.handled.len() + fate.denied.len();
        no_room += fate.no_room.len();
    }
    assert!(handled > 0 && no_room > 0, "a test of both: {handled} handled, {no_room} refused");
    let metrics = broker.metrics();
    assert_eq!(metrics.messages_accepted.get(), handled as u64);
    assert_eq!(metrics.messages_handled.get(), handled as u64);
    assert_eq!(metrics.queue_full.get(), no_room as u64);
    broker.shutdown().await;
}

async fn hand_in(mut room: Membership, mut rng: ChaCha8Rng) -> Fate {
    let (mut fate, mut sent) = (Fate::default(), 0);
    while sent < MESSAGES {
        for _ in 0..rng.random_range(1..40) {
            sent += 1;
            let form = Form { number: sent, pad: "x".repeat(rng.random_range(0..200)) };
            assert_eq!(room.send("form", &form).unwrap(), sent);
        }
        // Waits for some answers, so that there is room again for a while.
        let enough = sent.saturating_sub(rng.random_range(0..20));
        while fate.told() < enough {
            fate.learn(soon("an answer", room.recv()).await.expect("the room lives"));
        }
    }
    while fate.told() < sent {
        fate.learn(soon("an answer", room.recv()).await.expect("the room lives"));
    }
    fate
}

impl Fate {
    fn told(&self) -> u64 {
        (self.handled.len() + self.denied.len() + self.no_room.len()) as u64
    }

    fn learn(&mut self, event: RoomEvent) {
        match &event {
            RoomEvent::Message { .. } => self.handled.push(event.decode::<Stamped>().unwrap().number),
            RoomEvent::Refused { place: Some(_), no, error } => {
                assert_eq!(error.code, "app.seventh");
                self.denied.push(*no);
            }
            RoomEvent::Refused { place: None, no, error } => {
                assert_eq!((error.code.as_ref(), error.retryable), (ErrorCode::QueueFull.as_str(), true));
                self.no_room.push(*no);
            }
            other => panic!("unexpected {other:?}"),
        }
    }
}

/// Every number has one fate, and each fate came in the order of the numbers.
fn check(fate: &Fate) {
    let mut all = Vec::<u64>::new();
    for numbers in [&fate.handled, &fate.denied, &fate.no_room] {
        assert!(numbers.is_sorted_by(|a, b| a < b), "out of order: {numbers:?}");
        all.extend(numbers);
    }
    all.sort_unstable();
    assert_eq!(all, (1..=fate.told()).collect::<Vec<u64>>());
    assert!(fate.denied.iter().all(|number| number.is_multiple_of(7)), "the handler saw another number");
}
