//! RFC 6455 over raw bytes: a table of what a client may send, and what it must get for it.
//!
//! Everything runs in memory against [`echo`](parlor_broker::session::echo), which is a session's own reader and writer, and what must end
//! a connection also against sessions of a real broker. The Autobahn suite asks much of the same from outside; this always runs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod cases;
mod client;
mod closing;
mod framing;
mod text;

use cases::{Case, End};
use client::{Client, Said};
use parlor_tests::wait::soon;

/// Every case, in the order of RFC 6455.
fn cases() -> Vec<Case> {
    [framing::cases(), text::cases(), closing::cases()].concat()
}

/// How the bytes of a case arrive.
const DELIVERIES: [usize; 3] = [usize::MAX, 7, 1];

#[tokio::test]
async fn what_is_sent_comes_back_or_ends_the_connection() {
    let cases = cases();
    let mut wrong = Vec::new();
    for case in &cases {
        for piece in DELIVERIES {
            // Large ones by a byte would take long and show nothing new.
            let piece = piece.max(case.sent.len() / 4_000);
            let said = soon(&case.name, client::run(case, piece)).await;
            if said != case.expected() {
                let piece = if piece == usize::MAX { "in one piece".to_owned() } else { format!("by {piece}") };
                wrong.push(format!("{} ({piece}):\n  {}\nnot\n  {}", case.name, said.brief(), case.expected().brief()));
            }
        }
    }
    println!("{} cases, each in {} deliveries", cases.len(), DELIVERIES.len());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert!(cases.len() >= 200, "only {} cases", cases.len());
}

#[test]
fn no_two_cases_have_one_name() {
    let cases = cases();
    let names: std::collections::HashSet<_> = cases.iter().map(|case| &case.name).collect();
    assert_eq!(names.len(), cases.len());
}

#[tokio::test]
async fn a_real_session_ends_for_the_same_reasons() {
    let broker = parlor::App::new().start(&parlor_tests::config()).await.unwrap();
    let failures: Vec<_> = cases().into_iter().filter(|case| matches!(case.end, End::Failed(_))).collect();
    for case in &failures {
        let mut client = Client::of(&broker).await;
        let said = soon(&case.name, client.say_out(&case.sent)).await;
        let Some(Said::Close(Some(code), _)) = said.last() else { panic!("{}: {said:?}", case.name) };
        assert_eq!(End::Failed(*code), case.end, "{}", case.name);
    }
    assert!(failures.len() >= 80, "only {} cases", failures.len());
    broker.shutdown().await;
}
