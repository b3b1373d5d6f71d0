//! What a process has used so far, read from /proc. Differences of two samples are what a run cost.

use super::Failure;
use std::fs;
use std::path::Path;

/// The state of a process at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Sample {
    /// User time of all threads, living and ended.
    pub(super) user_seconds: f64,
    /// System time of the same.
    pub(super) system_seconds: f64,
    /// Voluntary and involuntary, of the living threads.
    pub(super) context_switches: u64,
    /// Resident memory.
    pub(super) rss_kib: u64,
}

impl Sample {
    /// What a process, which may be `self`, and the processes that it has started have used.
    pub(super) fn take(process: &str) -> Result<Self, Failure> {
        let mut all = Self::of(process)?;
        for child in children(process) {
            // It may have ended just now.
            let Ok(of) = Self::of(&child) else { continue };
            all.user_seconds += of.user_seconds;
            all.system_seconds += of.system_seconds;
            all.context_switches += of.context_switches;
            all.rss_kib += of.rss_kib;
        }
        Ok(all)
    }

    /// Reads `/proc/<process>`.
    fn of(process: &str) -> Result<Self, Failure> {
        let root = Path::new("/proc").join(process);
        let stat = fs::read_to_string(root.join("stat"))?;
        let (user, system) = cpu_ticks(&stat).ok_or("/proc stat has another form")?;
        let mut context_switches = 0;
        for task in fs::read_dir(root.join("task"))? {
            // A thread may end between the listing and the reading.
            let status = fs::read_to_string(task?.path().join("status")).unwrap_or_default();
            context_switches +=
                field(&status, "voluntary_ctxt_switches") + field(&status, "nonvoluntary_ctxt_switches");
        }
        let rss_kib = field(&fs::read_to_string(root.join("status"))?, "VmRSS");
        Ok(Self { user_seconds: seconds(user), system_seconds: seconds(system), context_switches, rss_kib })
    }

    /// User and system time together.
    pub(super) fn cpu_seconds(self) -> f64 {
        self.user_seconds + self.system_seconds
    }
}

/// The processes that this one has started and that are alive.
pub(super) fn children(process: &str) -> Vec<String> {
    let pid = if process == "self" { std::process::id().to_string() } else { process.to_owned() };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let names = processes.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| parent(name).as_ref() == Some(&pid)).collect()
}

/// When a process was started, in clock ticks since the machine was; `None` when it has ended.
pub(super) fn start_ticks(process: &str) -> Option<u64> {
    field_after_name(&fs::read_to_string(Path::new("/proc").join(process).join("stat")).ok()?, 22)
}

/// The process that has started this one.
fn parent(process: &str) -> Option<String> {
    process.parse::<u32>().ok()?;
    let status = fs::read_to_string(Path::new("/proc").join(process).join("status")).ok()?;
    Some(field(&status, "PPid").to_string())
}

/// Time in which any core did anything for anybody, other guests of the host included.
pub(super) fn machine_seconds() -> Result<f64, Failure> {
    let stat = fs::read_to_string("/proc/stat")?;
    Ok(seconds(busy_ticks(&stat).ok_or("/proc/stat has another form")?))
}

#[expect(clippy::cast_precision_loss, reason = "ticks are few")]
fn seconds(ticks: u64) -> f64 {
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

/// The first line without its idle and waiting columns: user, nice, system, (idle, iowait,) irq, softirq, steal.
fn busy_ticks(stat: &str) -> Option<u64> {
    let columns = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
    let columns: Vec<u64> = columns.map_while(|column| column.parse().ok()).take(8).collect();
    (columns.len() == 8).then(|| columns.iter().sum::<u64>() - columns[3] - columns[4])
}

fn cpu_ticks(stat: &str) -> Option<(u64, u64)> {
    Some((field_after_name(stat, 14)?, field_after_name(stat, 15)?))
}

/// A field of `stat` by its number in the manual, from 3 on. The name before may itself hold spaces and brackets.
fn field_after_name(stat: &str, number: usize) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(number - 3)?.parse().ok()
}

/// The number after `name:`; 0 where there is none.
fn field(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times_after_a_name_with_brackets() {
        let stat = "12 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 3 0 7";
        assert_eq!(cpu_ticks(stat), Some((150, 50)));
        assert_eq!((field_after_name(stat, 22), field_after_name(stat, 30)), (Some(7), None));
        assert_eq!(cpu_ticks("nonsense"), None);
    }

    #[test]
    fn reads_fields_by_their_whole_name() {
        let status = "VmRSS:\t  1234 kB\nvoluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t5\n";
        assert_eq!(field(status, "VmRSS"), 1234);
        assert_eq!(field(status, "voluntary_ctxt_switches"), 7);
        assert_eq!(field(status, "nonvoluntary_ctxt_switches"), 5);
        assert_eq!(field(status, "absent"), 0);
    }

    #[test]
    fn reads_what_the_machine_did() {
        assert_eq!(busy_ticks("cpu  1 2 4 100 200 8 16 32 0 0\ncpu0 1\n"), Some(63));
        assert_eq!(busy_ticks("cpu0 1 2\n"), None);
        assert!(machine_seconds().unwrap() > 0.0);
    }

    #[test]
    fn what_a_process_has_started_counts_with_it() {
        let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        assert!(children("self").contains(&child.id().to_string()));
        assert!(start_ticks(&child.id().to_string()) >= start_ticks("self"));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!children("self").contains(&child.id().to_string()));
    }

    #[test]
    fn this_process_has_memory() {
        assert!(Sample::take("self").unwrap().rss_kib > 0);
    }
}
