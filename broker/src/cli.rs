//! The flags that every program with a broker in it has.

use std::net::IpAddr;
use std::path::PathBuf;

use crate::config::{Config, ConfigError};

/// Flags, over environment, over the configuration file, over the defaults.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ServeArgs {
    /// Port for WebSocket, REST and pages; 0 takes any free one [default: 7373]
    #[arg(long, env = "PARLOR_PORT")]
    pub port: Option<u16>,
    /// Address to listen on [default: 127.0.0.1]
    #[arg(long, env = "PARLOR_HOST", value_name = "IP")]
    pub host: Option<IpAddr>,
    /// TOML file with the configuration
    #[arg(long, env = "PARLOR_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Key for REST calls that change something; without one they are refused
    #[arg(long, env = "PARLOR_SERVER_KEY", value_name = "KEY", hide_env_values = true)]
    pub server_key: Option<String>,
    /// Threads that run rooms [default: one per core]
    #[arg(long, env = "PARLOR_SHARDS", value_name = "N")]
    pub shards: Option<usize>,
}

impl ServeArgs {
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
        if let Some(shards) = self.shards {
            config.shards = shards;
        }
        config.server_key = self.server_key.clone().or(config.server_key);
        Ok(config)
    }
}

/// Writes log lines to the standard error, filtered by `RUST_LOG` (default `warn`).
pub fn log() {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    // A second call, as from several tests in one process, changes nothing.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
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
