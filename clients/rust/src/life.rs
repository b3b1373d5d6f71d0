//! The task that a client is: one connection after the other, and what is lost between them.

use std::sync::Arc;
use std::time::Duration;

use parlor_protocol::code::CloseKind;
use parlor_protocol::frame::{ResumeWish, Welcome};
use parlor_protocol::{CloseCode, ErrorCode};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::WebSocketStream;

use crate::actor::{GOODBYE, goodbye, serve};
use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::connector::Connector;
use crate::error::ClientError;
use crate::inbox::Inbox;
use crate::lifecycle::{End, LifecycleEvent, close};
use crate::link::{Phase, Shared};
use crate::options::{OnLoss, Options};
use crate::socket::{HelloAnswer, Opened, hello, open};
use crate::token::Token;

/// Reasons of [`LifecycleEvent::Lost`] that are the client's own; the broker's are passed on as they are.
mod lost {
    pub(super) const UNKNOWN: &str = "unknown";
    pub(super) const SHUTTING_DOWN: &str = "shutting_down";
    pub(super) const NOT_KEPT: &str = "not_kept";
    pub(super) const GAVE_UP: &str = "gave_up";
}

/// Whatever happens to the task, panic or a stopped runtime, nobody is left waiting.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.finish(&End::broken(&"the client's task was stopped"));
        self.0.advance(Phase::Gone);
    }
}

/// A client that has a session.
pub(crate) struct Life<C> {
    connector: C,
    shared: Arc<Shared>,
    inbox: Inbox,
    backoff: Backoff,
}

