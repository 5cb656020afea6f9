//! Keys of `<c>$RANGES`.
//!
//! ```text
//! begin term | 00 | end term | u64 length of the begin term
//! ```

use crate::format::{FormatError, Result};

/// A range of terms, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RangeKey<'a> {
    /// First term of the range.
    pub begin: &'a [u8],
    /// Last term of the range.
    pub end: &'a [u8],
}

impl<'a> RangeKey<'a> {
    /// Splits a key.
    ///
    /// # Errors
    /// `inverted.bad-range-key` if the stored length contradicts the key, the separator is missing or the ends are in
    /// the wrong order.
    pub fn decode(key: &'a [u8]) -> Result<Self> {
        let bad = |detail: String| FormatError::malformed("inverted.bad-range-key", 0, detail);
        let (terms, length) =
            key.split_last_chunk::<8>().ok_or_else(|| bad(format!("a range key of {} bytes", key.len())))?;
        let length = u64::from_le_bytes(*length);
        let split = usize::try_from(length).ok().and_then(|length| terms.split_at_checked(length));
        let Some((begin, [0, end @ ..])) = split else {
            let detail = format!("the begin term has {length} bytes, no separator follows it in {}", terms.len());
            return Err(bad(detail));
        };
        if begin > end {
            return Err(bad("the range ends before it begins".into()));
        }
        Ok(Self { begin, end })
    }

    /// The key of this range.
    pub fn encode(&self) -> Vec<u8> {
        [self.begin, &[0], self.end, &(self.begin.len() as u64).to_le_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_term_may_hold_the_separator() {
        let key = b"a\0b\0a\0c\x03\0\0\0\0\0\0\0";
        let range = RangeKey::decode(key).unwrap();
        assert_eq!((range.begin, range.end), (&b"a\0b"[..], &b"a\0c"[..]));
        assert_eq!(range.encode(), key);
    }

    #[test]
    fn contradictions_are_named() {
        for key in [
            &b""[..],
            b"\0\0\0\0\0\0\0",
            b"\x01\0\0\0\0\0\0\0",
            b"ab\x01\0\0\0\0\0\0\0",
            b"a\0b\xff\xff\xff\xff\xff\xff\xff\xff",
            b"b\0a\x01\0\0\0\0\0\0\0",
        ] {
            assert_eq!(RangeKey::decode(key).unwrap_err().code, "inverted.bad-range-key", "{key:?}");
        }
    }

    proptest! {
        #[test]
        fn random_keys_never_panic(key in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(range) = RangeKey::decode(&key) { prop_assert_eq!(range.encode(), key); }
        }
    }
}
