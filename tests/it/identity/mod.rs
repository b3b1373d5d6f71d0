//! Who gets in, as whom, and into what: tokens, guests, a game's own check, rights, tickets, invite codes, second memberships, and
//! sessions that only their owners take up again. Each refusal has its code, its close code, and its metric.

mod expiry;
mod hook;
mod invites;
mod resume;
mod rights;
mod same_account;
pub(crate) mod sign;
mod tickets;
mod tokens;

use parlor::broker::{Broker, Config};
use parlor::policy::{Admission, SameAccount};
use parlor::prelude::*;
use parlor::{App, Policy};
use parlor_client::{Codec, ErrorCode};
use parlor_protocol::CloseCode;
use parlor_tests::config;
use serde_json::{Value, json};

use crate::raw::{Raw, until};
use sign::{SECRET, token};

/// Says who came and who went, and why.
#[derive(Default, Serialize, Deserialize)]
struct Yard {}

#[derive(Serialize, Message)]
struct Came {
    player: PlayerId,
    account: String,
    name: String,
}

#[derive(Serialize, Message)]
struct Went {
    player: PlayerId,
    why: String,
}

#[derive(Serialize, Message)]
struct Said {
    from: PlayerId,
    what: u64,
}

#[room(kind = "yard", max_players = 2, max_spectators = 1, client_topics = ["news", "chat"])]
impl Yard {
    #[msg::join]
    fn joined(&mut self, ctx: &mut Ctx, player: &Player) {
        ctx.broadcast(&Came { player: player.id, account: player.account.clone(), name: player.name.clone() });
    }

    #[msg::leave]
    fn left(&mut self, ctx: &mut Ctx, player: &Player, why: Leave) {
        ctx.broadcast(&Went { player: player.id, why: format!("{why:?}") });
    }

    #[msg::route("say")]
    fn say(&mut self, ctx: &mut Ctx, from: PlayerId, what: u64) {
        ctx.broadcast(&Said { from, what });
    }

    #[msg::view]
    fn view(&self, to: &Player) -> (String, String) {
        (to.account.clone(), to.name.clone())
    }
}

/// Rooms of each way in.
fn app() -> App {
    let seats = Policy { max_players: 3, max_spectators: 3, ..Policy::default() };
    let admitting = |join, watch| Policy { join, watch, ..seats.clone() };
    App::new()
        .room::<Yard>()
        .relay("court", Policy { max_players: 1, ..admitting(Admission::Ticket, Admission::Open) })
        .relay("box", admitting(Admission::Open, Admission::Ticket))
        .relay("club", admitting(Admission::Invite, Admission::Open))
        .relay("salon", admitting(Admission::Ticket, Admission::Invite))
        .relay("refusing", Policy { same_account: SameAccount::Refuse, ..seats.clone() })
        .relay("allowing", Policy { same_account: SameAccount::Allow, ..seats.clone() })
}

/// Tokens are signed with the secret, and guests stay out.
fn closed() -> Config {
    let mut config = config();
    config.auth.guests = false;
    config.auth.secret = Some(SECRET.into());
    config
}

async fn start() -> Broker {
    start_with(|_| {}).await
}

async fn start_with(change: impl FnOnce(&mut Config)) -> Broker {
    let mut config = closed();
    change(&mut config);
    app().start(&config).await.unwrap()
}

/// A connection whose hello has these fields, and what it is answered.
async fn knock(broker: &Broker, mut hello: Value) -> (Raw, Value) {
    let mut raw = Raw::open(broker, Codec::Json).await;
    hello["client"] = "raw".into();
    raw.say(json!([1, hello])).await;
    let answer = raw.hear().await;
    (raw, answer)
}

/// Somebody with this token, who is let in; and the welcome.
async fn enter_with(broker: &Broker, hello: Value) -> (Raw, Value) {
    let (raw, answer) = knock(broker, hello).await;
    assert_eq!(answer[0], 33, "{answer}");
    (raw, answer[1].clone())
}

/// Somebody with a good token.
async fn enter(broker: &Broker, account: &str) -> Raw {
    enter_with(broker, json!({"token": token(account)})).await.0
}

/// Somebody who is not let in: told this code, closed with that one, and counted.
async fn turned_away(broker: &Broker, hello: Value, code: ErrorCode, close: CloseCode) -> Value {
    let metrics = broker.metrics();
    let (errors, closes, opened) = (metrics.errors(code), metrics.closes(Some(close)), metrics.sessions_opened.get());
    let (mut raw, answer) = knock(broker, hello.clone()).await;
    assert_eq!((&answer[0], &answer[1]), (&json!(40), &Value::Null), "{hello} {answer}");
    assert_eq!(answer[2]["code"], code.as_str(), "{hello} {answer}");
    assert_eq!(raw.closed().await, (close.number(), close.as_str().to_owned()), "{hello}");
    drop(raw);
    until(|| metrics.closes(Some(close)) == closes + 1).await;
    assert_eq!((metrics.errors(code), metrics.sessions_opened.get()), (errors + 1, opened));
    answer[2].clone()
}

/// The answer to a frame with an id, whatever else comes before it.
async fn ask(raw: &mut Raw, frame: Value) -> Value {
    raw.say(frame.clone()).await;
    loop {
        let heard = raw.hear().await;
        if [34, 40, 41].iter().any(|op| heard[0] == *op) {
            assert_eq!(heard[1], frame[1], "{heard} to {frame}");
            return heard;
        }
    }
}

/// Comes into a room: what `joined` says.
async fn join(raw: &mut Raw, how: Value) -> Value {
    let answer = ask(raw, json!([2, 1, how, null])).await;
    assert_eq!(answer[0], 34, "{how}: {answer}");
    answer[2].clone()
}

/// Does not come into a room: the code of the refusal, which is counted.
async fn kept_out(broker: &Broker, raw: &mut Raw, how: Value, code: ErrorCode) {
    let before = broker.metrics().errors(code);
    let answer = ask(raw, json!([2, 1, how, null])).await;
    assert_eq!((&answer[0], &answer[2]["code"]), (&json!(40), &json!(code.as_str())), "{how}: {answer}");
    assert_eq!(answer[2]["retryable"], code.retryable(), "{how}");
    assert_eq!(broker.metrics().errors(code), before + 1, "{how}");
}

/// Checks that the connection goes on, whatever else is to be heard.
async fn alive(raw: &mut Raw) {
    raw.say(json!([8, 4.5])).await;
    assert_eq!(hear(raw, 42).await[1], 4.5);
}

/// The next frame of this op, whatever comes before it.
async fn hear(raw: &mut Raw, op: u64) -> Value {
    loop {
        let heard = raw.hear().await;
        if heard[0] == op {
            return heard;
        }
    }
}
