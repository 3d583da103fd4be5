//! Failures that users of comparable systems reported, and why they cannot happen here.
//!
//! Each test is named after the public thread (repository and number) in which somebody described the failure. Its
//! comment says what happened there and which rule of this hub rules it out; the test is the proof. They run in
//! virtual time and are small; the same promises are attacked at random and at length in `tests/lab`.

mod clock;
mod endpoint;
mod growth;
mod recovery;
mod refresh;
mod running;
mod secrets;
#[cfg(all(unix, feature = "embedded"))]
mod stopped;
mod tenants;
mod throttling;
