//! Writes tables; [`table`](crate::format::rocks::table) has the byte map.
//!
//! ```text
//! data blocks of 4096 bytes, restarts every 16 | filter | index, restarts at every entry | properties | metaindex |
//! footer of format version 5: u8 4 (XXH3) | metaindex handle, index handle, zeros up to 41 | u32 5 | u64 magic
//! ```
//! Nothing is compressed. A block is cut when it has reached its size, or when it is at 90 % of it and the next entry is estimated
//! not to fit. Its index key is the shortest one between its last key and the next block's first; index keys are user keys
//! unless two versions of one key fall into different blocks, then all of them are internal keys.
//!
//! In memory are one data block, the index and eight bytes per key for the filter.
//!
//! RocksDB needs none of the properties that say who wrote a table and when, nor a session identity: without one it takes cache
//! keys from the file, and no unique id is compared with the MANIFEST. Copying another table's identity would make both share cache
//! entries, so there is none.

use std::collections::BTreeMap;

use super::block_builder::BlockBuilder;
use super::filter::FilterBuilder;
use super::put_varint;
use crate::format::rocks::block::{BlockHandle, ChecksumType, TRAILER_SIZE};
use crate::format::rocks::edit::NewFile;
use crate::format::rocks::key::{Comparator, MAX_SEQUENCE, ValueType, join_internal_key};
use crate::format::{FormatError, Result, Sink};

const MAGIC: u64 = 0x88e2_41b7_85f4_cff7;
const FORMAT_VERSION: u32 = 5;
const RESTART_INTERVAL: usize = 16;
/// The type with which an index key that was made up comes before all others of its user key.
const SEEK_TYPE: ValueType = ValueType::WideColumnEntity;

/// What a table is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableOptions {
    /// Number in its name.
    pub number: u64,
    /// Id of the column family.
    pub column_family: u32,
    /// Name of the column family.
    pub column_family_name: Vec<u8>,
    /// Order of its keys.
    pub comparator: Comparator,
    /// Name of the merge operator of the column family. RocksDB does not compare it with the one it is opened with.
    pub merge_operator: Option<String>,
    /// Bytes of the prefixes in the filter, where the column family has a capped prefix extractor.
    pub capped_prefix: Option<usize>,
    /// Size of the filter; 0 for no filter.
    pub bloom_bits_per_key: u32,
    /// Size that data blocks are cut at.
    pub block_size: usize,
    /// Time of writing, Unix seconds. RocksDB compacts tables of a certain age (zvec: 30 days) again; 0 is "unknown".
    pub created: u64,
    /// Time since which the table's data may be there, Unix seconds; that of the oldest input of a merge.
    pub oldest: u64,
    /// The same where it is known for the keys themselves: RocksDB writes it in a flush and 0 in a compaction.
    pub oldest_key: u64,
    /// Further properties, and other values for those that the builder writes.
    pub properties: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl TableOptions {
    /// A table as zvec has them: 10 bits per key, blocks of 4096 bytes, no merge operator, no prefixes.
    pub fn new(number: u64, column_family: u32, name: impl Into<Vec<u8>>, created: u64) -> Self {
        Self {
            number,
            column_family,
            column_family_name: name.into(),
            comparator: Comparator::Bytewise,
            merge_operator: None,
            capped_prefix: None,
            bloom_bits_per_key: 10,
            block_size: 4096,
            created,
            oldest: created,
            oldest_key: created,
            properties: BTreeMap::new(),
        }
    }
}

/// A table that has been written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltTable {
    /// What a version edit says of it, but for level and epoch, which [`plan`](super::plan) fills in.
    pub file: NewFile,
    /// Entries.
    pub entries: u64,
    /// Deletions among them.
    pub deletions: u64,
    /// Merge operands among them.
    pub merge_operands: u64,
    /// Data blocks.
    pub data_blocks: u64,
    /// Bytes of the internal keys.
    pub raw_key_size: u64,
    /// Bytes of the values.
    pub raw_value_size: u64,
}

