//! Finding the next intact record behind a bad one.
//!
//! A candidate must have a possible length, the look of a document (a short pk, a small operation, fields that end
//! exactly where the length says) and the right CRC, in this order: each test is cheaper than the next and lets little
//! through. The CRC alone would not do: every run of zeros is "intact", with length 0 or not.

use super::{FRAME_LEN, Window};
use crate::format::{Kind, Result, Source, checksum::raw_crc32c, document};

/// Longest payload that a search looks at.
const MAX_PAYLOAD: u64 = 64 << 20;
/// Longest primary key that a search takes for one; zvec allows far less.
const MAX_PK: u64 = 4096;
/// Highest operation that a search takes for one: some above the known ones, which a newer zvec may write.
const MAX_OP: u32 = 15;
/// Bytes of pk length up to the number of fields, without the pk.
const HEAD: u64 = document::MIN_LEN as u64;

/// Bytes of bad records and candidates that may be read in a log of `size` bytes, all in all: hostile bytes can make every
/// offset look like a record of 4 MiB.
pub(super) fn budget(size: u64) -> u64 {
    size.saturating_mul(4).saturating_add(1 << 30)
}

/// Result of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// An intact record at this offset.
    At(u64),
    /// None up to the end.
    Nothing,
    /// The budget is used up.
    GivenUp,
}

/// What stands at an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Record,
    Nothing,
    GivenUp,
}

/// Searches byte by byte from `from` on.
pub(super) fn search<S: Source>(window: &mut Window<S>, from: u64, budget: &mut u64) -> Result<Found> {
    let shortest = FRAME_LEN.saturating_add(HEAD);
    let mut at = from;
    while window.size().saturating_sub(at) >= shortest {
        let left = window.size().saturating_sub(at);
        // The next offset in the window whose first four bytes are a possible length.
        let bytes = window.at_least(at, shortest)?;
        let possible = |word: &[u8]| {
            let length = word.iter().rev().fold(0u64, |value, byte| (value << 8) | u64::from(*byte));
            (HEAD..=left).contains(&length)
        };
        let Some(skipped) = bytes.windows(4).position(possible) else {
            at = at.saturating_add((bytes.len() as u64).saturating_sub(3));
            continue;
        };
        at = at.saturating_add(skipped as u64);
        match is_record(window, at, budget)? {
            Verdict::Record => return Ok(Found::At(at)),
            Verdict::Nothing => at = at.saturating_add(1),
            Verdict::GivenUp => return Ok(Found::GivenUp),
        }
    }
    Ok(Found::Nothing)
}

/// Whether an intact record stands at `offset`.
pub(super) fn is_record<S: Source>(window: &Window<S>, offset: u64, budget: &mut u64) -> Result<Verdict> {
    let left = window.size().saturating_sub(offset);
    if left < FRAME_LEN.saturating_add(HEAD) {
        return Ok(Verdict::Nothing);
    }
    let [l0, l1, l2, l3, c0, c1, c2, c3, p0, p1, p2, p3] = window.aside_array(offset)?;
    let length = u64::from(u32::from_le_bytes([l0, l1, l2, l3]));
    let pk_len = u64::from(u32::from_le_bytes([p0, p1, p2, p3]));
    let fits = (HEAD..=MAX_PAYLOAD).contains(&length) && length <= left.saturating_sub(FRAME_LEN);
    if !fits || pk_len > MAX_PK || pk_len > length.saturating_sub(HEAD) {
        return Ok(Verdict::Nothing);
    }
    // Behind the pk: f32 score, u64 document id, u32 operation, u32 number of fields.
    let payload_at = offset.saturating_add(FRAME_LEN);
    let op_at = payload_at.saturating_add(4).saturating_add(pk_len).saturating_add(12);
    let [o0, o1, o2, o3, n0, n1, n2, n3] = window.aside_array(op_at)?;
    let op = u32::from_le_bytes([o0, o1, o2, o3]);
    let fields = u64::from(u32::from_le_bytes([n0, n1, n2, n3]));
    // A field takes at least a name length and a tag; without fields nothing may follow.
    let room = length.saturating_sub(HEAD).saturating_sub(pk_len);
    if op > MAX_OP || fields.saturating_mul(5) > room || (fields == 0 && room > 0) {
        return Ok(Verdict::Nothing);
    }
    let Some(rest) = budget.checked_sub(length) else { return Ok(Verdict::GivenUp) };
    *budget = rest;
    let payload = window.aside(payload_at, length)?;
    let stored = u32::from_le_bytes([c0, c1, c2, c3]);
    let readable = || document::decode(&payload, payload_at).err().is_none_or(|error| error.kind == Kind::Newer);
    let intact = raw_crc32c(&payload) == stored && readable();
    if intact {
        // Only candidates that lead nowhere count.
        *budget = budget.saturating_add(length);
    }
    Ok(if intact { Verdict::Record } else { Verdict::Nothing })
}
