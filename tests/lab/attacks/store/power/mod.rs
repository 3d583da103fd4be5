//! Power cuts: images of what a disk may hold when the power goes in the middle of anything.
//!
//! Every change the store makes to its files is recorded with its content (`recorder`). At a random moment an image is
//! made (`image`) that keeps what a sync covered, and of the rest whatever chance leaves: writes that are missing, torn
//! at sectors, out of order; names that were not synced in their folder; the engine's files as a mixture of their last
//! synced form and their latest. The store must open from it and hold everything acknowledged before that moment, and
//! nothing else but whole batches that were on their way. Then the power goes while that opening mends things, or while
//! a store is opened whose process was killed, so that part of what it reads was never synced.
//!
//! The seed replays the plan; which moment of the keeper's work falls on which change depends on threads.

mod image;
mod recorder;

use std::sync::Arc;

use bifrost::store::Store;
use bifrost::store::embedded::EmbeddedStore;
use tempfile::TempDir;

use self::recorder::{Moment, Recorder};
use super::diary::Diary;
use super::folder::{self, Opening, options};
use crate::dice::Dice;
use crate::findings::Findings;
use crate::lab::{Attack, Round};

pub(crate) const ATTACK: Attack = Attack {
    name: "power",
    promise: "a power cut loses nothing that was acknowledged, and leaves no half of anything else",
    unit: "power cuts",
    run,
};

/// The store's folder in the outermost one.
const FOLDER: &str = "data/store";

fn run(round: &Round) -> Findings {
    round.in_real_time(async {
        let (mut findings, dice) = (Findings::default(), round.dice());
        for _ in 0..round.scale(5, 50) {
            if let Err(wrong) = life(&mut findings, &dice).await {
                findings.violation(wrong);
            }
        }
        findings
    })
}

/// One store's life from its beginning, and power cuts at moments of it.
async fn life(findings: &mut Findings, dice: &Dice) -> Result<(), String> {
    let outer = tempfile::tempdir().unwrap();
    // Folders that have to be made are part of it.
    let folder = outer.path().join(FOLDER);
    let recorder = Arc::new(Recorder::new(outer.path(), &folder, dice.next()));
    let mut diary = Diary::default();
    if dice.chance(1, 4) {
        import(dice, &recorder, &folder, &mut diary).await?;
    }
    for _ in 0..1 + dice.below(3) {
        let store = opened(folder::open(&folder, options().with_disk_hook(recorder.clone())).await)?;
        write(dice, &store, &recorder, &mut diary).await?;
        leave(dice, store).await?;
    }
    for _ in 0..5 {
        let moment = recorder.moment(dice);
        let (image, at) = cut(findings, dice, &recorder, &moment, &diary, "").await?;
        if dice.chance(1, 2) {
            let mut diary = diary.clone();
            diary.forget_after(at);
            let recorder = Recorder::new(image.path(), &image.path().join(FOLDER), dice.next());
            recorder.acknowledged(moment.acked);
            again(findings, dice, image, recorder, diary).await?;
        }
    }
    for _ in 0..2 {
        let (moment, image) = (recorder.moment(dice), tempfile::tempdir().unwrap());
        image::after_kill(&recorder, &moment, image.path());
        let copy = folder::image(image.path());
        let at = match folder::open(&copy.path().join(FOLDER), options()).await {
            Opening::Opened(store) => diary.compare(&store, moment.acked, diary.len()).await?,
            _ => return Err("a killed store does not open".to_owned()),
        };
        findings.count("kills that left an unsynced group", f64::from(u8::from(at > moment.acked)));
        let recorder = recorder.after_kill(&moment, image.path(), &image.path().join(FOLDER), dice.next());
        let mut diary = diary.clone();
        diary.forget_after(at);
        again(findings, dice, image, recorder, diary).await?;
    }
    Ok(())
}

