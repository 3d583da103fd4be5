//! The outside world of Bifrost Hub: the outbound HTTP stack, OAuth, typed clients for Microsoft Graph and HaloPSA,
//! and simulators of all three.
//!
//! This crate knows the traits of `bifrost-core` and nothing of the running system.

#[cfg(feature = "graph")]
pub mod graph;
#[cfg(feature = "halopsa")]
pub mod halopsa;
pub mod http;
pub mod oauth;
#[cfg(feature = "testing")]
pub mod testing;
