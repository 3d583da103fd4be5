//! Looking for secrets in what was said and stored.

use std::path::Path;

use super::forms::forms;

/// What there is to look through, and what must not be in it.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// What kind of secret, and its text.
    pub(super) secrets: Vec<(&'static str, String)>,
    pub(super) places: Vec<(String, Vec<u8>)>,
}

impl Evidence {
    pub(super) fn secret(&mut self, kind: &'static str, text: impl Into<String>) {
        self.secrets.push((kind, text.into()));
    }

    pub(super) fn place(&mut self, name: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.places.push((name.into(), bytes.into()));
    }

    /// All files in a folder, with their names.
    pub(super) fn folder(&mut self, folder: &Path) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => self.folder(&path),
                false => {
                    let name = format!("the store's file {}", path.file_name().unwrap().to_string_lossy());
                    self.place(format!("the name of {name}"), path.to_string_lossy().into_owned());
                    self.place(name, std::fs::read(&path).unwrap());
                }
            }
        }
    }
}

/// Where a secret was found, in which form.
pub(super) fn search(evidence: &Evidence) -> Vec<String> {
    let places: Vec<(&String, String)> = evidence.places.iter().map(|(name, bytes)| (name, as_text(bytes))).collect();
    let mut hits = Vec::new();
    for (kind, secret) in &evidence.secrets {
        for form in forms(secret) {
            let form = as_text(&form);
            for (name, text) in &places {
                if let Some(at) = text.find(&form) {
                    let around: String = text[..at].chars().rev().take(120).collect();
                    let around: String = around.chars().rev().collect();
                    hits.push(format!("{kind} in {name}, as {form:?} after {around:?}"));
                }
            }
        }
    }
    hits
}

/// One character per byte, so that bytes of any kind can be searched as text.
fn as_text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

#[allow(dead_code, reason = "a search that finds nothing proves something only if it can find")]
pub(super) fn finds_what_is_there() -> bool {
    let secret = "sö/+\"ecret-0123456789";
    forms(secret).into_iter().all(|form| {
        let mut evidence = Evidence::default();
        evidence.secret("secret", secret);
        evidence.place("place", [b"before ".to_vec(), form, b" after".to_vec()].concat());
        !search(&evidence).is_empty()
    })
}
