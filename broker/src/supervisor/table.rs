//! The processes that run, by the tokens that they were given.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use subtle::ConstantTimeEq as _;
use tokio::sync::Notify;

use super::Pid;

/// A token for one process, which nobody can guess.
pub(crate) fn token() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

#[derive(Default)]
pub(super) struct Table(Mutex<Vec<Row>>);

/// A process that runs.
pub(super) struct Row {
    token: String,
    pub(super) pid: Pid,
    /// Rung when it is to be killed. Only the process's own task does it, which knows that the number is not somebody else's by now.
    pub(super) kill: Arc<Notify>,
}

/// A process's row, for as long as this is kept.
#[derive(Debug)]
pub(super) struct Listed {
    table: Arc<Table>,
    kill: Arc<Notify>,
}

impl Table {
    /// Lists the process that `start` starts. Until that is done nobody is looked for: the process may be faster to connect than we are
    /// to write down its number.
    pub(super) fn list<P, E>(
        self: &Arc<Self>,
        token: String,
        start: impl FnOnce() -> Result<(Pid, P), E>,
    ) -> Result<(Listed, P), E> {
        let mut rows = self.0.lock();
        let (pid, process) = start()?;
        let kill = Arc::new(Notify::new());
        rows.push(Row { token, pid, kill: kill.clone() });
        Ok((Listed { table: self.clone(), kill }, process))
    }

    /// Looks at the row with a token. All are compared in full, so that the time it takes tells nothing of them.
    pub(super) fn find<T>(&self, token: &str, look: impl FnOnce(&Row) -> T) -> Option<T> {
        let rows = self.0.lock();
        let mut found = None;
        for row in rows.iter() {
            if bool::from(row.token.as_bytes().ct_eq(token.as_bytes())) {
                found = Some(row);
            }
        }
        found.map(look)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.lock().len()
    }
}

/// Without the tokens.
impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.lock().iter().map(|row| row.pid)).finish()
    }
}

impl Listed {
    /// Waits until somebody wants this process killed.
    pub(super) async fn killed(&self) {
        self.kill.notified().await;
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.table.0.lock().retain(|row| !Arc::ptr_eq(&row.kill, &self.kill));
    }
}
