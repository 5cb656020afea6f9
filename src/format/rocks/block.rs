//! Blocks of a table.
//!
//! ```text
//! on disk:  contents (size bytes) | u8 compression | u32 checksum of contents and compression byte
//! ```
//! [`entries`](super::entries) maps the contents, [`decompress`](super::decompress) their compressed forms.
//!
//! Checksums: 1 masked CRC-32C; 2 XXH32; 3 low half of XXH64; 4 low half of XXH3-64 of the contents, xor'ed with
//! compression byte * 6B9083D9. [`footer`](super::footer) says what versions 6 and 7 add.

use super::decompress::decompress;
use super::footer::context_modifier;
use crate::format::checksum::masked_crc32c;
use crate::format::cursor::Cursor;
use crate::format::{FormatError, Result, Source, read_vec};
use xxhash_rust::{xxh32::xxh32, xxh64::xxh64};

/// Compression byte and checksum after each block.
pub const TRAILER_SIZE: u64 = 5;
const XXH3_TYPE_PRIME: u32 = 0x6b90_83d9;

/// Where a block is; `size` is without its 5-byte trailer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockHandle {
    /// Offset in the file.
    pub offset: u64,
    /// Bytes of the contents as stored.
    pub size: u64,
}

impl BlockHandle {
    /// Reads two varints.
    pub fn decode(cursor: &mut Cursor<'_>) -> Result<Self> {
        Ok(Self { offset: cursor.varint()?, size: cursor.varint()? })
    }

    /// First offset after the trailer; `None` beyond 64 bits.
    pub fn end(self) -> Option<u64> {
        self.offset.checked_add(self.size)?.checked_add(TRAILER_SIZE)
    }
}

/// How blocks are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChecksumType {
    /// 0: not at all.
    None,
    /// 1
    Crc32c,
    /// 2
    XxHash,
    /// 3
    XxHash64,
    /// 4
    Xxh3,
}

impl ChecksumType {
    /// The type that a footer byte stands for.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::None,
            1 => Self::Crc32c,
            2 => Self::XxHash,
            3 => Self::XxHash64,
            4 => Self::Xxh3,
            _ => return None,
        })
    }

    /// Checksum of block contents with their compression byte, before any context is added.
    pub fn of_block(self, contents: &[u8], compression: u8) -> u32 {
        let with_type = || {
            let mut all = Vec::with_capacity(contents.len().saturating_add(1));
            all.extend_from_slice(contents);
            all.push(compression);
            all
        };
        match self {
            Self::None => 0,
            Self::Crc32c => masked_crc32c(&[contents, &[compression]]),
            Self::XxHash => xxh32(&with_type(), 0),
            Self::XxHash64 => xxh64(&with_type(), 0) as u32,
            Self::Xxh3 => Self::xxh3_with_type(xxhash_rust::xxh3::xxh3_64(contents) as u32, compression),
        }
    }

    /// Type 4 from the low half of the XXH3 of the contents.
    pub(super) fn xxh3_with_type(low: u32, compression: u8) -> u32 {
        low ^ u32::from(compression).wrapping_mul(XXH3_TYPE_PRIME)
    }

    /// Checksum of a whole footer: its last byte plays the part of the compression byte.
    pub fn of_footer(self, footer: &[u8]) -> u32 {
        footer.split_last().map_or(0, |(last, rest)| self.of_block(rest, *last))
    }
}

/// Compression of one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// 0
    None,
    /// 1
    Snappy,
    /// 2: not decoded.
    Zlib,
    /// 3: not decoded.
    Bzip2,
    /// 4
    Lz4,
    /// 5: the same bytes as LZ4.
    Lz4hc,
    /// 6: not decoded.
    Xpress,
    /// 7 and, in tables before format version 3, 0x40.
    Zstd,
    /// Any other byte: a foreign compression manager. Not decoded.
    Other(u8),
}

impl Compression {
    /// The compression that a trailer byte stands for.
    pub fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::None,
            1 => Self::Snappy,
            2 => Self::Zlib,
            3 => Self::Bzip2,
            4 => Self::Lz4,
            5 => Self::Lz4hc,
            6 => Self::Xpress,
            7 | 0x40 => Self::Zstd,
            other => Self::Other(other),
        }
    }
}

/// What it takes to read any block of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockFormat {
    /// Table format version.
    pub format_version: u32,
    /// How blocks are checked.
    pub checksum: ChecksumType,
    /// Base of context checksums.
    pub base_context: u32,
    /// Dictionary of compressed data blocks, if the table has one.
    pub dictionary: Option<Vec<u8>>,
}

/// A verified, decompressed block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Where it was.
    pub handle: BlockHandle,
    /// How it was compressed.
    pub compression: Compression,
    /// Decompressed contents.
    pub contents: Vec<u8>,
}

impl Block {
    /// Reads, verifies and decompresses the block at `handle`.
    pub fn read<S: Source + ?Sized>(source: &S, handle: BlockHandle, format: &BlockFormat) -> Result<Self> {
        let length = handle.size.checked_add(TRAILER_SIZE).ok_or_else(|| {
            let detail = format!("a block of {} bytes cannot be", handle.size);
            FormatError::malformed("sst.bad-block-handle", handle.offset, detail)
        })?;
        let mut bytes = read_vec(source, handle.offset, length, "sst.block-truncated")?;
        let kind = check_trailer(&bytes, handle, format)?;
        bytes.truncate(bytes.len().saturating_sub(TRAILER_SIZE as usize));
        let compression = Compression::from_byte(kind);
        let contents = decompress(bytes, compression, handle, format)?;
        Ok(Self { handle, compression, contents })
    }
}
/// Compares the checksum of a block with its trailer, which `bytes` end with, and gives the compression byte.
pub(super) fn check_trailer(bytes: &[u8], handle: BlockHandle, format: &BlockFormat) -> Result<u8> {
    let [kind, stored @ ..]: [u8; 5] = bytes.last_chunk().copied().unwrap_or_default();
    let contents = bytes.get(..bytes.len().saturating_sub(TRAILER_SIZE as usize)).unwrap_or_default();
    let stored = u32::from_le_bytes(stored);
    if format.checksum != ChecksumType::None {
        let plain = format.checksum.of_block(contents, kind);
        let computed = plain.wrapping_add(context_modifier(format.base_context, handle.offset));
        if computed != stored {
            let detail = format!(
                "block of {} bytes: {:?} checksum is {stored:#010x}, computed {computed:#010x}",
                handle.size, format.checksum
            );
            return Err(FormatError::checksum("sst.block-checksum-mismatch", handle.offset, detail));
        }
    }
    Ok(kind)
}
