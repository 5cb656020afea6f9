//! Roaring bitmaps in the portable format, read container by container.
//!
//! ```text
//! 32-bit set
//!   0   u32 cookie: 12346 = no run containers, u32 container count follows
//!                   low half 12347 = run containers occur, high half = container count - 1;
//!                                    then ceil(count / 8) bytes, bit i set = container i is a run container
//!   count x { u16 key (high half of the values), u16 cardinality - 1 }      keys ascending
//!   count x u32 offset of the container from the start of the set           (with runs: only if count >= 4)
//!   containers   run:                u16 n, n x { u16 start, u16 length - 1 }
//!                cardinality <= 4096: cardinality x u16, ascending
//!                else:               8192 bytes of bits
//! 64-bit set
//!   u64 count, count x { u32 high half, 32-bit set }                        high halves ascending
//! ```
//!
//! zvec never writes run containers (cookie 12346) and reads them. The container offsets are redundant but not ignored by
//! zvec: its merge operator maps a set in place and follows them, so a wrong offset is a fault here too.
//!
//! The roaring crate only ever sees bytes that were checked here. Containers are independent, so damage in one costs
//! only that one: what can be read is in the answer, next to the list of faults.

use roaring::{RoaringBitmap, RoaringTreemap};

use super::cursor::Cursor;
use super::{FormatError, Result};

const COOKIE_NO_RUNS: u32 = 12346;
const COOKIE_RUNS: u32 = 12347;
const MAX_CONTAINERS: u32 = 1 << 16;
const ARRAY_LIMIT: u32 = 4096;
const BITMAP_BYTES: usize = 8192;
const TRUNCATED: &str = "roaring.truncated";

/// A decoded 32-bit set and everything that was wrong with it.
#[derive(Debug, Clone)]
pub struct Decoded {
    /// The values of all readable containers.
    pub bitmap: RoaringBitmap,
    /// Bytes that the set takes; bytes behind them belong to someone else.
    pub length: usize,
    /// Number of containers as stored.
    pub containers: u32,
    /// Whether the set is written with run containers, which zvec never does.
    pub runs: bool,
    /// Faults, in file order; empty = the set is intact.
    pub faults: Vec<FormatError>,
}

/// A decoded 64-bit set and everything that was wrong with it.
#[derive(Debug, Clone)]
pub struct DecodedTree {
    /// The values of all readable containers.
    pub treemap: RoaringTreemap,
    /// Bytes that the set takes.
    pub length: usize,
    /// Faults, in file order; empty = the set is intact.
    pub faults: Vec<FormatError>,
}

/// One container: where it is and what it holds.
struct Container<'a> {
    key: u16,
    cardinality: u32,
    offset: u64,
    body: Body<'a>,
}

