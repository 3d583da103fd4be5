//! The state as such: what it holds, what it refuses, and what is found of it after it was left in the middle of something.

use super::super::record::{Head, MAX_PIECE, record_key};
use super::*;

fn change(key: u8, length: Option<usize>, version: u64) -> Changes {
    let value = length.map(|length| Bytes::from(vec![key; length]));
    Changes::from([(Key::from_stored(vec![key]), Change { value, version: CommitSeq(version), ordinal: 0 })])
}

fn at(seq: u64) -> Point {
    Point { seq, hash: [1; 32] }
}

fn open(path: &Path) -> Result<State> {
    State::open(path, &Disk::default(), 1024 * 1024, true)
}

fn pieces(state: &State) -> usize {
    state.with(|inner| Ok(inner.engine.db().len())).unwrap()
}

/// Does something to what the engine is underneath, and closes.
fn with_raw(state: &State, call: &dyn Fn(&engine::Raw)) {
    let called = state.with(|inner| {
        call(inner.engine.db());
        Ok(())
    });
    called.unwrap();
    state.close();
}

#[test]
fn overwriting_and_deleting_leaves_no_chunks_behind() {
    let dir = tempfile::tempdir().unwrap();
    let state = open(dir.path()).unwrap();
    for (seq, length) in (1..).zip([Some(20_000), Some(9_000), Some(10), Some(50_000), None]) {
        state.lay(change(1, length, seq), at(seq)).unwrap();
        state.drain(Reserve::Kept).unwrap();
        let chunks = length.filter(|length| *length > MAX_PIECE).map_or(0, |length| length.div_ceil(MAX_PIECE));
        assert_eq!(pieces(&state), 1 + chunks + usize::from(length.is_some()));
    }
}

#[test]
fn a_record_that_vanished_or_came_back_is_missed() {
    let dir = tempfile::tempdir().unwrap();
    let state = open(dir.path()).unwrap();
    for seq in 1..=3 {
        state.lay(change(seq as u8, Some(10), seq), at(seq)).unwrap();
        state.drain(Reserve::Kept).unwrap();
    }
    state.close();
    open(dir.path()).unwrap().close();
    let tamper = |tamper: &dyn Fn(&engine::Raw)| {
        with_raw(&open(dir.path()).unwrap(), tamper);
        let found = open(dir.path()).map(|state| state.close());
        assert_eq!(found.unwrap_err().kind(), ErrorKind::StoreCorrupt);
    };
    let key = record_key(&[2]);
    let old = Head::of(&[2], 1, 0, b"older").encode(b"older");
    let current = Head::of(&[2], 2, 0, &[2; 10]).encode(&[2; 10]);
    tamper(&|db| drop(db.remove(&key).unwrap()));
    let repair = |db: &engine::Raw| drop(db.insert(&key, current.clone()).unwrap());
    let unverified = |call: &dyn Fn(&engine::Raw)| {
        with_raw(&State::open(dir.path(), &Disk::default(), 1024 * 1024, false).unwrap(), call);
    };
    unverified(&repair);
    tamper(&|db| drop(db.insert(&key, old.clone()).unwrap()));
    unverified(&repair);
    tamper(&|db| {
        db.insert(record_key(&[9]), Head::of(&[9], 1, 0, b"").encode(b"")).unwrap();
    });
}

fn key(number: u8) -> Key {
    Key::from_stored(vec![b'k', number])
}

/// What `seq` makes of the records numbered so: removes each third, writes the others.
fn commit(seq: u64, length: usize, numbers: impl IntoIterator<Item = u8>) -> Changes {
    let change = |(ordinal, number): (u32, u8)| {
        let value = (number % 3 > 0).then(|| Bytes::from(vec![seq as u8; length]));
        (key(number), Change { value, version: CommitSeq(seq), ordinal })
    };
    (0..).zip(numbers).map(change).collect()
}

fn reads_alike(one: &State, other: &State) {
    let prefix = Prefix::from_stored(Bytes::from_static(b"k"));
    assert_eq!(one.usage(&prefix).unwrap(), other.usage(&prefix).unwrap());
    assert_eq!(one.at().unwrap(), other.at().unwrap());
    for number in 0..80 {
        assert_eq!(one.get(&key(number)).unwrap(), other.get(&key(number)).unwrap());
        assert_eq!(one.version(&key(number)).unwrap(), other.version(&key(number)).unwrap());
    }
    for (limit, reverse) in [(1, false), (1, true), (3, false), (3, true), (7, true), (100, false), (100, true)] {
        let mut scan = Scan { prefix: prefix.clone(), after: None, limit, reverse };
        loop {
            let (one, other) = (one.scan(&scan).unwrap(), other.scan(&scan).unwrap());
            assert_eq!(one.entries, other.entries, "{limit} {reverse}");
            match one.entries.last() {
                Some((last, _)) if one.more || other.more => scan.after = Some(last.clone()),
                _ => break,
            }
        }
    }
}

