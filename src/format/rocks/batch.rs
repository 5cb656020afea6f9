//! Write batches: the records of `NNNNNN.log`.
//!
//! ```text
//! batch:    u64 sequence | u32 count | operations
//! 1 put: key, value   0 delete: key   7 single delete: key   2 merge: key, operand   15 delete range: begin, end
//! 5, 4, 8, 6, 14 the same behind a varint column family id
//! 3 log data: bytes   13 nothing   9, 18, 19 begin prepare   10 end prepare: id   11 commit: id   12 rollback: id
//! 21 commit: timestamp, id   17, 16 blob index   22, 23 wide-column entity   24, 25 value with write time
//! ```
//! Strings are length-prefixed by a varint. The n-th operation that writes has the sequence number of the batch plus n.

use super::key::{ValueType, Version};
use crate::format::cursor::Cursor;
use crate::format::{FormatError, Result};

/// A decoded write batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WriteBatch {
    /// Sequence number of the first operation.
    pub sequence: u64,
    /// Operations that the header announces.
    pub count: u32,
    /// Column family id and version, in order.
    pub operations: Vec<(u32, Version)>,
    /// Why decoding stopped, if it did: the operations are those before.
    pub fault: Option<FormatError>,
}

impl WriteBatch {
    /// Decodes the record that begins at file offset `base`. Fails only if the header is not there.
    pub fn decode(bytes: &[u8], base: u64) -> Result<Self> {
        let mut cursor = Cursor::new(bytes, base, "rocks-batch.truncated");
        let mut batch = Self { sequence: cursor.u64()?, count: cursor.u32()?, ..Self::default() };
        while !cursor.is_empty() && batch.fault.is_none() {
            let next = batch.sequence.saturating_add(batch.operations.len() as u64);
            match operation(&mut cursor, next) {
                Ok(Some(operation)) => batch.operations.push(operation),
                Ok(None) => {}
                Err(error) => batch.fault = Some(error),
            }
        }
        if batch.fault.is_none() && batch.operations.len() as u64 != u64::from(batch.count) {
            let detail = format!("{} operations, the batch announces {}", batch.operations.len(), batch.count);
            batch.fault = Some(FormatError::malformed("rocks-batch.count", base, detail));
        }
        Ok(batch)
    }
}

fn operation(cursor: &mut Cursor<'_>, sequence: u64) -> Result<Option<(u32, Version)>> {
    let offset = cursor.offset();
    let tag = cursor.u8()?;
    let (kind, in_family, has_value) = match tag {
        0 | 4 => (ValueType::Deletion, tag == 4, false),
        1 | 5 => (ValueType::Value, tag == 5, true),
        2 | 6 => (ValueType::Merge, tag == 6, true),
        7 | 8 => (ValueType::SingleDeletion, tag == 8, false),
        14 | 15 => (ValueType::RangeDeletion, tag == 14, true),
        16 | 17 => (ValueType::BlobIndex, tag == 16, true),
        22 | 23 => (ValueType::WideColumnEntity, tag == 23, true),
        24 | 25 => (ValueType::ValuePreferredSeqno, tag == 25, true),
        3 => {
            cursor.varint_bytes()?;
            return Ok(None);
        }
        13 => return Ok(None),
        9..=12 | 18 | 19 | 21 => {
            let detail = format!("operation {tag} belongs to a two-phase commit, which is not replayed");
            return Err(FormatError::unsupported("rocks-batch.two-phase-commit", offset, detail));
        }
        _ => {
            let detail = format!("operation {tag} is not known");
            return Err(FormatError::newer("rocks-batch.newer-operation", offset, detail));
        }
    };
    let family = if in_family { cursor.varint32()? } else { 0 };
    let key = cursor.varint_bytes()?.to_vec();
    let value = if has_value { cursor.varint_bytes()?.to_vec() } else { Vec::new() };
    Ok(Some((family, Version { key, sequence, kind, value })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Kind;

    fn batch(count: u32, operations: &[u8]) -> Vec<u8> {
        [&9u64.to_le_bytes()[..], &count.to_le_bytes(), operations].concat()
    }

    #[test]
    fn operations_are_numbered_and_assigned_to_families() {
        let bytes =
            batch(5, b"\x01\x01a\x02vv\x03\x03log\x00\x01b\x0d\x06\x07\x01c\x01m\x0e\x03\x01d\x01f\x08\x02\x01g");
        let decoded = WriteBatch::decode(&bytes, 100).unwrap();
        assert_eq!(decoded.fault, None);
        let operations: Vec<_> = decoded
            .operations
            .iter()
            .map(|(family, v)| (*family, v.sequence, v.kind, v.key.as_slice(), v.value.as_slice()))
            .collect();
        assert_eq!(
            operations,
            [
                (0, 9, ValueType::Value, &b"a"[..], &b"vv"[..]),
                (0, 10, ValueType::Deletion, b"b", b""),
                (7, 11, ValueType::Merge, b"c", b"m"),
                (3, 12, ValueType::RangeDeletion, b"d", b"f"),
                (2, 13, ValueType::SingleDeletion, b"g", b""),
            ]
        );
    }

    #[test]
    fn what_precedes_a_fault_is_kept() {
        let fault = |operations: &[u8]| {
            let decoded = WriteBatch::decode(&batch(2, operations), 100).unwrap();
            assert_eq!(decoded.operations.len(), 1);
            let fault = decoded.fault.unwrap();
            (fault.code, fault.kind, fault.offset)
        };
        assert_eq!(fault(b"\x00\x01a"), ("rocks-batch.count", Kind::Malformed, 100));
        assert_eq!(fault(b"\x00\x01a\x00\x05b"), ("rocks-batch.truncated", Kind::Truncated, 117));
        assert_eq!(fault(b"\x00\x01a\x60"), ("rocks-batch.newer-operation", Kind::Newer, 115));
        assert_eq!(fault(b"\x00\x01a\x09"), ("rocks-batch.two-phase-commit", Kind::Unsupported, 115));
        assert_eq!(WriteBatch::decode(&[0; 11], 100).unwrap_err().code, "rocks-batch.truncated");
    }
}