enum Body<'a> {
    Array(&'a [u8]),
    Bits(&'a [u8]),
    Runs(&'a [u8]),
}

/// Decodes the 32-bit set at the start of `bytes`, which begin at file offset `base`.
///
/// # Errors
/// Only when nothing can be had: unknown cookie, impossible container count, or a header cut short.
pub fn decode(bytes: &[u8], base: u64) -> Result<Decoded> {
    let mut cursor = Cursor::new(bytes, base, TRUNCATED);
    let (count, run_flags) = read_cookie(&mut cursor)?;
    let descriptors = cursor.elements(count as usize, 4)?;
    let offsets_at = cursor.offset();
    let has_offsets = run_flags.is_none() || count >= 4;
    let offsets = if has_offsets { cursor.elements(count as usize, 4)? } else { &[] };

    let mut faults = Vec::new();
    let mut containers = Vec::with_capacity(count as usize);
    let mut offsets = offsets.chunks_exact(4);
    for (i, descriptor) in descriptors.chunks_exact(4).enumerate() {
        let mut fields = Cursor::new(descriptor, 0, TRUNCATED);
        let (key, cardinality) = (fields.u16()?, u32::from(fields.u16()?) + 1);
        let is_run = run_flags.is_some_and(|flags| flags.get(i / 8).is_some_and(|byte| byte >> (i % 8) & 1 == 1));
        let found = cursor.offset().saturating_sub(base);
        if let Some(stored) = offsets.next().map(|raw| Cursor::new(raw, 0, TRUNCATED).u32()).transpose()?
            && u64::from(stored) != found
        {
            let detail = format!("container {i} is at {found} in the set, its stored offset is {stored}");
            faults.push(FormatError::malformed("roaring.bad-offset", offsets_at.saturating_add(4 * i as u64), detail));
        }
        let offset = cursor.offset();
        match read_body(&mut cursor, cardinality, is_run) {
            Ok(body) => containers.push(Container { key, cardinality, offset, body }),
            Err(mut error) => {
                let lost = u64::from(count).saturating_sub(i as u64);
                error.detail = format!("container {i} of {count}: {}; {lost} containers unread", error.detail);
                faults.push(error);
                cursor.rest();
                break;
            }
        }
    }
    let bitmap = assemble(&containers, &mut faults);
    let length = bytes.len().saturating_sub(cursor.remaining());
    Ok(Decoded { bitmap, length, containers: count, runs: run_flags.is_some(), faults })
}

/// Decodes bytes that are one intact 32-bit set and nothing else.
///
/// # Errors
/// The first fault of any kind, trailing bytes included.
pub fn decode_exact(bytes: &[u8], base: u64) -> Result<RoaringBitmap> {
    let decoded = decode(bytes, base)?;
    if let Some(fault) = decoded.faults.into_iter().next() {
        return Err(fault);
    }
    match trailing(bytes, decoded.length, base) {
        Some(fault) => Err(fault),
        None => Ok(decoded.bitmap),
    }
}

/// Decodes the 64-bit set at the start of `bytes`, which begin at file offset `base`.
///
/// # Errors
/// Only when not even the count of parts is there. A damaged part ends the walk (its length is unknown); the parts
/// before it are kept.
pub fn decode_tree(bytes: &[u8], base: u64) -> Result<DecodedTree> {
    let mut cursor = Cursor::new(bytes, base, TRUNCATED);
    let count = cursor.u64()?;
    let mut treemap = RoaringTreemap::new();
    let mut faults = Vec::new();
    let mut previous = None;
    for i in 0..count {
        let at = cursor.offset();
        let part = cursor.u32().and_then(|high| {
            let rest = bytes.get(bytes.len().saturating_sub(cursor.remaining())..).unwrap_or_default();
            let part = decode(rest, cursor.offset())?;
            cursor.skip(part.length)?;
            Ok((high, part))
        });
        let (high, part) = match part {
            Ok(part) => part,
            Err(mut error) => {
                error.detail = format!("part {i} of {count}: {}", error.detail);
                faults.push(error);
                cursor.rest();
                break;
            }
        };
        if previous.is_some_and(|previous| previous >= high) {
            let detail = format!("high half {high} of part {i} does not ascend");
            faults.push(FormatError::malformed("roaring.key-order", at, detail));
        }
        previous = Some(high);
        faults.extend(part.faults);
        if !part.bitmap.is_empty() {
            treemap |= RoaringTreemap::from_bitmaps([(high, part.bitmap)]);
        }
    }
    let length = bytes.len().saturating_sub(cursor.remaining());
    Ok(DecodedTree { treemap, length, faults })
}

/// The fault of bytes left over behind a set of `length` bytes, if there are any.
pub fn trailing(bytes: &[u8], length: usize, base: u64) -> Option<FormatError> {
    let left = bytes.len().checked_sub(length).filter(|left| *left > 0)?;
    let offset = base.saturating_add(length as u64);
    Some(FormatError::malformed("roaring.trailing-bytes", offset, format!("{left} bytes follow the end of the set")))
}

/// The set as zvec writes it: no run containers.
pub fn encode(bitmap: &RoaringBitmap) -> Vec<u8> {
    let mut out = Vec::new();
    encode_into(bitmap, &mut out);
    out
}

/// The 64-bit set as zvec writes it: no run containers.
pub fn encode_tree(treemap: &RoaringTreemap) -> Vec<u8> {
    let parts: Vec<(u32, &RoaringBitmap)> = treemap.bitmaps().filter(|(_, bitmap)| !bitmap.is_empty()).collect();
    let mut out = (parts.len() as u64).to_le_bytes().to_vec();
    for (high, bitmap) in parts {
        out.extend(high.to_le_bytes());
        encode_into(bitmap, &mut out);
    }
    out
}

fn encode_into(bitmap: &RoaringBitmap, out: &mut Vec<u8>) {
    let mut plain = bitmap.clone();
    plain.remove_run_compression();
    // A `Vec` takes every write.
    let _ = plain.serialize_into(out);
}

fn read_cookie<'a>(cursor: &mut Cursor<'a>) -> Result<(u32, Option<&'a [u8]>)> {
    let at = cursor.offset();
    let cookie = cursor.u32()?;
    if cookie == COOKIE_NO_RUNS {
        let count = cursor.u32()?;
        if count > MAX_CONTAINERS {
            let detail = format!("{count} containers stored, at most {MAX_CONTAINERS} are possible");
            return Err(FormatError::malformed("roaring.bad-count", at.saturating_add(4), detail));
        }
        return Ok((count, None));
    }
    if cookie & 0xffff == COOKIE_RUNS {
        let count = (cookie >> 16) + 1;
        let flags = cursor.bytes(count.div_ceil(8) as usize)?;
        return Ok((count, Some(flags)));
    }
    let detail = format!("the set begins with {cookie}, expected {COOKIE_NO_RUNS} or {COOKIE_RUNS}");
    Err(FormatError::malformed("roaring.bad-cookie", at, detail))
}

fn read_body<'a>(cursor: &mut Cursor<'a>, cardinality: u32, is_run: bool) -> Result<Body<'a>> {
    if is_run {
        let count = cursor.u16()?;
        return Ok(Body::Runs(cursor.elements(usize::from(count), 4)?));
    }
    if cardinality <= ARRAY_LIMIT {
        return Ok(Body::Array(cursor.elements(cardinality as usize, 2)?));
    }
    Ok(Body::Bits(cursor.bytes(BITMAP_BYTES)?))
}

