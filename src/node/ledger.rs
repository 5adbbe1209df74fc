//! The ledger file: the node's totals, outliving SIGKILL. See [`wire::Ledger`].

use std::cell::Cell;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::wire;

/// Totals, and the file that follows them.
#[derive(Debug)]
pub(super) struct Ledger {
    totals: Cell<wire::Ledger>,
    file: Option<File>,
    has_failed: Cell<bool>,
}

impl Ledger {
    /// Zero totals; `path` is created or emptied.
    pub(super) fn create(path: Option<&Path>) -> std::io::Result<Self> {
        let ledger = Self {
            totals: Cell::default(),
            file: path.map(File::create).transpose()?,
            has_failed: Cell::new(false),
        };
        if let Some(file) = &ledger.file {
            file.write_all_at(&wire::Ledger::default().encode(), 0)?;
        }
        Ok(ledger)
    }

    /// The totals so far.
    pub(super) fn totals(&self) -> wire::Ledger {
        self.totals.get()
    }

    /// Counts an upgrade. The caller writes the 101 afterwards, so that the file never lags behind a client.
    pub(super) fn accept(&self) {
        let mut totals = self.totals.get();
        totals.accepted += 1;
        self.write(totals);
    }

    /// Counts the end of a connection.
    pub(super) fn close(&self) {
        let mut totals = self.totals.get();
        totals.closed += 1;
        self.write(totals);
    }

    /// One small write into the page cache: the kernel keeps it however the process ends.
    fn write(&self, totals: wire::Ledger) {
        self.totals.set(totals);
        let Some(file) = &self.file else { return };
        if let Err(error) = file.write_all_at(&totals.encode(), 0)
            && !self.has_failed.replace(true)
        {
            tracing::error!(%error, "the ledger cannot be written; its totals are too low from here on");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_follows_the_totals() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("n1.ledger");
        let ledger = Ledger::create(Some(&path)).unwrap();
        let read = || wire::Ledger::decode(&std::fs::read(&path).unwrap());
        assert_eq!(read(), Some(wire::Ledger::default()));
        ledger.accept();
        ledger.accept();
        ledger.close();
        let want = wire::Ledger {
            accepted: 2,
            closed: 1,
        };
        assert_eq!((read(), ledger.totals()), (Some(want), want));
    }
}
