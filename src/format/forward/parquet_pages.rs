//! The pages of a column chunk: found by their headers, and compared with the chunk before any is decoded.

use super::parquet_footer::{Chunk, Leaf};
use super::thrift::Struct;
use crate::format::cursor::Cursor;
use crate::format::{FormatError, Kind, Result, Source, read_vec};

/// A decoded chunk may be this much larger than its bytes. A block is closed at 64 MiB of documents.
const MAX_EXPANSION: u64 = 256 << 20;
/// Header bytes read at first; statistics may make a header longer.
const FIRST_WINDOW: u64 = 512;
const MAX_WINDOW: u64 = 1 << 20;
const TRUNCATED: &str = "forward.truncated";

/// A page, by its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Where the header begins.
    pub offset: u64,
    /// Length of the header.
    pub header: u64,
    /// Length of the contents, which follow the header.
    pub length: u64,
    /// Values in it, nulls and empty lists included.
    pub values: u64,
    /// Whether this is the dictionary.
    pub dictionary: bool,
    pub(super) coded: bool,
    /// Bytes of both kinds of levels, if the header gives them (version 2 pages).
    pub(super) levels: Option<u64>,
}

/// Finds and checks all pages of a chunk.
pub(super) fn walk(source: &dyn Source, chunk: &Chunk, leaf: &Leaf) -> Result<Vec<Page>> {
    let mut pages = Vec::new();
    let mut at = chunk.range.start;
    let mut values = 0u64;
    while at < chunk.range.end {
        let page = read_header(source, at, chunk.range.end)?;
        if page.dictionary && !pages.is_empty() {
            return Err(bad(at, "a dictionary that is not the first page".into()));
        }
        if page.dictionary {
            check_dictionary(&page, leaf)?;
        } else {
            values = values.saturating_add(page.values);
        }
        at = page.offset.saturating_add(page.header).saturating_add(page.length);
        pages.push(page);
    }
    if values != chunk.values {
        let detail = format!("the pages have {values} values, the chunk {}", chunk.values);
        return Err(bad(chunk.range.start, detail));
    }
    check_expansion(source, chunk, leaf, &pages)?;
    Ok(pages)
}

fn bad(at: u64, detail: String) -> FormatError {
    FormatError::malformed("forward.bad-page", at, detail)
}

/// Reads the header at `at`; the page must end by `end`.
fn read_header(source: &dyn Source, at: u64, end: u64) -> Result<Page> {
    let left = end.saturating_sub(at);
    let mut window = FIRST_WINDOW.min(left);
    loop {
        let bytes = read_vec(source, at, window, TRUNCATED)?;
        let mut cursor = Cursor::new(&bytes, at, TRUNCATED);
        match Struct::read(&mut cursor) {
            Ok(header) => return check_header(&header, at, cursor.offset().saturating_sub(at), left),
            Err(error) if error.kind == Kind::Truncated && window < left.min(MAX_WINDOW) => {
                window = window.saturating_mul(8).min(left).min(MAX_WINDOW);
            }
            Err(error) => return Err(error),
        }
    }
}

fn check_header(header: &Struct, at: u64, header_length: u64, left: u64) -> Result<Page> {
    if header.repeats() {
        return Err(bad(at, "a field occurs twice in the page header".into()));
    }
    let natural = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok());
    let (raw, stored) = (natural(header.int(2)), natural(header.int(3)));
    let length = stored.filter(|stored| raw == Some(*stored) && header_length.saturating_add(*stored) <= left);
    let length = length.ok_or_else(|| {
        let detail = format!("a page of {stored:?} bytes ({raw:?} uncompressed), {left} are left in its chunk");
        bad(at, detail)
    })?;
    let (detail, dictionary) = match header.int(1) {
        Some(0) => (header.structure(5), false),
        Some(2) => (header.structure(7), true),
        Some(3) => (header.structure(8), false),
        other => return Err(bad(at, format!("a page of the unknown type {other:?}"))),
    };
    let detail = detail.ok_or_else(|| bad(at, "the page header lacks the part for its type".into()))?;
    let values = natural(detail.int(1)).ok_or_else(|| bad(at, format!("{:?} values in a page", detail.int(1))))?;
    let version_2 = header.int(1) == Some(3);
    let encoding = detail.int(if version_2 { 4 } else { 2 });
    // PLAIN, PLAIN_DICTIONARY, RLE, RLE_DICTIONARY: what zvec writes. The others can ask for any amount of memory.
    if !matches!(encoding, Some(0 | 2 | 3 | 8)) {
        let detail = format!("a page in encoding {encoding:?}, which zvec never writes");
        return Err(FormatError::unsupported("forward.unknown-encoding", at, detail));
    }
    let levels = if version_2 {
        let sum = natural(detail.int(5)).zip(natural(detail.int(6))).and_then(|(a, b)| a.checked_add(b));
        let sum = sum.filter(|sum| *sum <= length);
        Some(sum.ok_or_else(|| bad(at, "levels longer than their page".into()))?)
    } else {
        None
    };
    let coded = matches!(encoding, Some(2 | 8));
    Ok(Page { offset: at, header: header_length, length, values, dictionary, coded, levels })
}

