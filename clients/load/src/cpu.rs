//! What the load test itself costs.

use std::time::Duration;

/// The CPU time of this process so far, where the system tells.
#[cfg(unix)]
pub(crate) fn used() -> Option<Duration> {
    use rustix::time::{ClockId, clock_gettime};
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).ok()
}

/// The CPU time of this process so far, where the system tells.
#[cfg(not(unix))]
pub(crate) fn used() -> Option<Duration> {
    None
}

/// The cores that this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
