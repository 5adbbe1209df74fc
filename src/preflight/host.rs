//! What this machine has to offer, read from the kernel.

use std::fs;
use std::path::Path;

use crate::topology::{limits, ports};

/// Limits and stocks of this machine. `None` where the kernel does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostFacts {
    /// Hard limit on descriptors per process.
    pub open_files: u64,
    /// Open files that the whole system has left.
    pub system_files: Option<u64>,
    /// Memory that can be used without swapping, in bytes; the control group's rest if that is less.
    pub memory: Option<u64>,
    /// First and last ephemeral port.
    pub port_range: (u16, u16),
}

impl HostFacts {
    /// Looks.
    pub fn read() -> Self {
        let text = |path: &str| fs::read_to_string(path).ok();
        let available = text("/proc/meminfo").and_then(|text| available_memory(&text));
        let memory = match (available, group_memory_left()) {
            (Some(host), Some(group)) => Some(host.min(group)),
            (host, group) => host.or(group),
        };
        Self {
            open_files: limits::open_files_limit(),
            system_files: text("/proc/sys/fs/file-nr").and_then(|text| files_left(&text)),
            memory,
            port_range: ports::ephemeral_range(),
        }
    }

    /// Number of ephemeral ports: connections from one address to one address and port.
    pub fn ports(&self) -> u64 {
        let (low, high) = self.port_range;
        u64::from(high.saturating_sub(low)) + 1
    }
}

/// `MemAvailable` of /proc/meminfo, in bytes.
fn available_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1_024)
}

/// /proc/sys/fs/file-nr: allocated, unused, maximum.
fn files_left(file_nr: &str) -> Option<u64> {
    let mut numbers = file_nr.split_whitespace().map(str::parse::<u64>);
    let allocated = numbers.next()?.ok()?;
    let most = numbers.nth(1)?.ok()?;
    Some(most.saturating_sub(allocated))
}

/// What the control group (version 2) leaves; `None` without a limit.
fn group_memory_left() -> Option<u64> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let folder = Path::new("/sys/fs/cgroup").join(path);
    let number = |name: &str| -> Option<u64> {
        let text = fs::read_to_string(folder.join(name)).ok()?;
        text.trim().parse().ok()
    };
    Some(number("memory.max")?.saturating_sub(number("memory.current")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn kernel_texts_are_read() {
        let meminfo = "MemTotal:  8 kB\nMemAvailable:    2048 kB\n";
        assert_eq!(available_memory(meminfo), Some(2 << 20));
        assert_eq!(
            files_left("1216\t0\t9223372036854775807\n"),
            Some(9_223_372_036_854_774_591)
        );
        assert_eq!(files_left("1216"), None);
    }

    #[test]
    fn this_machine_tells() {
        let facts = HostFacts::read();
        assert!(facts.open_files > 0 && facts.ports() > 0);
        assert!(facts.memory.is_some_and(|bytes| bytes > 0));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "(MemAvailable: )?[0-9]{0,22}( kB)?.{0,9}") {
            let _ = (available_memory(&text), files_left(&text));
        }
    }
}