fn check_dictionary(page: &Page, leaf: &Leaf) -> Result<()> {
    // A string takes its length field at least.
    let least = page.values.saturating_mul(leaf.width.unwrap_or(4));
    if least > page.length || leaf.width == Some(1) {
        let detail = format!("a dictionary of {} values in {} bytes", page.values, page.length);
        return Err(bad(page.offset, detail));
    }
    Ok(())
}

/// Bounds the decoded size: a few bytes of run lengths may stand for any number of values or of copies of a long string.
fn check_expansion(source: &dyn Source, chunk: &Chunk, leaf: &Leaf, pages: &[Page]) -> Result<()> {
    let limit = MAX_EXPANSION.saturating_add(chunk.range.end.saturating_sub(chunk.range.start));
    let levels = if leaf.list { 4 } else { 0 };
    let mut size = chunk.values.saturating_mul(leaf.width.unwrap_or(4).saturating_add(levels));
    if let (None, Some(dictionary)) = (leaf.width, pages.first().filter(|page| page.dictionary))
        && chunk.values.saturating_mul(dictionary.length) > limit
    {
        let lengths = string_lengths(source, dictionary)?;
        for page in pages.iter().filter(|page| page.coded && !page.dictionary) {
            size = size.saturating_add(coded_size(source, page, leaf, &lengths)?);
        }
    }
    if size > limit {
        let detail = format!("column {} would decode to {size} bytes, more than {limit}", leaf.name);
        return Err(FormatError::unsupported("forward.too-large", chunk.range.start, detail));
    }
    Ok(())
}

fn contents(source: &dyn Source, page: &Page) -> Result<Vec<u8>> {
    read_vec(source, page.offset.saturating_add(page.header), page.length, TRUNCATED)
}

fn string_lengths(source: &dyn Source, dictionary: &Page) -> Result<Vec<u64>> {
    let bytes = contents(source, dictionary)?;
    let mut cursor = Cursor::new(&bytes, dictionary.offset.saturating_add(dictionary.header), "forward.bad-page");
    (0..dictionary.values).map(|_| cursor.u32_bytes().map(|bytes| bytes.len() as u64)).collect()
}

/// Bytes of all strings that a dictionary-coded page stands for.
fn coded_size(source: &dyn Source, page: &Page, leaf: &Leaf, lengths: &[u64]) -> Result<u64> {
    let bytes = contents(source, page)?;
    let base = page.offset.saturating_add(page.header);
    let mut cursor = Cursor::new(&bytes, base, "forward.bad-page");
    match page.levels {
        Some(levels) => cursor.skip(usize::try_from(levels).unwrap_or(usize::MAX))?,
        None => {
            for _ in 0..u8::from(leaf.levels.0) + u8::from(leaf.levels.1) {
                cursor.u32_bytes()?;
            }
        }
    }
    if cursor.is_empty() {
        return Ok(0);
    }
    let width = usize::from(cursor.u8()?);
    if width > 32 {
        return Err(bad(page.offset, format!("dictionary indices of {width} bits")));
    }
    let longest = lengths.iter().max().copied().unwrap_or(0);
    let (mut size, mut left) = (0u64, page.values);
    while left > 0 && !cursor.is_empty() {
        let header = cursor.varint()?;
        let count = header >> 1;
        if header & 1 == 1 {
            // Eight values a group, one string at most each: the bound is tight enough, as these cost bits.
            let values = count.saturating_mul(8).min(left);
            let groups = usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(width);
            let packed = cursor.bytes(groups.min(cursor.remaining()))?;
            size = size.saturating_add(packed_size(packed, width, values, lengths, longest));
            left = left.saturating_sub(values);
        } else {
            let index =
                cursor.bytes(width.div_ceil(8))?.iter().rev().fold(0usize, |all, byte| all << 8 | usize::from(*byte));
            let values = count.min(left);
            size = size.saturating_add(lengths.get(index).copied().unwrap_or(0).saturating_mul(values));
            left = left.saturating_sub(values);
            if count == 0 && header == 0 {
                break;
            }
        }
    }
    Ok(size)
}

fn packed_size(packed: &[u8], width: usize, values: u64, lengths: &[u64], longest: u64) -> u64 {
    if width == 0 {
        return lengths.first().copied().unwrap_or(0).saturating_mul(values);
    }
    let (mut pending, mut held, mut size, mut left) = (0u64, 0usize, 0u64, values);
    for byte in packed {
        pending |= u64::from(*byte) << held;
        held += 8;
        while held >= width && left > 0 {
            let index = (pending & ((1 << width) - 1)) as usize;
            pending >>= width;
            held -= width;
            left -= 1;
            size = size.saturating_add(lengths.get(index).copied().unwrap_or(longest));
        }
    }
    size
}
