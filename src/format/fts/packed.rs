//! The packed posting of a sealed segment ("DKPB").
//!
//! ```text
//! 0   u32 magic 0x42504B44 | u32 version 1 | u32 rows | u32 blocks
//! 16  blocks x { u32 last row, u32 offset of the block from byte 0, f32 largest score }
//!     zeros up to a multiple of 16, as before every block
//!     block:  u32 first row | u8 width of row distances | u8 of term frequencies | u8 of document lengths
//!             | u8 entries | f32 largest score | u32 0
//!             packed row distances | packed term frequencies | packed document lengths
//!     zeros up to a multiple of 16
//! ```
//!
//! Every block but the last has 128 entries. A distance is to the previous row, across blocks; the very first is to 0.
//! 128 values of width w take 16 w bytes: value i is in lane i mod 4, a lane is a little-endian bit stream of 32 values
//! cut into 32-bit words, and the lanes' words alternate. Fewer values are one little-endian bit stream of
//! ceil(w n / 8) bytes. A score is the upper bound of the BM25 score in the block; it is in the table and the block.
//!
//! The first row of each block is absolute, so a damaged block costs only itself.

use crate::format::cursor::Cursor;
use crate::format::{FormatError, Result};

/// First four bytes of a packed posting, as a little-endian number.
pub const MAGIC: u32 = 0x4250_4B44;
pub(super) const VERSION: u32 = 1;
pub(super) const FULL: usize = 128;
pub(super) const HEADER: u64 = 16;
pub(super) const TABLE_ENTRY: u64 = 12;

/// A decoded packed posting and everything that was wrong with it. The three lists run in parallel.
#[derive(Debug, Clone, Default)]
pub struct PackedPosting {
    /// Rows, ascending: those of all readable blocks.
    pub rows: Vec<u32>,
    /// Occurrences of the term in each row.
    pub term_frequencies: Vec<u32>,
    /// Tokens of each row.
    pub document_lengths: Vec<u32>,
    /// Number of rows as stored.
    pub stored_rows: u32,
    /// The readable blocks.
    pub blocks: Vec<Block>,
    /// Faults, in file order; empty = intact.
    pub faults: Vec<FormatError>,
}

/// One block of a packed posting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Block {
    /// Absolute offset of the block.
    pub offset: u64,
    /// First row.
    pub first_row: u32,
    /// Last row.
    pub last_row: u32,
    /// Number of entries, 1 to 128.
    pub entries: usize,
    /// Upper bound of the score in this block.
    pub max_score: f32,
}

/// What the table says about a block.
struct Entry {
    last_row: u32,
    offset: u32,
    score: f32,
}

struct Contents {
    rows: Vec<u32>,
    term_frequencies: Vec<u32>,
    document_lengths: Vec<u32>,
    score: f32,
    end: usize,
}

impl PackedPosting {
    /// Decodes a posting; `base` is the file offset of `value`.
    ///
    /// # Errors
    /// When no row can be had: header or table cut short, wrong magic, newer version.
    pub fn decode(value: &[u8], base: u64) -> Result<Self> {
        let mut cursor = Cursor::new(value, base, "packed.truncated");
        let magic = cursor.u32()?;
        if magic != MAGIC {
            let detail = format!("found {magic:#010x}, expected {MAGIC:#010x}");
            return Err(FormatError::malformed("packed.bad-magic", base, detail));
        }
        let version = cursor.u32()?;
        if version > VERSION {
            let detail = format!("version {version}, this build knows {VERSION}");
            return Err(FormatError::newer("packed.newer-version", base.saturating_add(4), detail));
        }
        let (stored_rows, count) = (cursor.u32()?, cursor.u32()?);
        let table = cursor.elements(count as usize, TABLE_ENTRY as usize)?;

        let mut posting = Self { stored_rows, ..Self::default() };
        if version != VERSION {
            posting.fault(
                "packed.bad-version",
                base.saturating_add(4),
                format!("version {version}, expected {VERSION}"),
            );
        }
        // Where the next block must be; unknown behind an unreadable one.
        let mut end = value.len().saturating_sub(cursor.remaining());
        let mut known = true;
        for (i, raw) in table.chunks_exact(TABLE_ENTRY as usize).enumerate() {
            let at = base.saturating_add(HEADER).saturating_add(TABLE_ENTRY * i as u64);
            let mut fields = Cursor::new(raw, at, "packed.truncated");
            let entry = Entry { last_row: fields.u32()?, offset: fields.u32()?, score: fields.f32()? };
            let (found, expected) = (entry.offset as usize, aligned(end));
            // A block that overlaps what has been read would give the same rows again.
            if found < end || known && found != expected {
                let detail = format!("block {i} is expected at {expected}, its stored offset is {found}");
                posting.fault("packed.bad-offset", at.saturating_add(4), detail);
            }
            if found < end {
                known = false;
                continue;
            }
            let offset = base.saturating_add(u64::from(entry.offset));
            match posting.read_block(value, i, offset, &entry) {
                Ok(contents) => {
                    end = contents.end;
                    known = true;
                    if contents.rows.len() != FULL && i as u64 + 1 != u64::from(count) {
                        let detail = format!("block {i} of {count} has {} entries, not {FULL}", contents.rows.len());
                        posting.fault("packed.short-block", offset.saturating_add(7), detail);
                    }
                    posting.append(contents, offset);
                }
                Err(mut error) => {
                    error.detail = format!("block {i} of {count}: {}", error.detail);
                    posting.faults.push(error);
                    known = false;
                }
            }
        }
        if posting.rows.len() as u64 != u64::from(stored_rows) {
            let detail = format!("{stored_rows} rows stored as the count, {} read", posting.rows.len());
            posting.fault("packed.bad-count", base.saturating_add(8), detail);
        }
        if posting.faults.is_empty() && value.len() != aligned(end) {
            let detail = format!("the posting ends at {}, expected {}", value.len(), aligned(end));
            posting.fault("packed.bad-length", base.saturating_add(end as u64), detail);
        }
        Ok(posting)
    }

