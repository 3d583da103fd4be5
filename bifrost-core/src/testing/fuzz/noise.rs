//! Structure out of noise.

/// Reads values out of noise: the same bytes give the same values, and there is no end, only zeros.
#[derive(Debug, Clone)]
pub struct Noise<'a>(&'a [u8]);

impl<'a> Noise<'a> {
    /// All of `data`.
    pub fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or_default()
    }

    /// The next eight bytes as a number.
    pub fn number(&mut self) -> u64 {
        self.take(8).iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// The next bytes, as many as the one before them says.
    pub fn part(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte());
        self.take(length)
    }

    /// The next bytes as text, what is no text replaced.
    pub fn text(&mut self) -> String {
        String::from_utf8_lossy(self.part()).into_owned()
    }

    /// One of `choices`, which are not empty.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.byte()) % choices.len()]
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// True when nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, left) = self.0.split_at(count.min(self.0.len()));
        self.0 = left;
        taken
    }
}

/// `sample` after these edits. Each is a place, what is done there (a byte changed, put in, taken out, or the rest cut
/// off) and the byte it is done with.
pub fn damaged(sample: &[u8], edits: &[(u16, u8, u8)]) -> Vec<u8> {
    let mut bytes = sample.to_vec();
    for (place, what, byte) in edits {
        let at = usize::from(*place) % (bytes.len() + 1);
        match what % 8 {
            0 | 1 => bytes.insert(at, *byte),
            2 | 3 if at < bytes.len() => drop(bytes.remove(at)),
            4 => bytes.truncate(at),
            _ if at < bytes.len() => bytes[at] ^= (*byte).max(1),
            _ => {}
        }
    }
    bytes
}
