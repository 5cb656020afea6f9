//! Builds blocks; [`entries`](crate::format::rocks::entries) has the byte map.
//!
//! Every entry shares as many leading bytes as it can with the one before; every `interval`-th shares none and is a restart.
//! With an interval of 1, index values are whole handles, so delta encoding shows in nothing but the absent value length.

use super::{put_varint, varint_length};
use crate::format::{FormatError, Result};

/// One block in the making.
#[derive(Debug)]
pub struct BlockBuilder {
    interval: usize,
    /// Values are preceded by their length.
    lengths: bool,
    bytes: Vec<u8>,
    restarts: Vec<u32>,
    /// Entries since the last restart.
    run: usize,
    last_key: Vec<u8>,
}

impl BlockBuilder {
    /// A block with a restart every `interval` entries.
    pub fn new(interval: usize) -> Self {
        Self { interval, lengths: true, bytes: Vec::new(), restarts: vec![0], run: 0, last_key: Vec::new() }
    }

    /// An index block whose values are delta-encoded handles: no lengths, every entry a restart.
    pub fn index() -> Self {
        Self { lengths: false, ..Self::new(1) }
    }

    /// Whether it has no entry.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes that the block has if it is finished now.
    pub fn size(&self) -> usize {
        self.bytes.len().saturating_add(self.restarts.len().saturating_mul(4)).saturating_add(4)
    }

    /// RocksDB's estimate of [`size`](Self::size) after one more entry, which counts the whole key and a byte too many here and
    /// there. It decides where blocks end.
    pub fn size_after(&self, key: &[u8], value: &[u8]) -> usize {
        let restart = if self.run >= self.interval { 4 } else { 0 };
        [key.len(), value.len(), restart, 4, varint_length(key.len() as u64), varint_length(value.len() as u64)]
            .into_iter()
            .fold(self.size(), usize::saturating_add)
    }

    /// Appends an entry; its key must be above the last one. Fails if the block does not fit 32 bits.
    pub fn add(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        if key.len().max(value.len()) >= MAX_LENGTH || self.bytes.len() >= MAX_LENGTH {
            let (key, value) = (key.len(), value.len());
            let detail = format!("an entry with a key of {key} and a value of {value} bytes is too long for a block");
            return Err(FormatError::unsupported("sst.write-too-long", 0, detail));
        }
        let shared = if self.run >= self.interval {
            // Below MAX_LENGTH, so it fits.
            self.restarts.push(self.bytes.len() as u32);
            self.run = 0;
            0
        } else {
            self.last_key.iter().zip(key).take_while(|(a, b)| a == b).count()
        };
        let unshared = key.get(shared..).unwrap_or_default();
        put_varint(&mut self.bytes, shared as u64);
        put_varint(&mut self.bytes, unshared.len() as u64);
        if self.lengths {
            put_varint(&mut self.bytes, value.len() as u64);
        }
        self.bytes.extend_from_slice(unshared);
        self.bytes.extend_from_slice(value);
        self.last_key.truncate(shared);
        self.last_key.extend_from_slice(unshared);
        self.run = self.run.saturating_add(1);
        Ok(())
    }

    /// The contents of the block; the builder is empty afterwards.
    pub fn finish(&mut self) -> Vec<u8> {
        let mut contents = std::mem::take(&mut self.bytes);
        for restart in &self.restarts {
            contents.extend_from_slice(&restart.to_le_bytes());
        }
        contents.extend_from_slice(&(self.restarts.len() as u32).to_le_bytes());
        self.restarts.truncate(1);
        self.run = 0;
        self.last_key.clear();
        contents
    }
}

/// Longest key, value or block before its last entry: together they stay below 4 GiB.
const MAX_LENGTH: usize = 1 << 30;
