//! The flags of a game's program, and what it can do besides serving.

use std::time::Duration;

use parlor_broker::cli;

use crate::WorkerOptions;

/// The flags of a game's program: those of a broker, and the commands of a game. For a program that has flags of its own:
///
/// ```no_run
/// # use clap::Parser;
/// #[derive(clap::Parser)]
/// struct Args {
///     #[command(flatten)]
///     serve: parlor::ServeArgs,
///     /// Bots that play along
///     #[arg(long)]
///     bots: usize,
/// }
/// # async fn f() -> parlor::Result {
/// let args = Args::parse();
/// parlor::App::new().serve(&args.serve).await
/// # }
/// ```
pub type ServeArgs = cli::Args<Command>;

/// What a game's program can do instead of serving.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// What every program with a broker in it can do.
    #[command(flatten)]
    Broker(cli::Command),
    /// Run rooms for a broker that stands alone; the options of one that serves do nothing then
    Worker(WorkerArgs),
    /// Serve the game's own routes and its check of tokens, on port 7374 unless told otherwise, beside a broker that stands alone
    Services(ServicesArgs),
}

/// The flags of services, beside those of one that serves.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Options of services")]
pub struct ServicesArgs {
    /// Where the broker's REST is: http://host:port or https://host
    #[arg(long, env = "PARLOR_URL", value_name = "URL")]
    pub broker: String,
}

/// The flags of a worker.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Options of a worker")]
pub struct WorkerArgs {
    /// Where the broker listens for workers: ws://host:port or unix:/path/to/socket
    #[arg(long, env = "PARLOR_BROKER", value_name = "URL")]
    pub broker: String,
    /// Proof that this program may run rooms
    #[arg(long, env = "PARLOR_WORKER_TOKEN", hide_env_values = true, default_value = "", hide_default_value = true)]
    pub token: String,
    /// Where the broker's REST is, for work that opens other rooms or speaks to them [default: where the broker is]
    #[arg(long, env = "PARLOR_URL", value_name = "URL")]
    pub url: Option<String>,
    /// What people call this worker [default: host name and process id]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Version of the game: rooms stay with the one that opened them [default: a hash of this program]
    #[arg(long, env = "PARLOR_VERSION", value_name = "VERSION")]
    pub version_label: Option<String>,
    /// Rooms that this worker takes
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub capacity: u32,
    /// Threads that run rooms; 0 is one per core
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub threads: usize,
    /// Seconds in which the broker has to take the rooms back when this worker ends
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub drain_limit: u64,
}

impl WorkerArgs {
    /// What these flags amount to, with the server key, which stands among those of one that serves.
    pub fn options(&self, server_key: Option<&str>) -> WorkerOptions {
        WorkerOptions {
            url: self.url.clone(),
            server_key: server_key.map(str::to_owned),
            token: self.token.clone(),
            name: self.name.clone(),
            version: self.version_label.clone(),
            capacity: self.capacity,
            threads: self.threads,
            drain_limit: Duration::from_secs(self.drain_limit),
            ..WorkerOptions::new(&self.broker)
        }
    }
}
