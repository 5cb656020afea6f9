//! Block-based tables: `NNNNNN.sst`.
//!
//! ```text
//! data blocks | meta blocks: [filter] [index partitions] index [compression dictionary] [range deletions] properties |
//! metaindex block | footer
//! ```
//! The metaindex names the meta blocks: `rocksdb.properties`, `rocksdb.range_del`, `rocksdb.compression_dict`,
//! `fullfilter.<policy>`, `partitionedfilter.<policy>`, `filter.<policy>`, `rocksdb.hashindex.*`, and from format version 6
//! on `rocksdb.index`. An index of type 2 has two levels: its blocks are index blocks of the same encoding.
//!
//! Every block is read by itself, so a damaged one costs its own keys. If the index is lost the data blocks are found again by
//! their checksums.

use std::cmp::Ordering;
use std::sync::OnceLock;

use super::block::{Block, BlockFormat, BlockHandle};
use super::entries::{IndexEntry, IndexLayout};
use super::footer::Footer;
use super::key::{Comparator, KeyRange, Version};
use super::properties::Properties;
use super::salvage;
use super::write::filter::may_contain;
use crate::format::cursor::Cursor;
use crate::format::{FormatError, Kind, Result, Source};

const INDEX_TWO_LEVEL: u64 = 2;
const INDEX_FIRST_KEY: u64 = 3;

/// Damage within a table and the keys that it may have cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableFault {
    /// What is wrong, and where in the file.
    pub error: FormatError,
    /// User keys that may be lost or stale; `None` if no key is touched (a damaged filter, say).
    pub keys: Option<KeyRange>,
}

/// A table opened for reading. Opening reads footer, metaindex, properties, index and range deletions.
#[derive(Debug)]
pub struct Table<S> {
    source: S,
    /// Of meta blocks: the dictionary, if there is one, is for data blocks only.
    format: BlockFormat,
    data_format: BlockFormat,
    footer: Option<Footer>,
    meta: Vec<(Vec<u8>, BlockHandle)>,
    properties: Properties,
    comparator: Comparator,
    index: Vec<IndexEntry>,
    /// Index keys are really in order and bound their blocks, so a lookup may trust them.
    index_trusted: bool,
    range_deletions: Vec<Version>,
    faults: Vec<TableFault>,
    global_sequence: Option<u64>,
    /// Contents of the filter block, once asked for; empty if it tells nothing of whole keys.
    loaded_filter: OnceLock<Vec<u8>>,
}

/// What is known of a table from elsewhere (the MANIFEST) when it is opened.
#[derive(Debug, Clone, Default)]
pub struct TableHints {
    /// Comparator to use when the properties are lost.
    pub comparator: Option<Comparator>,
    /// Smallest and largest sequence number; equal for an ingested file, whose entries carry none of their own.
    pub sequences: Option<(u64, u64)>,
}

impl<S: Source> Table<S> {
    /// Opens a table. Fails only if nothing of it can be read; lesser damage is in [`faults`](Self::faults).
    pub fn open(source: S, hints: &TableHints) -> Result<Self> {
        let footer = match Footer::read(&source) {
            Ok(footer) => footer,
            Err(error) => return Self::salvaged(source, error, hints),
        };
        let format = BlockFormat {
            format_version: footer.format_version,
            checksum: footer.checksum,
            base_context: footer.base_context,
            dictionary: None,
        };
        let mut table = Self {
            source,
            data_format: format.clone(),
            format,
            footer: Some(footer),
            meta: Vec::new(),
            properties: Properties::default(),
            comparator: hints.comparator.unwrap_or_default(),
            index: Vec::new(),
            index_trusted: true,
            range_deletions: Vec::new(),
            faults: Vec::new(),
            global_sequence: None,
            loaded_filter: OnceLock::new(),
        };
        table.read_meta(footer, hints);
        table.read_index(footer);
        Ok(table)
    }

    /// A table whose footer is gone: what is left are the data blocks that can be recognised.
    fn salvaged(source: S, error: FormatError, hints: &TableHints) -> Result<Self> {
        let recoverable = matches!(error.kind, Kind::Malformed | Kind::Truncated);
        let Some((format, found)) = Some(()).filter(|()| recoverable).and_then(|()| salvage::without_footer(&source))
        else {
            return Err(error);
        };
        let mut table = Self {
            source,
            data_format: format.clone(),
            format,
            footer: None,
            meta: Vec::new(),
            properties: Properties::default(),
            comparator: hints.comparator.unwrap_or_default(),
            index: Vec::new(),
            index_trusted: false,
            range_deletions: Vec::new(),
            faults: Vec::new(),
            global_sequence: None,
            loaded_filter: OnceLock::new(),
        };
        table.adopt_salvage(error, found);
        Ok(table)
    }

