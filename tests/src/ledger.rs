//! A game that keeps books: everything that happens in a room is one entry, with a number, that all members get. So whoever reads along can
//! tell whether anything was lost, doubled or put in another order, wherever the handler runs and however often it dies.

use std::sync::LazyLock;

use parlor::prelude::*;

/// The kind's name.
pub const KIND: &str = "ledger";

/// Which shape a version of the game gives its state: `1`, the default, or `2`.
pub const SHAPE: &str = "LEDGER_SHAPE";

/// What is wrong with a version's migrations: `refuses`, `panics`, or nothing.
pub const MIGRATION: &str = "LEDGER_MIGRATION";

/// The room.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(into = "Shape", try_from = "Shape")]
pub struct Ledger {
    count: u64,
    /// Of all entries, so that a state that was built again is compared, too.
    digest: u64,
}

/// The state as the two versions write it. Each reads its own only, so that nothing but a migration gets a room from one to the other.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Shape {
    First(Books),
    Second { books: (u64, u64) },
}

fn is_second() -> bool {
    static SECOND: LazyLock<bool> = LazyLock::new(|| std::env::var(SHAPE).is_ok_and(|shape| shape == "2"));
    *SECOND
}

impl From<Ledger> for Shape {
    fn from(Ledger { count, digest }: Ledger) -> Self {
        if is_second() { Self::Second { books: (count, digest) } } else { Self::First(Books { count, digest }) }
    }
}

impl TryFrom<Shape> for Ledger {
    type Error = &'static str;

    fn try_from(shape: Shape) -> Result<Self, Self::Error> {
        match shape {
            Shape::First(Books { count, digest }) if !is_second() => Ok(Self { count, digest }),
            Shape::Second { books: (count, digest) } if is_second() => Ok(Self { count, digest }),
            _ => Err("the state of another version"),
        }
    }
}

/// An entry of the books.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Message)]
pub struct Entry {
    /// From 1, without gaps.
    pub count: u64,
    /// Of this entry and all before.
    pub digest: u64,
    /// What has happened.
    pub what: What,
}

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum What {
    /// A member has come.
    Came(PlayerId),
    /// A member has gone.
    Went(PlayerId),
    /// A member has said a number.
    Said(PlayerId, u64),
    /// A timer that a member has set, with a number, is due.
    Rang(PlayerId, u64),
    /// Work that a member has asked for, with a number, is done.
    Worked(PlayerId, u64),
    /// The clock has ticked.
    Ticked,
}

/// What newcomers see.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Books {
    /// Entries so far.
    pub count: u64,
    /// Of all of them.
    pub digest: u64,
}

/// A number of somebody.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, Message)]
pub struct Order {
    from: PlayerId,
    n: u64,
}

/// How large a wish to panic is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Wish {
    /// Panic.
    Panic,
    /// End the process that runs this. Brokers with the handler inside are not asked for it.
    Abort,
    /// Never come back.
    Hang,
}

// Bytes enough for those who play fast that a snapshot which a killed process has taken along is made up for before anybody is refused.
#[room(kind = "ledger", max_players = 8, tick_hz = 2, snapshot_every = 16, snapshot_bytes = 65536, sleep_after = "5s")]
impl Ledger {
    #[msg::join]
    fn came(&mut self, ctx: &mut Ctx, player: &Player) {
        self.enter(ctx, What::Came(player.id));
    }

    #[msg::leave]
    fn went(&mut self, ctx: &mut Ctx, player: &Player) {
        self.enter(ctx, What::Went(player.id));
    }

    #[msg::view]
    fn view(&self, _to: &Player) -> Books {
        Books { count: self.count, digest: self.digest }
    }

    #[msg::migrate]
    fn from_older(from: &str, Books { count, digest }: Books) -> Result<Self> {
        match std::env::var(MIGRATION).as_deref() {
            Ok("panics") => panic!("a migration with a mistake in it"),
            Ok("slow") => {
                std::thread::sleep(std::time::Duration::from_millis(30));
                Ok(Self { count, digest })
            }
            Ok(_) => Err(Failure::app("cannot_migrate", "this version cannot take rooms over")),
            Err(_) if is_second() && from == "1" => Ok(Self { count, digest }),
            Err(_) => {
                Err(Failure::app("unknown_version", "nobody told this version of that one").with("version", from))
            }
        }
    }

