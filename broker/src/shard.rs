//! The threads that run rooms and the connections in them: one single-threaded runtime each, so that a room, its members and
//! its handler need no hop between cores.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Context;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Tasks that have their turn before a thread looks for what has come in meanwhile: all that are ready, as a rule. So a room finds all that
/// its members have said, and a socket gets all that is owed to it with one write. Nobody who is ready waits longer for it,
/// timers at most by so many turns; who has more to do than one turn's worth asks for another by [`again`].
const TURN: u32 = 512;

/// Which shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ShardNo(pub usize);

/// The shards of one broker. [`stop`](Self::stop) ends their threads, and with them every task that still runs there.
#[derive(Debug)]
pub struct Shards {
    threads: Vec<Thread>,
    /// For rooms and for connections apart: who connects and opens a room takes one of each, so that with a single turn all rooms
    /// would come to lie on every other shard.
    next: [AtomicUsize; 2],
}

/// What looks for a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lodger {
    /// A room, for its life.
    Room,
    /// A connection, until it moves to its room's shard.
    Connection,
}

#[derive(Debug)]
struct Thread {
    runtime: Handle,
    stop: Mutex<Option<oneshot::Sender<()>>>,
    join: Option<JoinHandle<()>>,
}

/// Asks for another turn of the task, behind all that is ready and what has come in meanwhile. Who woke itself instead could keep a thread
/// from looking for a whole [`TURN`].
pub(crate) fn again(cx: &mut Context<'_>) {
    // The first poll puts the task off until its thread has looked for input; nothing else is wanted of it.
    let _ = pin!(tokio::task::yield_now()).poll(cx);
}

impl Shards {
    /// Starts `count` shards, or one per core for 0.
    ///
    /// # Errors
    /// When the operating system gives no thread or no event queue.
    pub fn start(count: usize) -> std::io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let count = if count == 0 { cores } else { count };
        let threads = (0..count).map(Thread::start).collect::<Result<_, _>>()?;
        Ok(Self { threads, next: Default::default() })
    }

    /// One shard, which is the runtime of the caller.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn here() -> Self {
        let thread = Thread { runtime: Handle::current(), stop: Mutex::new(None), join: None };
        Self { threads: vec![thread], next: Default::default() }
    }

    /// Another shard every time.
    pub fn next(&self, lodger: Lodger) -> ShardNo {
        ShardNo(self.next[lodger as usize].fetch_add(1, Ordering::Relaxed) % self.threads.len())
    }

    /// The runtime of a shard.
    pub fn runtime(&self, shard: ShardNo) -> &Handle {
        &self.threads[shard.0 % self.threads.len()].runtime
    }

    /// Each shard with its runtime.
    pub fn all(&self) -> impl ExactSizeIterator<Item = (ShardNo, &Handle)> {
        self.threads.iter().enumerate().map(|(number, thread)| (ShardNo(number), &thread.runtime))
    }

    /// Ends all threads, without waiting for them.
    pub fn stop(&self) {
        for thread in &self.threads {
            thread.stop();
        }
    }

    /// Tasks that are alive on all shards.
    pub fn tasks(&self) -> usize {
        self.threads.iter().map(|thread| thread.runtime.metrics().num_alive_tasks()).sum()
    }
}

impl Thread {
    fn stop(&self) {
        drop(self.stop.lock().take());
    }

    fn start(number: usize) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().event_interval(TURN).enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let run = move || {
            // Either an order to stop or the loss of whoever could give it.
            let _ = runtime.block_on(stopped);
        };
        let join = std::thread::Builder::new().name(format!("parlor-shard-{number}")).spawn(run)?;
        Ok(Self { runtime: handle, stop: Mutex::new(Some(stop)), join: Some(join) })
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.stop();
        let own = self.join.as_ref().is_some_and(|join| join.thread().id() == std::thread::current().id());
        // The last owner may be a task of this very thread, which cannot wait for itself.
        if let Some(join) = self.join.take().filter(|_| !own) {
            let _ = join.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::task::Poll;

    use tokio::io::AsyncReadExt;
    use tokio::net::TcpStream;

    use super::*;

    #[test]
    fn who_asks_for_turn_after_turn_does_not_keep_its_thread_from_looking_for_input() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let runtime =
            tokio::runtime::Builder::new_current_thread().event_interval(1 << 20).enable_all().build().unwrap();
        let turns = Arc::new(AtomicUsize::new(0));
        let counted = turns.clone();
        runtime.spawn(poll_fn(move |cx| {
            counted.fetch_add(1, Ordering::Relaxed);
            again(cx);
            Poll::<()>::Pending
        }));
        let reader = async {
            let mut here = TcpStream::connect(address).await.unwrap();
            let (there, _) = listener.accept().unwrap();
            drop(there);
            turns.store(0, Ordering::Relaxed);
            here.read_to_end(&mut Vec::new()).await.unwrap();
        };
        runtime.block_on(reader);
        let turns = turns.load(Ordering::Relaxed);
        assert!((1..1 << 19).contains(&turns), "the thread had {turns} turns before it looked");
    }
}