    fn adopt_salvage(&mut self, mut error: FormatError, found: salvage::Salvaged) {
        error.detail = format!(
            "{}; {} data blocks found by their checksums, {} bytes before the last of them not recognised",
            error.detail,
            found.blocks.len(),
            found.unrecognised
        );
        self.index = found.blocks;
        self.index_trusted = false;
        self.faults.push(TableFault { error, keys: Some(KeyRange::default()) });
    }

    fn read_meta(&mut self, footer: Footer, hints: &TableHints) {
        match Block::read(&self.source, footer.metaindex, &self.format).and_then(|block| block.pairs()) {
            Ok(pairs) => {
                for (name, value) in pairs {
                    let mut cursor = Cursor::new(&value, footer.metaindex.offset, "sst.bad-metaindex");
                    match BlockHandle::decode(&mut cursor) {
                        Ok(handle) => self.meta.push((name, handle)),
                        Err(error) => self.faults.push(TableFault { error, keys: None }),
                    }
                }
            }
            // The range-deletion block, if there was one, cannot be found now.
            Err(error) => self.faults.push(TableFault { error, keys: Some(KeyRange::default()) }),
        }
        let properties = self.meta_handle(b"rocksdb.properties").or_else(|| self.meta_handle(b"rocksdb.stats"));
        if let Some(handle) = properties {
            match Block::read(&self.source, handle, &self.format).and_then(|block| block.pairs()) {
                Ok(pairs) => self.properties = Properties::new(pairs),
                Err(error) => {
                    // Of an ingested table the properties hold the sequence number of every entry.
                    let ingested = hints.sequences.is_none_or(|(smallest, largest)| smallest == largest);
                    self.faults.push(TableFault { error, keys: ingested.then(KeyRange::default) });
                }
            }
        }
        if let Some(name) = self.properties.comparator() {
            match Comparator::from_name(name) {
                Some(comparator) => self.comparator = comparator,
                None if hints.comparator.is_none() => {
                    let detail = format!("comparator {:?} is not known", String::from_utf8_lossy(name));
                    let error = FormatError::unsupported("sst.unknown-comparator", 0, detail);
                    self.index_trusted = false;
                    self.faults.push(TableFault { error, keys: None });
                }
                None => {}
            }
        }
        if self.properties.fixed("rocksdb.external_sst_file.version") == Some(2) {
            let stored = self.properties.fixed("rocksdb.external_sst_file.global_seqno").unwrap_or_default();
            self.global_sequence =
                Some(if stored == 0 { hints.sequences.map_or(0, |(_, largest)| largest) } else { stored });
        }
        if let Some(handle) = self.meta_handle(b"rocksdb.compression_dict") {
            match Block::read(&self.source, handle, &self.format) {
                Ok(block) => self.data_format.dictionary = Some(block.contents),
                Err(error) => self.faults.push(TableFault { error, keys: None }),
            }
        }
        if let Some(handle) = self.meta_handle(b"rocksdb.range_del") {
            match self.versions_at(handle, &self.format) {
                Ok(versions) => self.range_deletions = versions,
                Err(error) => self.faults.push(TableFault { error, keys: Some(KeyRange::default()) }),
            }
        }
    }

