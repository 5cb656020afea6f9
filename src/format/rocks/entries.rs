//! Entries of a block.
//!
//! ```text
//! contents: entries | u32 restart offset x n | [hash index: u8 x buckets, u16 buckets] | u32 n (bit 31: hash index present)
//! entry:    varint shared | varint unshared | varint value length | unshared key bytes | value
//! ```
//! A key is the first `shared` bytes of the key before it and its own unshared bytes; at a restart `shared` is 0.
//!
//! Index blocks hold, per block pointed at, a key that is not below its last key and below the next block's first, and as value
//! a handle (varint offset, varint size), behind it, if the index type is 3, the length-prefixed first internal key. If the
//! table's properties say that index values are delta-encoded (format version 4 and later), the value length is absent
//! and the handle, where `shared` is not 0, only the signed (zigzag) difference of its size from the previous
//! handle's, as it follows that one's trailer directly. Index keys are user keys if the properties say so, else internal keys.
//!
//! Of the count's high bits, 29 is a search hint and 28 (keys and values apart, RocksDB 11) is not decoded.

use super::block::{Block, BlockHandle, Compression};
use super::key::{Version, split_internal_key};
use crate::format::cursor::Cursor;
use crate::format::{FormatError, Result};

const HASH_INDEX: u32 = 1 << 31;
const UNIFORM_KEYS: u32 = 1 << 29;
const COUNT_MASK: u32 = (1 << 28) - 1;
/// Key bytes that one block may expand to; prefix compression lets a hostile block of some KiB ask for gigabytes.
const MAX_EXPANDED_KEYS: usize = 256 << 20;

/// How the index of a table is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IndexLayout {
    /// Values have no length and handles are deltas.
    pub delta_values: bool,
    /// Keys are user keys, not internal keys.
    pub user_keys: bool,
    /// Values carry the first internal key of their block.
    pub first_keys: bool,
}

/// One block as an index names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexEntry {
    /// User key that is not below any key of the block.
    pub key: Vec<u8>,
    /// The block.
    pub handle: BlockHandle,
    /// User key of the block's first entry, where the index tells.
    pub first_key: Option<Vec<u8>>,
}

