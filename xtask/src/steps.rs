//! The table of checks: what runs, in which order. Cheap ones come first, so that a slip is told within seconds.

use crate::runner::Step;
use crate::{deny, features, hygiene, ignored, msrv, names, onboarding, python, readme, soak, toolchain, walls};

/// Every check of `cargo xtask test`, in the order they run.
pub(crate) const STEPS: &[Step] = &[
    Step { name: "fmt", about: "rustfmt leaves every file as it is", run: toolchain::fmt },
    Step { name: "walls", about: "no crate depends on what its wall forbids", run: walls::check },
    Step { name: "names", about: "sled, reqwest and backoff are each named in one file", run: names::check },
    Step { name: "ignored", about: "no test or documentation example is switched off", run: ignored::check },
    Step {
        name: "hygiene",
        about: "no machine paths, no leftover markers, no dead relative links",
        run: hygiene::check,
    },
    Step {
        name: "readme",
        about: "README code equals the example files, and the set-up commands stand",
        run: readme::check,
    },
    Step { name: "msrv", about: "no dependency needs a newer Rust than we promise", run: msrv::check },
    Step { name: "deny", about: "licences, duplicate versions and sources follow deny.toml", run: deny::check },
    Step { name: "clippy", about: "no warnings in any target with all features", run: toolchain::clippy },
    Step { name: "test", about: "all tests and documentation examples, in shared processes", run: toolchain::test },
    Step {
        name: "lab",
        about: "attacks on every promise, in short; cargo xtask soak has them at length",
        run: soak::check,
    },
    Step {
        name: "features",
        about: "each library builds without warnings with no, each and all features",
        run: features::check,
    },
    Step { name: "docs", about: "the documentation builds without warnings", run: toolchain::docs },
    Step {
        name: "onboarding",
        about: "the main example: first run, second run, crash and resume",
        run: onboarding::check,
    },
    Step { name: "python", about: "the wheel, installed into every Python here, and its tests", run: python::check },
];

/// Prints the table.
pub(crate) fn list() {
    for Step { name, about, .. } in STEPS {
        println!("{name:12} {about}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), STEPS.len());
    }
}
