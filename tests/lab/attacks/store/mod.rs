//! Attacks on the embedded store, below the hub: the folder, the disk it lies on, and the power.
//!
//! They write a diary of random batches, so that what the store must hold after any batch is known; then they do
//! something to the store, open it, and compare.

pub(crate) mod broken_disk;
pub(crate) mod damage;
mod diary;
mod folder;
pub(crate) mod full_disk;
pub(crate) mod power;
