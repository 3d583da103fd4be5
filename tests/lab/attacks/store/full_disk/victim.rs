//! The store that is killed while its disk is full: a process of its own, which says what was acknowledged.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use bifrost::ErrorKind;
use bifrost::store::Store;

use super::super::diary::Diary;
use super::super::folder::{self, Opening};
use super::disk::Disk;
use crate::dice::Dice;

/// After how many refusals the latest kill falls.
const REFUSALS: u64 = 40;

/// Fills the disk and goes on being refused, until it is killed.
pub(super) fn live(disk: &Path, seed: u64) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (disk, dice, mut diary) = (Disk::Real(disk.to_owned()), Dice::new(seed), Diary::default());
    runtime.block_on(async {
        let Opening::Opened(store) = folder::open(&disk.store(), disk.options()).await else {
            return ExitCode::FAILURE;
        };
        let mut out = std::io::stdout();
        loop {
            let before = diary.len();
            let batch = next(&dice, &mut diary);
            let told = match store.commit(batch).await {
                Ok(seq) => writeln!(out, "acked {seq}"),
                Err(error) if error.kind() == ErrorKind::StoreFull => {
                    diary.forget_after(before);
                    writeln!(out, "refused")
                }
                Err(error) => writeln!(out, "failed {error}"),
            };
            if told.and_then(|()| out.flush()).is_err() {
                return ExitCode::FAILURE;
            }
        }
    })
}

/// Its batches: the same for every reader of the seed, because each is thrown before it is known what comes of it.
fn next(dice: &Dice, diary: &mut Diary) -> bifrost::store::Batch {
    let length = 1_000 + dice.below(20_000) as usize;
    diary.next_new(length)
}

/// Lets it fill the disk, kills it some time after the first refusal, and writes its diary again, with the batch that
/// was on its way as the last. Returns the last one that was acknowledged.
pub(super) fn fill_and_kill(seed: u64, disk: &Disk, diary: &mut Diary) -> Result<u64, String> {
    let Disk::Real(path) = disk else { return Err("only a store on a real disk can be killed".to_owned()) };
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["child", "full-disk", "victim"]).arg(path).arg(seed.to_string());
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let dice = Dice::new(seed);
    let (mut refusals, last_refusal) = (0, 1 + Dice::new(!seed).below(REFUSALS));
    let mut wrong = None;
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
        let before = diary.len();
        drop(next(&dice, diary));
        if line == "refused" {
            diary.forget_after(before);
            refusals += 1;
        } else if !line.starts_with("acked") {
            wrong = Some(line);
        }
        // What it said until then is read to the end.
        if refusals == last_refusal || wrong.is_some() {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    let acked = diary.len();
    drop(next(&dice, diary));
    wrong.map_or(Ok(acked), |line| Err(format!("the store that was to be killed: {line}")))
}
