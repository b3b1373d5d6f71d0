//! Sessions are taken up again by their owners, with the newest token, and with nothing else.

use parlor::broker::Broker;
use parlor_client::ErrorCode;
use parlor_protocol::CloseCode;
use serde_json::{Value, json};

use super::sign::token;
use super::{alive, enter_with, hear, join, knock, start, start_with};
use crate::raw::{Raw, until};

/// A session to come back to, in a room; and what it comes back with.
struct Kept {
    raw: Raw,
    welcome: Value,
    room: Value,
}

impl Kept {
    async fn new(broker: &Broker, who: Value) -> Self {
        let mut hello = who;
        hello["resume"] = json!({});
        let (mut raw, welcome) = enter_with(broker, hello).await;
        let room = join(&mut raw, json!({"mode": "create", "kind": "yard"})).await["room"].clone();
        Self { raw, welcome, room }
    }

    fn key(&self) -> String {
        key(&self.welcome)
    }
}

fn key(welcome: &Value) -> String {
    welcome["resume"]["token"].as_str().unwrap().to_owned()
}

fn back(who: &Value, token: &str) -> Value {
    let mut hello = who.clone();
    hello["resume"] = json!({"token": token});
    hello
}

/// Comes back: the connection, and the welcome in `resumed`.
async fn resumed(broker: &Broker, hello: Value) -> (Raw, Value) {
    let (raw, answer) = knock(broker, hello).await;
    assert_eq!(answer[0], 48, "{answer}");
    (raw, answer[1].clone())
}

/// Gets a session of its own, and is told that the one that it named is not to be had.
async fn lost(broker: &Broker, hello: Value) -> String {
    let before = broker.metrics().resumes("lost");
    let (mut raw, answer) = knock(broker, hello).await;
    assert_eq!(answer[0], 33, "{answer}");
    assert_eq!(broker.metrics().resumes("lost"), before + 1);
    alive(&mut raw).await;
    answer[1]["lost"].as_str().expect("it says so").to_owned()
}

#[tokio::test]
async fn a_session_is_nobody_else_s() {
    let broker = start_with(|config| config.auth.guests = true).await;
    let ann = json!({"token": token("ann")});
    let mut kept = Kept::new(&broker, ann.clone()).await;
    let thieves = [json!({"token": token("bob")}), json!({}), json!({"name": "ann"})];
    for thief in &thieves {
        assert_eq!(lost(&broker, back(thief, &kept.key())).await, "unknown");
    }
    alive(&mut kept.raw).await;
    // Whether she is there or not.
    drop(kept.raw);
    // The thieves' own sessions are kept as well.
    until(|| broker.metrics().sessions_away.get() == 4).await;
    for thief in &thieves {
        assert_eq!(lost(&broker, back(thief, &key(&kept.welcome))).await, "unknown");
    }
    let (_, welcome) = resumed(&broker, back(&ann, &key(&kept.welcome))).await;
    assert_eq!((&welcome["session"], &welcome["account"]), (&kept.welcome["session"], &json!("ann")));
    // A guest's session is for who has its token, and shows no other.
    let guest = Kept::new(&broker, json!({})).await;
    assert_eq!(lost(&broker, back(&ann, &guest.key())).await, "unknown");
    let (_, other) = enter_with(&broker, json!({"resume": {}})).await;
    let (_, welcome) = resumed(&broker, back(&json!({}), &guest.key())).await;
    assert_eq!(welcome["account"], guest.welcome["account"]);
    assert_ne!(welcome["account"], other["account"]);
}

#[tokio::test]
async fn the_old_token_is_good_until_the_new_one_has_arrived() {
    let broker = start().await;
    let ann = json!({"token": token("ann")});
    let kept = Kept::new(&broker, ann.clone()).await;
    let first = kept.key();
    let (_second, welcome) = resumed(&broker, back(&ann, &first)).await;
    assert_ne!(key(&welcome), first);
    // The answer was lost on its way, so she comes with the one that she has.
    let (mut third, newest) = resumed(&broker, back(&ann, &first)).await;
    third.say(json!([9, 0])).await;
    alive(&mut third).await;
    for old in [&first, &key(&welcome)] {
        assert_eq!(lost(&broker, back(&ann, old)).await, "unknown");
    }
    // None of that has done any harm.
    alive(&mut third).await;
    resumed(&broker, back(&ann, &key(&newest))).await;
}

#[tokio::test]
async fn a_token_that_was_changed_anywhere_is_none() {
    let broker = start().await;
    let ann = json!({"token": token("ann")});
    let mut kept = Kept::new(&broker, ann.clone()).await;
    let good = kept.key();
    let mut bad: Vec<String> = (0..good.len())
        .map(|at| {
            let mut changed = good.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            String::from_utf8(changed).unwrap()
        })
        .collect();
    bad.extend(["", "A", &good[1..], &good[..good.len() - 1], "\u{e4}"].map(str::to_owned));
    bad.extend([format!("{good}A"), format!("{good}="), "A".repeat(10_000)]);
    for bad in bad {
        let why = lost(&broker, back(&ann, &bad)).await;
        // One that names no session that lives is as good as one that has ended.
        assert!(["unknown", "expired"].contains(&&*why), "{bad}: {why}");
    }
    alive(&mut kept.raw).await;
    assert_eq!(broker.metrics().sessions_resumed.get(), 0);
    resumed(&broker, back(&ann, &good)).await;
}

