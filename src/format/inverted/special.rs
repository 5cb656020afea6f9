//! Entries of the `default` family: what an index stores once per column.

use crate::format::{FormatError, Result};

/// Value of the `$ZVEC$SEALED` key.
pub const SEALED: &[u8] = b"sealed";

/// What an entry of the `default` family is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Special {
    /// Largest row id, decimal ASCII (see [`decode_max_id`]).
    MaxId,
    /// Rows that are null: a bare roaring set (see `format::roaring`).
    Null,
    /// Present once the segment is sealed; the value is [`SEALED`].
    Sealed,
}

/// A key of the `default` family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecialKey<'a> {
    /// Bytes of the column name.
    pub column: &'a [u8],
    /// Which entry of the column.
    pub special: Special,
}

const SUFFIXES: [(&[u8], Special); 3] =
    [(b"$ZVEC$MAX_ID", Special::MaxId), (b"$ZVEC$NULL", Special::Null), (b"$ZVEC$SEALED", Special::Sealed)];

impl<'a> SpecialKey<'a> {
    /// Reads a key from the right; `None` for a key that no column has.
    pub fn parse(key: &'a [u8]) -> Option<Self> {
        SUFFIXES.iter().find_map(|(suffix, special)| {
            let column = key.strip_suffix(*suffix).filter(|column| !column.is_empty())?;
            Some(Self { column, special: *special })
        })
    }

    /// The stored key.
    pub fn encode(&self) -> Vec<u8> {
        let suffix = SUFFIXES.iter().find(|(_, special)| *special == self.special).map(|(suffix, _)| *suffix);
        [self.column, suffix.unwrap_or_default()].concat()
    }
}

/// The row id in the value of a [`Special::MaxId`] entry.
///
/// # Errors
/// `inverted.bad-max-id` if it is no decimal number of 32 bits.
pub fn decode_max_id(value: &[u8]) -> Result<u32> {
    let digits = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|text| text.parse().ok()).ok_or_else(|| {
        let detail = format!("the largest row id is stored as {:?}", String::from_utf8_lossy(value));
        FormatError::malformed("inverted.bad-max-id", 0, detail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_from_the_right() {
        let key = b"a$ZVEC$NULL$ZVEC$MAX_ID";
        let parsed = SpecialKey::parse(key).unwrap();
        assert_eq!((parsed.column, parsed.special), (&b"a$ZVEC$NULL"[..], Special::MaxId));
        assert_eq!(parsed.encode(), key);
        assert_eq!(SpecialKey::parse(b"c$ZVEC$SEALED").unwrap().special, Special::Sealed);
        for stranger in [&b""[..], b"$ZVEC$NULL", b"c$ZVEC$OTHER", b"c"] {
            assert_eq!(SpecialKey::parse(stranger), None);
        }
    }

    #[test]
    fn max_id_is_plain_decimal() {
        assert_eq!(decode_max_id(b"299").unwrap(), 299);
        assert_eq!(decode_max_id(b"4294967295").unwrap(), u32::MAX);
        for wrong in [&b""[..], b"4294967296", b"-1", b"+1", b" 1", b"1 ", b"\xff"] {
            assert_eq!(decode_max_id(wrong).unwrap_err().code, "inverted.bad-max-id");
        }
    }
}
