//! What the bytes of a damaged record still say: key and operation stand at its front, and are mostly not what was damaged. No checksum vouches for them.

use std::fmt;

use crate::format::{
    Result, Source,
    document::{self, Op},
    read_vec,
    wal::{FRAME_LEN, Gap},
};

/// Longest primary key that zvec takes: a longer one is none.
const MAX_KEY: u64 = 1024;
/// What stands before the fields of a document, but for the key.
const HEAD: u64 = document::MIN_LEN as u64;

/// What a record without a right checksum seems to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedRecord {
    /// Offset of its frame.
    pub offset: u64,
    /// The primary key.
    pub key: Vec<u8>,
    /// What was to be done.
    pub op: Op,
}

impl fmt::Display for DamagedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {:?}", self.op, String::from_utf8_lossy(&self.key))
    }
}

impl DamagedRecord {
    /// The record that a gap consists of, or begins with. Fails if the source does.
    pub fn at(source: &dyn Source, gap: &Gap) -> Result<Option<Self>> {
        let at = gap.range.start.saturating_add(FRAME_LEN).min(gap.range.end);
        let len = gap.range.end.saturating_sub(at).min(HEAD + MAX_KEY);
        Ok(Self::of(gap.range.start, &read_vec(source, at, len, "wal.truncated")?))
    }

    /// What a payload says; `None` if its head makes no sense.
    pub fn of(offset: u64, payload: &[u8]) -> Option<Self> {
        let head = document::decode_head(payload, offset).ok()?;
        let text = std::str::from_utf8(head.pk).ok()?;
        let plausible = !text.is_empty() && text.len() as u64 <= MAX_KEY && !text.contains(char::is_control);
        let known = !matches!(head.op, Op::Unknown(_));
        (plausible && known).then(|| Self { offset, key: head.pk.to_vec(), op: head.op })
    }
}
