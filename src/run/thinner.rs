//! Keeps the record on disk within its size: puts it aside when it has grown, and has a process of its own thin that.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::fault::FaultRecord;
use crate::record::collector::Collector;
use crate::record::folder::{Folder, FolderError};
use crate::topology::Topology;

/// How long thinning may take once the run has ended; what is not thinned then stays as it is.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Thinner {
    folder: Folder,
    exe: PathBuf,
    /// What may be on disk before it is put aside: half, since as much again waits to be thinned.
    most: u64,
    /// Faults that are on. Their windows are not known yet, so nothing is summed up for good.
    on: BTreeSet<u16>,
    running: Option<Child>,
    trouble: Option<String>,
}

impl Thinner {
    pub(super) fn new(folder: &Folder, exe: PathBuf, detail: u32) -> Self {
        Self {
            folder: folder.clone(),
            exe,
            most: u64::from(detail / 2),
            on: BTreeSet::new(),
            running: None,
            trouble: None,
        }
    }

    pub(super) fn note(&mut self, fault: &FaultRecord) {
        if fault.began_us.is_some() && fault.ended_us.is_none() && !fault.failed {
            self.on.insert(fault.id.0);
        } else {
            self.on.remove(&fault.id.0);
        }
    }

    /// Puts the record aside if it is time. The caller has noted every fault that has begun.
    ///
    /// # Errors
    /// When the disk does not take what is left of the record.
    pub(super) fn look(
        &mut self,
        collector: &mut Collector,
        topology: &Topology,
    ) -> Result<(), FolderError> {
        self.reap();
        if self.running.is_some()
            || self.trouble.is_some()
            || !self.on.is_empty()
            || collector.detail_bytes() < self.most
        {
            return Ok(());
        }
        collector.put_aside(&self.folder)?;
        topology.put_logs_aside();
        let child = Command::new(&self.exe)
            .arg("thin")
            .arg("--folder")
            .arg(self.folder.path())
            .arg("--access-log")
            .arg(topology.access_log())
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .process_group(i32::try_from(topology.group()).unwrap_or_default())
            .kill_on_drop(true)
            .spawn();
        match child {
            Ok(child) => self.running = Some(child),
            Err(error) => self.give_up(&error.to_string()),
        }
        Ok(())
    }

    fn reap(&mut self) {
        let Some(child) = &mut self.running else {
            return;
        };
        match child.try_wait() {
            Ok(None) => return,
            Ok(Some(status)) if status.success() => {}
            Ok(Some(status)) => self.give_up(&status.to_string()),
            Err(error) => self.give_up(&error.to_string()),
        }
        self.running = None;
    }

    /// The record is whole all the same, it only grows.
    fn give_up(&mut self, why: &str) {
        tracing::warn!("thinning the record failed: {why}");
        self.trouble = Some(format!(
            "thinning the record failed ({why}); it was kept whole from then on"
        ));
    }

    /// Ends what runs, at once if in a `hurry`. Returns what there is to say about it.
    pub(super) async fn finish(mut self, hurry: bool) -> Option<String> {
        let patience = if hurry { Duration::ZERO } else { PATIENCE };
        if let Some(child) = &mut self.running
            && tokio::time::timeout(patience, child.wait()).await.is_err()
        {
            let _ = child.kill().await;
            return self.trouble;
        }
        self.reap();
        self.trouble
    }
}
