//! The bodies of the fuzz targets, on stable: over random bytes, over samples that were damaged, and over every
//! sample as it lies in the repository, which is what libFuzzer has found so far.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bifrost_core::testing::fuzz::{TARGETS, damaged};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

fn samples(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

/// Runs `body` over what `inputs` makes, for every target; what failed is told together.
fn hold<S: Strategy>(cases: u32, inputs: impl Fn(&str) -> S, read: impl Fn(&str, S::Value) -> Vec<u8>) {
    let mut failed = String::new();
    for (name, body) in TARGETS {
        let config = Config { cases, failure_persistence: None, ..Config::default() };
        // The same inputs each time: libFuzzer is who looks for new ones.
        let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        let ran = runner.run(&inputs(name), |input| {
            body(&read(name, input));
            Ok(())
        });
        failed.extend(ran.err().map(|error| format!("{name}: {error}\n")));
    }
    assert!(failed.is_empty(), "{failed}");
}

#[test]
fn every_sample_of_the_corpus_holds() {
    let mut failed = Vec::new();
    for (name, body) in TARGETS {
        let samples = samples(name);
        assert!(!samples.is_empty(), "{name} has no samples");
        let broken = samples.into_iter().filter(|(_, sample)| std::panic::catch_unwind(|| body(sample)).is_err());
        failed.extend(broken.map(|(path, _)| path));
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn random_bytes_hold() {
    hold(400, |_| vec(any::<u8>(), 0..600), |_, bytes| bytes);
}

#[test]
fn damaged_samples_hold() {
    let samples: HashMap<_, _> = TARGETS.iter().map(|(name, _)| (*name, samples(name))).collect();
    let edits = || vec(any::<(u16, u8, u8)>(), 1..12);
    let inputs = |_: &str| (any::<prop::sample::Index>(), edits());
    hold(1_000, inputs, |name, (which, edits)| damaged(&which.get(&samples[name]).1, &edits));
}
