//! A table read from end to end: counts, bounds and order, for comparison with its properties and the MANIFEST.

use std::cmp::Ordering;

use super::db::LiveTable;
use super::key::{ValueType, Version};
use super::table::{Table, TableFault};
use crate::format::{FormatError, Source};

/// What one pass over all blocks of a table found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableCheck {
    /// Data blocks that the index names.
    pub data_blocks: u64,
    /// Entries read, range deletions included.
    pub entries: u64,
    /// Deletions among them, range deletions included.
    pub deletions: u64,
    /// Merge operands among them.
    pub merge_operands: u64,
    /// Bytes of internal keys read.
    pub raw_key_size: u64,
    /// Bytes of values read.
    pub raw_value_size: u64,
    /// What the properties say `entries` should be.
    pub stored_entries: Option<u64>,
    /// First and last user key read.
    pub smallest: Option<Vec<u8>>,
    /// Last user key read.
    pub largest: Option<Vec<u8>>,
    /// Smallest sequence number read.
    pub smallest_sequence: Option<u64>,
    /// Largest sequence number read.
    pub largest_sequence: Option<u64>,
    /// Every fault, those of opening included.
    pub faults: Vec<TableFault>,
}

impl<S: Source> Table<S> {
    /// Reads every block of the table, meta blocks included, and counts.
    pub fn check(&self) -> TableCheck {
        let mut check = TableCheck {
            data_blocks: self.index().len() as u64,
            stored_entries: self.properties().num_entries(),
            faults: self.faults().to_vec(),
            ..TableCheck::default()
        };
        let mut last: Option<(Vec<u8>, u64)> = None;
        for number in 0..self.index().len() {
            match self.block(number) {
                Ok(versions) => {
                    for version in &versions {
                        self.check_order(number, version, &mut last, &mut check);
                        check.count(version);
                    }
                }
                Err(fault) => check.faults.push(fault),
            }
        }
        self.range_deletions().iter().for_each(|version| check.count(version));
        for (name, handle) in self.meta_blocks() {
            let already: [&[u8]; 5] = [
                b"rocksdb.properties",
                b"rocksdb.range_del",
                b"rocksdb.compression_dict",
                b"rocksdb.index",
                b"rocksdb.stats",
            ];
            if !already.contains(&name.as_slice())
                && let Err(error) = self.meta_block(*handle)
            {
                check.faults.push(TableFault { error, keys: None });
            }
        }
        if let Some(stored) = check.stored_entries
            && stored != check.entries
            && check.faults.is_empty()
        {
            let detail = format!("{} entries read, the properties say {stored}", check.entries);
            let offset = self.meta_handle(b"rocksdb.properties").map_or(0, |handle| handle.offset);
            let error = FormatError::malformed("sst.entry-count", offset, detail);
            check.faults.push(TableFault { error, keys: None });
        }
        check
    }

    fn check_order(&self, number: usize, version: &Version, last: &mut Option<(Vec<u8>, u64)>, check: &mut TableCheck) {
        let offset = self.index().get(number).map_or(0, |entry| entry.handle.offset);
        let mut fault = |code, detail: String| {
            let error = FormatError::malformed(code, offset, detail);
            check.faults.push(TableFault { error, keys: None });
        };
        let packed = version.sequence << 8 | u64::from(version.kind.byte());
        let ordered = last.as_ref().is_none_or(|(key, before)| match self.comparator().compare(key, &version.key) {
            Ordering::Less => true,
            Ordering::Equal => *before > packed,
            Ordering::Greater => false,
        });
        if !ordered {
            let sequence = version.sequence;
            fault("sst.key-order", format!("the key with sequence {sequence} is not above the one before it"));
        } else if !self.block_keys(number).contains(self.comparator(), &version.key) {
            fault("sst.index-bound", "the block holds a key outside its index keys".to_owned());
        }
        *last = Some((version.key.clone(), packed));
    }
}

impl LiveTable {
    /// Reads every block, counts, and compares with the properties and the MANIFEST.
    pub fn check(&self) -> TableCheck {
        let mut check = self.table.check();
        let clean = self.listed && check.faults.is_empty() && self.table.range_deletions().is_empty();
        if !clean {
            return check;
        }
        let bounds = self.bounds();
        if check.entries > 0 && (check.smallest != bounds.lower || check.largest != bounds.upper) {
            let detail = "smallest or largest key differ from what the MANIFEST says".to_owned();
            let error = FormatError::malformed("rocks.table-bounds", 0, detail);
            check.faults.push(TableFault { error, keys: None });
        }
        let least = check.smallest_sequence.filter(|least| *least < self.file.smallest_sequence);
        let most = check.largest_sequence.filter(|most| self.file.largest_sequence.is_some_and(|known| *most > known));
        if let Some(found) = least.or(most) {
            let (least, most) = (self.file.smallest_sequence, self.file.largest_sequence.unwrap_or_default());
            let detail = format!("an entry has sequence {found}, the MANIFEST says {least} to {most}");
            let error = FormatError::malformed("rocks.table-sequence", 0, detail);
            check.faults.push(TableFault { error, keys: None });
        }
        check
    }
}

impl TableCheck {
    fn count(&mut self, version: &Version) {
        self.entries = self.entries.saturating_add(1);
        self.raw_key_size = self.raw_key_size.saturating_add(version.key.len() as u64).saturating_add(8);
        self.raw_value_size = self.raw_value_size.saturating_add(version.value.len() as u64);
        if version.kind.is_deletion() || version.kind == ValueType::RangeDeletion {
            self.deletions = self.deletions.saturating_add(1);
        }
        if version.kind == ValueType::Merge {
            self.merge_operands = self.merge_operands.saturating_add(1);
        }
        let sequence = version.sequence;
        self.smallest_sequence = Some(self.smallest_sequence.map_or(sequence, |least| least.min(sequence)));
        self.largest_sequence = Some(self.largest_sequence.map_or(sequence, |most| most.max(sequence)));
        if version.kind != ValueType::RangeDeletion {
            if self.smallest.is_none() {
                self.smallest = Some(version.key.clone());
            }
            self.largest = Some(version.key.clone());
        }
    }
}
