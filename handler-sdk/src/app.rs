//! The game's server as a program: rooms, resources and routes put together, and a broker around them.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use parlor_broker::auth::AuthHook;
use parlor_broker::broker::{Connector, Setup};
use parlor_broker::cli;
use parlor_broker::config::RelayConfig;
use parlor_broker::telemetry::Metrics;
use parlor_broker::{Broker, Config, Services};
use parlor_protocol::ErrorCode;

use crate::{
    Command, Env, Failure, Identity, Kind, Policy, Refusal, Result, Room, Rooms, ServeArgs, Worker, WorkerOptions,
    local, worker,
};

/// The port of services, unless it is said.
const SERVICES_PORT: u16 = 7374;

/// A game server.
///
/// ```no_run
/// # use parlor::prelude::*;
/// # #[derive(Default, Serialize, Deserialize)] struct Arena;
/// # #[room(kind = "arena")] impl Arena {}
/// #[tokio::main]
/// async fn main() -> parlor::Result<()> {
///     parlor::App::new().room::<Arena>().guests().run().await
/// }
/// ```
#[derive(Default)]
#[must_use = "an app does nothing until it runs"]
pub struct App {
    kinds: Vec<Kind>,
    relays: Vec<RelayConfig>,
    guests: bool,
    check: Option<AuthHook>,
    env: Env,
    rooms: Rooms,
    pages: Router,
    version: Option<String>,
    on_start: Vec<Box<dyn FnOnce(Connector) + Send>>,
}

impl App {
    /// An app without rooms.
    pub fn new() -> Self {
        Self::default()
    }

    /// Offers rooms of kind `R`.
    pub fn room<R: Room>(mut self) -> Self {
        self.kinds.push(Kind::of::<R>());
        self
    }

    /// Offers relay rooms: no handler, everything that a member sends goes to all members.
    pub fn relay(mut self, kind: &str, policy: Policy) -> Self {
        self.relays.push(RelayConfig { kind: kind.to_owned(), policy });
        self
    }

    /// Lets everybody in without a token, each under an account of its own: for games that need to know nobody again, and while
    /// one is being made. The same as `auth.guests = true` in the configuration; the flag `--guests=false` takes it back.
    pub fn guests(mut self) -> Self {
        self.guests = true;
        self
    }

    /// Has the game itself say whose a token is, for instance by asking its database: all tokens are checked by this, so that
    /// `auth.secret` and `auth.keys` must not be set. What it refuses with is what the client is told. It has 5 seconds, and runs apart
    /// from the rooms, which do not wait for it. Clients without a token are [guests](Self::guests), or not let in.
    ///
    /// ```no_run
    /// # use parlor::prelude::*;
    /// use parlor::{ErrorCode, Identity};
    /// # async fn account_of(session: &str) -> Option<String> { None }
    ///
    /// async fn check(token: String) -> Result<Identity, ErrorCode> {
    ///     let account = account_of(&token).await.ok_or(ErrorCode::TokenInvalid)?;
    ///     Ok(Identity::new(account))
    /// }
    ///
    /// let app = parlor::App::new().authenticate(check);
    /// ```
    pub fn authenticate<F, Fut, E>(mut self, check: F) -> Self
    where
        F: Fn(String) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Identity, E>> + Send + 'static,
        E: Refusal,
    {
        self.check = Some(Arc::new(move |token| {
            let answer = check(token);
            Box::pin(async move { answer.await.map_err(Refusal::into_failure) })
        }));
        self
    }