/// Writes one table from entries in internal-key order.
#[derive(Debug)]
pub struct TableBuilder<K> {
    sink: K,
    /// Where the table begins in the sink.
    base: u64,
    options: TableOptions,
    data: BlockBuilder,
    index: BlockBuilder,
    index_by_user_key: BlockBuilder,
    /// Index keys must be internal keys.
    split_key: bool,
    filter: Option<FilterBuilder>,
    smallest: Vec<u8>,
    last: Vec<u8>,
    last_packed: u64,
    built: BuiltTable,
}

impl<K: Sink> TableBuilder<K> {
    /// A table at the end of `sink`.
    pub fn new(sink: K, options: TableOptions) -> Self {
        let filter = (options.bloom_bits_per_key > 0)
            .then(|| FilterBuilder::new(options.bloom_bits_per_key, options.capped_prefix));
        let mut custom = Vec::new();
        for (tag, time) in [(5, options.oldest), (6, options.created)] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, time);
            custom.push((tag, bytes));
        }
        custom.extend([(7, Vec::new()), (8, b"Unknown".to_vec())]);
        let file = NewFile { number: options.number, custom, smallest_sequence: MAX_SEQUENCE, ..NewFile::default() };
        let built = BuiltTable {
            file,
            entries: 0,
            deletions: 0,
            merge_operands: 0,
            data_blocks: 0,
            raw_key_size: 0,
            raw_value_size: 0,
        };
        Self {
            base: sink.position(),
            sink,
            options,
            data: BlockBuilder::new(RESTART_INTERVAL),
            index: BlockBuilder::index(),
            index_by_user_key: BlockBuilder::index(),
            split_key: false,
            filter,
            smallest: Vec::new(),
            last: Vec::new(),
            last_packed: 0,
            built,
        }
    }

    /// Bytes written so far, without the block in the making.
    pub fn position(&self) -> u64 {
        self.sink.position().saturating_sub(self.base)
    }

    /// Entries so far.
    pub fn entries(&self) -> u64 {
        self.built.entries
    }

    /// Number and times that the table was given.
    pub fn options(&self) -> &TableOptions {
        &self.options
    }

    /// Appends an entry. Keys ascend, versions of one key descend; range deletions are not written.
    pub fn add(&mut self, key: &[u8], sequence: u64, kind: ValueType, value: &[u8]) -> Result<()> {
        let refuse = |detail: String| Err(FormatError::malformed("sst.write-order", self.position(), detail));
        if sequence > MAX_SEQUENCE {
            return refuse(format!("sequence number {sequence} does not fit 56 bits"));
        }
        if !kind.is_known() || kind == ValueType::RangeDeletion {
            let detail = format!("entries of type {} ({kind:?}) are not written", kind.byte());
            return Err(FormatError::unsupported("sst.write-type", self.position(), detail));
        }
        let internal = join_internal_key(key, sequence, kind);
        let packed = sequence << 8 | u64::from(kind.byte());
        if self.built.entries > 0 {
            let last = user_key(&self.last);
            let order = self.options.comparator.compare(last, key).then(packed.cmp(&self.last_packed));
            if !order.is_lt() {
                return refuse(format!("the key with sequence number {sequence} is not above the one before it"));
            }
            if self.is_full(&internal, value) {
                let handle = self.flush()?;
                self.add_index_entry(handle, Some(key))?;
            }
        } else {
            self.smallest.clone_from(&internal);
        }
        self.data.add(&internal, value)?;
        if let Some(filter) = &mut self.filter {
            filter.add(key);
        }
        let built = &mut self.built;
        built.entries = built.entries.saturating_add(1);
        built.raw_key_size = built.raw_key_size.saturating_add(internal.len() as u64);
        built.raw_value_size = built.raw_value_size.saturating_add(value.len() as u64);
        built.deletions = built.deletions.saturating_add(u64::from(kind.is_deletion()));
        built.merge_operands = built.merge_operands.saturating_add(u64::from(kind == ValueType::Merge));
        built.file.smallest_sequence = built.file.smallest_sequence.min(sequence);
        built.file.largest_sequence = built.file.largest_sequence.max(Some(sequence));
        self.last = internal;
        self.last_packed = packed;
        Ok(())
    }

    /// Whether the block ends before this entry.
    fn is_full(&self, key: &[u8], value: &[u8]) -> bool {
        let (size, limit) = (self.data.size(), self.options.block_size);
        let almost = limit.saturating_mul(90).div_ceil(100);
        size >= limit || (size > almost && self.data.size_after(key, value) > limit)
    }

    /// Writes the data block.
    fn flush(&mut self) -> Result<BlockHandle> {
        let contents = self.data.finish();
        self.built.data_blocks = self.built.data_blocks.saturating_add(1);
        self.write_block(&contents)
    }

    /// Names the block that ends with the last key; `next` is the first user key of the block after it.
    fn add_index_entry(&mut self, handle: BlockHandle, next: Option<&[u8]>) -> Result<()> {
        let last = user_key(&self.last);
        self.split_key |= next == Some(last);
        let shortened = next
            .filter(|_| self.options.comparator == Comparator::Bytewise)
            .and_then(|next| separator(last, next))
            .map(|key| join_internal_key(&key, MAX_SEQUENCE, SEEK_TYPE));
        let key = shortened.as_deref().unwrap_or(&self.last);
        let value = encode_handle(handle);
        self.index.add(key, &value)?;
        if !self.split_key {
            self.index_by_user_key.add(user_key(key), &value)?;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let offset = self.sink.position();
        self.sink.append(bytes).map_err(|error| error.at(offset))
    }

    fn write_block(&mut self, contents: &[u8]) -> Result<BlockHandle> {
        let handle = BlockHandle { offset: self.position(), size: contents.len() as u64 };
        self.write(contents)?;
        let checksum = ChecksumType::Xxh3.of_block(contents, 0).to_le_bytes();
        let [a, b, c, d] = checksum;
        self.write(&[0, a, b, c, d])?;
        Ok(handle)
    }

    /// Writes the rest of the table. A table without entries is refused: no MANIFEST can name it.
    pub fn finish(mut self) -> Result<BuiltTable> {
        if self.built.entries == 0 {
            return Err(FormatError::malformed("sst.write-empty", 0, "a table has at least one entry"));
        }
        let handle = self.flush()?;
        self.add_index_entry(handle, None)?;
        let data_size = self.position();
        let mut meta: BTreeMap<&[u8], BlockHandle> = BTreeMap::new();
        let filter = self.filter.take();
        let filter_entries = filter.as_ref().map_or(0, FilterBuilder::entries);
        let mut filter_size = 0;
        if let Some(contents) = filter.and_then(FilterBuilder::finish) {
            filter_size = contents.len() as u64;
            meta.insert(b"fullfilter.rocksdb.BuiltinBloomFilter", self.write_block(&contents)?);
        }
        let contents = if self.split_key { self.index.finish() } else { self.index_by_user_key.finish() };
        let index = self.write_block(&contents)?;
        let numbers = [
            ("rocksdb.data.size", data_size),
            ("rocksdb.filter.size", filter_size),
            ("rocksdb.index.size", index.size.saturating_add(TRAILER_SIZE)),
            ("rocksdb.num.filter_entries", filter_entries),
        ];
        let properties = self.properties(&numbers)?;
        meta.insert(b"rocksdb.properties", self.write_block(&properties)?);
        let mut block = BlockBuilder::new(1);
        for (name, handle) in meta {
            block.add(name, &encode_handle(handle))?;
        }
        let metaindex = self.write_block(&block.finish())?;
        let mut footer = vec![4];
        footer.extend(encode_handle(metaindex));
        footer.extend(encode_handle(index));
        footer.resize(41, 0);
        footer.extend(FORMAT_VERSION.to_le_bytes());
        footer.extend(MAGIC.to_le_bytes());
        self.write(&footer)?;
        self.built.file.size = self.position();
        self.built.file.smallest = self.smallest;
        self.built.file.largest = self.last;
        Ok(self.built)
    }

    fn properties(&self, sizes: &[(&str, u64)]) -> Result<Vec<u8>> {
        let (options, built) = (&self.options, &self.built);
        let numbers = [
            ("rocksdb.column.family.id", u64::from(options.column_family)),
            ("rocksdb.creation.time", options.oldest),
            ("rocksdb.deleted.keys", built.deletions),
            ("rocksdb.file.creation.time", options.created),
            ("rocksdb.fixed.key.length", 0),
            ("rocksdb.format.version", 0),
            ("rocksdb.index.key.is.user.key", u64::from(!self.split_key)),
            ("rocksdb.index.value.is.delta.encoded", 1),
            ("rocksdb.merge.operands", built.merge_operands),
            ("rocksdb.num.data.blocks", built.data_blocks),
            ("rocksdb.num.entries", built.entries),
            ("rocksdb.num.range-deletions", 0),
            ("rocksdb.oldest.key.time", options.oldest_key),
            ("rocksdb.original.file.number", options.number),
            ("rocksdb.raw.key.size", built.raw_key_size),
            ("rocksdb.raw.value.size", built.raw_value_size),
        ];
        let mut properties: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for (name, number) in numbers.iter().chain(sizes) {
            let mut value = Vec::new();
            put_varint(&mut value, *number);
            properties.insert(name.as_bytes().to_vec(), value);
        }
        let prefix = options.capped_prefix.map(|length| format!("rocksdb.CappedPrefix.{length}"));
        let prefixes_filtered = options.capped_prefix.is_some();
        let comparator = match options.comparator {
            Comparator::Bytewise => "leveldb.BytewiseComparator",
            Comparator::ReverseBytewise => "rocksdb.ReverseBytewiseComparator",
        };
        let texts: [(&str, &[u8]); 9] = [
            ("rocksdb.block.based.table.index.type", &[0; 4]),
            ("rocksdb.block.based.table.prefix.filtering", if prefixes_filtered { b"1" } else { b"0" }),
            ("rocksdb.block.based.table.whole.key.filtering", b"1"),
            ("rocksdb.column.family.name", &options.column_family_name),
            ("rocksdb.comparator", comparator.as_bytes()),
            ("rocksdb.compression", b"NoCompression"),
            ("rocksdb.merge.operator", options.merge_operator.as_deref().unwrap_or("nullptr").as_bytes()),
            ("rocksdb.prefix.extractor.name", prefix.as_deref().unwrap_or("nullptr").as_bytes()),
            ("rocksdb.property.collectors", b"[]"),
        ];
        properties.extend(texts.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec())));
        if self.options.bloom_bits_per_key > 0 {
            properties.insert(b"rocksdb.filter.policy".to_vec(), b"bloomfilter".to_vec());
        }
        properties.extend(options.properties.clone());
        let mut block = BlockBuilder::new(usize::MAX);
        for (name, value) in properties.iter().filter(|(_, value)| !value.is_empty()) {
            block.add(name, value)?;
        }
        Ok(block.finish())
    }
}

