//! Compressed block contents.
//!
//! ```text
//! Snappy:         raw Snappy, which begins with its own decompressed size
//! LZ4, LZ4HC:     varint decompressed size (format versions 0 and 1: u64) | raw LZ4 block
//! Zstandard:      varint decompressed size | one frame
//! ```
//! The size is hostile: nothing is allocated by it before the codec's best possible ratio says that so few bytes can hold it.

use std::io::Read;

use super::block::{BlockFormat, BlockHandle, Compression};
use crate::format::cursor::Cursor;
use crate::format::{FormatError, Result};

/// Largest block that is decompressed; RocksDB cuts blocks at some KiB, one huge value can make them larger.
pub const MAX_DECOMPRESSED: u64 = 256 << 20;
/// No Snappy element yields more than 64 bytes out of 2.
const SNAPPY_RATIO: u64 = 32;
/// One more LZ4 length byte adds at most 255 bytes.
const LZ4_RATIO: u64 = 255;

/// Contents of the block at `handle`, whose stored bytes are `bytes`.
pub(super) fn decompress(
    bytes: Vec<u8>,
    compression: Compression,
    handle: BlockHandle,
    format: &BlockFormat,
) -> Result<Vec<u8>> {
    let unsupported =
        |detail: String| Err(FormatError::unsupported("sst.unsupported-compression", handle.offset, detail));
    let dictionary = format.dictionary.as_deref().unwrap_or_default();
    match compression {
        Compression::None => Ok(bytes),
        Compression::Snappy => snappy(&bytes, handle),
        Compression::Lz4 | Compression::Lz4hc => lz4(&bytes, handle, format.format_version, dictionary),
        Compression::Zstd if dictionary.is_empty() => zstd(&bytes, handle),
        Compression::Zstd => unsupported("a Zstandard block that needs the table's dictionary".to_owned()),
        Compression::Zlib | Compression::Bzip2 | Compression::Xpress => {
            unsupported(format!("{compression:?} compression is not decoded"))
        }
        Compression::Other(byte) => unsupported(format!("compression type {byte:#04x} is not decoded")),
    }
}

fn broken(handle: BlockHandle, detail: impl Into<String>) -> FormatError {
    FormatError::malformed("sst.bad-compressed-block", handle.offset, detail)
}

/// `size` as a length, if `stored` compressed bytes can hold that much.
fn checked_size(size: u64, stored: usize, ratio: u64, handle: BlockHandle) -> Result<usize> {
    let most = (stored as u64).saturating_add(16).saturating_mul(ratio);
    if size > most {
        return Err(broken(
            handle,
            format!("{stored} compressed bytes claim {size} bytes, {most} at most are possible"),
        ));
    }
    if size > MAX_DECOMPRESSED {
        let detail = format!("a block of {size} bytes, at most {MAX_DECOMPRESSED} are decompressed");
        return Err(FormatError::unsupported("sst.block-too-large", handle.offset, detail));
    }
    usize::try_from(size).map_err(|_| broken(handle, format!("{size} bytes do not fit in memory")))
}

fn snappy(bytes: &[u8], handle: BlockHandle) -> Result<Vec<u8>> {
    let claimed = snap::raw::decompress_len(bytes).map_err(|error| broken(handle, format!("Snappy: {error}")))?;
    let size = checked_size(claimed as u64, bytes.len(), SNAPPY_RATIO, handle)?;
    let mut out = vec![0; size];
    let written = snap::raw::Decoder::new()
        .decompress(bytes, &mut out)
        .map_err(|error| broken(handle, format!("Snappy: {error}")))?;
    out.truncate(written);
    Ok(out)
}

fn lz4(bytes: &[u8], handle: BlockHandle, format_version: u32, dictionary: &[u8]) -> Result<Vec<u8>> {
    let mut cursor = Cursor::new(bytes, handle.offset, "sst.bad-compressed-block");
    let claimed = if format_version < 2 { cursor.u64()? } else { cursor.varint()? };
    let body = cursor.rest();
    let size = checked_size(claimed, body.len(), LZ4_RATIO, handle)?;
    let mut out = vec![0; size];
    let written = lz4_flex::block::decompress_into_with_dict(body, &mut out, dictionary)
        .map_err(|error| broken(handle, format!("LZ4: {error}")))?;
    if written != size {
        return Err(broken(handle, format!("LZ4 gives {written} bytes, the block claims {size}")));
    }
    Ok(out)
}

