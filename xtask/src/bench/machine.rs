//! What figures depend on: the machine, its disk, and the tools.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::process;

/// Where the stores of the figures are, if that was said; the benches in Rust read it, too.
pub(super) fn folder() -> Option<PathBuf> {
    env::var_os("BIFROST_BENCH_FOLDER").map(PathBuf::from)
}

/// A line for each thing to know; what a system does not tell is left out.
pub(super) fn facts() -> Vec<String> {
    let parts = [cores(), memory(), disk(), kernel()];
    let machine: Vec<_> = parts.into_iter().flatten().collect();
    let tools = process::capture(process::program("rustc").arg("--version")).ok();
    let rustc = tools.map(|version| format!("{}, release profile", version.trim()));
    let versions = format!("bifrost-hub {}", env!("CARGO_PKG_VERSION"));
    [Some(machine.join("; ")), rustc.map(|rustc| format!("{rustc}; {versions}"))].into_iter().flatten().collect()
}

fn cores() -> Option<String> {
    let count = std::thread::available_parallelism().ok()?.get();
    let model = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| field(&text, "model name"));
    Some(format!("{count} cores{}", model.map(|model| format!(" ({model})")).unwrap_or_default()))
}

fn memory() -> Option<String> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let kib: f64 = field(&text, "MemTotal")?.split_whitespace().next()?.parse().ok()?;
    Some(format!("{:.0} GiB of memory", kib / (1024.0 * 1024.0)))
}

fn kernel() -> Option<String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    Some(format!("Linux {} {}", release.trim(), env::consts::ARCH))
}

/// File system and device under the stores.
fn disk() -> Option<String> {
    let folder = folder().unwrap_or_else(env::temp_dir).canonicalize().ok()?;
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let (device, kind) = mounted(&mounts, &folder)?;
    let name = Path::new(&device).file_name()?.to_string_lossy().into_owned();
    Some(format!("stores on {kind}{}", rotates(&name).map(|kind| format!(", {kind} {name}")).unwrap_or_default()))
}

/// Device and file system of the mount that `folder` lies in.
fn mounted(mounts: &str, folder: &Path) -> Option<(String, String)> {
    let entries = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ');
        Some((words.next()?, Path::new(words.next()?), words.next()?))
    });
    let around = entries.filter(|(_, place, _)| folder.starts_with(place));
    let (device, _, kind) = around.max_by_key(|(_, place, _)| place.as_os_str().len())?;
    Some((device.to_owned(), kind.to_owned()))
}

/// What the kernel says of the disk; a virtual one says what its host has it say.
fn rotates(device: &str) -> Option<&'static str> {
    let whole = device.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let names = [device, whole, whole.trim_end_matches('p')];
    let paths = names.map(|name| format!("/sys/block/{name}/queue/rotational"));
    let told = paths.iter().find_map(|path| fs::read_to_string(path).ok())?;
    let virtual_disk = device.starts_with("vd") || device.starts_with("xvd");
    Some(match (virtual_disk, told.trim()) {
        (true, _) => "virtual disk",
        (false, "0") => "solid-state disk",
        (false, _) => "rotating disk",
    })
}

/// The value after `name:` in a text of such lines.
fn field(text: &str, name: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'));
    value.map(|value| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_mount_counts() {
        let mounts = "/dev/vda / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\nproc /proc proc rw 0 0\n";
        let found = |folder: &str| mounted(mounts, Path::new(folder)).unwrap();
        assert_eq!(found("/tmp/a"), ("tmpfs".into(), "tmpfs".into()));
        assert_eq!(found("/srv/b"), ("/dev/vda".into(), "ext4".into()));
    }

    #[test]
    fn fields_are_found_by_their_names() {
        let text = "MemFree:  1 kB\nMemTotal:       24000000 kB\nmodel name\t: Some CPU\n";
        assert_eq!(field(text, "MemTotal").as_deref(), Some("24000000 kB"));
        assert_eq!(field(text, "model name").as_deref(), Some("Some CPU"));
        assert_eq!(field(text, "nothing"), None);
    }
}