/// The user key of an internal key.
fn user_key(internal: &[u8]) -> &[u8] {
    internal.split_last_chunk::<8>().map_or(internal, |(user, _)| user)
}

fn encode_handle(handle: BlockHandle) -> Vec<u8> {
    let mut out = Vec::with_capacity(20);
    put_varint(&mut out, handle.offset);
    put_varint(&mut out, handle.size);
    out
}

/// A key not longer than `last`, above it and below `next`, if RocksDB would make one.
fn separator(last: &[u8], next: &[u8]) -> Option<Vec<u8>> {
    let common = last.iter().zip(next).take_while(|(a, b)| a == b).count();
    let (byte, limit) = (*last.get(common)?, *next.get(common)?);
    if byte >= limit {
        return None;
    }
    let whole_next = common.saturating_add(1) == next.len();
    let at = if byte.saturating_add(1) < limit || !whole_next {
        common
    } else {
        // The byte plus one would be `next` itself: a later one is raised instead.
        let from = common.saturating_add(1);
        from.saturating_add(last.get(from..)?.iter().position(|byte| *byte < 0xff)?)
    };
    let mut key = last.get(..=at)?.to_vec();
    if let Some(byte) = key.last_mut() {
        *byte = byte.saturating_add(1);
    }
    Some(key)
}
