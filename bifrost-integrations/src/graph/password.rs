//! First passwords.

use bifrost_core::{Entropy, Secret};

/// A password of 20 characters with about 115 bits, with each class of character Entra counts.
pub fn random_password(entropy: &dyn Entropy) -> Secret {
    const CLASSES: [&[u8]; 4] = [b"ABCDEFGHJKLMNPQRSTUVWXYZ", b"abcdefghijkmnopqrstuvwxyz", b"23456789", b"-_.!#%+=?@"];
    const LENGTH: usize = 20;
    let all: Vec<u8> = CLASSES.concat();
    let pick = |from: &[u8]| char::from(from[below(entropy, from.len())]);
    let mut text: Vec<char> = CLASSES.iter().map(|class| pick(class)).collect();
    text.extend((text.len()..LENGTH).map(|_| pick(&all)));
    for position in (1..LENGTH).rev() {
        text.swap(position, below(entropy, position + 1));
    }
    Secret::new(text.into_iter().collect::<String>())
}

/// A number below `bound`; the bias of a 64-bit remainder is far below what a password's strength could show.
fn below(entropy: &dyn Entropy, bound: usize) -> usize {
    let mut bytes = [0_u8; 8];
    entropy.fill(&mut bytes);
    usize::try_from(u64::from_le_bytes(bytes) % bound as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use bifrost_core::SystemEntropy;

    use super::*;

    #[test]
    fn passwords_hold_every_class() {
        for _ in 0..100 {
            let password = random_password(&SystemEntropy);
            let text = password.expose();
            assert_eq!(text.chars().count(), 20);
            assert!(text.chars().any(|c| c.is_ascii_uppercase()) && text.chars().any(|c| c.is_ascii_lowercase()));
            assert!(text.chars().any(|c| c.is_ascii_digit()) && text.chars().any(|c| c.is_ascii_punctuation()));
        }
    }
}
