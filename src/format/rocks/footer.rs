//! The last bytes of a table: where its index is and how its blocks are checked.
//!
//! ```text
//! format version 0 (48 bytes):    metaindex handle, index handle (varint offset, varint size each), zeros up to 40 |
//!                                 u64 magic DB4775248B80FB57; CRC-32C
//! format versions 1 to 5 (53):    u8 checksum type | the same 40 bytes | u32 format version | u64 magic 88E241B785F4CFF7
//! format versions 6 and 7 (53):   u8 checksum type | 3E 00 7A 00 | u32 checksum of the footer with this field zero |
//!                                 u32 base context checksum | u32 metaindex size (it ends just before the footer) |
//!                                 24 zeros, the last 8 checked | u32 format version | u64 magic
//! ```
//! From version 6 on each stored checksum has `base ^ low32(offset) + high32(offset)` added, so that a block at the wrong
//! place fails; the index handle is in the metaindex, under `rocksdb.index`.

use super::block::{BlockHandle, ChecksumType, TRAILER_SIZE};
use crate::format::cursor::Cursor;
use crate::format::{FormatError, Result, Source, read_vec};

const LEGACY_MAGIC: u64 = 0xdb47_7524_8b80_fb57;
const MAGIC: u64 = 0x88e2_41b7_85f4_cff7;
const PLAIN_TABLE_MAGICS: [u64; 2] = [0x8242_2296_63bf_9564, 0x4f34_18eb_7a8f_13b8];
const CUCKOO_TABLE_MAGIC: u64 = 0x926789d0c5f17873;
const EXTENDED_MAGIC: [u8; 4] = [0x3e, 0x00, 0x7a, 0x00];
const FOOTER_SIZE: u64 = 53;
const LEGACY_FOOTER_SIZE: u64 = 48;
/// Newest table format that this build reads.
pub const NEWEST_FORMAT_VERSION: u32 = 7;

/// What the footer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footer {
    /// Offset of the footer in the file.
    pub offset: u64,
    /// Table format version, 0 to 7.
    pub format_version: u32,
    /// How every block is checked.
    pub checksum: ChecksumType,
    /// Base of the context checksums; 0 before version 6.
    pub base_context: u32,
    /// The block that lists the other meta blocks.
    pub metaindex: BlockHandle,
    /// The index block; from version 6 on the metaindex names it instead.
    pub index: Option<BlockHandle>,
}

impl Footer {
    /// Reads the footer of a table.
    pub fn read<S: Source + ?Sized>(source: &S) -> Result<Self> {
        let size = source.size();
        let length = FOOTER_SIZE.min(size);
        if length < LEGACY_FOOTER_SIZE {
            let detail = format!("a table has at least {LEGACY_FOOTER_SIZE} bytes, this file has {size}");
            return Err(FormatError::truncated("sst.footer-truncated", size, detail));
        }
        let start = size.saturating_sub(length);
        let bytes = read_vec(source, start, length, "sst.footer-truncated")?;
        Self::decode(&bytes, start)
    }

    /// Decodes the last 53 (or, of a smaller file, all) bytes, which begin at file offset `start`.
    pub fn decode(bytes: &[u8], start: u64) -> Result<Self> {
        let truncated = || FormatError::truncated("sst.footer-truncated", start, "a table footer has 48 or 53 bytes");
        let magic_offset = start.saturating_add(bytes.len() as u64).saturating_sub(8);
        let magic = u64::from_le_bytes(*bytes.last_chunk::<8>().ok_or_else(truncated)?);
        match magic {
            LEGACY_MAGIC => {
                let from = bytes.len().checked_sub(48).ok_or_else(truncated)?;
                let offset = start.saturating_add(from as u64);
                let body = bytes.get(from..).unwrap_or_default();
                let (metaindex, index) = handles(&mut Cursor::new(body, offset, "sst.bad-footer-handle"))?;
                Ok(Self {
                    offset,
                    format_version: 0,
                    checksum: ChecksumType::Crc32c,
                    base_context: 0,
                    metaindex,
                    index: Some(index),
                })
            }
            MAGIC => Self::decode_current(bytes.last_chunk::<53>().ok_or_else(truncated)?, start, bytes.len()),
            _ if PLAIN_TABLE_MAGICS.contains(&magic) || magic == CUCKOO_TABLE_MAGIC => Err(FormatError::unsupported(
                "sst.table-kind",
                magic_offset,
                format!("magic {magic:#018x} is of a plain or cuckoo table; only block-based tables are read"),
            )),
            _ => Err(FormatError::malformed(
                "sst.bad-magic",
                magic_offset,
                format!("table magic is {magic:#018x}, expected {MAGIC:#018x}"),
            )),
        }
    }