    /// Gives a resource, such as a database pool, to work functions; the last of a type wins. Handlers never get at it.
    pub fn with<T: Send + Sync + 'static>(mut self, resource: T) -> Self {
        self.env = self.env.with(resource);
        self
    }

    /// A way to open, list and close rooms, and to raise events in them: for the game's own routes. Work functions find it in their
    /// environment.
    pub fn rooms(&self) -> Rooms {
        self.rooms.clone()
    }

    /// Serves the game's own routes and pages on the same port. The broker's own paths (`/ws`, `/v1/…`, `/health`, `/metrics`) win.
    pub fn http(mut self, routes: Router) -> Self {
        self.pages = self.pages.merge(routes);
        self
    }

    /// Runs `start` once the broker listens, with a way to connect to it without a network: for bots.
    pub fn on_start(mut self, start: impl FnOnce(Connector) + Send + 'static) -> Self {
        self.on_start.push(Box::new(start));
        self
    }

    /// Says which version of the game this is, in 1 to 64 bytes. Where rooms run in [workers](crate::worker), a room stays with the
    /// version that opened it. Unless it is said here or by `--version-label`, every build is a version of its own.
    pub fn version(mut self, label: impl Into<String>) -> Self {
        self.version = Some(label.into());
        self
    }

    /// Runs the program: reads flags, environment and configuration file, serves until Ctrl-C or SIGTERM, and ends gently.
    /// With the command `config`, it checks or prints its configuration instead. Beside a broker that stands alone, it is one of two
    /// things: with `worker`, it runs rooms, and with `services`, it serves the game's [routes](Self::http) and its
    /// [check of tokens](Self::authenticate). Neither starts what is to be [started](Self::on_start) with a broker.
    ///
    /// # Errors
    /// In one line, when the configuration cannot be used, the port is taken, or the broker wants no such worker.
    pub async fn run(self) -> Result {
        let args = <ServeCommand as clap::Parser>::parse();
        self.serve(&args.serve).await
    }

    /// The same for a program that has flags of its own.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn serve(mut self, serve: &ServeArgs) -> Result {
        cli::log();
        if let Some(Command::Worker(args)) = &serve.command {
            return self.work(&args.options(serve.server_key.as_deref())).await;
        }
        if let Some(Command::Services(args)) = &serve.command {
            return self.attend(&args.broker, serve).await;
        }
        self.guests &= serve.guests != Some(false);
        let config = self.adjusted(serve.config().map_err(|error| cannot_start(&error))?);
        if let Some(Command::Broker(command)) = &serve.command {
            return command.run(&config).map_err(|error| cannot_start(&error));
        }
        let broker = self.start(&config).await?;
        println!("listening on http://{}", broker.addr());
        tokio::select! {
            () = cli::interrupted() => {}
            () = figures(broker.metrics().clone()) => {}
        }
        println!();
        broker.shutdown().await;
        Ok(())
    }

    /// Serves routes and the check of tokens until Ctrl-C or SIGTERM.
    async fn attend(self, broker: &str, serve: &ServeArgs) -> Result {
        let mut config = serve.config().map_err(|error| cannot_start(&error))?;
        // A broker on the same machine, as most are at first, has the usual port.
        if serve.port.is_none() && config.listen.port() == Config::default().listen.port() {
            config.listen.set_port(SERVICES_PORT);
        }
        let services = self.start_services(broker, &config).await?;
        let scheme = if config.tls.certificate.is_some() { "https" } else { "http" };
        println!("listening on {scheme}://{}", services.addr());
        cli::interrupted().await;
        Ok(())
    }

    /// Runs rooms for a broker until Ctrl-C or SIGTERM, and then gives them back; a second one ends it at once.
    async fn work(self, options: &WorkerOptions) -> Result {
        let worker = self.start_worker(options)?;
        let told = async {
            worker.welcomed().await?;
            println!("running rooms for {}", options.broker);
            worker.ended().await
        };
        tokio::select! {
            ended = told => return ended,
            () = worker::abandoned() => {
                return Err(Failure::from(ErrorCode::Internal).because("standard input has ended: the broker that has started this worker is gone"));
            }
            () = cli::interrupted() => {}
        }
        // It is listened for before anybody can know that the first was heard.
        tokio::select! {
            biased;
            () = cli::interrupted() => {
                Err(Failure::from(ErrorCode::Internal).because("ended before the rooms were given back"))
            }
            drained = worker.drain() => drained,
        }
    }

    /// Starts to run rooms for a broker that stands alone, and returns: for tests, and for programs with a life of their own. Of
    /// the app, that takes the rooms with handlers, the resources and the version. Work runs on the runtime in which this is called. A
    /// program that a broker may start should end when [`worker::abandoned`] does.
    ///
    /// # Errors
    /// When the options or the kinds cannot be used. That there is no broker is no error: it is waited for.
    pub fn start_worker(self, options: &WorkerOptions) -> Result<Worker> {
        Worker::start(self.kinds, self.env.with(self.rooms.clone()), &self.rooms, self.version, options)
    }

    /// Starts what the game has beside its rooms, for a broker that stands alone and has its REST at `broker`, and returns: the game's own
    /// [routes](Self::http), and its [check of tokens](Self::authenticate), which the broker asks for when its `auth.url` is this server's
    /// `/v1/identity`. The [rooms](Self::rooms) are the broker's. Of the configuration, that takes the address to listen on, the server
    /// key, TLS, and the bounds on connections.
    ///
    /// # Errors
    /// When the address cannot be listened on, or the configuration not be used. That there is no broker is no error.
    pub async fn start_services(self, broker: &str, config: &Config) -> Result<Services> {
        let unusable = |why: String| Failure { code: "cannot_start".into(), ..Failure::app("", why) };
        self.rooms.attach_remote(Some(broker), config.server_key.as_deref()).map_err(unusable)?;
        Services::start(config, self.pages, self.check).await.map_err(|error| cannot_start(&error))
    }

    /// Starts the broker and returns: for tests, and for programs with a life of their own.
    ///
    /// # Errors
    /// When the address cannot be listened on, the configuration contradicts itself or the code, or two kinds have one name.
    pub async fn start(self, config: &Config) -> Result<Broker> {
        self.start_with(config, Setup::default()).await
    }

    /// The same with what an app itself has no say in, for simulations: its rooms and pages are added to those of the setup.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    #[doc(hidden)]
    pub async fn start_with(self, config: &Config, mut setup: Setup) -> Result<Broker> {
        let mut config = self.adjusted(config.clone());
        config.relay.extend(self.relays);
        let runtime = tokio::runtime::Handle::current();
        let env = self.env.with(self.rooms.clone());
        let kind = |kind| local::kind(kind, env.clone(), runtime.clone());
        setup.hook = self.check.or(setup.hook);
        setup.kinds.extend(self.kinds.into_iter().map(kind));
        setup.pages = setup.pages.merge(self.pages);
        let broker = Broker::start_with(&config, setup).await.map_err(|error| cannot_start(&error))?;
        self.rooms.attach(&broker);
        for start in self.on_start {
            start(broker.connector());
        }
        Ok(broker)
    }

    /// The configuration with what the code says about it.
    fn adjusted(&self, mut config: Config) -> Config {
        config.auth.guests |= self.guests;
        config
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("kinds", &self.kinds).field("relays", &self.relays).finish_non_exhaustive()
    }
}

