//! The properties block: names to values, numbers as varints.
//!
//! Read here: `rocksdb.num.entries` (point entries and range deletions), `rocksdb.deleted.keys` (range deletions included),
//! `rocksdb.merge.operands`, `rocksdb.num.range-deletions`, `rocksdb.raw.key.size` (internal keys), `rocksdb.raw.value.size`,
//! `rocksdb.data.size`, `rocksdb.num.data.blocks`, `rocksdb.column.family.id` and `.name`, `rocksdb.comparator`,
//! `rocksdb.merge.operator`, `rocksdb.compression`, `rocksdb.filter.policy`, `rocksdb.creating.db.identity`,
//! `rocksdb.original.file.number`, `rocksdb.index.key.is.user.key`, `rocksdb.index.value.is.delta.encoded`,
//! `rocksdb.block.based.table.index.type` (u32), `rocksdb.external_sst_file.version` (u32) and `.global_seqno` (u64).
//! Anything else is kept as bytes.

use crate::format::cursor::Cursor;

/// Properties of a table, by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Properties {
    entries: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Properties {
    /// The properties of these names and values.
    pub fn new(entries: Vec<(Vec<u8>, Vec<u8>)>) -> Self {
        Self { entries }
    }

    /// All of them, in stored order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.entries.iter().map(|(name, value)| (name.as_slice(), value.as_slice()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The bytes of the property `name`.
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(stored, _)| *stored == name.as_bytes()).map(|(_, value)| value)
    }

    /// The property `name` as text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.bytes(name).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// The varint property `name`; `None` if it is absent or not a varint.
    pub fn number(&self, name: &str) -> Option<u64> {
        Cursor::new(self.bytes(name)?, 0, "sst.bad-property").varint().ok()
    }

    /// The fixed-width property `name`, little-endian, of at most 8 bytes.
    pub fn fixed(&self, name: &str) -> Option<u64> {
        let bytes = self.bytes(name).filter(|bytes| matches!(bytes.len(), 4 | 8))?;
        Some(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    /// Entries in the table, range deletions included.
    pub fn num_entries(&self) -> Option<u64> {
        self.number("rocksdb.num.entries")
    }

    /// Name of the column family the table was written for.
    pub fn column_family(&self) -> Option<&[u8]> {
        self.bytes("rocksdb.column.family.name").filter(|name| !name.is_empty())
    }

    /// Id of the column family; RocksDB writes 2^31 - 1 for "unknown".
    pub fn column_family_id(&self) -> Option<u32> {
        let id = u32::try_from(self.number("rocksdb.column.family.id")?).ok()?;
        (id != 0x7fff_ffff).then_some(id)
    }

    /// Name of the comparator that ordered the keys.
    pub fn comparator(&self) -> Option<&[u8]> {
        self.bytes("rocksdb.comparator")
    }

    /// Name of the merge operator, unless it is RocksDB's word for none.
    pub fn merge_operator(&self) -> Option<&[u8]> {
        self.bytes("rocksdb.merge.operator").filter(|name| *name != b"nullptr")
    }
}