    fn read_index(&mut self, footer: Footer) {
        let layout = self.index_layout(footer.format_version);
        let read = footer
            .index
            .or_else(|| self.meta_handle(b"rocksdb.index"))
            .ok_or_else(|| {
                let detail = "the metaindex names no index block";
                FormatError::malformed("sst.no-index", footer.metaindex.offset, detail)
            })
            .and_then(|handle| Block::read(&self.source, handle, &self.format))
            .and_then(|block| block.index_entries(layout));
        let top = match read {
            Ok(top) => top,
            Err(error) => return self.rebuild_index(error),
        };
        if self.properties.is_empty() {
            self.index_trusted = false;
        }
        if self.properties.fixed("rocksdb.block.based.table.index.type") != Some(INDEX_TWO_LEVEL) {
            self.index = top;
        } else {
            let mut lower = None;
            let top = self.apart(top);
            for partition in top {
                let block = Block::read(&self.source, partition.handle, &self.format);
                match block.and_then(|block| block.index_entries(layout)) {
                    Ok(entries) => self.index.extend(entries),
                    Err(error) => {
                        let keys = KeyRange { lower: lower.clone(), upper: Some(partition.key.clone()) };
                        self.faults.push(TableFault { error, keys: Some(keys) });
                    }
                }
                lower = Some(partition.key);
            }
        }
        if !self.index.is_sorted_by(|a, b| self.comparator.compare(&a.key, &b.key).is_le()) && self.index_trusted {
            self.index_trusted = false;
            let offset = footer.index.map_or(footer.metaindex.offset, |handle| handle.offset);
            let error = FormatError::malformed("sst.index-order", offset, "the keys of the index do not ascend");
            self.faults.push(TableFault { error, keys: None });
        }
        let index = std::mem::take(&mut self.index);
        self.index = self.apart(index);
    }

    /// The entries in file order, without those whose block overlaps another: no block is read twice, whatever the index says.
    fn apart(&mut self, mut entries: Vec<IndexEntry>) -> Vec<IndexEntry> {
        if !entries.is_sorted_by_key(|entry| entry.handle.offset) {
            entries.sort_by_key(|entry| entry.handle.offset);
            self.index_trusted = false;
        }
        let mut end = 0;
        entries.retain(|entry| {
            let apart = entry.handle.offset >= end;
            if apart {
                end = entry.handle.end().unwrap_or(u64::MAX);
            } else {
                let detail = format!("a block of the index begins before {end}, where another ends");
                let error = FormatError::malformed("sst.overlapping-blocks", entry.handle.offset, detail);
                self.faults.push(TableFault { error, keys: Some(KeyRange::default()) });
                self.index_trusted = false;
            }
            apart
        });
        entries
    }

    fn rebuild_index(&mut self, error: FormatError) {
        if matches!(error.kind, Kind::Unsupported | Kind::Newer | Kind::Io) {
            self.faults.push(TableFault { error, keys: Some(KeyRange::default()) });
            return;
        }
        let end = self.meta.iter().map(|(_, handle)| handle.offset);
        let footer = self.footer.into_iter();
        let end =
            end.chain(footer.clone().map(|f| f.metaindex.offset)).chain(footer.filter_map(|f| Some(f.index?.offset)));
        let end = end.min().unwrap_or(u64::MAX).min(self.source.size());
        let found = salvage::data_blocks(&self.source, &self.data_format, end, self.comparator);
        self.adopt_salvage(error, found);
    }

    fn index_layout(&self, format_version: u32) -> IndexLayout {
        let flag = |name| self.properties.number(name).map(|value| value != 0);
        let kind = self.properties.fixed("rocksdb.block.based.table.index.type");
        if self.properties.is_empty() {
            // What RocksDB's defaults lead to; an index of another encoding fails to decode and is rebuilt.
            return IndexLayout {
                delta_values: format_version >= 4,
                user_keys: format_version >= 3,
                first_keys: false,
            };
        }
        IndexLayout {
            delta_values: flag("rocksdb.index.value.is.delta.encoded").unwrap_or(false),
            user_keys: flag("rocksdb.index.key.is.user.key").unwrap_or(false),
            first_keys: kind == Some(INDEX_FIRST_KEY),
        }
    }

    /// The bytes of the table.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// The footer, unless it is lost.
    pub fn footer(&self) -> Option<&Footer> {
        self.footer.as_ref()
    }

    /// The meta blocks, by name.
    pub fn meta_blocks(&self) -> &[(Vec<u8>, BlockHandle)] {
        &self.meta
    }

    /// The meta block `name`.
    pub fn meta_handle(&self, name: &[u8]) -> Option<BlockHandle> {
        self.meta.iter().find(|(stored, _)| stored == name).map(|(_, handle)| *handle)
    }

    /// Name and place of the filter, if there is one.
    pub fn filter(&self) -> Option<(&[u8], BlockHandle)> {
        let prefixes: [&[u8]; 3] = [b"fullfilter.", b"partitionedfilter.", b"filter."];
        let found = self.meta.iter().find(|(name, _)| prefixes.iter().any(|prefix| name.starts_with(prefix)))?;
        Some((&found.0, found.1))
    }

