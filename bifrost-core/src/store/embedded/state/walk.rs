//! Walking sorted entries, forward or backward, several of them as one.

use std::cmp::Ordering;
use std::iter::Peekable;

/// Walks `entries` from front to back, or the other way.
pub(super) fn directed<I: DoubleEndedIterator>(mut entries: I, reverse: bool) -> impl Iterator<Item = I::Item> {
    std::iter::from_fn(move || if reverse { entries.next_back() } else { entries.next() })
}

/// Two walks in the same direction as one; of a key that both have, the entry of the one above counts.
pub(super) struct Merged<A: Iterator, B: Iterator> {
    above: Peekable<A>,
    below: Peekable<B>,
    reverse: bool,
}

impl<A: Iterator, B: Iterator> Merged<A, B> {
    pub(super) fn new(above: A, below: B, reverse: bool) -> Self {
        Self { above: above.peekable(), below: below.peekable(), reverse }
    }
}

impl<K: Ord, V, A: Iterator<Item = (K, V)>, B: Iterator<Item = (K, V)>> Iterator for Merged<A, B> {
    type Item = (K, V);

    fn next(&mut self) -> Option<(K, V)> {
        let order = match (self.above.peek(), self.below.peek()) {
            (Some((above, _)), Some((below, _))) if self.reverse => below.cmp(above),
            (Some((above, _)), Some((below, _))) => above.cmp(below),
            (Some(_), None) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        match order {
            Ordering::Less => self.above.next(),
            Ordering::Greater => self.below.next(),
            Ordering::Equal => {
                self.below.next();
                self.above.next()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_above_counts_in_both_directions() {
        let above = [(1, 'a'), (3, 'a'), (4, 'a')];
        let below = [(0, 'b'), (1, 'b'), (2, 'b'), (4, 'b'), (5, 'b')];
        let mut expected = vec![(0, 'b'), (1, 'a'), (2, 'b'), (3, 'a'), (4, 'a'), (5, 'b')];
        for reverse in [false, true] {
            let (above, below) = (directed(above.into_iter(), reverse), directed(below.into_iter(), reverse));
            assert_eq!(Merged::new(above, below, reverse).collect::<Vec<_>>(), expected);
            expected.reverse();
        }
    }
}
