//! Keys and values around the postings: rows, positions, counts, totals.

use crate::format::cursor::Cursor;
use crate::format::{FormatError, Result};

/// A key of `$POSITIONS` and `$TF`: a term in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowKey<'a> {
    /// The term.
    pub term: &'a [u8],
    /// The segment row id.
    pub row: u32,
}

impl<'a> RowKey<'a> {
    /// Splits a key.
    ///
    /// # Errors
    /// `fts.bad-row-key` if the key is too short or has no separator before the row.
    pub fn decode(key: &'a [u8]) -> Result<Self> {
        match key.split_last_chunk::<4>() {
            Some(([term @ .., 0], row)) => Ok(Self { term, row: u32::from_be_bytes(*row) }),
            _ => {
                let detail = format!("a key of {} bytes is not a term, a zero byte and a row id", key.len());
                Err(FormatError::malformed("fts.bad-row-key", 0, detail))
            }
        }
    }

    /// The stored key.
    pub fn encode(&self) -> Vec<u8> {
        [self.term, &[0], &self.row.to_be_bytes()].concat()
    }
}

/// The positions in a value of `$POSITIONS`.
///
/// # Errors
/// `fts.bad-positions` if the varints are cut or leave 32 bits.
pub fn decode_positions(value: &[u8], base: u64) -> Result<Vec<u32>> {
    let mut cursor = Cursor::new(value, base, "fts.bad-positions");
    let mut positions = Vec::new();
    let mut position = 0u32;
    while !cursor.is_empty() {
        let at = cursor.offset();
        let distance = cursor.varint32()?;
        position = position.checked_add(distance).ok_or_else(|| {
            let detail = format!("position {position} + {distance} leaves 32 bits");
            FormatError::malformed("fts.bad-positions", at, detail)
        })?;
        positions.push(position);
    }
    Ok(positions)
}

/// The value of ascending positions.
pub fn encode_positions(positions: &[u32]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut previous = 0;
    for &position in positions {
        let mut distance = position.wrapping_sub(previous);
        previous = position;
        while distance >= 0x80 {
            out.push(distance as u8 | 0x80);
            distance >>= 7;
        }
        out.push(distance as u8);
    }
    out
}

/// A value of `$TF`, `$MAX_TF` or `$DOC_LEN`.
///
/// # Errors
/// `fts.bad-count` if it is not four bytes.
pub fn decode_count(value: &[u8], base: u64) -> Result<u32> {
    four(value).map(u32::from_le_bytes).ok_or_else(|| {
        FormatError::malformed("fts.bad-count", base, format!("a count takes 4 bytes, the value has {}", value.len()))
    })
}

/// The value of a count.
pub fn encode_count(count: u32) -> [u8; 4] {
    count.to_le_bytes()
}

/// A key of `$DOC_LEN`: the row, little-endian here and only here.
///
/// # Errors
/// `fts.bad-row` if it is not four bytes.
pub fn decode_row(key: &[u8]) -> Result<u32> {
    four(key).map(u32::from_le_bytes).ok_or_else(|| {
        FormatError::malformed("fts.bad-row", 0, format!("a row id takes 4 bytes, the key has {}", key.len()))
    })
}

/// The key of a row in `$DOC_LEN`.
pub fn encode_row(row: u32) -> [u8; 4] {
    row.to_le_bytes()
}

/// A value of `$FTS_STAT`.
///
/// # Errors
/// `fts.bad-total` if it is not eight bytes.
pub fn decode_stat(value: &[u8], base: u64) -> Result<u64> {
    value.try_into().map(u64::from_be_bytes).map_err(|_| {
        FormatError::malformed("fts.bad-total", base, format!("a total takes 8 bytes, the value has {}", value.len()))
    })
}

/// The value of a total.
pub fn encode_stat(total: u64) -> [u8; 8] {
    total.to_be_bytes()
}

/// The merge operator of `$MAX_TF`: the largest operand.
///
/// # Errors
/// `fts.bad-count` if an operand is not four bytes, or if there is none.
pub fn merge_max<'a>(operands: impl IntoIterator<Item = &'a [u8]>) -> Result<[u8; 4]> {
    let mut largest = None;
    for operand in operands {
        largest = largest.max(Some(decode_count(operand, 0)?));
    }
    largest.map(encode_count).ok_or_else(|| FormatError::malformed("fts.bad-count", 0, "no operand"))
}

fn four(bytes: &[u8]) -> Option<[u8; 4]> {
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn row_keys_keep_zero_bytes_of_the_term() {
        let key = RowKey::decode(b"a\0b\0\0\0\x01\x02").unwrap();
        assert_eq!((key.term, key.row), (&b"a\0b"[..], 258));
        assert_eq!(key.encode(), b"a\0b\0\0\0\x01\x02");
        assert_eq!(RowKey::decode(b"\0\0\0\0\x01").unwrap().term, b"");
        for wrong in [&b""[..], b"\0\0\0\x01", b"ab\0\0\0\x01"] {
            assert_eq!(RowKey::decode(wrong).unwrap_err().code, "fts.bad-row-key");
        }
    }

    #[test]
    fn positions_are_running_sums() {
        assert_eq!(decode_positions(&[0x13], 0).unwrap(), [19]);
        assert_eq!(decode_positions(&[2, 1, 0x80, 2], 0).unwrap(), [2, 3, 259]);
        assert_eq!(encode_positions(&[2, 3, 259]), [2, 1, 0x80, 2]);
        assert_eq!(decode_positions(&[5, 0x80], 10).unwrap_err().offset, 12);
        let wrap = [0xff, 0xff, 0xff, 0xff, 0x0f, 1];
        let error = decode_positions(&wrap, 10).unwrap_err();
        assert_eq!((error.code, error.offset), ("fts.bad-positions", 15));
    }

    #[test]
    fn counts_rows_and_totals() {
        assert_eq!(decode_count(&[0x22, 0, 0, 0], 0).unwrap(), 34);
        assert_eq!(decode_row(&[0, 1, 0, 0]).unwrap(), 256);
        assert_eq!(decode_stat(&[0, 0, 0, 0, 0, 0, 1, 0x0a], 0).unwrap(), 266);
        assert_eq!(decode_count(&[1; 5], 0).unwrap_err().code, "fts.bad-count");
        assert_eq!(decode_row(&[1; 3]).unwrap_err().code, "fts.bad-row");
        assert_eq!(decode_stat(&[1; 4], 0).unwrap_err().code, "fts.bad-total");
        assert_eq!(merge_max([&[1, 0, 0, 0][..], &[0, 1, 0, 0], &[9, 0, 0, 0]]).unwrap(), [0, 1, 0, 0]);
        assert_eq!(merge_max([&[1][..]]).unwrap_err().code, "fts.bad-count");
        assert_eq!(merge_max([]).unwrap_err().code, "fts.bad-count");
    }

    proptest! {
        #[test]
        fn positions_round_trip(positions in prop::collection::btree_set(any::<u32>(), 0..40)) {
            let positions: Vec<u32> = positions.into_iter().collect();
            prop_assert_eq!(decode_positions(&encode_positions(&positions), 0).unwrap(), positions);
        }

        #[test]
        fn random_positions_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = decode_positions(&bytes, 0);
        }
    }
}
