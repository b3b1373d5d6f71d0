//! Work outside the room, timers and deferred replies: each comes back as an input, once and in its order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parlor::prelude::*;
use parlor_client::Room as Membership;
use parlor_tests::panics::hush;
use parlor_tests::serve::{Anywhere, Served};
use parlor_tests::wait::{soon, until};
use parlor_tests::{config, connect};
use tokio::sync::Semaphore;

#[derive(Default, Serialize, Deserialize)]
struct Office {
    results: Vec<String>,
    fired: Vec<u64>,
}

/// What the outside world does.
#[derive(Clone)]
struct World {
    /// Work waits for a permit when it is told to.
    gate: Arc<Semaphore>,
    calls: Arc<AtomicU64>,
    keys: Arc<std::sync::Mutex<BTreeSet<String>>>,
}

#[derive(Clone, Serialize, Deserialize)]
enum Job {
    Double(u64),
    Wait(u64),
    Fail,
    Panic,
}

#[derive(Serialize, Deserialize)]
struct Order {
    job: Job,
    reply: Option<Origin>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Ready {
    number: u64,
    reply: Option<Origin>,
}

#[derive(Serialize, Deserialize, Message)]
struct Bell {
    number: u64,
    reply: Option<Origin>,
}

#[room(kind = "office", empty_ttl = "50ms")]
impl Office {
    #[msg::route("order")]
    fn order(&mut self, ctx: &mut Ctx, _: PlayerId, jobs: Vec<Job>) {
        for job in jobs {
            ctx.run(Self::outside, Order { job, reply: None });
        }
    }

    #[msg::route("await")]
    fn wait_for(&mut self, ctx: &mut Ctx, _: PlayerId, job: Job) {
        let reply = Some(ctx.defer_reply());
        ctx.run(Self::outside, Order { job, reply });
    }

    #[msg::work]
    async fn outside(env: Env, order: Order) -> Result<Ready> {
        hush();
        let world = env.get::<World>();
        world.calls.fetch_add(1, Ordering::SeqCst);
        world.keys.lock().unwrap().insert(env.idempotency_key().to_owned());
        let number = match order.job {
            Job::Double(number) => number * 2,
            Job::Wait(number) => {
                world.gate.acquire().await.unwrap().forget();
                number
            }
            Job::Fail => return Err(Failure::app("no_luck", "no luck")),
            Job::Panic => panic!("on purpose"),
        };
        Ok(Ready { number, reply: order.reply })
    }

    #[msg::event]
    fn ready(&mut self, ctx: &mut Ctx, done: Done<Ready>) {
        match done.result {
            Ok(Ready { number, reply }) => {
                self.results.push(number.to_string());
                if let Some(reply) = reply {
                    ctx.reply(reply, &number);
                }
            }
            Err(failure) => self.results.push(failure.code.to_string()),
        }
    }

    /// Rings once for each delay, and answers with the last. All are overdue when the room comes to look at them.
    #[msg::route("ring")]
    fn ring(&mut self, ctx: &mut Ctx, _: PlayerId, delays: Vec<u64>) {
        let reply = Some(ctx.defer_reply());
        let last = delays.iter().copied().max().unwrap_or_default();
        for (nth, delay) in (1..).zip(&delays) {
            let bell = Bell { number: nth, reply: reply.filter(|_| *delay == last) };
            ctx.after(Duration::from_millis(*delay), bell);
        }
        // One that never rings.
        let never = ctx.after(Duration::from_millis(1), Bell { number: 0, reply: None });
        ctx.cancel(never);
        std::thread::sleep(Duration::from_millis(last + 5));
    }

    #[msg::event("bell")]
    fn bell(&mut self, ctx: &mut Ctx, bell: Bell) {
        self.fired.push(bell.number);
        if let Some(reply) = bell.reply {
            ctx.reply(reply, &self.fired);
        }
    }

