//! One sparse vector.
//!
//! ```text
//! u32 non-zeros | u32 groups | u32 group id × groups | u32 count × groups | u16 low half of the index × non-zeros | value × non-zeros
//! ```
//!
//! A group holds the indices that share their upper 16 bits, its id. Indices ascend. Values are f32, or f16. The record
//! is padded with zeros to 32 bytes; an empty vector is 8 zero bytes before padding.

use half::f16;

use super::fault::at;
use crate::format::cursor::Cursor;
use crate::format::{FormatError, Result};

/// Records are padded to a multiple of this.
pub const ALIGNMENT: u64 = 32;

/// A checked record.
#[derive(Debug, Clone)]
pub struct Record<'a> {
    indices: Vec<u32>,
    values: &'a [u8],
    /// Bytes the record takes before padding.
    pub used: u64,
    /// Whether only zeros follow it.
    pub clean_padding: bool,
}

impl<'a> Record<'a> {
    /// Decodes `bytes`, which begin at file offset `offset`; values take `unit` bytes.
    pub fn parse(bytes: &'a [u8], offset: u64, unit: usize) -> Result<Self> {
        let mut cursor = Cursor::new(bytes, offset, "sparse.truncated");
        let (count, groups) = (cursor.u32()?, cursor.u32()?);
        if groups > count {
            let detail = format!("{groups} groups for {count} non-zeros");
            return Err(FormatError::malformed("sparse.bad-groups", offset + 4, detail));
        }
        let ids_at = cursor.offset();
        let ids = cursor.elements(at(groups.into()), 4)?;
        let counts = cursor.elements(at(groups.into()), 4)?;
        let lows_at = cursor.offset();
        let lows = cursor.elements(at(count.into()), 2)?;
        let values = cursor.elements(at(count.into()), unit)?;
        let used = bytes.len() - cursor.remaining();
        let mut lows = lows.as_chunks().0.iter().map(|low| u32::from(u16::from_le_bytes(*low)));
        let mut indices: Vec<u32> = Vec::with_capacity(lows.len());
        for (id, members) in ids.as_chunks().0.iter().zip(counts.as_chunks().0) {
            let (id, members) = (u32::from_le_bytes(*id), u32::from_le_bytes(*members));
            if id > 0xffff || u64::from(members) > lows.len() as u64 || members == 0 {
                let detail = format!("group {id:#x} of {members}, {} of {count} non-zeros left", lows.len());
                return Err(FormatError::malformed("sparse.bad-groups", ids_at, detail));
            }
            indices.extend(lows.by_ref().take(at(members.into())).map(|low| id << 16 | low));
        }
        if lows.len() != 0 {
            let detail = format!("the groups hold {} of {count} non-zeros", indices.len());
            return Err(FormatError::malformed("sparse.bad-groups", ids_at, detail));
        }
        if !indices.is_sorted_by(|a, b| a < b) {
            return Err(FormatError::malformed("sparse.unsorted", lows_at, "the indices do not ascend"));
        }
        let clean_padding = cursor.rest().iter().all(|&byte| byte == 0);
        Ok(Self { indices, values, used: used as u64, clean_padding })
    }

    /// Indices, ascending.
    pub fn indices(&self) -> &[u32] {
        &self.indices
    }

    /// The non-zeros of a record with a unit of 4.
    pub fn f32s(&self) -> Vec<(u32, f32)> {
        let values = self.values.as_chunks().0.iter().map(|value| f32::from_le_bytes(*value));
        self.indices.iter().copied().zip(values).collect()
    }

    /// The non-zeros of a record with a unit of 2.
    pub fn f16s(&self) -> impl Iterator<Item = (u32, f16)> {
        let values = self.values.as_chunks().0.iter().map(|value| f16::from_le_bytes(*value));
        self.indices.iter().copied().zip(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(groups: &[(u32, u32)], lows: &[u16], values: &[f32]) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend((lows.len() as u32).to_le_bytes());
        out.extend((groups.len() as u32).to_le_bytes());
        out.extend(groups.iter().flat_map(|group| group.0.to_le_bytes()));
        out.extend(groups.iter().flat_map(|group| group.1.to_le_bytes()));
        out.extend(lows.iter().flat_map(|low| low.to_le_bytes()));
        out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        out.resize(out.len().next_multiple_of(32), 0);
        out
    }

    #[test]
    fn groups_give_the_upper_half_of_the_index() {
        let bytes = record(&[(0, 2), (0xffff, 1)], &[1, 7, 0xfffe], &[0.5, 0.25, -1.0]);
        let found = Record::parse(&bytes, 0, 4).unwrap();
        assert_eq!(found.f32s(), [(1, 0.5), (7, 0.25), (0xffff_fffe, -1.0)]);
        assert_eq!(found.used, 8 + 16 + 6 + 12);
        assert!(Record::parse(&[0; 32], 0, 4).unwrap().indices().is_empty(), "an empty vector");
    }

    #[test]
    fn halves() {
        let bytes = [1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0x00, 0x3c];
        let found = Record::parse(&bytes, 0, 2).unwrap();
        assert_eq!(found.f16s().collect::<Vec<_>>(), [(0x20003, f16::ONE)]);
    }

    #[test]
    fn each_contradiction_is_an_error() {
        let code = |bytes: &[u8]| Record::parse(bytes, 100, 4).unwrap_err().code;
        assert_eq!(code(&record(&[(0, 1)], &[1, 2], &[1.0; 2])), "sparse.bad-groups", "counts too small");
        assert_eq!(code(&record(&[(0, 3)], &[1, 2], &[1.0; 2])), "sparse.bad-groups", "counts too large");
        assert_eq!(code(&record(&[(0, 0), (1, 2)], &[1, 2], &[1.0; 2])), "sparse.bad-groups", "an empty group");
        assert_eq!(code(&record(&[(0x10000, 2)], &[1, 2], &[1.0; 2])), "sparse.bad-groups", "an id above 16 bits");
        assert_eq!(code(&record(&[(0, 2)], &[2, 1], &[1.0; 2])), "sparse.unsorted");
        assert_eq!(code(&record(&[(0, 2)], &[1, 1], &[1.0; 2])), "sparse.unsorted", "a duplicate");
        assert_eq!(code(&record(&[(1, 1), (0, 1)], &[1, 1], &[1.0; 2])), "sparse.unsorted", "groups out of order");
        assert_eq!(code(&[0xff; 32]), "sparse.truncated");
        assert_eq!(code(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]), "sparse.truncated");
    }

    #[test]
    fn dirty_padding_is_told_and_harmless() {
        let mut padded = record(&[(0, 1)], &[1], &[1.0]);
        assert!(Record::parse(&padded, 0, 4).unwrap().clean_padding);
        *padded.last_mut().unwrap() = 1;
        let found = Record::parse(&padded, 0, 4).unwrap();
        assert!(!found.clean_padding);
        assert_eq!(found.f32s(), [(1, 1.0)]);
    }
}
