//! Terms: a value as the bytes under which it is indexed.
//!
//! ```text
//! STRING, BINARY    the bytes
//! BOOL              "true", "false"
//! UINT32, UINT64    big-endian
//! INT32, INT64      big-endian, top bit flipped
//! FLOAT, DOUBLE     IEEE bits big-endian; negative: all bits flipped, else the top bit
//! ```
//!
//! Bytewise order of terms is the order of the values (of the IEEE bits for NaN and the two zeros).

use std::collections::BTreeSet;

use crate::format::forward::ScalarType;
use crate::format::value::Value;
use crate::format::{FormatError, Result};

/// The term of a scalar; `None` for null and for everything that is no scalar.
pub fn encode(value: &Value) -> Option<Vec<u8>> {
    Some(match value {
        Value::Bool(value) => bool_term(*value).to_vec(),
        Value::I32(value) => i32_term(*value).to_vec(),
        Value::U32(value) => value.to_be_bytes().to_vec(),
        Value::I64(value) => i64_term(*value).to_vec(),
        Value::U64(value) => value.to_be_bytes().to_vec(),
        Value::F32(value) => f32_term(*value).to_vec(),
        Value::F64(value) => f64_term(*value).to_vec(),
        Value::Bytes(value) => value.clone(),
        _ => return None,
    })
}

/// The distinct terms of an array and its length, which counts duplicates; `None` for everything that is no array.
pub fn encode_elements(value: &Value) -> Option<(BTreeSet<Vec<u8>>, u32)> {
    fn all<T>(values: &[T], term: impl Fn(&T) -> Vec<u8>) -> (BTreeSet<Vec<u8>>, u32) {
        (values.iter().map(term).collect(), u32::try_from(values.len()).unwrap_or(u32::MAX))
    }
    Some(match value {
        Value::Bools(values) => all(values, |value| bool_term(*value).to_vec()),
        Value::I32s(values) => all(values, |value| i32_term(*value).to_vec()),
        Value::U32s(values) => all(values, |value| value.to_be_bytes().to_vec()),
        Value::I64s(values) => all(values, |value| i64_term(*value).to_vec()),
        Value::U64s(values) => all(values, |value| value.to_be_bytes().to_vec()),
        Value::F32s(values) => all(values, |value| f32_term(*value).to_vec()),
        Value::F64s(values) => all(values, |value| f64_term(*value).to_vec()),
        Value::ByteStrings(values) => all(values, Clone::clone),
        _ => return None,
    })
}

/// The value behind the term `key` of a column whose (element) type is `scalar`.
///
/// # Errors
/// `inverted.bad-term` if no value of that type has such a term.
pub fn decode(key: &[u8], scalar: ScalarType) -> Result<Value> {
    let value = match scalar {
        ScalarType::Bool => match key {
            b"true" => Some(Value::Bool(true)),
            b"false" => Some(Value::Bool(false)),
            _ => None,
        },
        ScalarType::I32 => four(key).map(|bits| Value::I32((bits ^ 1 << 31).cast_signed())),
        ScalarType::U32 => four(key).map(Value::U32),
        ScalarType::I64 => eight(key).map(|bits| Value::I64((bits ^ 1 << 63).cast_signed())),
        ScalarType::U64 => eight(key).map(Value::U64),
        ScalarType::F32 => {
            four(key).map(|bits| Value::F32(f32::from_bits(if bits >> 31 == 1 { bits ^ 1 << 31 } else { !bits })))
        }
        ScalarType::F64 => {
            eight(key).map(|bits| Value::F64(f64::from_bits(if bits >> 63 == 1 { bits ^ 1 << 63 } else { !bits })))
        }
        ScalarType::String if std::str::from_utf8(key).is_err() => None,
        ScalarType::String | ScalarType::Binary => Some(Value::Bytes(key.to_vec())),
    };
    value.ok_or_else(|| {
        let detail = format!("a term of {} bytes is no value of type {scalar}", key.len());
        FormatError::malformed("inverted.bad-term", 0, detail)
    })
}

/// The key under `$SMRET` of a term: its bytes, last first.
pub fn reversed(term: &[u8]) -> Vec<u8> {
    term.iter().rev().copied().collect()
}

/// The key of an array length under `$ARRAY_LEN`.
pub fn encode_length(length: u32) -> [u8; 4] {
    length.to_be_bytes()
}

/// The array length behind a key of `$ARRAY_LEN`.
///
/// # Errors
/// `inverted.bad-length-key` if the key is not four bytes.
pub fn decode_length(key: &[u8]) -> Result<u32> {
    four(key).ok_or_else(|| {
        let detail = format!("an array length takes 4 bytes, the key has {}", key.len());
        FormatError::malformed("inverted.bad-length-key", 0, detail)
    })
}

fn bool_term(value: bool) -> &'static [u8] {
    if value { b"true" } else { b"false" }
}

