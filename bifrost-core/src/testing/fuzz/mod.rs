//! Bodies of fuzz targets: each takes noise, and asserts what must hold of what comes of it.
//!
//! The same bodies run under libFuzzer (`fuzz/` in the repository) and, with random bytes and with damaged samples, in
//! this crate's tests. They stay inside the crate, because most of what reads noise is private.

mod archive;
mod ids;
mod noise;
mod params;
mod records;

pub use archive::archive;
pub use ids::ids;
pub use noise::{Noise, damaged};
pub use params::params;
pub use records::{audit_trail, records};

#[cfg(feature = "embedded")]
pub use crate::store::embedded::fuzz::{frame, stored_record};
pub use crate::store::seal::fuzz::{key_file, sealed};

/// A body with the name of its target.
pub type Target = (&'static str, fn(&[u8]));

/// Every body of this crate.
#[cfg(feature = "embedded")]
pub const TARGETS: &[Target] = &[
    ("archive", archive),
    ("audit_trail", audit_trail),
    ("frame", frame),
    ("ids", ids),
    ("key_file", key_file),
    ("params", params),
    ("records", records),
    ("sealed", sealed),
    ("stored_record", stored_record),
];