    fn fault(&mut self, code: &'static str, offset: u64, detail: String) {
        self.faults.push(FormatError::malformed(code, offset, detail));
    }

    fn append(&mut self, contents: Contents, offset: u64) {
        if let (Some(&first_row), Some(&last_row)) = (contents.rows.first(), contents.rows.last()) {
            let (entries, max_score) = (contents.rows.len(), contents.score);
            self.blocks.push(Block { offset, first_row, last_row, entries, max_score });
        }
        self.rows.extend(contents.rows);
        self.term_frequencies.extend(contents.term_frequencies);
        self.document_lengths.extend(contents.document_lengths);
    }

    /// Reads a block. What only contradicts the table or the previous block is a fault on the way; what makes the rows
    /// unusable is the error.
    fn read_block(&mut self, value: &[u8], i: usize, offset: u64, entry: &Entry) -> Result<Contents> {
        let bytes = value.get(entry.offset as usize..).unwrap_or_default();
        let mut cursor = Cursor::new(bytes, offset, "packed.truncated");
        let first_row = cursor.u32()?;
        let [row_width, frequency_width, length_width] = cursor.array()?;
        let count = usize::from(cursor.u8()?);
        let score = cursor.f32()?;
        let reserved = cursor.u32()?;
        if count == 0 || count > FULL {
            let detail = format!("{count} entries, expected 1 to {FULL}");
            return Err(FormatError::malformed("packed.bad-entries", offset.saturating_add(7), detail));
        }
        let distances = unpack(&mut cursor, row_width, count)?;
        let term_frequencies = unpack(&mut cursor, frequency_width, count)?;
        let document_lengths = unpack(&mut cursor, length_width, count)?;

        let previous = self.rows.last().copied();
        if previous.is_some_and(|previous| previous >= first_row) {
            let detail = format!("begins at row {first_row}, the block before ends at {}", previous.unwrap_or(0));
            return Err(FormatError::malformed("packed.order", offset, detail));
        }
        let mut rows = Vec::with_capacity(count);
        let mut row = first_row;
        rows.push(row);
        for &distance in distances.iter().skip(1) {
            row = row.checked_add(distance).filter(|_| distance > 0).ok_or_else(|| {
                let detail = format!("row {row} + {distance} does not ascend within 32 bits");
                FormatError::malformed("packed.order", offset, detail)
            })?;
            rows.push(row);
        }
        // Only where the block before is intact does the first distance mean anything.
        let intact = self.faults.is_empty() && (i == 0) == self.rows.is_empty();
        let distance = first_row.saturating_sub(previous.unwrap_or(0));
        if let Some(&stored) = distances.first().filter(|stored| intact && **stored != distance) {
            let detail = format!("block {i} begins {distance} rows after the last, {stored} is stored");
            self.fault("packed.bad-first-row", offset, detail);
        }
        if row != entry.last_row {
            let detail = format!("block {i} ends at row {row}, its table entry says {}", entry.last_row);
            self.fault("packed.bad-last-row", offset, detail);
        }
        if score.to_bits() != entry.score.to_bits() {
            let detail = format!("block {i} has score {score}, its table entry {}", entry.score);
            self.fault("packed.score-mismatch", offset.saturating_add(8), detail);
        }
        if reserved != 0 {
            self.fault(
                "packed.bad-reserved",
                offset.saturating_add(12),
                format!("{reserved} in the reserved field of block {i}"),
            );
        }
        let end = (entry.offset as usize).saturating_add(bytes.len().saturating_sub(cursor.remaining()));
        Ok(Contents { rows, term_frequencies, document_lengths, score, end })
    }
}

/// Blocks begin at multiples of 16.
pub(super) fn aligned(end: usize) -> usize {
    end.checked_next_multiple_of(16).unwrap_or(end)
}

/// Takes `count` values of `width` bits off the cursor.
fn unpack(cursor: &mut Cursor, width: u8, count: usize) -> Result<Vec<u32>> {
    if width > 32 {
        let detail = format!("a width of {width} bits, at most 32 are possible");
        return Err(FormatError::malformed("packed.bad-width", cursor.offset(), detail));
    }
    let width = usize::from(width);
    if count < FULL {
        let bytes = cursor.bytes((width * count).div_ceil(8))?;
        return Ok(bits(bytes.iter().copied(), width, count));
    }
    let bytes = cursor.bytes(16 * width)?;
    let mut out = vec![0; FULL];
    for lane in 0..4 {
        let words = bytes.chunks_exact(4).skip(lane).step_by(4).flatten().copied();
        for (slot, value) in out.iter_mut().skip(lane).step_by(4).zip(bits(words, width, FULL / 4)) {
            *slot = value;
        }
    }
    Ok(out)
}

/// `count` values of `width` bits from a little-endian bit stream.
fn bits(mut bytes: impl Iterator<Item = u8>, width: usize, count: usize) -> Vec<u32> {
    let (mut pending, mut held) = (0u64, 0usize);
    let mask = (1u64 << width) - 1;
    let next = |_| {
        while held < width {
            pending |= u64::from(bytes.next().unwrap_or(0)) << held;
            held += 8;
        }
        let value = pending & mask;
        pending >>= width;
        held -= width;
        value as u32
    };
    (0..count).map(next).collect()
}

#[cfg(test)]
#[path = "packed_tests.rs"]
mod tests;
