//! The master key in a file beside the store: the default where there is no key vault.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind as IoKind, Read, Write};
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::provider::{KeyProvider, MasterKey};
use super::{DataKey, KEY_LEN};
use crate::entropy::Entropy;
use crate::error::{Error, Result};
use crate::store::key::Scope;

/// A master key read from a file that only its owner may read.
///
/// The file holds the key as raw bytes. Back it up apart from the store: without it the store is noise, and with it a
/// copy of the store is an open book.
#[derive(Debug)]
pub struct LocalKeyFile(MasterKey);

impl LocalKeyFile {
    /// Reads the key file, or makes one with a new key when there is none.
    ///
    /// # Errors
    /// `InvalidInput` when the file can be read by others than its owner, cannot be read, or is no key file.
    pub async fn open(path: impl AsRef<Path>, entropy: Arc<dyn Entropy>) -> Result<Self> {
        Self::obtain(path, entropy, read_or_create).await
    }

    /// Reads the key file of a store that was written before: a new key could open nothing in it.
    ///
    /// # Errors
    /// As [`LocalKeyFile::open`], and `InvalidInput` when there is none.
    pub async fn open_existing(path: impl AsRef<Path>, entropy: Arc<dyn Entropy>) -> Result<Self> {
        Self::obtain(path, entropy, |path, _| match File::open(path) {
            Ok(file) => read(path, file),
            Err(error) if error.kind() == IoKind::NotFound => Err(missing(path)),
            Err(error) => Err(unreadable(path, error)),
        })
        .await
    }

    async fn obtain(
        path: impl AsRef<Path>,
        entropy: Arc<dyn Entropy>,
        key: impl FnOnce(&Path, &dyn Entropy) -> Result<DataKey> + Send + 'static,
    ) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let blocking = tokio::task::spawn_blocking(move || {
            let key = key(&path, &*entropy)?;
            Ok(Self(MasterKey::new("local", key, &*entropy)))
        });
        blocking.await.map_err(|error| Error::internal("open key file", "the reader ended early").source(error))?
    }
}

fn read_or_create(path: &Path, entropy: &dyn Entropy) -> Result<DataKey> {
    match File::open(path) {
        Ok(file) => read(path, file),
        Err(error) if error.kind() == IoKind::NotFound => create(path, entropy),
        Err(error) => Err(unreadable(path, error)),
    }
}

fn read(path: &Path, file: File) -> Result<DataKey> {
    check_mode(path, &file)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_LEN + 1));
    file.take(KEY_LEN as u64 + 1).read_to_end(&mut bytes).map_err(|error| unreadable(path, error))?;
    key_of(path, &bytes)
}

/// The key in the content of a key file.
pub(super) fn key_of(path: &Path, bytes: &[u8]) -> Result<DataKey> {
    if bytes.len() != KEY_LEN {
        return Err(Error::invalid("open key file", "the file is no key file: it has the wrong length")
            .with("path", path.display())
            .with("limit", KEY_LEN)
            .next_action("restore the key file from your backup; a new one cannot open the existing store"));
    }
    DataKey::from_bytes(bytes)
}

/// Never replaces a file: of two processes that start at once, one makes the key and the other reads it.
fn create(path: &Path, entropy: &dyn Entropy) -> Result<DataKey> {
    let key = DataKey::generate(entropy);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(|error| not_created(path, error))?;
    let written = file.write_all(key.expose()).and_then(|()| file.sync_all()).and_then(|()| sync_parent(path));
    if let Err(error) = written {
        // Half a key would be refused at every later start.
        let _ = std::fs::remove_file(path);
        return Err(not_created(path, error));
    }
    Ok(key)
}

#[cfg(unix)]
fn check_mode(path: &Path, file: &File) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;

    let mode = file.metadata().map_err(|error| unreadable(path, error))?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(Error::invalid("open key file", format!("the file can be reached by others than its owner (mode {mode:04o})"))
        .with("path", path.display())
        .next_action(format!("run `chmod 600 {}`", path.display())))
}

#[cfg(not(unix))]
fn check_mode(_path: &Path, _file: &File) -> Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn sync_parent(_path: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn sync_parent(path: &Path) -> std::io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(parent)?.sync_all()
}

fn missing(path: &Path) -> Error {
    Error::invalid("open key file", "the master key of this store is missing")
        .with("path", path.display())
        .next_action("restore the key file from your backup; a new one cannot open the existing store")
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    Error::invalid("open key file", "the file cannot be read")
        .with("path", path.display())
        .next_action("make it readable for the user the hub runs as, and for nobody else")
        .source(error)
}

fn not_created(path: &Path, error: std::io::Error) -> Error {
    Error::invalid("create key file", "the file cannot be created")
        .with("path", path.display())
        .next_action("create its folder and let the hub's user write there")
        .source(error)
}

#[async_trait]
impl KeyProvider for LocalKeyFile {
    fn id(&self) -> &str {
        self.0.id()
    }

    async fn wrap(&self, scope: &Scope, key: &DataKey) -> Result<Vec<u8>> {
        self.0.wrap(scope, key)
    }

    async fn unwrap(&self, scope: &Scope, wrapped: &[u8]) -> Result<DataKey> {
        self.0.unwrap(scope, wrapped)
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::entropy::SystemEntropy;
    use crate::error::ErrorKind;

    async fn open(path: &Path) -> Result<LocalKeyFile> {
        LocalKeyFile::open(path, Arc::new(SystemEntropy)).await
    }

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[tokio::test]
    async fn the_first_start_makes_the_key_and_the_next_one_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let first = open(&path).await.unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let again = open(&path).await.unwrap();
        assert_eq!(first.id(), again.id());
        let key = DataKey::generate(&SystemEntropy);
        let wrapped = first.wrap(&Scope::hub(), &key).await.unwrap();
        assert_eq!(again.unwrap(&Scope::hub(), &wrapped).await.unwrap().expose(), key.expose());
    }

    #[tokio::test]
    async fn a_file_others_can_read_is_refused_with_the_cure() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        open(&path).await.unwrap();
        for mode in [0o640, 0o604, 0o620, 0o666] {
            set_mode(&path, mode);
            let error = open(&path).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.message().contains(&format!("{mode:04o}")), "{error}");
            assert!(error.suggested_action().unwrap().contains("chmod 600"), "{error}");
        }
        set_mode(&path, 0o600);
        assert!(open(&path).await.is_ok());
    }

    #[tokio::test]
    async fn a_file_of_the_wrong_length_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        for length in [0, KEY_LEN - 1, KEY_LEN + 1] {
            std::fs::write(&path, vec![1; length]).unwrap();
            set_mode(&path, 0o600);
            assert_eq!(open(&path).await.unwrap_err().kind(), ErrorKind::InvalidInput, "{length}");
            assert_eq!(std::fs::read(&path).unwrap().len(), length);
        }
    }

    #[tokio::test]
    async fn a_path_that_cannot_be_used_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = open(&folder.path().join("missing/master.key")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.context("path").is_some());
        // A folder opens but does not read.
        set_mode(folder.path(), 0o700);
        assert_eq!(open(folder.path()).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
