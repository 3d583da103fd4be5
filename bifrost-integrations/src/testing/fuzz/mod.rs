//! Bodies of fuzz targets: each takes noise for what a provider answers, and asserts what must hold of what the hub
//! makes of it.
//!
//! The same bodies run under libFuzzer (`fuzz/` in the repository) and, with random bytes and with damaged samples, in
//! this crate's tests. The clients are the real ones over the real stack; only the transport is made of noise.

#[cfg(all(feature = "graph", feature = "halopsa"))]
mod clients;
mod headers;
#[cfg(all(feature = "graph", feature = "halopsa"))]
mod peer;
#[cfg(all(feature = "graph", feature = "halopsa"))]
mod settings;
mod texts;
#[cfg(all(feature = "graph", feature = "halopsa"))]
mod tokens;

#[cfg(all(feature = "graph", feature = "halopsa"))]
pub use clients::{graph, halopsa, links};
pub use headers::retry_after;
#[cfg(all(feature = "graph", feature = "halopsa"))]
pub use settings::settings;
pub use texts::redaction;
#[cfg(all(feature = "graph", feature = "halopsa"))]
pub use tokens::tokens;

/// Every body of this crate.
#[cfg(all(feature = "graph", feature = "halopsa"))]
pub const TARGETS: &[bifrost_core::testing::fuzz::Target] = &[
    ("graph", graph),
    ("halopsa", halopsa),
    ("links", links),
    ("redaction", redaction),
    ("retry_after", retry_after),
    ("settings", settings),
    ("tokens", tokens),
];