impl Block {
    /// Entries of a meta block: plain keys and values.
    pub fn pairs(&self) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut out = Vec::new();
        self.walk(true, |key, value, _| {
            out.push((key.to_vec(), value.rest().to_vec()));
            Ok(())
        })?;
        Ok(out)
    }

    /// Entries of a data block or of the range-deletion block.
    pub fn versions(&self) -> Result<Vec<Version>> {
        let mut out = Vec::new();
        self.walk(true, |key, value, _| {
            let start = value.offset();
            let (user, sequence, kind) = split_internal_key(key).ok_or_else(|| {
                let detail = format!("an internal key of {} bytes, expected at least 8", key.len());
                FormatError::malformed("sst.bad-internal-key", start, detail)
            })?;
            if !kind.is_known() {
                let detail = format!("an entry of value type {}", kind.byte());
                return Err(FormatError::malformed("sst.bad-value-type", start, detail));
            }
            out.push(Version { key: user.to_vec(), sequence, kind, value: value.rest().to_vec() });
            Ok(())
        })?;
        Ok(out)
    }

    /// Entries of an index block.
    pub fn index_entries(&self, layout: IndexLayout) -> Result<Vec<IndexEntry>> {
        let mut out: Vec<IndexEntry> = Vec::new();
        self.walk(!layout.delta_values, |key, value, shared| {
            let start = value.offset();
            let key = if layout.user_keys {
                key
            } else {
                let short = || {
                    let detail = format!("an index key of {} bytes, expected at least 8", key.len());
                    FormatError::malformed("sst.bad-internal-key", start, detail)
                };
                split_internal_key(key).ok_or_else(short)?.0
            };
            let previous = out.last().map(|entry| entry.handle).filter(|_| layout.delta_values && shared != 0);
            let handle = match previous {
                Some(previous) => following(previous, value.varint()?).ok_or_else(|| {
                    FormatError::malformed("sst.bad-index-value", start, "a block size outside 64 bits")
                })?,
                None => BlockHandle::decode(value)?,
            };
            let first_key = if layout.first_keys {
                let first = value.varint_bytes()?;
                split_internal_key(first).map(|(user, ..)| user.to_vec())
            } else {
                None
            };
            out.push(IndexEntry { key: key.to_vec(), handle, first_key });
            Ok(())
        })?;
        Ok(out)
    }

    /// The bytes of the entries and those of the restart array.
    fn sections(&self) -> Result<(&[u8], &[u8])> {
        let contents = &self.contents;
        let end = contents.len() as u64;
        let fault = |detail| Err(self.fault(end, "sst.bad-restart-array", detail));
        let Some((body, packed)) = contents.split_last_chunk::<4>() else {
            return fault(format!("a block of {end} bytes has no restart count"));
        };
        let packed = u32::from_le_bytes(*packed);
        if packed & !(HASH_INDEX | UNIFORM_KEYS | COUNT_MASK) != 0 {
            let detail = format!("restart count {packed:#010x} has feature bits that this build does not know");
            return Err(FormatError::newer("sst.newer-block-layout", self.handle.offset, detail));
        }
        let mut body = body;
        if packed & HASH_INDEX != 0 {
            let buckets = body
                .split_last_chunk::<2>()
                .and_then(|(rest, count)| rest.get(..rest.len().checked_sub(usize::from(u16::from_le_bytes(*count)))?));
            let Some(rest) = buckets else {
                return fault(format!("the hash index does not fit a block of {end} bytes"));
            };
            body = rest;
        }
        let count = (packed & COUNT_MASK) as usize;
        match count.checked_mul(4).and_then(|size| body.len().checked_sub(size)) {
            Some(split) if count > 0 => Ok(body.split_at_checked(split).unwrap_or_default()),
            _ => fault(format!("{count} restarts in a block of {end} bytes")),
        }
    }

    /// Calls `visit` with each key, a cursor on its value (on all that follows, if lengths are absent) and the bytes shared.
    fn walk(&self, lengths: bool, mut visit: impl FnMut(&[u8], &mut Cursor<'_>, usize) -> Result<()>) -> Result<()> {
        let (entries, restarts) = self.sections()?;
        let mut restarts = restarts.as_chunks::<4>().0.iter().map(|bytes| u64::from(u32::from_le_bytes(*bytes)));
        let mut next_restart = restarts.next();
        let mut cursor = Cursor::new(entries, 0, "sst.entry-truncated");
        let mut key = Vec::new();
        let mut expanded = 0usize;
        let at = |error: FormatError| self.placed(error);
        while !cursor.is_empty() {
            let start = cursor.offset();
            let shared = cursor.varint32().map_err(at)? as usize;
            let unshared = cursor.varint32().map_err(at)? as usize;
            let value_length = if lengths { cursor.varint32().map_err(at)? as usize } else { 0 };
            if next_restart == Some(start) {
                if shared != 0 {
                    let detail =
                        format!("the entry at a restart shares {shared} bytes with the one before, expected 0");
                    return Err(self.fault(start, "sst.bad-restart", detail));
                }
                next_restart = restarts.next();
            }
            if shared > key.len() {
                let detail = format!("an entry shares {shared} bytes with a key of {}", key.len());
                return Err(self.fault(start, "sst.bad-shared-length", detail));
            }
            expanded = expanded.saturating_add(shared);
            if expanded > MAX_EXPANDED_KEYS {
                let detail = format!("shared key bytes add up to more than {MAX_EXPANDED_KEYS}");
                return Err(self.fault(start, "sst.key-expansion", detail));
            }
            key.truncate(shared);
            key.extend_from_slice(cursor.bytes(unshared).map_err(at)?);
            if lengths {
                let offset = cursor.offset();
                let value = cursor.bytes(value_length).map_err(at)?;
                visit(&key, &mut Cursor::new(value, offset, "sst.bad-index-value"), shared).map_err(at)?;
            } else {
                visit(&key, &mut cursor, shared).map_err(at)?;
            }
        }
        match next_restart {
            Some(restart) if restart != 0 || !entries.is_empty() => {
                let detail = format!("restart offset {restart} is not the start of an entry");
                Err(self.fault(entries.len() as u64, "sst.bad-restart", detail))
            }
            _ => Ok(()),
        }
    }

    fn fault(&self, position: u64, code: &'static str, detail: String) -> FormatError {
        self.placed(FormatError::malformed(code, position, detail))
    }

    /// An error at a position of the contents, seen from the file.
    fn placed(&self, mut error: FormatError) -> FormatError {
        if self.compression == Compression::None {
            return error.shifted(self.handle.offset);
        }
        error.detail = format!("{} (byte {} of the decompressed block)", error.detail, error.offset);
        error.offset = self.handle.offset;
        error
    }
}

/// The handle right behind `previous`, whose size differs by the zigzag number `delta`.
fn following(previous: BlockHandle, delta: u64) -> Option<BlockHandle> {
    let difference = (delta >> 1) as i64 ^ -((delta & 1) as i64);
    Some(BlockHandle { offset: previous.end()?, size: previous.size.checked_add_signed(difference)? })
}
