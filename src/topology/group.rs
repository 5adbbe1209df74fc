//! Who belongs to a process group, and who is whose child: read from `/proc`.
//!
//! Reading is all it does, except for [`kill_members`] and `kill_marked`. Zombies are left out everywhere: they hold
//! nothing any more.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

/// One live process as `/proc/<pid>/stat` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcStat {
    /// Process id.
    pub pid: u32,
    /// First 15 bytes of the executable's file name.
    pub comm: String,
    /// One letter, such as `S` or `T` (stopped).
    pub state: char,
    /// Parent's process id.
    pub parent: u32,
    /// Process group id.
    pub group: u32,
}

impl ProcStat {
    /// Reads the text of a `stat` file. `None` when it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        // The name may hold spaces and parentheses itself, so it ends at the last one.
        let (pid, rest) = text.split_once(" (")?;
        let (comm, rest) = rest.rsplit_once(") ")?;
        let mut fields = rest.split(' ');
        Some(Self {
            pid: pid.parse().ok()?,
            comm: comm.to_owned(),
            state: fields.next()?.chars().next()?,
            parent: fields.next()?.parse().ok()?,
            group: fields.next()?.parse().ok()?,
        })
    }

    /// Has it ended, only waiting to be reaped?
    pub fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }

    /// Reads one process. `None` when there is none, or when it has ended.
    pub fn of(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Self::parse(&text).filter(|stat| !stat.is_dead())
    }
}

fn all() -> impl Iterator<Item = ProcStat> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(ProcStat::of)
}

/// Live members of a process group, its leader included.
pub fn members(group: u32) -> Vec<ProcStat> {
    all().filter(|stat| stat.group == group).collect()
}

/// Live children of a process.
pub fn children(parent: u32) -> Vec<u32> {
    all()
        .filter(|stat| stat.parent == parent)
        .map(|stat| stat.pid)
        .collect()
}

/// Sends a signal; `false` when there is no such process (any more).
pub fn signal(pid: u32, signal: Signal) -> bool {
    i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .is_some_and(|pid| kill_process(pid, signal).is_ok())
}

/// Is it stopped (SIGSTOP)?
pub fn is_stopped(pid: u32) -> bool {
    ProcStat::of(pid).is_some_and(|stat| stat.state == 'T')
}

/// Time for what a signal does to show in `/proc`.
pub const SEEN: Duration = Duration::from_secs(5);

/// Waits until `is_so`, at most [`SEEN`]; says whether it came to that.
pub async fn seen(is_so: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while !is_so() {
        if start.elapsed() > SEEN {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    true
}

/// SIGKILLs every member but `spare` until none is left, or until `deadline`. Returns how many it killed and how many
/// were left. Stopped processes die too: SIGKILL needs no continuing.
///
/// Invariant of the caller: the group id cannot have been reused, since its leader or one of ours is still in it.
pub fn kill_members(group: u32, spare: u32, deadline: Duration) -> (usize, usize) {
    let find = || {
        let others = members(group).into_iter().filter(|stat| stat.pid != spare);
        others.map(|stat| stat.pid).collect()
    };
    kill_found(find, |pid| signal(pid, Signal::KILL), deadline)
}

/// The same for a group whose leader may be gone, so that the id may be another's by now: only those die that have `mark`
/// on them. The leader is spared.
pub(super) fn kill_marked(group: u32, mark: &str, deadline: Duration) -> (usize, usize) {
    let find = || {
        let ours = members(group).into_iter().map(|stat| stat.pid);
        ours.filter(|pid| *pid != group && is_marked(*pid, mark))
            .collect()
    };
    let kill = |pid: u32| {
        let id = i32::try_from(pid).ok().and_then(Pid::from_raw);
        // The descriptor stays with this very process, whoever gets its id between the look and the signal.
        id.and_then(|id| pidfd_open(id, PidfdFlags::empty()).ok())
            .is_some_and(|fd| is_marked(pid, mark) && pidfd_send_signal(&fd, Signal::KILL).is_ok())
    };
    kill_found(find, kill, deadline)
}

/// Is `mark` in its command line, its environment or the name of a file that it has open? nginx's workers write their
/// title over the first two.
fn is_marked(pid: u32, mark: &str) -> bool {
    let place = PathBuf::from(format!("/proc/{pid}"));
    let has = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(mark);
    let says = |name| fs::read(place.join(name)).is_ok_and(|bytes| has(&bytes));
    let files = fs::read_dir(place.join("fd")).into_iter().flatten();
    says("cmdline")
        || says("environ")
        || files
            .flatten()
            .filter_map(|file| fs::read_link(file.path()).ok())
            .any(|target| has(target.as_os_str().as_bytes()))
}

fn kill_found(
    find: impl Fn() -> Vec<u32>,
    kill: impl Fn(u32) -> bool,
    deadline: Duration,
) -> (usize, usize) {
    let start = Instant::now();
    let mut killed = BTreeSet::new();
    loop {
        let left = find();
        if left.is_empty() || start.elapsed() > deadline {
            return (killed.len(), left.len());
        }
        killed.extend(left.into_iter().filter(|pid| kill(*pid)));
        // A process that was forking while we looked shows up in the next look.
        thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_is_read() {
        let stat = ProcStat::parse("42 (a) b (c) S 7 9 1 0 -1").unwrap();
        assert_eq!(
            (
                stat.pid,
                stat.comm.as_str(),
                stat.state,
                stat.parent,
                stat.group
            ),
            (42, "a) b (c", 'S', 7, 9)
        );
    }

    #[test]
    fn this_process_is_found() {
        let me = ProcStat::of(std::process::id()).unwrap();
        assert!(members(me.group).iter().any(|stat| stat.pid == me.pid));
    }

    #[test]
    fn only_those_with_the_mark_on_them_are_killed() {
        use std::os::unix::process::CommandExt;
        let sleep = |mark: &str, group: i32| {
            let mut command = std::process::Command::new("sleep");
            let command = command.arg("600").env("MARK", mark).process_group(group);
            command.spawn().unwrap()
        };
        let mut leader = sleep("wssoak-ours", 0);
        let group = i32::try_from(leader.id()).unwrap();
        let (mut ours, mut other) = (sleep("wssoak-ours", group), sleep("wssoak-other", group));
        let swept = kill_marked(leader.id(), "wssoak-ours", SEEN);
        assert_eq!(swept, (1, 0));
        assert!(!ours.wait().unwrap().success());
        assert!(leader.try_wait().unwrap().is_none() && other.try_wait().unwrap().is_none());
        for mut child in [leader, other] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "[0-9]{0,4} ?\\(?.{0,12}\\)? ?[A-Z]? ?.{0,20}") {
            let _ = ProcStat::parse(&text);
        }
    }
}
