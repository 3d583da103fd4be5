//! The embedded store: a journal as truth, sled as rebuildable state.
