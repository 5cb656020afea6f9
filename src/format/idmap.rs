//! One entry of the ID map: primary key to document id.
//!
//! ```text
//! <coll>/idmap.<S>/   a RocksDB directory, default column family only
//!   key    the bytes of the primary key
//!   value  u64 document id
//! ```
//!
//! The store never holds a document id twice in normal operation. After a delete by filter the entries of the deleted
//! documents stay behind (the delete set decides), and the empty key is deleted in their place: an empty key is nothing
//! zvec lets a user insert.

use super::cursor::Cursor;
use super::{FormatError, Result};

/// The document id in `value`, which lies at file offset `base`.
///
/// # Errors
/// `idmap.bad-value` if the value is not exactly eight bytes.
pub fn decode_value(value: &[u8], base: u64) -> Result<u64> {
    if value.len() != 8 {
        let detail = format!("a document id takes 8 bytes, the value has {}", value.len());
        return Err(FormatError::malformed("idmap.bad-value", base, detail));
    }
    Cursor::new(value, base, "idmap.bad-value").u64()
}

/// The value of an entry.
pub fn encode_value(doc_id: u64) -> [u8; 8] {
    doc_id.to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_is_eight_bytes_little_endian() {
        assert_eq!(decode_value(&[0x2c, 1, 0, 0, 0, 0, 0, 0], 0).unwrap(), 300);
        assert_eq!(decode_value(&encode_value(u64::MAX), 0).unwrap(), u64::MAX);
        for wrong in [&[][..], &[1; 4], &[1; 7], &[1; 9]] {
            let error = decode_value(wrong, 40).unwrap_err();
            assert_eq!((error.code, error.offset), ("idmap.bad-value", 40));
        }
    }
}
