//! Postings: the rows of a term.
//!
//! ```text
//! 0   u8 n     1, 2, 3: n x u32 row id, ascending, nothing else
//!              0:       a portable roaring set (see `roaring`)
//! ```
//!
//! zvec writes up to three rows inline and more as a set, and writes no empty posting.

use roaring::RoaringBitmap;

use crate::format::cursor::Cursor;
use crate::format::roaring as set;
use crate::format::{FormatError, Result};

/// How a posting is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Row ids in the value itself.
    Inline,
    /// A roaring set.
    Roaring,
}

/// A decoded posting and everything that was wrong with it.
#[derive(Debug, Clone)]
pub struct Posting {
    /// The rows, as far as they could be read.
    pub rows: RoaringBitmap,
    /// How they were stored.
    pub form: Form,
    /// Faults, in file order; empty = intact.
    pub faults: Vec<FormatError>,
}

/// Decodes a posting; `base` is the file offset of `value`.
///
/// # Errors
/// When no row can be had: empty value, impossible first byte, unreadable set header.
pub fn decode(value: &[u8], base: u64) -> Result<Posting> {
    let mut cursor = Cursor::new(value, base, "posting.truncated");
    let count = cursor.u8()?;
    let at = cursor.offset();
    let body = cursor.rest();
    if count == 0 {
        let decoded = set::decode(body, at)?;
        let mut faults = decoded.faults;
        faults.extend(set::trailing(body, decoded.length, at));
        return Ok(Posting { rows: decoded.bitmap, form: Form::Roaring, faults });
    }
    if count > 3 {
        let detail = format!("the first byte of a posting is 0 to 3, found {count}");
        return Err(FormatError::malformed("posting.bad-count", base, detail));
    }
    let mut faults = Vec::new();
    let (ids, odd) = body.as_chunks::<4>();
    if ids.len() != usize::from(count) || !odd.is_empty() {
        let detail = format!("{count} row ids take {} bytes, found {}", usize::from(count) * 4, body.len());
        faults.push(FormatError::malformed("posting.bad-length", at, detail));
    }
    let ids: Vec<u32> = ids.iter().take(usize::from(count)).map(|id| u32::from_le_bytes(*id)).collect();
    if !ids.is_sorted_by(|a, b| a < b) {
        faults.push(FormatError::malformed("posting.order", at, format!("row ids {ids:?} do not ascend")));
    }
    Ok(Posting { rows: ids.into_iter().collect(), form: Form::Inline, faults })
}

/// The posting of `rows` as zvec writes it; `None` for no rows, which have no posting.
pub fn encode(rows: &RoaringBitmap) -> Option<Vec<u8>> {
    match rows.len() {
        0 => None,
        count @ 1..=3 => {
            let mut out = vec![count as u8];
            out.extend(rows.iter().flat_map(u32::to_le_bytes));
            Some(out)
        }
        _ => {
            let mut out = vec![0];
            out.extend(set::encode(rows));
            Some(out)
        }
    }
}

/// The rows of a key stored as several merge operands, and the faults of all of them. An unreadable operand is a fault;
/// the rows of the others stay.
pub fn union<'a>(operands: impl IntoIterator<Item = &'a [u8]>) -> (RoaringBitmap, Vec<FormatError>) {
    let mut rows = RoaringBitmap::new();
    let mut faults = Vec::new();
    for operand in operands {
        match decode(operand, 0) {
            Ok(posting) => {
                rows |= posting.rows;
                faults.extend(posting.faults);
            }
            Err(error) => faults.push(error),
        }
    }
    (rows, faults)
}

/// The merge operator of the posting families: the union, as a posting.
///
/// # Errors
/// The first fault of any operand, and `posting.empty` for a union of no rows.
pub fn merge<'a>(operands: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>> {
    let (rows, faults) = union(operands);
    if let Some(fault) = faults.into_iter().next() {
        return Err(fault);
    }
    encode(&rows).ok_or_else(|| FormatError::malformed("posting.empty", 0, "the operands hold no row"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_postings() {
        let inline = [3, 0x4c, 0, 0, 0, 0x9f, 0, 0, 0, 0xfc, 0, 0, 0];
        let posting = decode(&inline, 0).unwrap();
        assert_eq!((posting.rows.iter().collect::<Vec<_>>(), posting.form), (vec![0x4c, 0x9f, 0xfc], Form::Inline));
        assert_eq!(encode(&posting.rows).unwrap(), inline);

        let set = b"\x00:0\0\0\x01\0\0\0\0\0\x03\0\x10\0\0\0\x02\0d\0|\0\xd9\0";
        let posting = decode(set, 0).unwrap();
        assert_eq!((posting.rows.iter().collect::<Vec<_>>(), posting.form), (vec![2, 100, 124, 217], Form::Roaring));
        assert!(posting.faults.is_empty());
        assert_eq!(encode(&posting.rows).unwrap(), set);
        assert_eq!(encode(&RoaringBitmap::new()), None);
    }

    #[test]
    fn faults() {
        assert_eq!(decode(&[], 0).unwrap_err().code, "posting.truncated");
        assert_eq!(decode(&[4, 0, 0, 0, 0], 9).unwrap_err().offset, 9);
        assert_eq!(decode(&[0, 1, 2], 0).unwrap_err().code, "roaring.truncated");
        let short = decode(&[2, 1, 0, 0, 0, 7], 0).unwrap();
        assert_eq!((short.rows.len(), short.faults[0].code), (1, "posting.bad-length"));
        let long = decode(&[1, 1, 0, 0, 0, 2, 0, 0, 0], 0).unwrap();
        assert_eq!((long.rows.len(), long.faults[0].code), (1, "posting.bad-length"));
        let order = decode(&[2, 9, 0, 0, 0, 1, 0, 0, 0], 5).unwrap();
        assert_eq!((order.rows.len(), order.faults[0].code, order.faults[0].offset), (2, "posting.order", 6));
        let mut tail = encode(&(0..9).collect()).unwrap();
        tail.push(0);
        assert_eq!(decode(&tail, 0).unwrap().faults[0].code, "roaring.trailing-bytes");
    }

    #[test]
    fn merging_is_union() {
        let operands: [&[u8]; 3] = [&[1, 9, 0, 0, 0], &[2, 1, 0, 0, 0, 9, 0, 0, 0], &[1, 4, 0, 0, 0]];
        assert_eq!(merge(operands).unwrap(), encode(&[1, 4, 9].into_iter().collect()).unwrap());
        let damaged: [&[u8]; 2] = [&[1, 9, 0, 0, 0], &[5]];
        let (rows, faults) = union(damaged);
        assert_eq!((rows.len(), faults.len()), (1, 1));
        assert_eq!(merge(damaged).unwrap_err().code, "posting.bad-count");
        assert_eq!(merge([]).unwrap_err().code, "posting.empty");
    }

    proptest! {
        #[test]
        fn round_trip(rows in prop::collection::btree_set(any::<u32>(), 1..50)) {
            let rows: RoaringBitmap = rows.into_iter().collect();
            let posting = decode(&encode(&rows).unwrap(), 0).unwrap();
            prop_assert_eq!((posting.rows, posting.faults), (rows, vec![]));
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), first in 0u8..5) {
            let _ = decode(&bytes, 0);
            let _ = decode(&[&[first][..], &bytes].concat(), 0);
        }
    }
}
