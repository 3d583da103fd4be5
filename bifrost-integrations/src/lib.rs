//! The outside world of Bifrost Hub: the outbound HTTP stack, OAuth, typed clients for Microsoft Graph and HaloPSA,
//! and simulators of all three.
//!
//! This crate knows the traits of `bifrost-core` and nothing of the running system.

#[cfg(any(feature = "graph", feature = "halopsa"))]
pub mod call;
#[cfg(test)]
mod description;
#[cfg(feature = "graph")]
pub mod graph;
#[cfg(feature = "halopsa")]
pub mod halopsa;
pub mod http;
pub mod oauth;
#[cfg(test)]
mod scripted;
mod sync;
#[cfg(feature = "testing")]
pub mod testing;
