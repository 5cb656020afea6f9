//! Internal keys: `user key | u64 little-endian (sequence << 8 | type)`.
//!
//! Within a table entries ascend by user key (in the comparator's order) and, for one user key, descend by that u64:
//! newest first.

use std::cmp::Ordering;

/// Highest sequence number there can be (56 bits).
pub const MAX_SEQUENCE: u64 = (1 << 56) - 1;

/// What an entry does to its key. Column-family variants of write-ahead-log records are folded into these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// 0: the key is deleted.
    Deletion,
    /// 1: the key has this value.
    Value,
    /// 2: an operand for the merge operator.
    Merge,
    /// 7: the key, written once, is deleted.
    SingleDeletion,
    /// 15: the keys from this one (inclusive) to the value (exclusive) are deleted.
    RangeDeletion,
    /// 17: the value is in a blob file. Not decoded.
    BlobIndex,
    /// 20: deletion under a comparator with user-defined timestamps.
    DeletionWithTimestamp,
    /// 22: a wide-column entity. Not decoded.
    WideColumnEntity,
    /// 24: a value packed with its write time. Not decoded.
    ValuePreferredSeqno,
    /// Any other byte.
    Other(u8),
}

impl ValueType {
    /// The type that the byte of an internal key stands for.
    pub fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::Deletion,
            1 => Self::Value,
            2 => Self::Merge,
            7 => Self::SingleDeletion,
            15 => Self::RangeDeletion,
            17 => Self::BlobIndex,
            20 => Self::DeletionWithTimestamp,
            22 => Self::WideColumnEntity,
            24 => Self::ValuePreferredSeqno,
            other => Self::Other(other),
        }
    }

    /// The byte in an internal key.
    pub fn byte(self) -> u8 {
        match self {
            Self::Deletion => 0,
            Self::Value => 1,
            Self::Merge => 2,
            Self::SingleDeletion => 7,
            Self::RangeDeletion => 15,
            Self::BlobIndex => 17,
            Self::DeletionWithTimestamp => 20,
            Self::WideColumnEntity => 22,
            Self::ValuePreferredSeqno => 24,
            Self::Other(byte) => byte,
        }
    }

    /// Whether an entry of this type hides everything older under its key without giving a value.
    pub fn is_deletion(self) -> bool {
        matches!(self, Self::Deletion | Self::SingleDeletion | Self::DeletionWithTimestamp)
    }

    /// Whether the type may stand in a data block.
    pub fn is_known(self) -> bool {
        !matches!(self, Self::Other(_))
    }
}

/// Splits an internal key into user key, sequence number and type; `None` if it is shorter than its 8-byte trailer.
pub fn split_internal_key(key: &[u8]) -> Option<(&[u8], u64, ValueType)> {
    let (user, trailer) = key.split_last_chunk::<8>()?;
    let packed = u64::from_le_bytes(*trailer);
    Some((user, packed >> 8, ValueType::from_byte(packed.to_le_bytes()[0])))
}

/// The internal key of a user key.
pub fn join_internal_key(user: &[u8], sequence: u64, kind: ValueType) -> Vec<u8> {
    let mut key = Vec::with_capacity(user.len().saturating_add(8));
    key.extend_from_slice(user);
    key.extend_from_slice(&((sequence & MAX_SEQUENCE) << 8 | u64::from(kind.byte())).to_le_bytes());
    key
}

/// Order of user keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Comparator {
    /// `leveldb.BytewiseComparator`, the default.
    #[default]
    Bytewise,
    /// `rocksdb.ReverseBytewiseComparator`.
    ReverseBytewise,
}

impl Comparator {
    /// The comparator of this name, if it is one that needs no foreign code.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        match name {
            b"leveldb.BytewiseComparator" => Some(Self::Bytewise),
            b"rocksdb.ReverseBytewiseComparator" => Some(Self::ReverseBytewise),
            _ => None,
        }
    }

    /// Order of two user keys.
    pub fn compare(self, a: &[u8], b: &[u8]) -> Ordering {
        match self {
            Self::Bytewise => a.cmp(b),
            Self::ReverseBytewise => b.cmp(a),
        }
    }
}

/// User keys from `lower` to `upper`, both inclusive; an absent bound is open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyRange {
    /// First key of the range.
    pub lower: Option<Vec<u8>>,
    /// Last key of the range.
    pub upper: Option<Vec<u8>>,
}

impl KeyRange {
    /// Whether `key` lies in the range.
    pub fn contains(&self, comparator: Comparator, key: &[u8]) -> bool {
        self.lower.as_deref().is_none_or(|lower| comparator.compare(lower, key).is_le())
            && self.upper.as_deref().is_none_or(|upper| comparator.compare(key, upper).is_le())
    }
}

/// One version of a key, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// User key.
    pub key: Vec<u8>,
    /// Sequence number of the write.
    pub sequence: u64,
    /// What the write did.
    pub kind: ValueType,
    /// Value, merge operand or end of the deleted range; empty for deletions.
    pub value: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn internal_keys_split_and_join() {
        let key = [b'k', 1, 0x34, 0x12, 0, 0, 0, 0, 0];
        assert_eq!(split_internal_key(&key), Some((&b"k"[..], 0x1234, ValueType::Value)));
        assert_eq!(join_internal_key(b"k", 0x1234, ValueType::Value), key);
        assert_eq!(split_internal_key(&key[2..]), None);
        for byte in 0..=255 {
            assert_eq!(ValueType::from_byte(byte).byte(), byte);
        }
    }

    #[test]
    fn ranges_are_inclusive_in_the_order_of_the_comparator() {
        let range = KeyRange { lower: Some(b"b".to_vec()), upper: Some(b"d".to_vec()) };
        let inside = |key: &[u8]| range.contains(Comparator::Bytewise, key);
        assert!(inside(b"b") && inside(b"c") && inside(b"d"));
        assert!(!inside(b"a") && !inside(b"d0"));
        assert!(!range.contains(Comparator::ReverseBytewise, b"c"));
        assert!(KeyRange::default().contains(Comparator::Bytewise, b""));
    }
}
