//! One full disk, from the first batch to the last.

use std::time::Duration;

use bifrost::store::Store;
use bifrost::store::embedded::EmbeddedStore;
use bifrost::{ErrorKind, Retry};

use super::super::diary::Diary;
use super::super::folder::{self, Opening};
use super::disk::{Disk, SIZE};
use super::victim;
use crate::dice::Dice;
use crate::findings::Findings;

/// More batches than any disk has room for.
const ENOUGH: u64 = 5_000;

/// When the neighbour comes at the latest.
const LATE: u64 = 3_500;

/// How long room may be there before a write gets it.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) const KILLED: &str = "killed while full";
pub(super) const REOPENED: &str = "opened again while full";

type Checked<T> = Result<T, String>;

pub(super) async fn run(findings: &mut Findings, dice: &Dice, disk: &Disk) -> Checked<()> {
    let mut diary = Diary::default();
    let mut store = if disk.is_real() && dice.chance(1, 3) {
        // Filled by a process that is killed while it is refused.
        let acked = victim::fill_and_kill(dice.next(), disk, &mut diary)?;
        findings.count(KILLED, 1.0);
        reopen(findings, dice, disk, &mut diary, acked).await?
    } else {
        let store = opened(folder::open(&disk.store(), disk.options()).await)?;
        fill(dice, &store, disk, &mut diary).await?;
        store
    };
    for _ in 0..dice.below(3) {
        leave(&store, dice.chance(1, 2)).await?;
        drop(store);
        let last = diary.len();
        store = reopen(findings, dice, disk, &mut diary, last).await?;
    }
    if dice.chance(1, 3) {
        disk.crowd(0);
        match store.checkpoint().await {
            Err(error) if error.kind() != ErrorKind::StoreFull => return Err(format!("a checkpoint: {error:?}")),
            _ => {}
        }
    }
    diary.compare(&store, diary.len(), diary.len()).await.map_err(|wrong| format!("while full: {wrong}"))?;
    disk.leave();
    disk.resize(2 * SIZE);
    resume(dice, &store, &mut diary).await?;
    diary.compare(&store, diary.len(), diary.len()).await.map_err(|wrong| format!("with room again: {wrong}"))?;
    store.close().await.map_err(|error| format!("closing with room: {error:?}"))?;
    let store = opened(folder::open(&disk.store(), disk.options()).await)?;
    diary.compare(&store, diary.len(), diary.len()).await.map(drop).map_err(|wrong| format!("at last: {wrong}"))
}

fn opened(opening: Opening) -> Checked<EmbeddedStore> {
    match opening {
        Opening::Opened(store) => Ok(store),
        Opening::Refused(error) => Err(format!("it does not open: {error:?}")),
        Opening::Wrong(what) => Err(what),
    }
}

/// A batch that mostly adds, so that the disk fills up; else one that overwrites, so that the journal does it.
fn batch(dice: &Dice, diary: &mut Diary, adds: bool) -> bifrost::store::Batch {
    if adds && !dice.chance(1, 8) { diary.next_new(1_000 + dice.below(20_000) as usize) } else { diary.next(dice, 200) }
}

/// Commits until the disk is full, and some more.
async fn fill(dice: &Dice, store: &EmbeddedStore, disk: &Disk, diary: &mut Diary) -> Checked<()> {
    let adds = dice.chance(2, 3);
    // A neighbour that comes soon, late, or not at all.
    let crowded_at = if adds { dice.below(1_500) } else { dice.below(3_000) };
    let left = *dice.pick(&[0, 0, 300_000, 2_000_000, 6_000_000]);
    let mut refused = 0;
    for number in 0..ENOUGH {
        match number {
            _ if number == crowded_at => disk.crowd(left),
            // It makes do with little; with nothing it cannot.
            LATE => disk.crowd(0),
            _ => {}
        }
        let several: Vec<_> = (0..1 + dice.below(3)).map(|_| store.commit(batch(dice, diary, adds))).collect();
        let mut results = Vec::new();
        for commit in several {
            results.push(commit.await);
        }
        let kept: Vec<_> = results.iter().map(Result::is_ok).collect();
        diary.keep(&kept);
        // Of two that wait together the shorter one may still find room, and then the disk is not full.
        let says_so = store.health().refusing.is_some_and(|why| why.contains("full"));
        if kept.last() == Some(&false) && !says_so {
            return Err("its health does not say that the disk is full".to_owned());
        }
        for error in results.into_iter().filter_map(Result::err) {
            if (error.kind(), error.retryability()) != (ErrorKind::StoreFull, Retry::Later) {
                return Err(format!("a full disk was told as {error:?}"));
            }
            refused += 1;
        }
        if refused > 5 {
            break;
        }
        if refused > 0 && dice.chance(1, 3) {
            disk.crowd(left);
        }
    }
    if refused == 0 {
        return Err("the disk never was full".to_owned());
    }
    diary.compare(store, diary.len(), diary.len()).await.map(drop).map_err(|wrong| format!("once full: {wrong}"))
}

/// Lets go of it while the disk is full; closing may say that it could not finish.
async fn leave(store: &EmbeddedStore, close: bool) -> Checked<()> {
    match close {
        true => match store.close().await {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::StoreFull => Ok(()),
            Err(error) => Err(format!("closing while full: {error:?}")),
        },
        false => Ok(()),
    }
}

/// Opens it while the disk is still full, in half of the cases to the last byte: it lives on what it kept for this.
async fn reopen(
    findings: &mut Findings,
    dice: &Dice,
    disk: &Disk,
    diary: &mut Diary,
    acked: u64,
) -> Checked<EmbeddedStore> {
    if dice.chance(1, 2) {
        wait_until_let_go(disk).await;
        disk.crowd(0);
    }
    let store = opened(folder::open(&disk.store(), disk.options()).await)?;
    findings.count(REOPENED, 1.0);
    let wrong = |wrong: String| format!("opened again: {wrong}; {:?}", store.health().open_report);
    let last = diary.compare(&store, acked, diary.len()).await.map_err(wrong)?;
    diary.forget_after(last);
    Ok(store)
}

/// A store that was dropped finishes on its own; a neighbour that came during that would get what is given up for it.
async fn wait_until_let_go(disk: &Disk) {
    let lock = std::fs::File::open(disk.store().join("lock")).unwrap();
    let free = async {
        while lock.try_lock().is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, free).await.unwrap();
}

/// Writes go on by themselves when there is room.
async fn resume(dice: &Dice, store: &EmbeddedStore, diary: &mut Diary) -> Checked<()> {
    let resumed = async {
        loop {
            let before = diary.len();
            match store.commit(diary.next(dice, 200)).await {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::StoreFull => diary.forget_after(before),
                Err(error) => return Err(format!("with room again a commit failed: {error:?}")),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, resumed).await.map_err(|_| "writes did not go on".to_owned())??;
    for _ in 0..50 {
        store.commit(diary.next(dice, 200)).await.map_err(|error| format!("writing again: {error:?}"))?;
    }
    if store.health().refusing.is_some() { Err("it still says that it refuses".to_owned()) } else { Ok(()) }
}
