//! Bodies of fuzz targets: key files, wrapped keys and sealed values.

#![allow(clippy::unwrap_used, reason = "a body speaks by panicking")]

use std::path::Path;
use std::sync::Arc;

use super::provider::MasterKey;
use super::{DataKey, KEY_LEN, SEAL_OVERHEAD, Sealer, key_file::key_of};
use crate::error::ErrorKind;
use crate::id::TenantId;
use crate::store::key::{Key, Kind, Scope};
use crate::testing::SeededEntropy;
use crate::testing::fuzz::Noise;

/// Takes `data` for the content of a master key file, and for a data key that it wraps.
pub fn key_file(data: &[u8]) {
    match key_of(Path::new("master.key"), data) {
        Ok(key) => {
            assert_eq!((data.len(), key.expose().as_slice()), (KEY_LEN, data));
            wraps(key, data);
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(data.len() != KEY_LEN && error.suggested_action().is_some());
        }
    }
    let entropy = SeededEntropy::new(1);
    let master = MasterKey::new("local", DataKey::generate(&entropy), &entropy);
    // Whatever it is, this master key did not wrap it.
    assert_eq!(master.unwrap(&scope("a"), data).unwrap_err().kind(), ErrorKind::PermissionDenied);
}

/// A data key comes back from its own master key and its own scope alone, and no text shows it.
fn wraps(key: DataKey, bytes: &[u8]) {
    assert_eq!(format!("{key:?}"), "DataKey(***)");
    let entropy = SeededEntropy::new(u64::from(bytes[0]));
    let (master, other) = (MasterKey::new("local", key, &entropy), DataKey::generate(&entropy));
    let wrapped = master.wrap(&scope("a"), &other).unwrap();
    assert_eq!(master.unwrap(&scope("a"), &wrapped).unwrap().expose(), other.expose());
    assert_eq!(master.unwrap(&scope("b"), &wrapped).unwrap_err().kind(), ErrorKind::PermissionDenied);
    let mut changed = wrapped;
    let at = usize::from(bytes[1]) % changed.len();
    changed[at] ^= bytes[2].max(1);
    assert_eq!(master.unwrap(&scope("a"), &changed).unwrap_err().kind(), ErrorKind::PermissionDenied);
}

/// Opens `data` as a sealed value, and seals values made from it.
pub fn sealed(data: &[u8]) {
    let mut noise = Noise::new(data);
    let (seed, place) = (noise.number(), noise.number() as usize);
    let name = noise.part();
    let (Ok(one), Ok(other)) = (key("a", &[name]), key("a", &[name, b"x"])) else { return };
    let sealer = |scope: Scope| {
        let entropy = SeededEntropy::new(seed);
        Sealer::new(scope, DataKey::generate(&entropy), Arc::new(entropy))
    };
    let own = sealer(scope("a"));
    assert_eq!(own.open(&one, data).unwrap_err().kind(), ErrorKind::StoreCorrupt);
    let plain = noise.rest();
    let sealed = own.seal(&one, plain).unwrap();
    assert_eq!(sealed.len(), plain.len() + SEAL_OVERHEAD);
    assert_eq!(own.open(&one, &sealed).unwrap().as_slice(), plain);
    assert_ne!(own.seal(&one, plain).unwrap(), sealed, "a nonce came twice");
    let mut changed = sealed.to_vec();
    let at = place % changed.len();
    changed[at] ^= 1 << (place % 8);
    for (sealer, key, bytes) in
        [(&own, &one, &changed[..]), (&own, &other, &sealed[..]), (&sealer(scope("b")), &one, &sealed[..])]
    {
        assert_eq!(sealer.open(key, bytes).unwrap_err().kind(), ErrorKind::StoreCorrupt, "byte {at}");
    }
}

fn scope(name: &str) -> Scope {
    Scope::tenant(TenantId::new(name).unwrap())
}

fn key(tenant: &str, parts: &[&[u8]]) -> crate::error::Result<Key> {
    scope(tenant).key(Kind::Secret, parts)
}
