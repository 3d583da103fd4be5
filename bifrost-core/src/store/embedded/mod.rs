//! The embedded store: a journal as truth, sled as rebuildable state, on a local disk.
//!
//! ```text
//! commit() ──▶ queue ──▶ committer ──▶ journal (one frame, one sync per group) ──▶ state, in memory ──▶ answer
//!                          │                                                        │         ▲
//!                          └─ wakes ─▶ keeper: brings that into the engine on disk ◀┘         └─ get(), scan()
//!                                      takes checkpoints and snapshots
//! ```
//!
//! | in the store's folder | what |
//! |---|---|
//! | `lock` | the kernel's lock, and who holds it |
//! | `mark` | what ought to be found here |
//! | `acked` | the last batch that was acknowledged |
//! | `journal/` | segments of framed groups, since the last snapshot |
//! | `snapshots/` | the last snapshot, an archive like any export |
//! | `state/` | sled; moved to `state.damaged/` when it cannot be used |
//! | `ballast` | room kept for closing and opening on a full disk |
//!
//! A backup is a snapshot and the segments after it, or an export. What opening does with damage is a table in `recovery`.
//!
//! | file | about |
//! |---|---|
//! | `committer`, `queue`, `overlay` | group commit |
//! | `journal`, `frame` | the journal on disk |
//! | `state`, `record`, `meta`, `pin` | the state in memory and in sled, and views of it held in place |
//! | `snapshot`, `keeper`, `shared` | checkpoints and snapshots, refusals |
//! | `recovery`, `replay`, `mark`, `acked`, `lock` | opening, and the folder's other files |
//! | `disk`, `room`, `ballast` | the disk, and what happens when it is full |

mod acked;
mod ballast;
mod committer;
mod disk;
mod frame;
#[cfg(feature = "testing")]
pub(crate) mod fuzz;
mod journal;
mod keeper;
mod lock;
mod mark;
mod meta;
mod options;
mod overlay;
mod pin;
mod plan;
mod queue;
#[cfg(all(test, shuttle))]
mod races;
mod record;
mod recovery;
mod replay;
mod room;
mod shared;
mod snapshot;
mod state;

#[cfg(feature = "testing")]
pub use disk::{DiskHook, DiskOp};
pub use options::EmbeddedOptions;

use std::fmt;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::{self, BoxFuture, FutureExt};
use tokio::sync::oneshot;

use super::export::{ArchiveReader, ArchiveWriter, not_empty};
use super::key::{Key, Prefix};
use super::{Batch, CommitSeq, Scan, ScanPage, Store, StoreHealth, Usage, Versioned, blocking};
use crate::error::{Error, ErrorKind, Result};
use crate::sync::thread;
use acked::Acked;
use committer::{Committer, Notes};
use disk::{Disk, Draft, open_failed};
use frame::Point;
use journal::Journal;
use keeper::Keeper;
use lock::Lock;
use mark::Mark;
use pin::Patience;
use queue::Control;
use shared::{Layout, Opened, Shared};

/// A durable store in a folder of its own. One process has it open at a time.
///
/// Close it with [`Store::close`]. Dropping it instead loses nothing, but the next opening has more to do.
pub struct EmbeddedStore {
    shared: Arc<Shared>,
}

impl EmbeddedStore {
    /// Opens the store in the folder `path`, or makes one there.
    ///
    /// # Errors
    /// `StoreLocked` when another process has it open; `AcknowledgedDataMissing` when more is damaged than can be
    /// rebuilt; `StoreCorrupt` when its parts are from different stores; `StoreFull`, `InvalidInput`, `Unavailable` as
    /// the disk says.
    pub async fn open(path: impl AsRef<Path>, options: EmbeddedOptions) -> Result<Self> {
        let path = path.as_ref().to_owned();
        blocking("open store", move || open(&path, options)).await
    }

    /// Takes a snapshot now, and removes all journal before it.
    ///
    /// After this the folder holds no older form of any record, except in what sled has not yet written over: call it
    /// after erasing a tenant.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub async fn checkpoint(&self) -> Result<()> {
        let (reply, rolled) = oneshot::channel();
        self.control(Control::Roll(reply), rolled).await?;
        let shared = self.shared.clone();
        blocking("checkpoint store", move || shared.maintain(true)).await
    }

    async fn control<T>(&self, control: Control, reply: oneshot::Receiver<Result<T>>) -> Result<T> {
        if !self.shared.queue.control(control) {
            return Err(Error::new(ErrorKind::Closed, "use store", "the store is closed"));
        }
        reply.await.unwrap_or_else(|_| Err(no_answer()))
    }

    fn end(&self, control: Control) -> bool {
        let announce = || lock::announce_end(&self.shared.layout.root);
        self.shared.queue.end(control, announce)
    }

    async fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        call: impl FnOnce(&Shared) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let shared = self.shared.clone();
        blocking(operation, move || call(&shared)).await
    }
}

fn no_answer() -> Error {
    Error::new(ErrorKind::StorePoisoned, "commit batch", "the committer ended without an answer")
        .next_action("close and reopen the store")
}

