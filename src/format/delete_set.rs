//! Delete snapshot `del.<D>`: the ids of all documents ever deleted or replaced.
//!
//! ```text
//! 0   u64 magic 0x362DDA444AC1B99A
//! 8   u32 is_32bit    1 = a 32-bit set follows, 0 = a 64-bit set
//! 12  u32 crc         raw CRC-32C of bytes 64..end
//! 16  u64 timestamp   Unix seconds
//! 24  40 bytes        reserved; uninitialised memory in zvec's files
//! 64  roaring set, no run containers (see `roaring`)
//! ```
//!
//! The checksum covers the set alone: magic, width, time stamp and reserved bytes are under no checksum. zvec refuses to
//! open a collection whose snapshot fails the check; here the set is decoded all the same, as far as it goes.

use roaring::RoaringTreemap;

use super::checksum::raw_crc32c;
use super::cursor::Cursor;
use super::roaring::{decode, decode_tree, encode, encode_tree, trailing};
use super::{FormatError, Result};

/// First eight bytes of a delete snapshot.
pub const MAGIC: u64 = 0x362D_DA44_4AC1_B99A;
/// Length of the header; the set begins here.
pub const HEADER_LENGTH: u64 = 64;

/// A decoded delete snapshot.
#[derive(Debug, Clone)]
pub struct DeleteSet {
    /// Deleted document ids: those of all readable containers.
    pub ids: RoaringTreemap,
    /// When the snapshot was written, in Unix seconds.
    pub timestamp: u64,
    /// The width flag as stored.
    pub is_32bit: u32,
    /// The checksum as stored.
    pub stored_crc: u32,
    /// The checksum of the bytes that are there.
    pub computed_crc: u32,
    /// The reserved header bytes, uninitialised memory in zvec's files.
    pub reserved: [u8; 40],
    /// Faults, in the order found; empty = intact.
    pub faults: Vec<FormatError>,
}

/// Decodes a whole snapshot file.
///
/// # Errors
/// When no set can be had: the header is cut short, or the set's own header is unreadable. In the second case the error
/// is the bad magic if that is wrong too, because then this is another file.
pub fn read(bytes: &[u8]) -> Result<DeleteSet> {
    let mut cursor = Cursor::new(bytes, 0, "delete-set.truncated");
    let magic = cursor.u64()?;
    let is_32bit = cursor.u32()?;
    let stored_crc = cursor.u32()?;
    let timestamp = cursor.u64()?;
    let reserved = cursor.array()?;
    let body = cursor.rest();

    let mut faults = Vec::new();
    if magic != MAGIC {
        let detail = format!("the file begins with {magic:#018x}, a delete snapshot with {MAGIC:#018x}");
        faults.push(FormatError::malformed("delete-set.bad-magic", 0, detail));
    }
    if is_32bit > 1 {
        let detail = format!("the width flag is {is_32bit}, expected 0 or 1; read as 32-bit");
        faults.push(FormatError::malformed("delete-set.bad-width", 8, detail));
    }
    let computed_crc = raw_crc32c(body);
    if computed_crc != stored_crc {
        let detail = format!("stored checksum {stored_crc:#010x}, the set has {computed_crc:#010x}");
        faults.push(FormatError::checksum("delete-set.crc-mismatch", HEADER_LENGTH, detail));
    }
    let set = if is_32bit == 0 {
        decode_tree(body, HEADER_LENGTH).map(|tree| (tree.treemap, tree.length, tree.faults))
    } else {
        let low = |bitmap| RoaringTreemap::from_bitmaps([(0, bitmap)]);
        decode(body, HEADER_LENGTH).map(|set| (low(set.bitmap), set.length, set.faults))
    };
    let (ids, length, set_faults) = match set {
        Ok(set) => set,
        Err(error) => return Err(faults.into_iter().find(|fault| fault.offset == 0).unwrap_or(error)),
    };
    faults.extend(set_faults);
    faults.extend(trailing(body, length, HEADER_LENGTH));
    Ok(DeleteSet { ids, timestamp, is_32bit, stored_crc, computed_crc, reserved, faults })
}