    #[msg::migrate_back]
    fn for_older(&self, to: &str) -> Option<Books> {
        (is_second() && to == "1").then_some(Books { count: self.count, digest: self.digest })
    }

    #[msg::tick]
    fn tick(&mut self, ctx: &mut Ctx) {
        self.enter(ctx, What::Ticked);
    }

    #[msg::route("say")]
    fn say(&mut self, ctx: &mut Ctx, from: PlayerId, n: u64) -> u64 {
        // A version with a mistake in it.
        assert!(n != 13 || std::env::var_os("LEDGER_IS_BAD").is_none(), "thirteen");
        self.enter(ctx, What::Said(from, n))
    }

    #[msg::route("ring")]
    fn ring(&mut self, ctx: &mut Ctx, from: PlayerId, n: u64) {
        // From the room's own randomness, which must be the same again.
        let delay = Duration::from_millis(ctx.rng().random_range(20..200));
        ctx.after(delay, Order { from, n });
    }

    #[msg::event("order")]
    fn rang(&mut self, ctx: &mut Ctx, order: Order) {
        self.enter(ctx, What::Rang(order.from, order.n));
    }

    #[msg::route("work")]
    fn work(&mut self, ctx: &mut Ctx, from: PlayerId, n: u64) {
        ctx.run(Self::labour, Order { from, n });
    }

    #[msg::work]
    async fn labour(env: Env, order: Order) -> Result<Order> {
        assert!(!env.idempotency_key().is_empty());
        tokio::time::sleep(Duration::from_millis(30)).await;
        Ok(order)
    }

    #[msg::event]
    fn worked(&mut self, ctx: &mut Ctx, done: Done<Order>) {
        if let Ok(order) = done.result {
            self.enter(ctx, What::Worked(order.from, order.n));
        }
    }

    #[msg::route("wish")]
    fn wish(&mut self, ctx: &mut Ctx, from: PlayerId, wish: Wish) {
        self.count += 1_000_000;
        self.enter(ctx, What::Went(from));
        match wish {
            Wish::Panic => panic!("as it was wished"),
            Wish::Abort => std::process::abort(),
            Wish::Hang => loop {
                std::thread::park();
            },
        }
    }
}

impl Ledger {
    fn enter(&mut self, ctx: &mut Ctx, what: What) -> u64 {
        self.count += 1;
        for byte in format!("{what:?}").bytes() {
            // FNV-1a; kept within what all codecs can say.
            self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3) & ((1 << 53) - 1);
        }
        ctx.broadcast(&Entry { count: self.count, digest: self.digest, what });
        self.count
    }
}

/// A number to be added when work is done, and who is told the sum then.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Later {
    reply: Origin,
    n: u64,
}

/// A room in which nothing happens by itself, and that soon goes to sleep.
#[derive(Default, Serialize, Deserialize)]
pub struct Quiet {
    sum: u64,
}

#[room(kind = "quiet", sleep_after = "100ms", snapshot_every = 1000, empty_ttl = "10m")]
impl Quiet {
    #[msg::route("add")]
    fn add(&mut self, _ctx: &mut Ctx, _from: PlayerId, n: u64) -> u64 {
        self.sum += n;
        self.sum
    }

    #[msg::route("later")]
    fn later(&mut self, ctx: &mut Ctx, _from: PlayerId, n: u64) {
        let reply = ctx.defer_reply();
        ctx.run(Self::labour, Later { reply, n });
    }

    #[msg::work]
    async fn labour(_env: Env, later: Later) -> Result<Later> {
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok(later)
    }

    #[msg::event]
    fn laboured(&mut self, ctx: &mut Ctx, done: Done<Later>) {
        if let Ok(later) = done.result {
            self.sum += later.n;
            ctx.reply(later.reply, &self.sum);
        }
    }

    #[msg::route("panic")]
    fn panic(&mut self, _ctx: &mut Ctx, _from: PlayerId) {
        panic!("as it was wished");
    }
}
