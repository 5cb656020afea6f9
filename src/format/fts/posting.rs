//! A term's posting in either of its two forms.

use roaring::RoaringBitmap;

use super::packed::{MAGIC, PackedPosting};
use crate::format::roaring as set;
use crate::format::{FormatError, Result};

/// A decoded posting and everything that was wrong with it.
#[derive(Debug, Clone)]
pub enum Posting {
    /// As written by a segment that still grows: rows alone.
    Open {
        /// The rows, as far as they could be read.
        rows: RoaringBitmap,
        /// Faults, in file order; empty = intact.
        faults: Vec<FormatError>,
    },
    /// As packed when the segment was sealed.
    Sealed(PackedPosting),
}

impl Posting {
    /// The rows.
    pub fn rows(&self) -> RoaringBitmap {
        match self {
            Self::Open { rows, .. } => rows.clone(),
            Self::Sealed(packed) => packed.rows.iter().copied().collect(),
        }
    }

    /// What was wrong with it.
    pub fn faults(&self) -> &[FormatError] {
        match self {
            Self::Open { faults, .. } => faults,
            Self::Sealed(packed) => &packed.faults,
        }
    }
}

/// Decodes a posting; `base` is the file offset of `value`. The first four bytes tell the form.
///
/// # Errors
/// When no row can be had: neither form's header is there.
pub fn decode(value: &[u8], base: u64) -> Result<Posting> {
    if value.first_chunk() == Some(&MAGIC.to_le_bytes()) {
        return PackedPosting::decode(value, base).map(Posting::Sealed);
    }
    let decoded = set::decode(value, base)?;
    let mut faults = decoded.faults;
    faults.extend(set::trailing(value, decoded.length, base));
    Ok(Posting::Open { rows: decoded.bitmap, faults })
}

/// The rows of a key stored as several merge operands, and the faults of all of them. An unreadable operand is a fault;
/// the rows of the others stay.
pub fn union<'a>(operands: impl IntoIterator<Item = &'a [u8]>) -> (RoaringBitmap, Vec<FormatError>) {
    let mut rows = RoaringBitmap::new();
    let mut faults = Vec::new();
    for operand in operands {
        match decode(operand, 0) {
            Ok(posting) => {
                faults.extend_from_slice(posting.faults());
                rows |= posting.rows();
            }
            Err(error) => faults.push(error),
        }
    }
    (rows, faults)
}

/// The merge operator of the postings family: the union, in the open form.
///
/// # Errors
/// The first fault of any operand.
pub fn merge<'a>(operands: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>> {
    let (rows, faults) = union(operands);
    match faults.into_iter().next() {
        Some(fault) => Err(fault),
        None => Ok(set::encode(&rows)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &[u8] = b":0\0\0\x01\0\0\0\0\0\x01\0\x10\0\0\0\x03\0\x09\0";

    #[test]
    fn open_postings_are_bare_sets() {
        let posting = decode(TWO, 0).unwrap();
        assert!(matches!(posting, Posting::Open { .. }) && posting.faults().is_empty());
        assert_eq!(posting.rows().iter().collect::<Vec<_>>(), [3, 9]);
        assert_eq!(decode(b"", 0).unwrap_err().code, "roaring.truncated");
        assert_eq!(decode(&[TWO, b"x"].concat(), 0).unwrap().faults()[0].code, "roaring.trailing-bytes");
        assert_eq!(decode(b"DKPB", 0).unwrap_err().code, "packed.truncated");
    }

    #[test]
    fn merging_is_union() {
        let other = set::encode(&[4, 9].into_iter().collect());
        assert_eq!(merge([TWO, &other]).unwrap(), set::encode(&[3, 4, 9].into_iter().collect()));
        let (rows, faults) = union([TWO, b"junk"]);
        assert_eq!((rows.len(), faults.len()), (2, 1));
        assert!(merge([TWO, b"junk"]).is_err());
    }
}