/// The store is opened after a power cut or a kill, and the power goes during that or some time later.
async fn again(
    findings: &mut Findings,
    dice: &Dice,
    image: TempDir,
    recorder: Recorder,
    mut diary: Diary,
) -> Result<(), String> {
    let (folder, recorder) = (image.path().join(FOLDER), Arc::new(recorder));
    let store = opened(folder::open(&folder, options().with_disk_hook(recorder.clone())).await)?;
    // That a batch which was not acknowledged is there was seen, so it has to stay.
    recorder.acknowledged(store.health().last_commit.0);
    if dice.chance(1, 2) {
        write(dice, &store, &recorder, &mut diary).await?;
    }
    leave(dice, store).await?;
    let moment = recorder.moment(dice);
    cut(findings, dice, &recorder, &moment, &diary, "after an earlier one, ").await.map(drop)
}

/// Makes the image of a power cut, opens a copy of it and compares; where the store then stands.
async fn cut(
    findings: &mut Findings,
    dice: &Dice,
    recorder: &Recorder,
    moment: &Moment,
    diary: &Diary,
    when: &str,
) -> Result<(TempDir, u64), String> {
    findings.attempt();
    let image = tempfile::tempdir().unwrap();
    image::after_power_cut(dice, recorder, moment, image.path());
    let copy = folder::image(image.path());
    let found = match folder::open(&copy.path().join(FOLDER), options()).await {
        Opening::Opened(store) => {
            let report = store.health().open_report;
            findings.count("images that needed mending", f64::from(u8::from(!report.is_empty())));
            let compared = diary.compare(&store, moment.acked, diary.len()).await;
            compared.map_err(|wrong| format!("{wrong}; report {report:?}"))
        }
        Opening::Refused(error) => Err(format!("opening failed: {error:?}")),
        Opening::Wrong(what) => Err(what),
    };
    let (Moment { index, acked, .. }, doing) = (moment, recorder.describe(moment.index));
    let found =
        found.map_err(|wrong| format!("{when}cut before change {index}, {doing}, {acked} acknowledged: {wrong}"))?;
    Ok((image, found))
}

fn opened(opening: Opening) -> Result<EmbeddedStore, String> {
    match opening {
        Opening::Opened(store) => Ok(store),
        Opening::Refused(error) => Err(format!("a store that was never hurt does not open: {error:?}")),
        Opening::Wrong(what) => Err(what),
    }
}

/// Commits a random number of batches, alone and several at a time, with checkpoints in between.
async fn write(dice: &Dice, store: &EmbeddedStore, recorder: &Recorder, diary: &mut Diary) -> Result<(), String> {
    for _ in 0..5 + dice.below(40) {
        // Sometimes twice in a row.
        while dice.chance(1, 12) {
            store.checkpoint().await.map_err(|error| format!("checkpoint: {error:?}"))?;
        }
        let several: Vec<_> = (0..1 + dice.below(4)).map(|_| store.commit(diary.next(dice, 40))).collect();
        for commit in several {
            let seq = commit.await.map_err(|error| format!("commit: {error:?}"))?;
            recorder.acknowledged(seq.0);
        }
    }
    Ok(())
}

async fn leave(dice: &Dice, store: EmbeddedStore) -> Result<(), String> {
    if dice.chance(1, 2) {
        store.close().await.map_err(|error| format!("close: {error:?}"))?;
    }
    Ok(())
}

/// Begins the store with another one's archive.
async fn import(
    dice: &Dice,
    recorder: &Arc<Recorder>,
    folder: &std::path::Path,
    diary: &mut Diary,
) -> Result<(), String> {
    let (elsewhere, archive) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
    let source = opened(folder::open(elsewhere.path(), options()).await)?;
    for _ in 0..20 + dice.below(60) {
        source.commit(diary.next(dice, 40)).await.unwrap();
    }
    source.export(Box::new(archive.reopen().unwrap())).await.unwrap();
    let store = opened(folder::open(folder, options().with_disk_hook(recorder.clone())).await)?;
    let at = store.import(Box::new(archive.reopen().unwrap())).await.map_err(|error| format!("import: {error:?}"))?;
    recorder.acknowledged(at.0);
    leave(dice, store).await
}
