//! Damage to the files of a store that nobody has open: flipped bits, cuts, zeroed and swapped pages.
//!
//! The stores are closed ones and killed ones (copies of a folder in use), at different distances from their last
//! snapshot and checkpoint. First each part is hit alone: nothing is lost, with one exception, the journal of a killed
//! store, which may be the only one that holds something; then opening refuses and names it. Then two parts at once:
//! the same, and where a killed store has lost both its journal's end and the note of where that was, it says that it
//! cannot tell.

use std::path::{Path, PathBuf};

use bifrost::ErrorKind;
use bifrost::store::Store;
use bifrost::store::embedded::EmbeddedStore;
use tempfile::TempDir;

use super::diary::Diary;
use super::folder::{self, Opening, files, options};
use crate::dice::Dice;
use crate::findings::Findings;
use crate::lab::{Attack, Round};

pub(crate) const ATTACK: Attack = Attack {
    name: "damage",
    promise: "damage to any one part of a closed store loses nothing; what is lost otherwise is refused by name",
    unit: "damaged stores",
    run,
};

const PAGE: usize = 4096;

/// A store at rest.
struct Specimen {
    folder: TempDir,
    diary: Diary,
    closed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Journal,
    State,
    Snapshot,
    /// What the store notes about itself.
    Notes,
}

const PARTS: [Part; 4] = [Part::Journal, Part::State, Part::Snapshot, Part::Notes];

fn run(round: &Round) -> Findings {
    round.in_real_time(async {
        let (mut findings, dice) = (Findings::default(), round.dice());
        let mut specimens = Vec::new();
        for number in 0..round.scale(4, 16) {
            specimens.push(grow(&dice, number % 2 == 0).await);
        }
        for number in 0..round.scale(90, 1_000) {
            let specimen = dice.pick(&specimens);
            attempt(&mut findings, &dice, specimen, &[PARTS[number as usize % PARTS.len()]]).await;
        }
        for _ in 0..round.scale(20, 200) {
            let (one, other) = (dice.below(4), 1 + dice.below(3));
            let both = [one, one + other].map(|number| PARTS[number as usize % PARTS.len()]);
            attempt(&mut findings, &dice, dice.pick(&specimens), &both).await;
        }
        findings
    })
}

/// A store with some history, closed or as a kill leaves it.
async fn grow(dice: &Dice, closed: bool) -> Specimen {
    let (folder, mut diary) = (tempfile::tempdir().unwrap(), Diary::default());
    let Opening::Opened(store) = folder::open(folder.path(), options()).await else { panic!("a new store must open") };
    for _ in 0..60 + dice.below(120) {
        store.commit(diary.next(dice, 60)).await.unwrap();
        if dice.chance(1, 60) {
            store.checkpoint().await.unwrap();
        }
    }
    let folder = if closed { folder } else { folder::image(folder.path()) };
    store.close().await.unwrap();
    Specimen { folder, diary, closed }
}

async fn attempt(findings: &mut Findings, dice: &Dice, specimen: &Specimen, parts: &[Part]) {
    findings.attempt();
    let image = folder::image(specimen.folder.path());
    let what: Vec<_> = parts.iter().filter_map(|part| hit(dice, image.path(), *part)).collect();
    if dice.chance(1, 10) {
        // The engine's own leftover of a kill keeps it from opening by itself.
        std::fs::write(image.path().join("state/snap.00000000000000FF.generating"), b"half").unwrap();
    }
    let may_refuse = parts.len() > 1 || (!specimen.closed && parts == [Part::Journal]);
    let last = specimen.diary.len();
    let outcome = match folder::open(image.path(), options()).await {
        Opening::Opened(store) => recovered(findings, specimen, image.path(), store, parts).await,
        Opening::Refused(error) => match error.kind() {
            ErrorKind::AcknowledgedDataMissing if may_refuse => {
                findings.count("refused by name", 1.0);
                let number = |name| error.context(name).and_then(|text| text.parse::<u64>().ok());
                let names = number("first").is_some_and(|first| (1..=last).contains(&first));
                names.then_some(()).ok_or_else(|| format!("the refusal does not name what is missing: {error:?}"))
            }
            ErrorKind::StoreCorrupt if parts.len() > 1 => {
                findings.count("refused as corrupt", 1.0);
                Ok(())
            }
            _ => Err(format!("opening failed: {error:?}")),
        },
        Opening::Wrong(what) => Err(what),
    };
    if let Err(wrong) = outcome {
        let kind = if specimen.closed { "closed" } else { "killed" };
        findings.violation(format!("{kind} store of {last} batches, {what:?}: {wrong}"));
    }
}