#[test]
fn what_is_in_memory_reads_as_if_it_was_in_the_engine() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (state, drained) = (open(dir.path()).unwrap(), open(other.path()).unwrap());
    let begin = |state: &State| {
        let begun = state.with_mut(|open| Ok(open.memtable.freeze(open.at).is_some()));
        assert!(begun.unwrap());
    };
    // Some new, some longer, some gone, at both ends and in the middle; one part in the engine, one on its way
    // there, one fresh.
    let commits = [
        commit(1, 1_000, (0..40).map(|number| number * 2)),
        commit(2, 6_000, [0, 1, 2, 30, 31, 33, 40, 77, 78, 79]),
        commit(3, 10, [1, 3, 5, 7, 31, 32, 34, 40, 41, 79]),
    ];
    for (seq, changes) in (1..).zip(commits) {
        drained.lay(changes.clone(), at(seq)).unwrap();
        drained.drain(Reserve::Kept).unwrap();
        state.lay(changes, at(seq)).unwrap();
        match seq {
            1 => state.drain(Reserve::Kept).unwrap(),
            2 => begin(&state),
            _ => {}
        }
        reads_alike(&state, &drained);
    }
    for _ in 0..2 {
        state.drain(Reserve::Kept).unwrap();
        reads_alike(&state, &drained);
    }
    assert_eq!(pieces(&state), pieces(&drained));
    state.stick();
    assert_eq!(state.drain(Reserve::Kept).unwrap_err().kind(), ErrorKind::StoreFull);
    state
        .reopen(|| {
            drained.close();
            open(other.path())
        })
        .unwrap();
    assert!(!state.is_stuck());
    assert_eq!(state.at().unwrap(), at(3));
}

#[test]
fn an_engine_that_was_left_half_changed_says_so_and_takes_the_same_changes_again() {
    let dir = tempfile::tempdir().unwrap();
    let state = open(dir.path()).unwrap();
    state.lay(commit(1, 5_000, 0..40), at(1)).unwrap();
    state.drain(Reserve::Kept).unwrap();
    let second = commit(2, 6_000, 0..80);
    let half = second.iter().map(|(key, change)| (key.clone(), change.clone())).take(40).collect();
    state
        .with(|open| {
            assert!(open.engine.apply(&half, at(2), Reserve::Used)?);
            open.engine.put_back(at(1))
        })
        .unwrap();
    state.close();
    let state = open(dir.path()).unwrap();
    assert_eq!((state.at().unwrap(), state.reach().unwrap()), (at(1), 2));
    state.lay(second.clone(), at(2)).unwrap();
    state.drain(Reserve::Kept).unwrap();
    assert_eq!((state.at().unwrap(), state.reach().unwrap()), (at(2), 2));
    for (key, change) in &second {
        assert_eq!(state.get(key).unwrap(), change.record());
    }
    let chunks = 53 * 2;
    assert_eq!(pieces(&state), 1 + 53 + chunks);
    state.close();
    open(dir.path()).unwrap().close();
}

/// A state of records of two chunks each.
fn begun(path: &Path) -> State {
    let state = open(path).unwrap();
    state.lay(commit(1, 5_000, 0..6), at(1)).unwrap();
    state.drain(Reserve::Kept).unwrap();
    state
}

/// Makes of `changes` the moves that `is_made` says, closes, and opens again.
fn left_within(changes: &Changes, is_made: &dyn Fn(usize) -> bool) -> Result<(tempfile::TempDir, State)> {
    let dir = tempfile::tempdir().unwrap();
    let state = begun(dir.path());
    state.with(|open| open.engine.leave_within(changes, at(2), is_made)).unwrap();
    state.close();
    open(dir.path()).map(|state| (dir, state))
}

#[test]
fn an_engine_that_was_left_within_a_stride_is_whole_whichever_move_was_the_last() {
    let second: Changes = commit(2, 9_000, 0..9).into_iter().map(shortened).collect();
    // What is committed again before it gets here never does.
    let third = commit(3, 10, 2..9);
    let (_dir, expected) = begun_and(&[(2, &second), (3, &third)]);
    // Six records, of which half get three chunks, and four lose two.
    for made in 0..=6 + 3 * 3 + 4 * 2 {
        let (_dir, state) = left_within(&second, &|number| number < made).unwrap();
        assert_eq!((state.at().unwrap(), state.reach().unwrap()), (at(1), 2));
        state.lay(second.clone(), at(2)).unwrap();
        state.lay(third.clone(), at(3)).unwrap();
        state.drain(Reserve::Kept).unwrap();
        assert_eq!(pieces(&state), pieces(&expected), "after {made} moves");
        reads_alike(&state, &expected);
    }
}

/// Every other record shrinks to one piece.
fn shortened((key, mut change): (Key, Change)) -> (Key, Change) {
    if change.ordinal % 2 == 0 {
        change.value = change.value.map(|value| value.slice(..7));
    }
    (key, change)
}

/// The same without an accident.
fn begun_and(commits: &[(u64, &Changes)]) -> (tempfile::TempDir, State) {
    let dir = tempfile::tempdir().unwrap();
    let state = begun(dir.path());
    for (seq, changes) in commits {
        state.lay(Changes::clone(changes), at(*seq)).unwrap();
        state.drain(Reserve::Kept).unwrap();
    }
    (dir, state)
}

#[test]
fn a_change_that_was_made_before_its_turn_is_no_crash() {
    let second = commit(2, 10, 0..20);
    for lost in [0, 3] {
        let found = left_within(&second, &|number| number != lost).map(drop);
        assert_eq!(found.unwrap_err().kind(), ErrorKind::StoreCorrupt);
    }
}

#[test]
fn a_state_that_was_never_completed_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let state = open(dir.path()).unwrap();
    let mut left = 1_500_u32;
    let records = || {
        left = left.checked_sub(1).ok_or_else(|| Error::internal("test", "stop"))?;
        let key = Key::from_stored(left.to_be_bytes().to_vec());
        let (value, version) = (Bytes::from_static(b"x"), CommitSeq(1));
        Ok(Some(ArchiveEntry { key, value, version }))
    };
    state.fill(records, at(1)).unwrap_err();
    state.close();
    let unverified = State::open(dir.path(), &Disk::default(), 1024 * 1024, false);
    assert_eq!(unverified.unwrap_err().kind(), ErrorKind::StoreCorrupt);
}