fn zstd(bytes: &[u8], handle: BlockHandle) -> Result<Vec<u8>> {
    let mut cursor = Cursor::new(bytes, handle.offset, "sst.bad-compressed-block");
    let claimed = cursor.varint()?;
    if claimed > MAX_DECOMPRESSED {
        let detail = format!("a block of {claimed} bytes, at most {MAX_DECOMPRESSED} are decompressed");
        return Err(FormatError::unsupported("sst.block-too-large", handle.offset, detail));
    }
    let decoder = ruzstd::decoding::StreamingDecoder::new(cursor.rest())
        .map_err(|error| broken(handle, format!("Zstandard: {error}")))?;
    // Grows with what comes out, so a false size allocates nothing.
    let mut out = Vec::new();
    decoder
        .take(claimed.saturating_add(1))
        .read_to_end(&mut out)
        .map_err(|error| broken(handle, format!("Zstandard: {error}")))?;
    if out.len() as u64 != claimed {
        return Err(broken(handle, format!("Zstandard gives {} bytes, the block claims {claimed}", out.len())));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Kind;
    use crate::format::rocks::block::ChecksumType;

    fn format(version: u32, dictionary: Option<&[u8]>) -> BlockFormat {
        BlockFormat {
            format_version: version,
            checksum: ChecksumType::None,
            base_context: 0,
            dictionary: dictionary.map(<[u8]>::to_vec),
        }
    }

    fn run(bytes: &[u8], compression: Compression, format: &BlockFormat) -> Result<Vec<u8>> {
        decompress(bytes.to_vec(), compression, BlockHandle { offset: 40, size: bytes.len() as u64 }, format)
    }

    const TEXT: &[u8] = b"postings postings postings postings postings postings";

    #[test]
    fn lz4_sizes_are_varint_or_eight_bytes() {
        let body = lz4_flex::block::compress(TEXT);
        let current = [&[TEXT.len() as u8], &body[..]].concat();
        assert_eq!(run(&current, Compression::Lz4hc, &format(5, None)).unwrap(), TEXT);
        let old = [&(TEXT.len() as u64).to_le_bytes()[..], &body].concat();
        assert_eq!(run(&old, Compression::Lz4, &format(1, None)).unwrap(), TEXT);
        let short = [&[TEXT.len() as u8 + 1], &body[..]].concat();
        assert_eq!(run(&short, Compression::Lz4, &format(5, None)).unwrap_err().code, "sst.bad-compressed-block");
    }

    #[test]
    fn lz4_dictionary_is_used() {
        let body = lz4_flex::block::compress_with_dict(TEXT, b"postings postings");
        let stored = [&[TEXT.len() as u8], &body[..]].concat();
        assert_eq!(run(&stored, Compression::Lz4, &format(5, Some(b"postings postings"))).unwrap(), TEXT);
        assert!(run(&stored, Compression::Lz4, &format(5, None)).is_err());
    }

    #[test]
    fn impossible_sizes_are_refused_before_allocation() {
        let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1, 2, 3];
        let error = run(&huge, Compression::Lz4, &format(5, None)).unwrap_err();
        assert_eq!((error.code, error.kind, error.offset), ("sst.bad-compressed-block", Kind::Malformed, 40));
        let error = run(&huge, Compression::Zstd, &format(5, None)).unwrap_err();
        assert_eq!((error.code, error.kind), ("sst.block-too-large", Kind::Unsupported));
        let snappy = [0xff, 0xff, 0xff, 0xff, 0x0f, 0];
        assert_eq!(run(&snappy, Compression::Snappy, &format(5, None)).unwrap_err().code, "sst.bad-compressed-block");
    }

    #[test]
    fn foreign_codecs_are_not_damage() {
        for byte in [2, 3, 6, 8, 0x80] {
            let error = run(b"x", Compression::from_byte(byte), &format(5, None)).unwrap_err();
            assert_eq!((error.code, error.kind), ("sst.unsupported-compression", Kind::Unsupported));
        }
        let error = run(b"x", Compression::Zstd, &format(5, Some(b"dictionary"))).unwrap_err();
        assert_eq!(error.kind, Kind::Unsupported);
    }
}