fn open(path: &Path, options: EmbeddedOptions) -> Result<EmbeddedStore> {
    options.check()?;
    let disk = Disk(options.hook.clone());
    disk.create_dirs(path).map_err(|error| open_failed(path, error))?;
    let mut lock = Lock::take(path)?;
    let layout = Layout { root: lock.dir().to_owned() };
    for dir in [layout.journal(), layout.snapshots()] {
        disk.create_dirs(&dir).map_err(|error| open_failed(&dir, error))?;
    }
    room::make(&layout, &disk).map_err(|error| open_failed(&layout.root, error))?;
    let recovered = recovery::recover(&layout, &options, &disk)?;
    lock.note(recovered.epoch)?;
    let failed = |error| open_failed(path, error);
    let journal = Journal::begin(&layout.journal(), &disk, recovered.head, options.segment_bytes).map_err(failed)?;
    let mark = Mark { epoch: recovered.epoch, segment: journal.first(), closed_at: None };
    let acked = Acked::begin(&layout.root, &disk, recovered.head.seq).map_err(failed)?;
    mark::write(&disk, &layout.root, mark).map_err(failed)?;
    disk.sync_way(&layout.root).map_err(failed)?;
    let shared = Arc::new(Shared::new(Opened {
        layout,
        options,
        disk,
        state: recovered.state,
        last: recovered.head.seq,
        segments: recovered.segments,
        snapshot_bytes: recovered.snapshot_bytes,
        report: recovered.report,
    }));
    let keeper = Keeper::start(shared.clone()).map_err(failed)?;
    let committer = Committer::new(shared.clone(), Notes { mark, acked }, journal, keeper, lock);
    thread::Builder::new().name("bifrost-store-committer".to_owned()).spawn(move || committer.run()).map_err(failed)?;
    Ok(EmbeddedStore { shared })
}

/// Copies an archive into a draft, checking it on the way; where it leads.
fn take_in(draft: &mut Draft, source: Box<dyn Read + Send>) -> Result<Point> {
    let mut reader = ArchiveReader::open(source)?;
    let mut writer = ArchiveWriter::new(&mut *draft, reader.last_commit())?;
    while let Some(entry) = reader.next_entry()? {
        writer.push(&entry)?;
    }
    writer.finish()?;
    Ok(Point { seq: reader.last_commit().0, hash: reader.hash().unwrap_or_default() })
}

#[async_trait]
impl Store for EmbeddedStore {
    fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<CommitSeq>> {
        let queued = batch.check_limits().and_then(|()| self.shared.queue.push(batch));
        match queued {
            Ok(answer) => async move { answer.await.unwrap_or_else(|_| Err(no_answer())) }.boxed(),
            Err(error) => future::ready(Err(error)).boxed(),
        }
    }

    async fn get(&self, key: &Key) -> Result<Option<Versioned>> {
        let key = key.clone();
        self.read("read record", move |shared| shared.state.get(&key)).await
    }

    async fn scan(&self, scan: Scan) -> Result<ScanPage> {
        self.read("scan records", move |shared| shared.state.scan(&scan)).await
    }

    async fn usage(&self, prefix: &Prefix) -> Result<Usage> {
        let prefix = prefix.clone();
        self.read("measure records", move |shared| shared.state.usage(&prefix)).await
    }

    async fn export(&self, sink: Box<dyn Write + Send>) -> Result<CommitSeq> {
        self.read("export store", move |shared| {
            pin::export(&shared.state, Patience::GiveUp, sink).map(|at| CommitSeq(at.seq))
        })
        .await
    }

    async fn import(&self, source: Box<dyn Read + Send>) -> Result<CommitSeq> {
        if self.shared.last() > 0 {
            return Err(not_empty(CommitSeq(self.shared.last())));
        }
        let path = snapshot::draft_path(&self.shared.layout.snapshots(), "import");
        let (disk, draft) = (self.shared.disk.clone(), path.clone());
        let at = blocking("import store", move || {
            let failed = |error| open_failed(&path, error);
            let mut draft = Draft::create(&disk, &path, room::SPARE).map_err(failed)?;
            let taken = take_in(&mut draft, source).and_then(|at| {
                draft.sync().map_err(failed)?;
                Ok(at)
            });
            if taken.is_err() {
                disk.remove(&path).map_err(failed)?;
            }
            taken
        })
        .await?;
        let (reply, installed) = oneshot::channel();
        self.control(Control::Install(draft, at, reply), installed).await
    }

    fn health(&self) -> StoreHealth {
        StoreHealth {
            engine: "embedded",
            last_commit: CommitSeq(self.shared.last()),
            queued: self.shared.queue.len(),
            refusing: self.shared.refusing(),
            open_report: self.shared.report.clone(),
        }
    }

    async fn compact(&self) -> Result<()> {
        self.checkpoint().await
    }

    async fn close(&self) -> Result<()> {
        let (reply, closed) = oneshot::channel();
        if !self.end(Control::Close(reply)) {
            // Closing twice is closing.
            return Ok(());
        }
        closed.await.unwrap_or_else(|_| Err(no_answer()))
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        // The committer finishes what is queued and lets go by itself; opening the folder again waits for that.
        self.end(Control::Abandon);
    }
}

impl fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedStore")
            .field("path", &self.shared.layout.root)
            .field("last_commit", &self.shared.last())
            .finish_non_exhaustive()
    }
}
