//! Multiset hashes: whether two sides hold the same pairs, whatever their order, in constant memory.
//!
//! Every pair is hashed to 128 bits and the hashes are added up, in buckets. Two sides with the same pairs have the same sums. Two that differ have
//! the same sums with a probability of 2^-128, as far as the hash behaves like a random function; nobody chooses the
//! pairs so that it does not. The buckets that differ tell where to look.

use xxhash_rust::xxh3::xxh3_128;

/// A 128-bit hash in two halves.
pub type Hash = [u64; 2];

/// Sums of hashes by bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sums {
    buckets: Vec<Hash>,
    entries: u64,
}

impl Sums {
    /// Sums of nothing, in so many buckets.
    pub fn new(buckets: usize) -> Self {
        Self { buckets: vec![[0; 2]; buckets.max(1)], entries: 0 }
    }

    /// Adds a pair; a bucket beyond the end counts as the last.
    pub fn add(&mut self, bucket: usize, hash: Hash) {
        let last = self.buckets.len().saturating_sub(1);
        if let Some(sum) = self.buckets.get_mut(bucket.min(last)) {
            for (sum, half) in sum.iter_mut().zip(hash) {
                *sum = sum.wrapping_add(half);
            }
            self.entries = self.entries.saturating_add(1);
        }
    }

    /// Adds all pairs of another one with as many buckets.
    pub fn merge(&mut self, other: &Self) {
        for (sum, more) in self.buckets.iter_mut().zip(&other.buckets) {
            for (sum, half) in sum.iter_mut().zip(more) {
                *sum = sum.wrapping_add(*half);
            }
        }
        self.entries = self.entries.saturating_add(other.entries);
    }

    /// Pairs added.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Buckets that differ from those of another one.
    pub fn differing(&self, other: &Self) -> Vec<usize> {
        let pairs = self.buckets.iter().zip(&other.buckets).enumerate();
        pairs.filter(|(_, (a, b))| a != b).map(|(at, _)| at).collect()
    }
}

/// The hash of some bytes.
pub fn hash(bytes: &[u8]) -> Hash {
    let hash = xxh3_128(bytes);
    // The two halves.
    [hash as u64, (hash >> 64) as u64]
}

/// The hash of a pair or of a longer tuple: mixes another number into a hash. The order counts.
pub fn with(hash: Hash, number: u64) -> Hash {
    let [a, b] = hash;
    let a = mix(a ^ mix(number.wrapping_add(0x9e37_79b9_7f4a_7c15)));
    let b = mix(b.wrapping_add(mix(number ^ 0xd6e8_feb8_6659_fd93)).wrapping_add(a.rotate_left(32)));
    [a, b]
}

/// A bijection of 64 bits in which every bit of the input moves about half of the output's (the finaliser of SplitMix64).
fn mix(mut x: u64) -> u64 {
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(pairs: &[(&str, u64)]) -> Sums {
        let mut sums = Sums::new(16);
        for (term, row) in pairs {
            sums.add(*row as usize, with(hash(term.as_bytes()), *row));
        }
        sums
    }

    #[test]
    fn the_order_of_pairs_does_not_count_and_everything_else_does() {
        let all = sums(&[("a", 1), ("b", 2), ("a", 2)]);
        assert_eq!(all, sums(&[("a", 2), ("a", 1), ("b", 2)]));
        assert_eq!(all.entries(), 3);
        assert_eq!(all.differing(&sums(&[("a", 1), ("b", 2)])), [2]);
        assert_eq!(all.differing(&sums(&[("a", 1), ("b", 2), ("a", 2), ("a", 2)])), [2], "a pair twice");
        assert_eq!(all.differing(&sums(&[("b", 1), ("a", 2), ("a", 2)])), [1, 2], "terms exchanged");
        let mut merged = sums(&[("b", 2)]);
        merged.merge(&sums(&[("a", 2), ("a", 1)]));
        assert_eq!(merged, all);
    }

    #[test]
    fn hashes_of_small_tuples_are_all_different() {
        let mut seen = std::collections::HashSet::new();
        for term in ["", "a", "b"] {
            for row in 0..100 {
                for count in 0..20 {
                    assert!(seen.insert(with(with(hash(term.as_bytes()), row), count)));
                }
            }
        }
    }
}