/// Everything must be there, and be there again the next time, without anything left to report.
async fn recovered(
    findings: &mut Findings,
    specimen: &Specimen,
    path: &Path,
    store: EmbeddedStore,
    parts: &[Part],
) -> Result<(), String> {
    let report = store.health().open_report;
    let unsure = !specimen.closed && parts.len() > 1;
    if unsure && report.iter().any(|said| said.contains("goes unnoticed")) {
        findings.count("could not be sure, and said so", 1.0);
        return Ok(());
    }
    findings.count(if report.is_empty() { "harmless" } else { "recovered and said" }, 1.0);
    let last = specimen.diary.len();
    specimen.diary.compare(&store, last, last).await.map_err(|wrong| format!("{wrong}; report {report:?}"))?;
    store.close().await.map_err(|error| format!("closing failed: {error:?}"))?;
    match folder::open(path, options()).await {
        Opening::Opened(again) => {
            let report = again.health().open_report;
            specimen.diary.compare(&again, last, last).await.map_err(|wrong| format!("the next time: {wrong}"))?;
            if report.is_empty() { Ok(()) } else { Err(format!("not mended for good: {report:?}")) }
        }
        Opening::Refused(error) => Err(format!("the next opening failed: {error:?}")),
        Opening::Wrong(what) => Err(what),
    }
}

/// Does something to a file of this part; says what.
fn hit(dice: &Dice, path: &Path, part: Part) -> Option<String> {
    let targets: Vec<PathBuf> = match part {
        Part::Journal => files(path, "journal"),
        // Among the engine's files, most often the one with the records.
        Part::State if dice.chance(3, 4) => vec![path.join("state/db")],
        Part::State => files(path, "state"),
        Part::Snapshot => files(path, "snapshots"),
        Part::Notes => vec![path.join("mark"), path.join("acked")],
    };
    let targets: Vec<_> =
        targets.into_iter().filter(|path| path.metadata().is_ok_and(|found| found.len() > 0)).collect();
    if targets.is_empty() {
        return None;
    }
    let target = dice.pick(&targets);
    let mut bytes = std::fs::read(target).unwrap();
    let what = spoil(dice, &mut bytes);
    std::fs::write(target, bytes).unwrap();
    Some(format!("{what} in {}", target.strip_prefix(path).unwrap().display()))
}

fn spoil(dice: &Dice, bytes: &mut Vec<u8>) -> String {
    // Where there is something: zeros are laid out ahead, and nobody misses them.
    let used: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    if used.is_empty() {
        bytes.clear();
        return "everything cut".to_owned();
    }
    let at = *dice.pick(&used);
    let page = at / PAGE * PAGE;
    let end = bytes.len().min(page + PAGE);
    match dice.below(5) {
        0 => {
            bytes[at] ^= 1 << dice.below(8);
            format!("a bit flipped at {at}")
        }
        1 => {
            bytes.truncate(at);
            format!("cut at {at}")
        }
        2 => {
            bytes[page..end].fill(0);
            format!("the page at {page} zeroed")
        }
        3 => {
            bytes[page..end].fill_with(|| dice.next() as u8);
            format!("noise in the page at {page}")
        }
        _ => {
            let other = *dice.pick(&used) / PAGE * PAGE;
            let length = PAGE.min(bytes.len() - page.max(other));
            for offset in 0..length {
                bytes.swap(page + offset, other + offset);
            }
            format!("the pages at {page} and {other} swapped")
        }
    }
}
