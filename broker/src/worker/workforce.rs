//! What a broker has for its workers besides the port: a Unix socket, and processes that it starts itself.

use std::sync::Arc;
use std::time::Duration;

use super::door::{ClosedDoor, UnixDoor};
use super::entry::Gate;
use crate::config::Workers;
use crate::supervisor::{ADDRESS_VAR, Supervisor, Told};
use crate::telemetry::Metrics;

/// How long processes get to end by themselves when the broker does.
const GRACE: Duration = Duration::from_millis(1_500);

/// Dropping it ends all at once.
#[derive(Debug)]
pub(crate) struct Workforce {
    supervisor: Option<Arc<Supervisor>>,
    _door: Option<UnixDoor>,
}

impl Workforce {
    /// Opens the socket, and then starts those who come to it, with `told` in their environment.
    ///
    /// # Errors
    /// In one line.
    pub(crate) fn start(
        terms: &Workers,
        mut told: Vec<Told>,
        gate: &Arc<Gate>,
        metrics: &Metrics,
    ) -> Result<Self, String> {
        let own = || std::env::temp_dir().join(format!("parlor-{}.sock", std::process::id()));
        let path = terms.socket.clone().or_else(|| terms.command.is_some().then(own));
        let shown = path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        let closed = path.map(|path| ClosedDoor::at(&path).map_err(|error| format!("{shown}: {error}"))).transpose()?;
        told.push((ADDRESS_VAR, format!("unix:{shown}")));
        let start = |command: &String| Supervisor::start(command, terms.count, told, metrics);
        let started = terms.command.as_ref().map(start).transpose().map_err(|error| error.to_string())?;
        let supervisor = started.map(Arc::new);
        supervisor.iter().for_each(|supervisor| gate.supervise(supervisor));
        // Who is started now waits at the door until it is known who may come in.
        let door = closed.map(|closed| closed.open(gate.clone())).transpose().map_err(|error| error.to_string())?;
        Ok(Self { supervisor, _door: door })
    }

    /// Ends the processes that it has started.
    pub(crate) async fn stop(&self) {
        if let Some(supervisor) = &self.supervisor {
            supervisor.stop(GRACE).await;
        }
    }
}
