//! Data blocks that were read of late.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::format::rocks::{LiveTable, TableFault, Version};

/// Bytes of decoded blocks, about.
const CAPACITY: usize = 8 << 20;
/// What a decoded version takes beside the bytes of its key and value: the structure and two allocations.
const OVERHEAD: usize = size_of::<Version>() + 32;

type Blocks = HashMap<(u64, usize), Arc<Vec<Version>>>;

/// Keeps decoded blocks by table number and place. When the young half is full it becomes the old one, and what nobody has asked for
/// since is dropped.
#[derive(Default)]
pub(super) struct BlockCache {
    halves: Mutex<Halves>,
}

#[derive(Default)]
struct Halves {
    young: Blocks,
    old: Blocks,
    /// Bytes of the young half.
    size: usize,
}

impl BlockCache {
    /// Data block `number` of a table; read, if it is not there.
    pub(super) fn block(&self, live: &LiveTable, number: usize) -> Result<Arc<Vec<Version>>, TableFault> {
        let key = (live.file.number, number);
        {
            let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(block) = halves.young.get(&key) {
                return Ok(Arc::clone(block));
            }
            if let Some(block) = halves.old.remove(&key) {
                halves.insert(key, &block);
                return Ok(block);
            }
        }
        let block = Arc::new(live.table.block(number)?);
        self.halves.lock().unwrap_or_else(PoisonError::into_inner).insert(key, &block);
        Ok(block)
    }
}

impl Halves {
    fn insert(&mut self, key: (u64, usize), block: &Arc<Vec<Version>>) {
        let size = block.iter().map(|version| version.key.len() + version.value.len() + OVERHEAD).sum::<usize>();
        if self.size + size > CAPACITY / 2 {
            self.old = std::mem::take(&mut self.young);
            self.size = 0;
        }
        self.size += size;
        self.young.insert(key, Arc::clone(block));
    }
}
