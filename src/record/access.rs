//! Counts the lines of nginx's access log, and the names that it has once it was put aside.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Lines of nginx's access log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessLines {
    /// With status 101.
    pub tunnels: u64,
    /// With any other.
    pub others: u64,
}

impl std::ops::AddAssign for AccessLines {
    fn add_assign(&mut self, other: Self) {
        self.tunnels += other.tunnels;
        self.others += other.others;
    }
}

/// The name of a log that was put aside so many times: `nginx-access.log` → `nginx-access.1.log`.
pub fn aside(log: &Path, times: u8) -> PathBuf {
    log.with_extension(format!("{times}.log"))
}

#[derive(Deserialize)]
struct Line {
    status: String,
    client: String,
}

/// Lines of one access log; `None` when there is no log in our format.
pub fn count(path: &Path) -> Option<AccessLines> {
    let mut reader = BufReader::new(File::open(path).ok()?);
    let mut lines = AccessLines::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line).ok()? == 0 {
            return Some(lines);
        }
        let entry: Line = serde_json::from_slice(&line).ok()?;
        // Every client says who it is; what does not is a poll of a template's status page.
        if entry.client.is_empty() {
            continue;
        }
        if entry.status == "101" {
            lines.tunnels += 1;
        } else {
            lines.others += 1;
        }
    }
}

/// As [`count`], with what was put aside and what was `counted` before.
pub fn count_all(log: &Path, counted: AccessLines) -> Option<AccessLines> {
    let mut sum = counted;
    sum += count(log)?;
    for times in [1, 2] {
        let aside = aside(log, times);
        if aside.exists() {
            sum += count(&aside)?;
        }
    }
    Some(sum)
}