/// What is done after a connection has ended, or an attempt to connect has failed.
#[derive(Debug, PartialEq)]
enum Next {
    /// Nothing: this is the end.
    Stop,
    /// The session is taken up again.
    ComeBack,
    /// The session is gone; another is begun.
    BeginAnew(&'static str),
}

impl<C: Connector> Life<C> {
    /// Begins the first session.
    pub(crate) async fn begin(
        mut connector: C,
        mut options: Options,
    ) -> Result<(Self, WebSocketStream<C::Stream>), ClientError> {
        if !C::AGAIN {
            // There would be no way back, so the broker need not keep anything.
            options.on_loss = OnLoss::End;
        }
        let began = Instant::now();
        let wish = (options.on_loss == OnLoss::ComeBack).then(ResumeWish::default);
        let Opened { socket, answer, rtt } = attempt(&mut connector, &options, wish).await?;
        let HelloAnswer::Welcome(welcome) = answer else { return Err(not_asked_for()) };
        let mut clock = Clock::default();
        clock.sample(millis(rtt), welcome.time, millis(began.elapsed()));
        let backoff = Backoff::new(&options);
        let shared = Arc::new(Shared::new(options, welcome, clock, began));
        let inbox = Inbox::new(Arc::clone(&shared));
        Ok((Self { connector, shared, inbox, backoff }, socket))
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Lives until the client is closed, or is not wanted any more, or can do nothing more.
    pub(crate) async fn run(mut self, mut socket: WebSocketStream<C::Stream>) {
        let _ending = Ending(self.shared());
        loop {
            let began = Instant::now();
            let end = serve(&mut socket, &mut self.inbox, &self.shared).await;
            self.backoff.held(began.elapsed());
            match self.next(&end) {
                Next::Stop => {
                    self.finish(&end);
                    let _ = timeout(GOODBYE, goodbye(socket, &end)).await;
                    return;
                }
                Next::ComeBack => {}
                Next::BeginAnew(reason) => self.inbox.lose(reason),
            }
            // Dropped before another is made: two at once would be of no use to anybody.
            drop(socket);
            socket = match self.reconnect(end).await {
                Ok(socket) => socket,
                Err(end) => return self.finish(&end),
            };
        }
    }

    fn next(&self, end: &End) -> Next {
        let options = &self.shared.options;
        if options.on_loss == OnLoss::End || self.shared.has_reached(Phase::Closing) || is_final(end, options) {
            Next::Stop
        } else if end.code == CloseCode::ShuttingDown.number() {
            Next::BeginAnew(lost::SHUTTING_DOWN)
        } else if self.shared.is_kept() {
            Next::ComeBack
        } else {
            Next::BeginAnew(lost::NOT_KEPT)
        }
    }

    /// Ends rooms and callers.
    fn finish(self, end: &End) {
        self.shared.finish(end);
    }

    /// Tries until there is a connection again, or until there is no use in trying.
    async fn reconnect(&mut self, mut end: End) -> Result<WebSocketStream<C::Stream>, End> {
        let shared = self.shared();
        // So long that it cannot be told as a time is for ever.
        let give_up = Instant::now().checked_add(shared.options.reconnect_for);
        for attempt in 1.. {
            let wait = self.backoff.pause();
            if give_up.is_some_and(|give_up| Instant::now() + wait >= give_up) {
                break;
            }
            shared.tell(LifecycleEvent::Disconnected { end, attempt, wait });
            let again = async {
                sleep(wait).await;
                self.again().await
            };
            let failed = tokio::select! {
                biased;
                () = shared.reached(Phase::Closing) => return Err(End::by_us()),
                done = again => match done {
                    Ok(socket) => return Ok(socket),
                    Err(error) => error,
                },
            };
            end = why(&failed);
            if is_final(&end, &shared.options) {
                return Err(end);
            }
        }
        self.inbox.lose(lost::GAVE_UP);
        Err(End::broken(&"no connection could be made in time"))
    }

    /// One attempt to connect again.
    async fn again(&mut self) -> Result<WebSocketStream<C::Stream>, ClientError> {
        let wish = self.shared.positions(|positions| {
            let token = positions.terms().map(|terms| terms.token.clone());
            ResumeWish { received: token.is_some().then(|| positions.received()), token }
        });
        let resuming = wish.token.is_some();
        let opened = attempt(&mut self.connector, &self.shared.options, Some(wish)).await?;
        self.take_up(opened, resuming)
    }

    fn take_up(
        &mut self,
        opened: Opened<C::Stream>,
        resuming: bool,
    ) -> Result<WebSocketStream<C::Stream>, ClientError> {
        let Opened { socket, answer, rtt } = opened;
        let shared = self.shared();
        match answer {
            HelloAnswer::Resumed { welcome, received, rooms } if resuming => {
                let terms = welcome.resume.clone();
                shared
                    .positions(|positions| positions.resume(received, terms))
                    .map_err(|error| ClientError::Protocol(error.to_string()))?;
                self.inbox.resumed(&rooms);
                self.learn(welcome, rtt);
                shared.tell(LifecycleEvent::Resumed { rooms });
            }
            HelloAnswer::Resumed { .. } => return Err(not_asked_for()),
            HelloAnswer::Welcome(welcome) => {
                if resuming {
                    self.inbox.lose(welcome.lost.as_deref().unwrap_or(lost::UNKNOWN));
                }
                shared.positions(|positions| positions.begin(welcome.resume.clone()));
                self.learn(welcome, rtt);
                shared.tell(LifecycleEvent::Renewed);
            }
        }
        Ok(socket)
    }

    /// What every answer to hello tells, and what of the last connection holds no more.
    fn learn(&self, welcome: Welcome, rtt: Duration) {
        let shared = &self.shared;
        let mut clock = shared.clock.lock();
        clock.restart();
        clock.sample(millis(rtt), welcome.time, shared.now());
        drop(clock);
        shared.set_welcome(welcome);
    }
}

/// One connection, up to the answer to hello, in limited time.
async fn attempt<C: Connector>(
    connector: &mut C,
    options: &Options,
    wish: Option<ResumeWish>,
) -> Result<Opened<C::Stream>, ClientError> {
    let work = async {
        let hello = hello(options, wish).await?;
        let stream = connector.connect().await?;
        open(&connector.address(), stream, options, hello).await
    };
    timeout(options.request_timeout, work).await.unwrap_or(Err(ClientError::Timeout))
}

fn not_asked_for() -> ClientError {
    ClientError::Protocol("a session was resumed that nobody asked for".to_owned())
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Whether connecting again would not help, or is not for us to decide.
fn is_final(end: &End, options: &Options) -> bool {
    let fresh = options.token.as_ref().is_some_and(Token::can_be_fresh);
    end.kind != CloseKind::Resumable || end.code == CloseCode::TokenExpired.number() && !fresh
}

/// What a failed attempt to connect means, in the terms of a close. A broker that refuses hello says so in a frame, and the
/// close that follows it says no more.
fn why(error: &ClientError) -> End {
    match error {
        ClientError::Closed { code, reason } => End::by_peer(*code, reason),
        ClientError::Refused(failure) => {
            let known = ErrorCode::ALL.iter().find(|code| code.as_str() == failure.code);
            let (code, kind) = match known {
                Some(ErrorCode::TokenExpired) => (CloseCode::TokenExpired.number(), CloseKind::Resumable),
                Some(ErrorCode::AuthUnavailable) => (CloseCode::AuthUnavailable.number(), CloseKind::Terminal),
                Some(ErrorCode::TokenRequired | ErrorCode::TokenInvalid) => {
                    (CloseCode::Unauthorized.number(), CloseKind::Terminal)
                }
                _ if failure.retryable => (close::ABNORMAL, CloseKind::Resumable),
                _ => (close::ABNORMAL, CloseKind::Terminal),
            };
            End { code, reason: failure.to_string(), kind }
        }
        // Timeouts and overload pass; other refusals, of an origin for instance, do not.
        ClientError::Http(status) if (400..500).contains(status) && !matches!(status, 408 | 425 | 429) => {
            End { code: close::ABNORMAL, reason: error.to_string(), kind: CloseKind::Terminal }
        }
        ClientError::Protocol(_) | ClientError::Invalid(_) => End::protocol(error),
        _ => End::broken(error),
    }
}
