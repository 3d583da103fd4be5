//! How an embedded store is set up.

use std::sync::Arc;

use super::disk::DiskHook;
use crate::error::{Error, Result};

const MIB: u64 = 1024 * 1024;

/// How an embedded store is set up. The defaults suit a hub of some thousand tenants on a small machine.
///
/// ```
/// use bifrost_core::store::embedded::EmbeddedOptions;
///
/// let options = EmbeddedOptions::default().with_cache_bytes(64 * 1024 * 1024);
/// # let _ = options;
/// ```
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    pub(super) cache_bytes: u64,
    pub(super) memtable_bytes: u64,
    pub(super) segment_bytes: u64,
    pub(super) checkpoint_bytes: u64,
    pub(super) snapshot_bytes: u64,
    pub(super) ballast_bytes: u64,
    pub(super) verify_on_open: bool,
    pub(super) accept_loss: bool,
    pub(super) hook: Option<Arc<dyn DiskHook>>,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 32 * MIB,
            memtable_bytes: 2 * MIB,
            segment_bytes: 8 * MIB,
            checkpoint_bytes: 16 * MIB,
            snapshot_bytes: 64 * MIB,
            ballast_bytes: 8 * MIB,
            verify_on_open: true,
            accept_loss: false,
            hook: None,
        }
    }
}

impl EmbeddedOptions {
    /// How much memory the state may use as a cache. Default: 32 MiB.
    #[must_use]
    pub fn with_cache_bytes(mut self, bytes: u64) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// How much of what was committed gathers in memory before it is brought into the state. Default: 2 MiB; up to three
    /// times that is held while much is written. More of it spares work for records that change often.
    #[must_use]
    pub fn with_memtable_bytes(mut self, bytes: u64) -> Self {
        self.memtable_bytes = bytes;
        self
    }

    /// How long a journal segment gets. Default: 8 MiB.
    #[must_use]
    pub fn with_segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// After how much journal the state is made durable, which bounds what opening has to replay. Default: 16 MiB.
    #[must_use]
    pub fn with_checkpoint_bytes(mut self, bytes: u64) -> Self {
        self.checkpoint_bytes = bytes;
        self
    }

    /// After how much journal, at least, a snapshot is taken and the journal before it removed. Default: 64 MiB, and
    /// never less than the last snapshot was long.
    #[must_use]
    pub fn with_snapshot_bytes(mut self, bytes: u64) -> Self {
        self.snapshot_bytes = bytes;
        self
    }

    /// How much room is kept for the day the disk is full. Default: 8 MiB; 0 keeps none.
    #[must_use]
    pub fn with_ballast_bytes(mut self, bytes: u64) -> Self {
        self.ballast_bytes = bytes;
        self
    }

    /// Whether opening reads every record and the whole snapshot to be sure that they are as written. Default: yes. It
    /// takes about a second per million records; without it, damage shows when a record is read.
    #[must_use]
    pub fn with_verify_on_open(mut self, verify: bool) -> Self {
        self.verify_on_open = verify;
        self
    }

    /// Opens a store although acknowledged batches are missing. Only after `AcknowledgedDataMissing`, by a person.
    #[must_use]
    pub fn with_accept_loss(mut self, accept: bool) -> Self {
        self.accept_loss = accept;
        self
    }

    /// Lets `hook` see, and fail, every change to the store's own files.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn with_disk_hook(mut self, hook: Arc<dyn DiskHook>) -> Self {
        self.hook = Some(hook);
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.segment_bytes == 0 || self.checkpoint_bytes == 0 {
            return Err(Error::invalid("open store", "a segment and a checkpoint need at least one byte"));
        }
        Ok(())
    }
}