/// A snapshot file as zvec writes it (reserved bytes zero): 32-bit if all ids fit.
pub fn write(ids: &RoaringTreemap, timestamp: u64) -> Vec<u8> {
    let low = ids.bitmaps().next().filter(|(high, _)| *high == 0).map(|(_, bitmap)| bitmap);
    let is_32bit = ids.max().is_none_or(|max| u32::try_from(max).is_ok());
    let body = match (is_32bit, low) {
        (true, Some(bitmap)) => encode(bitmap),
        (true, None) => encode(&roaring::RoaringBitmap::new()),
        (false, _) => encode_tree(ids),
    };
    let mut out = MAGIC.to_le_bytes().to_vec();
    out.extend(u32::from(is_32bit).to_le_bytes());
    out.extend(raw_crc32c(&body).to_le_bytes());
    out.extend(timestamp.to_le_bytes());
    out.extend([0; 40]);
    out.extend(body);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(ids: &[u64]) -> RoaringTreemap {
        ids.iter().copied().collect()
    }

    #[test]
    fn empty_snapshot_is_72_bytes() {
        let bytes = write(&set(&[]), 0x6855_0000);
        assert_eq!(bytes.len(), 72);
        assert_eq!(bytes[..12], [0x9a, 0xb9, 0xc1, 0x4a, 0x44, 0xda, 0x2d, 0x36, 1, 0, 0, 0]);
        assert_eq!(bytes[64..], [0x3a, 0x30, 0, 0, 0, 0, 0, 0]);
        let read = read(&bytes).unwrap();
        assert!(read.ids.is_empty() && read.faults.is_empty());
        assert_eq!((read.timestamp, read.is_32bit), (0x6855_0000, 1));
    }

    #[test]
    fn width_follows_the_largest_id() {
        let small = write(&set(&[3, u64::from(u32::MAX)]), 1);
        assert_eq!(small[8], 1);
        let large = write(&set(&[3, 1 << 32]), 1);
        assert_eq!((large[8], &large[64..72]), (0, &[2u8, 0, 0, 0, 0, 0, 0, 0][..]));
        assert_eq!(read(&large).unwrap().ids, set(&[3, 1 << 32]));
    }

    #[test]
    fn wrong_checksum_is_a_fault_and_the_set_is_still_there() {
        let mut bytes = write(&set(&[3, 9, 70_000]), 1);
        bytes[12] ^= 1;
        let read = read(&bytes).unwrap();
        assert_eq!(read.ids, set(&[3, 9, 70_000]));
        assert_eq!((read.faults[0].code, read.faults[0].offset), ("delete-set.crc-mismatch", 64));
        assert_ne!(read.stored_crc, read.computed_crc);
    }

    #[test]
    fn header_faults() {
        assert_eq!(read(&[]).unwrap_err().code, "delete-set.truncated");
        let good = write(&set(&[3]), 1);
        assert_eq!(read(&good[..63]).unwrap_err().code, "delete-set.truncated");
        assert_eq!(read(&good[..66]).unwrap_err().code, "roaring.truncated");

        let mut magic = good.clone();
        magic[0] = 0;
        assert_eq!(read(&magic).unwrap().faults[0].code, "delete-set.bad-magic");
        magic[64] = 0;
        assert_eq!(read(&magic).unwrap_err().code, "delete-set.bad-magic");

        let mut width = good.clone();
        width[8] = 7;
        let odd = read(&width).unwrap();
        assert_eq!((odd.faults[0].code, odd.is_32bit, odd.ids), ("delete-set.bad-width", 7, set(&[3])));

        let mut long = good;
        long.extend([0; 3]);
        let codes: Vec<_> = read(&long).unwrap().faults.iter().map(|fault| (fault.code, fault.offset)).collect();
        assert_eq!(codes, [("delete-set.crc-mismatch", 64), ("roaring.trailing-bytes", 82)]);
    }

    proptest! {
        #[test]
        fn round_trip(ids in prop::collection::vec(0u64..1 << 34, 0..500), timestamp: u64) {
            let ids = set(&ids);
            let read = read(&write(&ids, timestamp)).unwrap();
            prop_assert_eq!((read.ids, read.timestamp, read.faults), (ids, timestamp, vec![]));
        }

        #[test]
        fn mutated_files_never_panic(
            ids in prop::collection::vec(0u64..1 << 33, 0..300),
            edits in prop::collection::vec((0usize..400, any::<u8>()), 0..5),
            keep in 0usize..500,
        ) {
            let mut bytes = write(&set(&ids), 1);
            for (at, byte) in edits { if let Some(slot) = bytes.get_mut(at) { *slot = byte; } }
            bytes.truncate(keep);
            let _ = read(&bytes);
        }
    }
}