#[tokio::test]
async fn a_session_that_has_ended_is_gone() {
    let broker = start().await;
    let ann = json!({"token": token("ann")});
    let mut kept = Kept::new(&broker, ann.clone()).await;
    let good = kept.key();
    kept.raw.socket.close(Some(normal())).await.unwrap();
    until(|| broker.metrics().sessions.get() == 0).await;
    assert_eq!(lost(&broker, back(&ann, &good)).await, "expired");
    assert_eq!(broker.metrics().members.get(), 0);
}

fn normal() -> tokio_tungstenite::tungstenite::protocol::CloseFrame {
    let code = tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode::Normal;
    tokio_tungstenite::tungstenite::protocol::CloseFrame { code, reason: "".into() }
}

#[tokio::test]
async fn a_token_of_another_process_is_of_no_use_even_with_one_secret() {
    let set =
        |config: &mut parlor::broker::Config| config.secret = Some("a secret of the broker of some length".into());
    let (first, second) = (start_with(set).await, start_with(set).await);
    let ann = json!({"token": token("ann")});
    let (here, mut there) = (Kept::new(&first, ann.clone()).await, Kept::new(&second, ann.clone()).await);
    assert_eq!(here.welcome["session"], there.welcome["session"], "the same number, the same account");
    assert_eq!(lost(&second, back(&ann, &here.key())).await, "unknown");
    alive(&mut there.raw).await;
}

#[tokio::test]
async fn the_old_connection_is_cut_off() {
    let broker = start().await;
    let ann = json!({"token": token("ann")});
    let mut kept = Kept::new(&broker, ann.clone()).await;
    let mut bob = enter_with(&broker, json!({"token": token("bob")})).await.0;
    join(&mut bob, json!({"mode": "find_or_create", "kind": "yard"})).await;
    kept.raw.say(json!([5, kept.room, "say", 2, 1])).await;
    hear(&mut kept.raw, 37).await;
    let (mut new, _) = resumed(&broker, back(&ann, &key(&kept.welcome))).await;
    // It has not noticed yet, and goes on talking. This may fail once it has been told.
    let late = [
        json!([4, kept.room, "say", 666]),
        json!([3, kept.room]),
        json!([2, 9, {"mode": "create", "kind": "yard"}, null]),
    ];
    for frame in late {
        let _ = futures_util::SinkExt::send(&mut kept.raw.socket, frame.to_string().into()).await;
    }
    assert_eq!(hear_close(&mut kept.raw).await, (CloseCode::Replaced.number(), "replaced".into()));
    hear(&mut new, 49).await;
    let answer = ask_room(&mut new, &kept.room, 7).await;
    assert_eq!(answer[0], 37, "she is a member still: {answer}");
    let mut heard = Vec::new();
    while heard.last() != Some(&json!(7)) {
        let frame = hear(&mut bob, 36).await;
        heard.extend(frame[5].get("what").cloned());
    }
    assert_eq!(heard, [json!(1), json!(7)], "nothing of the old connection has had an effect");
    let metrics = broker.metrics();
    until(|| metrics.closes(Some(CloseCode::Replaced)) == 1).await;
    assert_eq!((metrics.rooms_opened.get(), metrics.sessions_resumed.get(), metrics.members.get()), (1, 1, 2));
    assert_eq!(metrics.errors(ErrorCode::NotAMember), 0);
}

async fn ask_room(raw: &mut Raw, room: &Value, what: u64) -> Value {
    raw.say(json!([5, room, "say", 70, what])).await;
    loop {
        let heard = raw.hear().await;
        if [37, 38, 40].iter().any(|op| heard[0] == *op) {
            return heard;
        }
    }
}

/// The close code and reason, whatever comes before.
async fn hear_close(raw: &mut Raw) -> (u16, String) {
    use futures_util::StreamExt;
    use tokio_tungstenite::tungstenite::Message;
    loop {
        let heard = crate::raw::soon(raw.socket.next()).await.expect("a goodbye").expect("a goodbye");
        if let Message::Close(Some(close)) = heard {
            return (close.code.into(), close.reason.to_string());
        }
    }
}

#[tokio::test]
async fn a_position_that_cannot_be_ends_the_connection_and_the_session_only_with_its_own_token() {
    let broker = start().await;
    let ann = json!({"token": token("ann")});
    let mut kept = Kept::new(&broker, ann.clone()).await;
    let beyond = |who: Value, token: &str| {
        let mut hello = who;
        hello["resume"] = json!({"token": token, "received": 9_007_199_254_740_991_u64});
        hello
    };
    assert_eq!(lost(&broker, beyond(json!({"token": token("bob")}), &kept.key())).await, "unknown");
    alive(&mut kept.raw).await;
    let (mut raw, told) = knock(&broker, beyond(ann, &kept.key())).await;
    assert_eq!((&told[0], &told[2]["code"]), (&json!(40), &json!("bad_frame")), "{told}");
    assert_eq!(raw.closed().await, (4200, "bad_frames".into()));
}