fn i32_term(value: i32) -> [u8; 4] {
    (value.cast_unsigned() ^ 1 << 31).to_be_bytes()
}

fn i64_term(value: i64) -> [u8; 8] {
    (value.cast_unsigned() ^ 1 << 63).to_be_bytes()
}

fn f32_term(value: f32) -> [u8; 4] {
    let bits = value.to_bits();
    if bits >> 31 == 1 { !bits } else { bits ^ 1 << 31 }.to_be_bytes()
}

fn f64_term(value: f64) -> [u8; 8] {
    let bits = value.to_bits();
    if bits >> 63 == 1 { !bits } else { bits ^ 1 << 63 }.to_be_bytes()
}

fn four(key: &[u8]) -> Option<u32> {
    key.try_into().ok().map(u32::from_be_bytes)
}

fn eight(key: &[u8]) -> Option<u64> {
    key.try_into().ok().map(u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_terms() {
        for (value, term) in [
            (Value::Bool(true), &b"true"[..]),
            (Value::Bool(false), b"false"),
            (Value::I32(-48), b"\x7f\xff\xff\xd0"),
            (Value::I32(1), b"\x80\0\0\x01"),
            (Value::I64(-50), b"\x7f\xff\xff\xff\xff\xff\xff\xce"),
            (Value::U32(258), b"\0\0\x01\x02"),
            (Value::U64(3), b"\0\0\0\0\0\0\0\x03"),
            (Value::F32(1.0), b"\xbf\x80\0\0"),
            (Value::F32(-1.0), b"\x40\x7f\xff\xff"),
            (Value::F32(0.0), b"\x80\0\0\0"),
            (Value::F32(-0.0), b"\x7f\xff\xff\xff"),
            (Value::F64(-2.0), b"\x3f\xff\xff\xff\xff\xff\xff\xff"),
            (Value::Bytes(b"red0".to_vec()), b"red0"),
        ] {
            assert_eq!(encode(&value).as_deref(), Some(term), "{value:?}");
        }
        assert_eq!(encode(&Value::Null), None);
        assert_eq!(encode(&Value::I32s(vec![1])), None);
        assert_eq!(reversed(b"red0"), b"0der");
    }

    #[test]
    fn arrays_give_distinct_terms_and_their_full_length() {
        let (terms, length) = encode_elements(&Value::I32s(vec![7, 7, -1])).unwrap();
        assert_eq!(terms.into_iter().collect::<Vec<_>>(), [b"\x7f\xff\xff\xff".to_vec(), b"\x80\0\0\x07".to_vec()]);
        assert_eq!((length, encode_length(length)), (3, [0, 0, 0, 3]));
        assert_eq!(encode_elements(&Value::ByteStrings(vec![])).unwrap(), (BTreeSet::new(), 0));
        assert_eq!(encode_elements(&Value::Null), None);
        assert_eq!(decode_length(&[0, 0, 1, 0]).unwrap(), 256);
        assert_eq!(decode_length(&[0, 1]).unwrap_err().code, "inverted.bad-length-key");
    }

    #[test]
    fn impossible_terms_are_named() {
        for (key, scalar) in [
            (&b"yes"[..], ScalarType::Bool),
            (b"\0\0\0", ScalarType::I32),
            (b"\0\0\0\0\0", ScalarType::F32),
            (b"\0\0\0\0", ScalarType::U64),
            (b"\xff", ScalarType::String),
        ] {
            assert_eq!(decode(key, scalar).unwrap_err().code, "inverted.bad-term", "{scalar}");
        }
        assert_eq!(decode(b"\xff", ScalarType::Binary).unwrap(), Value::Bytes(vec![0xff]));
    }

    proptest! {
        #[test]
        fn integers_round_trip_in_order(a: i64, b: i64) {
            let (x, y) = (encode(&Value::I64(a)).unwrap(), encode(&Value::I64(b)).unwrap());
            prop_assert_eq!(a.cmp(&b), x.cmp(&y));
            prop_assert_eq!(decode(&x, ScalarType::I64).unwrap(), Value::I64(a));
            let small = a as i32;
            prop_assert_eq!(decode(&encode(&Value::I32(small)).unwrap(), ScalarType::I32).unwrap(), Value::I32(small));
        }

        #[test]
        fn floats_round_trip_in_order(a: f64, b: f64, c: f32) {
            let (x, y) = (encode(&Value::F64(a)).unwrap(), encode(&Value::F64(b)).unwrap());
            prop_assert_eq!(a.total_cmp(&b), x.cmp(&y));
            let Value::F64(again) = decode(&x, ScalarType::F64).unwrap() else { panic!() };
            prop_assert_eq!(again.to_bits(), a.to_bits());
            let Value::F32(again) = decode(&encode(&Value::F32(c)).unwrap(), ScalarType::F32).unwrap() else { panic!() };
            prop_assert_eq!(again.to_bits(), c.to_bits());
        }
    }
}
