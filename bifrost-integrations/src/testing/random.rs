//! Identifiers and tokens drawn from a seed.

use bifrost_core::Entropy;
use bifrost_core::testing::SeededEntropy;
use uuid::Uuid;

/// A stream of its own for each customer and purpose: what one customer draws does not depend on how the requests of
/// others interleave.
pub(super) fn stream(seed: u64, purpose: &str) -> SeededEntropy {
    // FNV-1a, so that the stream depends on the name alone and not on the order of creation.
    let hash = purpose
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
    SeededEntropy::new(seed ^ hash)
}

pub(super) fn guid(entropy: &SeededEntropy) -> String {
    let mut bytes = [0_u8; 16];
    entropy.fill(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

/// An opaque token. It is not a JWT on purpose: a client has no business reading it.
pub(super) fn token(entropy: &SeededEntropy, prefix: &str) -> String {
    let mut bytes = [0_u8; 32];
    entropy.fill(&mut bytes);
    let mut text = String::with_capacity(prefix.len() + 64);
    text.push_str(prefix);
    for byte in bytes {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// Mixes `items` (Fisher and Yates).
pub(super) fn shuffle<T>(entropy: &SeededEntropy, items: &mut [T]) {
    for last in (1..items.len()).rev() {
        let span = last as u64 + 1;
        let other = usize::try_from(entropy.next_u64() % span).unwrap_or(0);
        items.swap(last, other);
    }
}

/// True when `text` reads as a GUID.
pub(super) fn is_guid(text: &str) -> bool {
    Uuid::try_parse(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same() {
        let draw = |seed| {
            let entropy = stream(seed, "users of contoso");
            (guid(&entropy), token(&entropy, "t."))
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert!(is_guid(&draw(1).0));
    }
}