    fn decode_current(bytes: &[u8; 53], start: u64, length: usize) -> Result<Self> {
        let offset = start.saturating_add(length as u64).saturating_sub(FOOTER_SIZE);
        let version = bytes.get(41..45).map_or(0, |b| b.iter().rev().fold(0u32, |v, b| v << 8 | u32::from(*b)));
        if version > NEWEST_FORMAT_VERSION {
            let detail = format!("table format version {version}, this build knows up to {NEWEST_FORMAT_VERSION}");
            return Err(FormatError::newer("sst.newer-format-version", offset.saturating_add(41), detail));
        }
        let mut cursor = Cursor::new(bytes, offset, "sst.bad-footer-handle");
        let checksum_byte = cursor.u8()?;
        let checksum = ChecksumType::from_byte(checksum_byte).ok_or_else(|| {
            FormatError::malformed(
                "sst.bad-checksum-type",
                offset,
                format!("checksum type {checksum_byte}, known are 0 to 4"),
            )
        })?;
        if version < 6 {
            let (metaindex, index) = handles(&mut cursor)?;
            return Ok(Self {
                offset,
                format_version: version,
                checksum,
                base_context: 0,
                metaindex,
                index: Some(index),
            });
        }
        let extended: [u8; 4] = cursor.array()?;
        if extended != EXTENDED_MAGIC {
            let detail = format!("extended magic is {extended:02x?}, expected {EXTENDED_MAGIC:02x?}");
            return Err(FormatError::malformed("sst.bad-extended-magic", offset.saturating_add(1), detail));
        }
        let stored = cursor.u32()?;
        let base_context = cursor.u32()?;
        let metaindex_size = u64::from(cursor.u32()?);
        cursor.skip(16)?;
        let reserved = cursor.u64()?;
        let mut zeroed = *bytes;
        zeroed.iter_mut().skip(5).take(4).for_each(|byte| *byte = 0);
        let computed = checksum.of_footer(&zeroed).wrapping_add(context_modifier(base_context, offset));
        if checksum != ChecksumType::None && computed != stored {
            let detail = format!("footer checksum is {stored:#010x}, computed {computed:#010x}");
            return Err(FormatError::checksum("sst.footer-checksum-mismatch", offset.saturating_add(5), detail));
        }
        if reserved != 0 {
            let detail = format!("reserved footer bytes hold {reserved:#x}, expected 0");
            return Err(FormatError::newer("sst.newer-footer", offset.saturating_add(33), detail));
        }
        let metaindex_offset =
            offset.checked_sub(TRAILER_SIZE).and_then(|end| end.checked_sub(metaindex_size)).ok_or_else(|| {
                let detail = format!("a metaindex of {metaindex_size} bytes does not fit before the footer");
                FormatError::malformed("sst.bad-footer-handle", offset.saturating_add(13), detail)
            })?;
        let metaindex = BlockHandle { offset: metaindex_offset, size: metaindex_size };
        Ok(Self { offset, format_version: version, checksum, base_context, metaindex, index: None })
    }
}

fn handles(cursor: &mut Cursor<'_>) -> Result<(BlockHandle, BlockHandle)> {
    Ok((BlockHandle::decode(cursor)?, BlockHandle::decode(cursor)?))
}

/// What is added to the checksum of a block at `offset`; 0 if context checksums are off.
pub fn context_modifier(base: u32, offset: u64) -> u32 {
    if base == 0 {
        return 0;
    }
    let low = (offset & 0xffff_ffff) as u32;
    let high = (offset >> 32) as u32;
    base ^ low.wrapping_add(high)
}
