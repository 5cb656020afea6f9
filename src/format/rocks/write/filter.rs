//! The Bloom filter of a table: meta block `fullfilter.rocksdb.BuiltinBloomFilter`, format version 5.
//!
//! ```text
//! filter:   cache lines of 64 bytes | u8 FF | u8 0 | u8 probes | u16 0
//! ```
//! Of a key's 64-bit hash ([`xxph3`](super::xxph3)) the low half times the number of lines, shifted right by 32, is its line; the
//! high half, multiplied by 9E3779B9 again for each further probe, gives a bit of the line by its 9 highest bits. Lines are as many
//! as hold the bits per key, rounded up; 10 bits make 6 probes. A table with a prefix extractor has the prefixes of its keys
//! in the same filter.

use super::xxph3::xxph3;

const LINE: u64 = 64;
const MAX_LENGTH: u64 = 0xffff_ffc0;
const GOLDEN: u32 = 0x9e37_79b9;

/// Collects the keys of a table: eight bytes each until it is finished.
#[derive(Debug)]
pub struct FilterBuilder {
    bits_per_key: u32,
    prefix: Option<usize>,
    hashes: Vec<u64>,
    last_key: Option<Vec<u8>>,
    last_prefix: Option<Vec<u8>>,
}

impl FilterBuilder {
    /// A filter of `bits_per_key`, with the first `prefix` bytes of each key in it as well, if that is given.
    pub fn new(bits_per_key: u32, prefix: Option<usize>) -> Self {
        Self { bits_per_key, prefix, hashes: Vec::new(), last_key: None, last_prefix: None }
    }

    /// Adds the user key of an entry. Keys come in order, so that repetitions are neighbours.
    pub fn add(&mut self, key: &[u8]) {
        let Some(length) = self.prefix else { return self.push(key) };
        if self.last_key.as_deref() != Some(key) {
            self.push(key);
            self.last_key = Some(key.to_vec());
        }
        let prefix = key.get(..length).unwrap_or(key);
        if self.last_prefix.as_deref() != Some(prefix) {
            self.push(prefix);
            self.last_prefix = Some(prefix.to_vec());
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        let hash = xxph3(bytes);
        if self.hashes.last() != Some(&hash) {
            self.hashes.push(hash);
        }
    }

    /// Keys and prefixes in it.
    pub fn entries(&self) -> u64 {
        self.hashes.len() as u64
    }

    /// The contents of the filter block; `None` if there is no key.
    pub fn finish(self) -> Option<Vec<u8>> {
        if self.hashes.is_empty() {
            return None;
        }
        let millibits = u64::from(self.bits_per_key).saturating_mul(1000);
        let wanted = (self.hashes.len() as u64).saturating_mul(millibits).saturating_add(7999) / 8000;
        let length = wanted.min(MAX_LENGTH).next_multiple_of(LINE);
        let mut bits = vec![0; usize::try_from(length).ok()?];
        let probes = probes(millibits);
        for hash in self.hashes {
            if let Some(line) = bits.get_mut(line(hash, length)) {
                for bit in positions(hash, probes) {
                    if let Some(byte) = line.get_mut(bit >> 3) {
                        *byte |= 1 << (bit & 7);
                    }
                }
            }
        }
        bits.extend_from_slice(&[0xff, 0, probes, 0, 0]);
        Some(bits)
    }
}

/// Whether the table of this filter block may hold `key`; `None` if it is a filter of another kind.
pub fn may_contain(filter: &[u8], key: &[u8]) -> Option<bool> {
    let (bits, [0xff, 0, probes @ 1..=30, 0, 0]) = filter.split_last_chunk::<5>()? else { return None };
    let length = bits.len() as u64;
    if !length.is_multiple_of(LINE) || length == 0 {
        return None;
    }
    let hash = xxph3(key);
    let line = bits.get(line(hash, length))?;
    Some(positions(hash, *probes).all(|bit| line.get(bit >> 3).is_some_and(|byte| byte >> (bit & 7) & 1 == 1)))
}

/// The bytes of the line that a hash goes to.
fn line(hash: u64, length: u64) -> std::ops::Range<usize> {
    // A product of two 32-bit numbers, and at most `length`, which is in memory.
    let start = ((((length / LINE) & 0xffff_ffff) * (hash & 0xffff_ffff)) >> 32) * LINE;
    start as usize..(start + LINE) as usize
}

/// The bits of its line that a hash sets.
fn positions(hash: u64, probes: u8) -> impl Iterator<Item = usize> {
    let first = (hash >> 32) as u32;
    std::iter::successors(Some(first), |h| Some(h.wrapping_mul(GOLDEN)))
        .take(usize::from(probes))
        .map(|h| (h >> 23) as usize)
}

/// RocksDB's table of probes for thousandths of bits per key.
fn probes(millibits: u64) -> u8 {
    const LIMITS: [u64; 12] = [2080, 3580, 5100, 6640, 8300, 10_070, 11_720, 14_001, 16_050, 18_300, 22_001, 25_501];
    match LIMITS.iter().zip(1..).find(|(limit, _)| millibits <= **limit) {
        Some((_, probes)) => probes,
        None if millibits > 50_000 => 24,
        // 12 to 23
        None => ((millibits - 1) / 2000 - 1) as u8,
    }
}
