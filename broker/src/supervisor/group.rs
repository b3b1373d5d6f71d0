//! A process and all that it has started: one process group, so that a script does not leave the game behind that it has started.

use std::time::Duration;

use tokio::process::{Child, Command};

/// How often is looked whether all are gone.
const LOOK: Duration = Duration::from_millis(20);

/// The group of a child. Its number stays its own while anybody is in it, even when the child itself is gone.
#[derive(Debug)]
pub(super) struct Group(#[cfg(unix)] Option<rustix::process::Pid>);

/// Has a command begin a group. It also keeps the terminal's Ctrl-C from the process: the broker gets it, and ends it in order.
pub(super) fn lead(command: &mut Command) {
    #[cfg(unix)]
    command.process_group(0);
    #[cfg(not(unix))]
    let _ = command;
}

#[cfg(unix)]
impl Group {
    pub(super) fn of(child: &Child) -> Self {
        let number = child.id().and_then(|id| i32::try_from(id).ok());
        Self(number.and_then(rustix::process::Pid::from_raw))
    }

    /// Asks all of it to end.
    pub(super) fn terminate(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    /// Ends all of it.
    pub(super) fn kill(&self) {
        self.signal(rustix::process::Signal::KILL);
    }

    /// Ends what is left of it, once its head is gone. The group is not to be had again: its number may be another's soon.
    pub(super) fn end(&mut self) {
        self.kill();
        self.0 = None;
    }

    /// Waits until nobody is left.
    pub(super) async fn empty(&self) {
        while self.0.is_some_and(|group| {
            // Those whose parents are gone are the first process's children, which may be the broker, in a container.
            let _ = rustix::process::waitpgid(group, rustix::process::WaitOptions::NOHANG);
            rustix::process::test_kill_process_group(group).is_ok()
        }) {
            tokio::time::sleep(LOOK).await;
        }
    }

    fn signal(&self, signal: rustix::process::Signal) {
        // Nobody left is what is wanted.
        let _ = self.0.map(|group| rustix::process::kill_process_group(group, signal));
    }
}

/// Elsewhere there are no groups, and nobody who could be asked: the child itself is ended when its time is up.
#[cfg(not(unix))]
impl Group {
    pub(super) fn of(_: &Child) -> Self {
        Self()
    }

    pub(super) fn terminate(&self) {}

    pub(super) fn kill(&self) {}

    pub(super) fn end(&mut self) {}

    pub(super) async fn empty(&self) {}
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