/// A game server built with Parlor.
#[derive(clap::Parser)]
struct ServeCommand {
    #[command(flatten)]
    serve: ServeArgs,
}

fn cannot_start(error: &dyn std::error::Error) -> Failure {
    Failure { code: "cannot_start".into(), ..Failure::app("", error.to_string()) }
}

/// Keeps one line of live figures up to date when somebody is looking; never ends.
async fn figures(metrics: Metrics) {
    const EVERY: Duration = Duration::from_secs(1);
    if !std::io::stdout().is_terminal() {
        return std::future::pending().await;
    }
    let mut ticks = tokio::time::interval(EVERY);
    let (mut handled, mut sent) = (metrics.messages_handled.get(), metrics.deliveries.get());
    loop {
        ticks.tick().await;
        let (handled_now, sent_now) = (metrics.messages_handled.get(), metrics.deliveries.get());
        let (rooms, players) = (metrics.rooms.get(), metrics.members.get());
        let (inward, outward) = (handled_now - handled, sent_now - sent);
        (handled, sent) = (handled_now, sent_now);
        const CLEAR_LINE: &str = "\r\x1b[2K";
        print!("{CLEAR_LINE}{rooms} rooms  {players} members  {inward} messages/s in  {outward} messages/s out");
        // A terminal that is gone is no reason to stop.
        let _ = std::io::stdout().flush();
    }
}
