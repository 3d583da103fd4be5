//! A disk that breaks at a random change: a write, a sync, a renaming, whichever comes k-th.
//!
//! It stays broken, or comes back after the one failure: in both cases the store may believe nothing after it. What the
//! store's keeper does meanwhile depends on threads, so a seed replays the plan, not every interleaving.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bifrost::ErrorKind;
use bifrost::store::Store;
use bifrost::store::embedded::{DiskHook, DiskOp, EmbeddedStore};

use super::diary::Diary;
use super::folder::{self, Opening, options};
use crate::dice::Dice;
use crate::findings::Findings;
use crate::lab::{Attack, Round};

pub(crate) const ATTACK: Attack = Attack {
    name: "broken-disk",
    promise: "after a failed write or sync nothing is acknowledged, and a restart finds everything that was",
    unit: "failures",
    run,
};

/// Which changes count towards the failing one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Writes,
    Syncs,
    All,
}

/// Fails the k-th change.
#[derive(Debug)]
struct Breaks {
    left: AtomicU64,
    which: Which,
    for_good: bool,
    broken: AtomicBool,
}

impl DiskHook for Breaks {
    fn before(&self, op: DiskOp<'_>) -> io::Result<()> {
        let counts = match (self.which, op) {
            // The store goes on without its ballast and its note: that is what they are for.
            (_, DiskOp::Write(path, ..) | DiskOp::Create(path) | DiskOp::Remove(path)) if is_spare(path) => false,
            (Which::Writes, DiskOp::Write(..)) | (Which::Syncs, DiskOp::Sync(_) | DiskOp::SyncDir(_)) => true,
            (which, _) => which == Which::All,
        };
        let broken = self.broken.load(Ordering::SeqCst);
        let now = counts && !broken && self.left.fetch_sub(1, Ordering::SeqCst) == 1;
        if now {
            self.broken.store(true, Ordering::SeqCst);
        }
        if now || (broken && self.for_good) { Err(io::Error::other("the disk is broken")) } else { Ok(()) }
    }
}

fn is_spare(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "ballast" || name == "acked")
}

fn run(round: &Round) -> Findings {
    round.in_real_time(async {
        let (mut findings, dice) = (Findings::default(), round.dice());
        for _ in 0..round.scale(60, 600) {
            findings.attempt();
            if let Err(wrong) = attempt(&mut findings, &dice).await {
                findings.violation(wrong);
            }
        }
        findings
    })
}

async fn attempt(findings: &mut Findings, dice: &Dice) -> Result<(), String> {
    let (folder, mut diary) = (tempfile::tempdir().unwrap(), Diary::default());
    let hook = Arc::new(Breaks {
        left: AtomicU64::new(1 + dice.below(120)),
        which: *dice.pick(&[Which::Writes, Which::Syncs, Which::All]),
        for_good: dice.chance(1, 2),
        broken: AtomicBool::new(false),
    });
    let plan = format!("{hook:?}");
    let mut acked = 0;
    for _ in 0..1 + dice.below(3) {
        let Opening::Opened(store) = folder::open(folder.path(), options().with_disk_hook(hook.clone())).await else {
            break;
        };
        acked = live(dice, &store, &mut diary, acked).await.map_err(|wrong| format!("{plan}: {wrong}"))?;
        let closed = dice.chance(1, 2) && store.close().await.is_ok();
        drop(store);
        if hook.broken.load(Ordering::SeqCst) {
            break;
        }
        if closed && acked != diary.len() {
            return Err(format!("{plan}: a batch was refused and the store closed as if nothing was wrong"));
        }
    }
    findings.count("broken in use", f64::from(u8::from(hook.broken.load(Ordering::SeqCst))));
    match folder::open(folder.path(), options()).await {
        Opening::Opened(store) => {
            let last = diary.compare(&store, acked, diary.len()).await.map_err(|wrong| format!("{plan}: {wrong}"))?;
            diary.forget_after(last);
            let next = store.commit(diary.next(dice, 40)).await;
            next.map(drop).map_err(|error| format!("{plan}: after the restart a commit failed: {error:?}"))
        }
        Opening::Refused(error) => Err(format!("{plan}: a whole disk, and opening failed: {error:?}")),
        Opening::Wrong(what) => Err(format!("{plan}: {what}")),
    }
}

/// Commits until something fails, and a little after that; the last batch that was acknowledged.
async fn live(dice: &Dice, store: &EmbeddedStore, diary: &mut Diary, mut acked: u64) -> Result<u64, String> {
    for _ in 0..10 + dice.below(50) {
        if dice.chance(1, 25) {
            let _ = store.checkpoint().await;
        }
        let several: Vec<_> = (0..1 + dice.below(3)).map(|_| store.commit(diary.next(dice, 40))).collect();
        let mut failed = false;
        for commit in several {
            match commit.await {
                Ok(seq) if failed => return Err(format!("batch {seq} was acknowledged after one that failed")),
                Ok(seq) => acked = seq.0,
                Err(error) if error.kind() == ErrorKind::StorePoisoned => failed = true,
                Err(error) => return Err(format!("it failed as {error:?}")),
            }
        }
        if failed {
            return nothing_more(dice, store).await.map(|()| acked);
        }
    }
    Ok(acked)
}

async fn nothing_more(dice: &Dice, store: &EmbeddedStore) -> Result<(), String> {
    for _ in 0..3 {
        let mut other = Diary::default();
        match store.commit(other.next(dice, 40)).await {
            Err(error) if error.kind() == ErrorKind::StorePoisoned => {}
            other => return Err(format!("after the failure a commit ended as {other:?}")),
        }
    }
    if store.health().refusing.is_none() {
        return Err("its health does not say that it takes no writes".to_owned());
    }
    super::diary::contents(store).await.map(drop).map_err(|error| format!("reads ended with the writes: {error:?}"))
}
