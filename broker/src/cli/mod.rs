//! The flags that every program with a broker in it has, and what it does besides serving.

mod rollout;

use std::io::{IsTerminal, Write};
use std::net::IpAddr;
use std::path::PathBuf;

use clap::Subcommand;
use clap::builder::BoolishValueParser;

use crate::config::{Config, ConfigError};

pub use rollout::RolloutArgs;

/// Flags, over environment, over the configuration file, over the defaults. They may stand before or behind a command.
// Without a group, whose name would be taken from a program's own `Args`.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Args<C: Subcommand> {
    /// Port for WebSocket, REST and pages; 0 takes any free one [default: 7373]
    #[arg(long, env = "PARLOR_PORT", global = true)]
    pub port: Option<u16>,
    /// Address to listen on [default: 127.0.0.1]
    #[arg(long, env = "PARLOR_HOST", value_name = "IP", global = true)]
    pub host: Option<IpAddr>,
    /// TOML file with the configuration
    #[arg(long, env = "PARLOR_CONFIG", value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Key for REST calls that change something; without one they are refused
    #[arg(long, env = "PARLOR_SERVER_KEY", value_name = "KEY", hide_env_values = true, global = true)]
    pub server_key: Option<String>,
    /// Threads that run rooms [default: one per core]
    #[arg(long, env = "PARLOR_SHARDS", value_name = "N", global = true)]
    pub shards: Option<usize>,
    /// Lets clients in without a token; --guests=false does not [default: false]
    #[arg(
        long,
        env = "PARLOR_GUESTS",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new(),
        global = true
    )]
    pub guests: Option<bool>,
    /// Secret that tickets are signed with, so that they outlive the process; 32 bytes or more
    #[arg(long, env = "PARLOR_SECRET", hide_env_values = true, global = true)]
    pub secret: Option<String>,
    /// PEM file with the certificate and its chain
    #[arg(long, env = "PARLOR_TLS_CERTIFICATE", value_name = "FILE", global = true)]
    pub tls_certificate: Option<PathBuf>,
    /// PEM file with the certificate's private key
    #[arg(long, env = "PARLOR_TLS_KEY", value_name = "FILE", global = true)]
    pub tls_key: Option<PathBuf>,
    /// Public keys of tokens: a PEM or JWKS file, or the URL of a JWKS
    #[arg(long, env = "PARLOR_AUTH_KEYS", value_name = "FILE_OR_URL", global = true)]
    pub auth_keys: Option<String>,
    /// Secret of tokens signed with HS256; 32 bytes or more
    #[arg(long, env = "PARLOR_AUTH_SECRET", value_name = "SECRET", hide_env_values = true, global = true)]
    pub auth_secret: Option<String>,
    /// URL of the game's services, where tokens are checked: http://host:port/v1/identity
    #[arg(long, env = "PARLOR_AUTH_URL", value_name = "URL", global = true)]
    pub auth_url: Option<String>,
    /// What workers must show that connect over the network; 16 bytes or more
    #[arg(long, env = "PARLOR_WORKER_TOKEN", value_name = "TOKEN", hide_env_values = true, global = true)]
    pub worker_token: Option<String>,
    /// Unix socket for workers on the same machine
    #[arg(long, env = "PARLOR_WORKER_SOCKET", value_name = "FILE", global = true)]
    pub worker_socket: Option<PathBuf>,
    /// Command line of a game's program, to be started as a worker, and again when it has ended
    #[arg(long, env = "PARLOR_WORKER_CMD", value_name = "COMMAND", global = true)]
    pub worker_cmd: Option<String>,
    /// What to do instead of serving
    #[command(subcommand)]
    pub command: Option<C>,
}

/// The flags of a program that has no commands of its own.
pub type ServeArgs = Args<Command>;

/// What a program with a broker can do instead of serving.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Check the configuration: file, environment and flags together
    Config {
        /// Print it as a configuration file, each key with its meaning; secrets are left out
        #[arg(long)]
        print: bool,
    },
}

impl<C: Subcommand> Args<C> {
    /// The configuration that these flags amount to.
    ///
    /// # Errors
    /// When the configuration file cannot be used.
    pub fn config(&self) -> Result<Config, ConfigError> {
        let mut config = self.config.as_deref().map_or_else(|| Ok(Config::default()), Config::read)?;
        if let Some(port) = self.port {
            config.listen.set_port(port);
        }
        if let Some(host) = self.host {
            config.listen.set_ip(host);
        }
        config.shards = self.shards.unwrap_or(config.shards);
        config.auth.guests = self.guests.unwrap_or(config.auth.guests);
        over(&mut config.server_key, &self.server_key);
        over(&mut config.secret, &self.secret);
        over(&mut config.tls.certificate, &self.tls_certificate);
        over(&mut config.tls.key, &self.tls_key);
        over(&mut config.auth.keys, &self.auth_keys);
        over(&mut config.auth.secret, &self.auth_secret);
        over(&mut config.auth.url, &self.auth_url);
        over(&mut config.workers.token, &self.worker_token);
        over(&mut config.workers.socket, &self.worker_socket);
        over(&mut config.workers.command, &self.worker_cmd);
        Ok(config)
    }
}

fn over<T: Clone>(value: &mut Option<T>, flag: &Option<T>) {
    if flag.is_some() {
        value.clone_from(flag);
    }
}

impl Command {
    /// Does it, writing to the standard output.
    ///
    /// # Errors
    /// When the configuration cannot be used.
    pub fn run(&self, config: &Config) -> Result<(), ConfigError> {
        let Self::Config { print } = self;
        config.check()?;
        let answer = if *print { config.print()? } else { "the configuration is fine\n".to_owned() };
        // Whoever stopped reading has read enough.
        let _ = write!(std::io::stdout(), "{answer}");
        Ok(())
    }
}

/// Writes log lines to the standard error, filtered by `RUST_LOG` (default `warn`, and whatever workers write that were started here).
pub fn log() {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,worker=info"));
    // A second call, as from several tests in one process, changes nothing.
    let ansi = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(ansi).with_writer(std::io::stderr);
    let _ = log.try_init();
}

/// Waits for Ctrl-C or SIGTERM.
pub async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
