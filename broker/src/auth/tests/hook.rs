//! A game's own check.

use std::sync::Arc;
use std::time::Duration;

use parlor_protocol::{ErrorCode, Failure};
use tokio::sync::oneshot;

use super::*;
use crate::auth::{AuthHook, MAX_TOKEN_BYTES, Rights, Verdict};

fn hook<F>(check: impl Fn(String) -> F + Send + Sync + 'static) -> AuthHook
where
    F: Future<Output = Result<Identity, Failure>> + Send + 'static,
{
    Arc::new(move |token| Box::pin(check(token)))
}

async fn ask(hook: AuthHook, token: &str) -> Result<Identity, Failure> {
    let authenticator = Authenticator::start(&Auth { guests: true, ..Auth::default() }, Some(hook)).await.unwrap();
    authenticator.verify(token).wait().await
}

#[tokio::test]
async fn it_decides() {
    let check = hook(async |token| match token.as_str() {
        "open sesame" => {
            let rights = Rights { kinds: Some(vec!["chess".into()]), ..Rights::default() };
            Ok(Identity::new("ali").named("Ali\n").until(5).with_rights(rights))
        }
        "40" => Err(Failure::app("banned", "come back in 40 days")),
        account => Ok(Identity::new(account)),
    });
    let ali = ask(check.clone(), "open sesame").await.unwrap();
    assert_eq!((ali.account.as_str(), ali.name.as_deref(), ali.expires_ms), ("ali", Some("Ali"), Some(5)));
    assert!(ali.rights.may_create("chess", Default::default()) && !ali.rights.may_create("poker", Default::default()));
    assert_eq!(ask(check.clone(), "40").await.unwrap_err().code, "app.banned");
    for account in ["", "guest-7", "a\nb", &"x".repeat(65)] {
        is(ErrorCode::TokenInvalid, &ask(check.clone(), account).await);
    }
}

#[tokio::test]
async fn it_does_not_see_huge_tokens() {
    let check = hook(async |_| panic!("never asked"));
    is(ErrorCode::TokenInvalid, &ask(check, &"x".repeat(MAX_TOKEN_BYTES + 1)).await);
}

#[tokio::test]
async fn a_panic_stays_in_it() {
    is(ErrorCode::Internal, &ask(hook(async |_| panic!("oh")), "t").await);
    let at_once: AuthHook = Arc::new(|_| panic!("oh"));
    is(ErrorCode::Internal, &ask(at_once, "t").await);
}

#[tokio::test(start_paused = true)]
async fn it_has_its_time() {
    let refused = ask(hook(async |_| std::future::pending().await), "t").await;
    is(ErrorCode::AuthUnavailable, &refused);
    assert!(refused.unwrap_err().retryable);
}

#[tokio::test]
async fn it_ends_with_the_session_that_waits() {
    struct Told(Option<oneshot::Sender<()>>);
    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.take().unwrap().send(());
        }
    }
    let (gone, is_gone) = oneshot::channel();
    let told = Arc::new(parking_lot::Mutex::new(Some(Told(Some(gone)))));
    let check = hook(move |_| {
        let told = told.lock().take();
        async move {
            let _told = told;
            std::future::pending().await
        }
    });
    let authenticator = Authenticator::start(&Auth::default(), Some(check)).await.unwrap();
    assert!(authenticator.admits_anybody());
    let Verdict::Later(answer) = authenticator.verify("t") else { panic!("answered without asking") };
    let _ = tokio::time::timeout(Duration::from_millis(10), answer).await;
    is_gone.await.unwrap();
}

#[tokio::test]
async fn it_is_the_only_way() {
    let check = hook(async |_| Ok(Identity::new("ann")));
    let error = Authenticator::start(&with_secret(), Some(check)).await.unwrap_err();
    assert!(matches!(error, AuthError::TwoWays), "{error}");
}
