//! What the containers use: from the engine, and from `/proc` where the host lets us look.

use std::collections::BTreeMap;
use std::fs;

use bollard::models::ContainerStatsResponse;
use futures::future::join_all;

use super::Compose;
use super::service::Service;
use crate::record::containers::Usage;

impl Compose {
    /// What every container that runs uses, by service.
    pub async fn usage(&self) -> BTreeMap<String, Usage> {
        let asked = self.services().map(|service| async {
            let stats = self.engine.usage(&service.id).await?;
            Some((service.name.clone(), usage(service, &stats)?))
        });
        join_all(asked).await.into_iter().flatten().collect()
    }
}

fn usage(service: &Service, stats: &ContainerStatsResponse) -> Option<Usage> {
    let total_ns = stats.cpu_stats.as_ref()?.cpu_usage.as_ref()?.total_usage?;
    // A container that does not run has no memory to speak of.
    let memory = stats.memory_stats.as_ref()?;
    let parts = memory.stats.as_ref();
    let part = |name: &str| parts.and_then(|parts| parts.get(name)).copied();
    // The same as `docker stats` takes off, for control groups of version 1 and 2.
    let droppable = part("total_inactive_file").or_else(|| part("inactive_file"));
    let pids = processes(&service.id);
    Some(Usage {
        cpu_us: total_ns / 1_000,
        memory_bytes: memory.usage?.saturating_sub(droppable.unwrap_or_default()),
        open_files: open_files(&pids),
        listen_overflows: pids.first().and_then(|pid| listen_overflows(*pid)),
    })
}

/// The processes of a container: those whose control group has its id. Elsewhere than on the engine's own machine there
/// are none, and never another's.
fn processes(id: &str) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| {
        fs::read_to_string(format!("/proc/{pid}/cgroup")).is_ok_and(|text| text.contains(id))
    })
    .collect()
}

fn open_files(pids: &[u32]) -> Option<u64> {
    let counts = pids.iter().map(|pid| {
        let files = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
        Some(files.count() as u64)
    });
    // No process, no figure; one that may not be looked into spoils it.
    (!pids.is_empty()).then(|| counts.sum::<Option<u64>>())?
}

fn listen_overflows(pid: u32) -> Option<u64> {
    tcp_ext(
        &fs::read_to_string(format!("/proc/{pid}/net/netstat")).ok()?,
        "ListenOverflows",
    )
}

/// A counter of /proc/net/netstat: a line of names, a line of values.
fn tcp_ext(netstat: &str, name: &str) -> Option<u64> {
    let mut lines = netstat
        .lines()
        .filter_map(|line| line.strip_prefix("TcpExt:"));
    let (names, values) = (lines.next()?, lines.next()?);
    let at = names.split_whitespace().position(|word| word == name)?;
    values.split_whitespace().nth(at)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_found_under_its_name() {
        let text = "TcpExt: SyncookiesSent ListenOverflows ListenDrops\nTcpExt: 1 22 333\nIpExt: A\nIpExt: 4\n";
        assert_eq!(tcp_ext(text, "ListenOverflows"), Some(22));
        assert_eq!(tcp_ext(text, "A"), None);
        assert_eq!(tcp_ext("", "ListenOverflows"), None);
    }

    #[test]
    fn this_process_is_in_no_container_of_that_name() {
        assert_eq!(processes("no such id"), [] as [u32; 0]);
        assert_eq!(open_files(&[]), None);
        assert!(open_files(&[std::process::id()]).is_some_and(|count| count > 2));
    }
}