/// Builds the set: intact containers in one go, damaged or misplaced ones value by value.
fn assemble(containers: &[Container], faults: &mut Vec<FormatError>) -> RoaringBitmap {
    let mut intact: Vec<&Container> = Vec::with_capacity(containers.len());
    let mut loose = Vec::new();
    for container in containers {
        let mut whole = true;
        if let Some(last) = intact.last().filter(|last| last.key >= container.key) {
            let detail = format!("container key {} follows {}", container.key, last.key);
            faults.push(FormatError::malformed("roaring.key-order", container.offset, detail));
            whole = false;
        }
        if let Some(fault) = check(container) {
            faults.push(fault);
            whole = false;
        }
        if whole { intact.push(container) } else { loose.push(container) }
    }
    let mut bitmap = RoaringBitmap::deserialize_from(portable(&intact).as_slice()).unwrap_or_else(|error| {
        let offset = containers.first().map_or(0, |container| container.offset);
        faults.push(FormatError::malformed("roaring.undecodable", offset, error.to_string()));
        RoaringBitmap::new()
    });
    for container in loose {
        insert(container, &mut bitmap);
    }
    bitmap
}

fn check(container: &Container) -> Option<FormatError> {
    let stored = container.cardinality;
    let order = |detail: String| Some(FormatError::malformed("roaring.value-order", container.offset, detail));
    let found = match container.body {
        Body::Array(raw) => {
            if halves(raw).zip(halves(raw).skip(1)).any(|(a, b)| a >= b) {
                return order(format!("the values of container {} do not ascend", container.key));
            }
            stored
        }
        Body::Bits(raw) => raw.iter().map(|byte| byte.count_ones()).sum(),
        Body::Runs(raw) => {
            let (mut total, mut next) = (0u32, 0u32);
            for (start, end) in runs(raw) {
                if start < next || end > 0xffff {
                    return order(format!("the runs of container {} overlap or leave it", container.key));
                }
                total = total.saturating_add(end - start + 1);
                // Two runs that touch would be one.
                next = end + 2;
            }
            total
        }
    };
    (found != stored).then(|| {
        let detail = format!("container {} holds {found} values, {stored} are stored as its count", container.key);
        FormatError::malformed("roaring.bad-cardinality", container.offset, detail)
    })
}

/// The containers as a set of their own.
fn portable(containers: &[&Container]) -> Vec<u8> {
    let any_runs = containers.iter().any(|container| matches!(container.body, Body::Runs(_)));
    let count = containers.len() as u32;
    let mut out = Vec::new();
    if any_runs {
        out.extend((COOKIE_RUNS | count.saturating_sub(1) << 16).to_le_bytes());
        for group in containers.chunks(8) {
            let flag = |(i, container): (usize, &&Container)| u8::from(matches!(container.body, Body::Runs(_))) << i;
            out.push(group.iter().enumerate().map(flag).fold(0, |all, bit| all | bit));
        }
    } else {
        out.extend(COOKIE_NO_RUNS.to_le_bytes());
        out.extend(count.to_le_bytes());
    }
    for container in containers {
        out.extend(container.key.to_le_bytes());
        out.extend((container.cardinality.saturating_sub(1) as u16).to_le_bytes());
    }
    if !any_runs || count >= 4 {
        // The crate skips the offsets.
        out.resize(out.len() + 4 * containers.len(), 0);
    }
    for container in containers {
        match container.body {
            Body::Array(raw) | Body::Bits(raw) => out.extend(raw),
            Body::Runs(raw) => {
                out.extend(((raw.len() / 4) as u16).to_le_bytes());
                out.extend(raw);
            }
        }
    }
    out
}

fn insert(container: &Container, bitmap: &mut RoaringBitmap) {
    let high = u32::from(container.key) << 16;
    match container.body {
        Body::Array(raw) => bitmap.extend(halves(raw).map(|low| high | u32::from(low))),
        Body::Bits(raw) => *bitmap |= RoaringBitmap::from_lsb0_bytes(high, raw),
        Body::Runs(raw) => {
            for (start, end) in runs(raw) {
                bitmap.insert_range(high | start..=high | end.min(0xffff));
            }
        }
    }
}

fn halves(raw: &[u8]) -> impl Iterator<Item = u16> {
    raw.as_chunks::<2>().0.iter().map(|half| u16::from_le_bytes(*half))
}

/// First and last value of each run; the last may lie beyond the container in a damaged one.
fn runs(raw: &[u8]) -> impl Iterator<Item = (u32, u32)> {
    raw.as_chunks::<4>().0.iter().map(|[a, b, c, d]| {
        let start = u32::from(u16::from_le_bytes([*a, *b]));
        (start, start + u32::from(u16::from_le_bytes([*c, *d])))
    })
}

#[cfg(test)]
#[path = "roaring_tests.rs"]
mod tests;