    #[msg::route("results")]
    fn results(&mut self, _: &mut Ctx, _: PlayerId) -> Vec<String> {
        self.results.clone()
    }
}

async fn office() -> (Served, World) {
    hush();
    let world = World { gate: Arc::new(Semaphore::new(0)), calls: Arc::default(), keys: Arc::default() };
    let broker = parlor::App::new().with(world.clone()).room::<Office>().anywhere(&config()).await;
    (broker, world)
}

/// The results in the order of their numbers, once there are so many.
async fn results(room: &Membership, count: usize) -> Vec<String> {
    let enough = async {
        loop {
            let mut results: Vec<String> = room.request("results", &()).await.unwrap();
            if results.len() >= count {
                results.sort();
                return results;
            }
            tokio::task::yield_now().await;
        }
    };
    soon("the results", enough).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_come_back_once_each() {
    const JOBS: u64 = 300;
    let (broker, world) = office().await;
    let room = connect(&broker).await.create("office", &()).await.unwrap();
    for first in (0..JOBS).step_by(10) {
        let jobs: Vec<_> = (first..first + 10).map(Job::Double).collect();
        room.send("order", &jobs).unwrap();
    }
    let mut expected: Vec<_> = (0..JOBS).map(|number| (number * 2).to_string()).collect();
    expected.sort();
    assert_eq!(results(&room, expected.len()).await, expected);
    assert_eq!(world.calls.load(Ordering::SeqCst), JOBS);
    assert_eq!(world.keys.lock().unwrap().len() as u64, JOBS, "each has a key of its own");
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_fails_or_panics_comes_back_as_failed() {
    let (broker, _) = office().await;
    let room = connect(&broker).await.create("office", &()).await.unwrap();
    room.send("order", &[Job::Panic, Job::Fail, Job::Double(4)]).unwrap();
    assert_eq!(results(&room, 3).await, ["8", "app.no_luck", "handler_panicked"]);
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deferred_reply_waits_for_its_work_and_holds_up_nothing() {
    let (broker, world) = office().await;
    let room = connect(&broker).await.create("office", &()).await.unwrap();
    let sender = room.sender().clone();
    let waiting = tokio::spawn(async move { sender.request::<u64>("await", &Job::Wait(7)).await });
    let calls = world.calls.clone();
    until("the work has begun", || calls.load(Ordering::SeqCst) == 1).await;
    // The room goes on, and the later question is answered first.
    assert_eq!(room.request::<u64>("await", &Job::Double(4)).await.unwrap(), 8);
    assert!(!waiting.is_finished());
    world.gate.add_permits(1);
    assert_eq!(soon("the deferred reply", waiting).await.unwrap().unwrap(), 7);
    assert_eq!(results(&room, 2).await, ["7", "8"]);
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_for_a_room_that_has_closed_is_nobodys() {
    let (broker, world) = office().await;
    let client = connect(&broker).await;
    let mut room = client.create("office", &()).await.unwrap();
    room.request::<()>("order", &[Job::Wait(1)]).await.unwrap();
    until("the work has begun", || world.calls.load(Ordering::SeqCst) == 1).await;
    room.leave().await.unwrap();
    until("the room is gone", || broker.registry().is_empty()).await;
    let handle = world.gate.clone();
    world.gate.add_permits(1);
    until("the work is done", || handle.available_permits() == 0).await;
    let room = client.create("office", &()).await.unwrap();
    assert_eq!(results(&room, 0).await, [""; 0]);
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn timers_ring_in_the_order_in_which_they_are_due() {
    let (broker, _) = office().await;
    let room = connect(&broker).await.create("office", &()).await.unwrap();
    let delays = [60, 20, 70, 40, 20, 5];
    let fired: Vec<u64> = room.request("ring", &delays).await.unwrap();
    assert_eq!(fired, [6, 2, 5, 4, 1, 3], "by time, and those of one time as they were set");
    broker.shutdown().await;
}
