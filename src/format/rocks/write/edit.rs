//! Encodes version edits; [`edit`](crate::format::rocks::edit) has the byte map.
//!
//! Fields come in RocksDB's order: 8193, 1, 2, 9, 3, 203, 10, 4, 5, 6, 103, 200, 201, 202, 300, ignorable ones. Added files are always
//! written with tag 103, which can say what the older tags say.

use super::{put_bytes, put_varint};
use crate::format::rocks::edit::{NewFile, VersionEdit};
use crate::format::{FormatError, Result};

/// Custom field of a file: its epoch.
pub(super) const EPOCH: u32 = 13;
const PATH_ID: u32 = 65;
/// Highest custom field that RocksDB 8.1.1 knows, the path id apart.
const LAST_KNOWN: u32 = 14;

impl VersionEdit {
    /// The record of this edit. Blob files are refused: the reader keeps no more of them than their numbers.
    pub fn encode(&self) -> Result<Vec<u8>> {
        if !self.blob_files.is_empty() {
            let detail = "edits that add blob files are not written";
            return Err(FormatError::unsupported("rocks-edit.write-blob", 0, detail));
        }
        let mut out = Vec::new();
        let number = |out: &mut Vec<u8>, tag: u64, value: Option<u64>| {
            if let Some(value) = value {
                put_varint(out, tag);
                put_varint(out, value);
            }
        };
        let text = |out: &mut Vec<u8>, tag: u64, value: Option<&Vec<u8>>| {
            if let Some(value) = value {
                put_varint(out, tag);
                put_bytes(out, value);
            }
        };
        text(&mut out, 8193, self.db_id.as_ref());
        text(&mut out, 1, self.comparator.as_ref());
        number(&mut out, 2, self.log_number);
        number(&mut out, 9, self.prev_log_number);
        number(&mut out, 3, self.next_file_number);
        number(&mut out, 203, self.max_column_family.map(u64::from));
        number(&mut out, 10, self.min_log_number_to_keep);
        number(&mut out, 4, self.last_sequence);
        for (level, key) in &self.compact_cursors {
            number(&mut out, 5, Some(u64::from(*level)));
            put_bytes(&mut out, key);
        }
        for (level, file) in &self.deleted_files {
            number(&mut out, 6, Some(u64::from(*level)));
            put_varint(&mut out, *file);
        }
        for file in &self.new_files {
            file.encode(&mut out);
        }
        number(&mut out, 200, Some(u64::from(self.column_family)).filter(|id| *id != 0));
        text(&mut out, 201, self.column_family_add.as_ref());
        if self.column_family_drop {
            put_varint(&mut out, 202);
        }
        number(&mut out, 300, self.atomic_group_remaining.map(u64::from));
        for (tag, bytes) in &self.ignored {
            put_varint(&mut out, u64::from(*tag));
            put_bytes(&mut out, bytes);
        }
        Ok(out)
    }
}

impl NewFile {
    fn encode(&self, out: &mut Vec<u8>) {
        for number in [103, u64::from(self.level), self.number, self.size] {
            put_varint(out, number);
        }
        put_bytes(out, &self.smallest);
        put_bytes(out, &self.largest);
        put_varint(out, self.smallest_sequence);
        put_varint(out, self.largest_sequence.unwrap_or(self.smallest_sequence));
        for (tag, bytes) in &self.custom {
            put_varint(out, u64::from(*tag));
            put_bytes(out, bytes);
        }
        // Of an edit with tag 102 the path id is not among the custom fields.
        if self.path_id != 0 && self.custom(PATH_ID).is_none() {
            put_varint(out, u64::from(PATH_ID));
            put_bytes(out, &self.path_id.to_le_bytes()[..1]);
        }
        put_varint(out, 1);
    }

    /// Order of writing among the tables of level 0, where the MANIFEST tells; RocksDB numbers from 1.
    pub fn epoch(&self) -> Option<u64> {
        let bytes = self.custom(EPOCH)?;
        crate::format::cursor::Cursor::new(bytes, 0, "rocks-edit.bad-epoch").varint().ok().filter(|epoch| *epoch != 0)
    }

    /// The same file with this epoch, or none.
    #[must_use]
    pub fn with_epoch(mut self, epoch: Option<u64>) -> Self {
        self.custom.retain(|(tag, _)| *tag != EPOCH);
        if let Some(epoch) = epoch {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, epoch);
            // Behind the two times, where RocksDB has it.
            let at = self.custom.iter().position(|(tag, _)| !matches!(tag, 5 | 6)).unwrap_or(self.custom.len());
            self.custom.insert(at, (EPOCH, bytes));
        }
        self
    }

    /// The same file without custom fields that RocksDB 8.1.1 does not know and would drop; it could not say whether they
    /// still hold.
    #[must_use]
    pub fn known(mut self) -> Self {
        self.custom.retain(|(tag, _)| *tag <= LAST_KNOWN || *tag == PATH_ID);
        self
    }
}
