//! What the engine is told from outside: limits, durability, time.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

/// When written documents become durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sync {
    /// A batch is acknowledged when its WAL records are on the device: they survive a power cut.
    #[default]
    Batch,
    /// Acknowledged documents survive the end of the process; a power cut may take those since the last flush.
    Flush,
    /// Nothing is synced, not even by a flush: a power cut may take anything. For loads that can be repeated.
    None,
}

/// How a collection is opened.
#[derive(Clone)]
pub struct Options {
    /// When written documents become durable.
    pub sync: Sync,
    /// Bytes of memory that the open block may take before it is flushed. zvec's blocks have 64 MiB of rows; here everything counts
    /// that the block holds in memory, id map and indexes included.
    pub block_memory: usize,
    /// Bytes of vectors in one file before the block is flushed.
    pub vector_bytes: u64,
    /// Unix seconds, for what the formats want dated.
    pub clock: Arc<dyn Fn() -> u64 + Send + std::marker::Sync>,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("sync", &self.sync)
            .field("block_memory", &self.block_memory)
            .field("vector_bytes", &self.vector_bytes)
            .finish_non_exhaustive()
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sync: Sync::default(),
            block_memory: 64 << 20,
            // The compact segment table of a vector file is enough for 5 GiB.
            vector_bytes: 2 << 30,
            clock: Arc::new(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())),
        }
    }
}

impl Options {
    /// Unix seconds.
    pub fn now(&self) -> u64 {
        (self.clock)()
    }
}