    /// Whether the data blocks may hold `key`, by the Bloom filter, which is read once and kept. Without one, or if it is damaged or
    /// of another kind, they may.
    pub fn may_contain(&self, key: &[u8]) -> bool {
        may_contain(self.loaded_filter.get_or_init(|| self.load_filter()), key) != Some(false)
    }

    fn load_filter(&self) -> Vec<u8> {
        let whole_keys = self.properties.bytes("rocksdb.block.based.table.whole.key.filtering") == Some(&b"1"[..]);
        match self.filter().filter(|_| whole_keys) {
            Some((b"fullfilter.rocksdb.BuiltinBloomFilter", handle)) => {
                self.meta_block(handle).map(|block| block.contents).unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }

    /// The data blocks that may hold `key`: from one number up to, not including, another. Blocks in between may hold it too.
    pub fn blocks_of(&self, key: &[u8]) -> std::ops::Range<usize> {
        if !self.index_trusted {
            return 0..self.index.len();
        }
        let first = self.index.partition_point(|entry| self.comparator.compare(&entry.key, key) == Ordering::Less);
        let behind = self.index.get(first..).unwrap_or_default();
        // The first block whose bound is above the key may begin with it.
        let count = behind.partition_point(|entry| self.comparator.compare(&entry.key, key) != Ordering::Greater);
        first..first.saturating_add(count).saturating_add(1).min(self.index.len())
    }

    /// The properties; empty if they are lost.
    pub fn properties(&self) -> &Properties {
        &self.properties
    }

    /// Order of the user keys.
    pub fn comparator(&self) -> Comparator {
        self.comparator
    }

    /// The data blocks, in key order.
    pub fn index(&self) -> &[IndexEntry] {
        &self.index
    }

    /// The range deletions, as stored.
    pub fn range_deletions(&self) -> &[Version] {
        &self.range_deletions
    }

    /// What was wrong when the table was opened.
    pub fn faults(&self) -> &[TableFault] {
        &self.faults
    }

    /// Entries of data block `number`, or why it cannot be read and which keys it may have held.
    pub fn block(&self, number: usize) -> std::result::Result<Vec<Version>, TableFault> {
        let Some(entry) = self.index.get(number) else {
            return Ok(Vec::new());
        };
        self.versions_at(entry.handle, &self.data_format)
            .map_err(|error| TableFault { error, keys: Some(self.block_keys(number)) })
    }

    /// How data blocks and meta blocks are checked.
    pub(super) fn formats(&self) -> (&BlockFormat, &BlockFormat) {
        (&self.data_format, &self.format)
    }

    /// Reads and verifies a meta block.
    pub(super) fn meta_block(&self, handle: BlockHandle) -> Result<Block> {
        Block::read(&self.source, handle, &self.format)
    }

    /// Keys that data block `number` may hold, by its index entry and the one before.
    pub fn block_keys(&self, number: usize) -> KeyRange {
        if !self.index_trusted {
            return KeyRange::default();
        }
        let entry = self.index.get(number);
        let previous = number.checked_sub(1).and_then(|number| self.index.get(number));
        let lower = entry.and_then(|entry| entry.first_key.clone()).or_else(|| previous.map(|e| e.key.clone()));
        // The last index key may be above or (shortened by other rules) anywhere beyond the last key: it is still a bound.
        KeyRange { lower, upper: entry.map(|entry| entry.key.clone()) }
    }

    /// All versions of `key` in the data blocks, newest first, and the damaged blocks that may hold more.
    pub fn versions_of(&self, key: &[u8]) -> (Vec<Version>, Vec<TableFault>) {
        let mut versions = Vec::new();
        let mut faults: Vec<_> = self.faults.iter().filter(|fault| self.touches(fault, key)).cloned().collect();
        for number in self.blocks_of(key) {
            match self.block(number) {
                Ok(block) => versions.extend(block.into_iter().filter(|version| version.key == key)),
                Err(fault) if self.touches(&fault, key) => faults.push(fault),
                Err(_) => {}
            }
        }
        (versions, faults)
    }

    fn touches(&self, fault: &TableFault, key: &[u8]) -> bool {
        fault.keys.as_ref().is_some_and(|keys| keys.contains(self.comparator, key))
    }

    fn versions_at(&self, handle: BlockHandle, format: &BlockFormat) -> Result<Vec<Version>> {
        let mut versions = Block::read(&self.source, handle, format)?.versions()?;
        if let Some(sequence) = self.global_sequence {
            versions.iter_mut().for_each(|version| version.sequence = sequence);
        }
        Ok(versions)
    }
}
