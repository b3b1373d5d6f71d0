//! Waiting without guessing how long something takes.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// Far longer than anything here takes, even on a busy machine.
const DEADLINE: Duration = Duration::from_secs(30);
const BETWEEN: Duration = Duration::from_millis(2);

/// Waits until a condition holds that nothing announces.
///
/// # Panics
/// When it does not come to hold; `what` is then in the text.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let (what, caller) = (what.to_owned(), std::panic::Location::caller());
    async move {
        let deadline = Instant::now() + DEADLINE;
        while !holds() {
            assert!(Instant::now() < deadline, "never came: {what} ({caller})");
            sleep(BETWEEN).await;
        }
    }
}

/// Waits for a future that should end soon.
///
/// # Panics
/// When it does not; `what` is then in the text.
#[track_caller]
pub fn soon<T>(what: &str, future: impl Future<Output = T>) -> impl Future<Output = T> {
    let (what, caller) = (what.to_owned(), std::panic::Location::caller());
    async move { timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("never came: {what} ({caller})")) }
}
