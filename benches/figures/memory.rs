//! What this process holds and has written, as the kernel counts it.

use std::path::Path;

/// Resident memory in MiB, page by page: the sum that the kernel keeps ready is late by some dozens of pages.
pub(crate) fn resident_mib() -> f64 {
    let pages = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    let line = pages.lines().find_map(|line| line.strip_prefix("Rss:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or_default() / 1024.0
}

/// Bytes this process has handed to the file system. What the kernel counts as sent to the disk says less: it counts the
/// whole of a large page of its cache for each byte written into it.
pub(crate) fn written_bytes() -> f64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    io.lines().find_map(|line| line.strip_prefix("wchar: ")?.parse().ok()).unwrap_or_default()
}

/// Bytes in a folder's files.
pub(crate) fn folder_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => folder_bytes(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    });
    sizes.sum()
}
