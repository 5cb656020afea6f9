//! Inverted lists (packed).
//!
//! ```text
//! segments: ivf.inverted_body, ivf.inverted_header, ivf.inverted_meta, hc.keys, ivf.mapping, ivf.offsets,
//!           ivf.turbo_quantizer (0.8.0, empty), ivf.centroid (a nested packed container), IndexMeta, enable_rotate (if rotated)
//!
//! ivf.inverted_header: u32 64 + len | u32 rows | u64 body size | u32 lists | u32 rows per block, 32 | u32 block size
//!                      | u32 blocks | u32 len | 28 bytes zero | IndexMeta of the stored elements
//! ivf.inverted_meta, 40 bytes per list: u64 offset in the body | u32 blocks | u32 rows | u32 first row | 20 bytes
//! hc.keys:     u64 key per row, in list order
//! ivf.mapping: u32 row per key, by ascending key
//! ivf.offsets: u64 per row: bytes 0–5 offset in the body, bit 48 column-major
//! ivf.inverted_body: blocks of 32 elements, align(32·element, 32) bytes; the last of a list align(rows·element, 32)
//! ```
//!
//! Full blocks may be column-major (`major order` 2 in the inner IndexMeta): unit k of element i is at (32·k + i) units of the
//! block, a unit being 2 bytes for FP16 and 4 for FP32, INT8 and INT4. The offset of such a row is that of its first unit.
//!
//! The inner IndexMeta names a quantizer since 0.8.0. Where it does not, the reformer of the outer one applies to the elements.

use std::collections::HashMap;

use super::container::{Container, Segment};
use super::fault::{self, Faults, align};
use super::meta::{DataType, IndexMeta};
use super::window::{Runs, Window};
use crate::format::cursor::Cursor;
use crate::format::{FormatError, Result, Source, read_vec};

const HEADER: u64 = 64;
const LIST: u64 = 40;
const BLOCK_ROWS: u64 = 32;
const MAX_HEADER: u64 = 64 << 20;
const CUT: &str = "ivf.truncated";
/// Memory for blocks that were read. Rows of a list come in key order, so that a walk by key needs one block of each list.
const CACHE: usize = 64 << 20;

/// An IVF index.
#[derive(Debug, Clone)]
pub struct Ivf {
    /// Rows.
    pub rows: u64,
    /// Inverted lists.
    pub lists: u32,
    /// Rows per block.
    pub block_rows: u32,
    /// Size of a full block.
    pub block_size: u32,
    /// Blocks of all lists.
    pub blocks: u32,
    /// The body.
    pub body: Segment,
    pub(super) keys: Segment,
    pub(super) mapping: Option<Segment>,
    /// The lists, as far as their table is there.
    pub inverted_lists: Vec<InvertedList>,
    element_size: u64,
    unit: u64,
    offsets: Runs,
}

/// One inverted list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvertedList {
    /// Offset of its first block in the body.
    pub offset: u64,
    /// Blocks.
    pub blocks: u32,
    /// Rows.
    pub rows: u32,
    /// Its first row.
    pub first_row: u32,
}

impl Ivf {
    /// Reads the structure. The second value is the `IndexMeta` of the stored elements.
    pub(super) fn open<S: Source + ?Sized>(
        source: &S,
        container: &Container,
        faults: &mut Faults,
    ) -> Result<(Self, IndexMeta)> {
        let segment = |name| container.require(name, "ivf.missing-segment");
        let header = segment("ivf.inverted_header")?;
        let bytes = container.read(source, header, MAX_HEADER, CUT)?;
        let mut cursor = Cursor::new(&bytes, header.offset, CUT);
        let (_size, rows, body_size, lists) = (cursor.u32()?, cursor.u32()?, cursor.u64()?, cursor.u32()?);
        let (block_rows, block_size, blocks, meta_size) = (cursor.u32()?, cursor.u32()?, cursor.u32()?, cursor.u32()?);
        cursor.skip(28)?;
        let inner = cursor.rest();
        let inner = usize::try_from(meta_size).ok().and_then(|size| inner.get(..size)).unwrap_or(inner);
        let meta = IndexMeta::parse(inner, header.offset + HEADER)?;
        let element_size = meta.element_size();
        let body = segment("ivf.inverted_body")?.clone();
        let keys = segment("hc.keys")?.clone();
        let offsets = segment("ivf.offsets")?;
        let mut expect = |offset: u64, what: &str, found: u64, expected: u64| {
            if found != expected {
                let detail = format!("{what}: {found}, {expected} expected");
                faults.push(FormatError::malformed("ivf.bad-header", offset, detail));
            }
        };
        expect(header.offset + 8, "body size", body_size, body.size);
        let block = align(element_size.saturating_mul(block_rows.into()), 32);
        expect(header.offset + 20, "rows per block", block_rows.into(), BLOCK_ROWS);
        expect(header.offset + 24, "block size", block_size.into(), block);
        expect(keys.offset, "keys", keys.size, 8 * u64::from(rows));
        expect(offsets.offset, "offsets", offsets.size, 8 * u64::from(rows));
        let mut inverted_lists = Vec::new();
        if let Some(table) = container.segment("ivf.inverted_meta") {
            expect(table.offset, "size of the list table", table.size, LIST * u64::from(lists));
            inverted_lists = list_table(source, table)?;
        }
        // Rows beyond the offsets that are there cannot be found.
        let offsets = Runs::new(8, std::iter::once((offsets.offset, offsets.size)));
        let rows = u64::from(rows).min(offsets.len());
        let mapping = container.segment("ivf.mapping").cloned();
        let unit = match meta.data_type {
            DataType::Fp16 | DataType::Int16 => 2,
            DataType::Fp64 => 8,
            _ => 4,
        };
        let ivf = Self {
            rows,
            lists,
            block_rows,
            block_size,
            blocks,
            body,
            keys,
            mapping,
            inverted_lists,
            element_size,
            unit,
            offsets,
        };
        Ok((ivf, meta))
    }

    /// Offset in the file and bytes of the element of row `row`.
    pub(super) fn element<'c, S: Source + ?Sized>(
        &self,
        source: &S,
        row: u64,
        window: &mut Window,
        blocks: &'c mut Blocks,
    ) -> Result<(u64, &'c [u8])> {
        let (at, end) = self.offsets.locate(row).ok_or_else(|| {
            FormatError::malformed("ivf.bad-row", self.body.offset, format!("row {row} of {}", self.rows))
        })?;
        let packed = u64::from_le_bytes(window.array(source, at, end, CUT)?);
        let (offset, columns) = (packed & ((1 << 48) - 1), packed >> 48 & 1 != 0);
        if columns && !self.element_size.is_multiple_of(self.unit) {
            let detail = format!("row {row}: elements of {} bytes in columns of {}", self.element_size, self.unit);
            return Err(FormatError::malformed("ivf.bad-columns", at, detail));
        }
        // From the first byte of the element to the last.
        let span = match columns {
            true => (self.element_size.saturating_sub(self.unit)).saturating_mul(BLOCK_ROWS).saturating_add(self.unit),
            false => self.element_size,
        };
        if offset.checked_add(span).is_none_or(|end| end > self.body.size) {
            let detail = format!("row {row} at {offset} of a body of {} bytes", self.body.size);
            return Err(FormatError::malformed("ivf.bad-offset", at, detail));
        }
        // Without a list table that agrees, only the element itself is read.
        let (start, size) = self
            .block_of(row)
            .filter(|&(start, size)| start <= offset && offset + span <= start.saturating_add(size))
            .unwrap_or((offset, span));
        let inside = fault::at(offset - start);
        let (cache, gathered) = (&mut blocks.cache, &mut blocks.gathered);
        if cache.get(&start).is_none_or(|block| (block.len() as u64) < size) {
            let bytes = read_vec(source, self.body.offset + start, size, CUT)?;
            if blocks.total.saturating_add(bytes.len()) > CACHE {
                cache.clear();
                blocks.total = 0;
            }
            blocks.total += bytes.len();
            if let Some(shorter) = cache.insert(start, bytes) {
                blocks.total = blocks.total.saturating_sub(shorter.len());
            }
        }
        let bytes = cache.get(&start).and_then(|block| block.get(inside..)).unwrap_or_default();
        let offset = self.body.offset + offset;
        if !columns {
            let bytes = bytes.get(..fault::at(span)).unwrap_or_default();
            return Ok((offset, bytes));
        }
        let unit = fault::at(self.unit);
        gathered.clear();
        gathered.extend(bytes.chunks(unit.saturating_mul(32)).filter_map(|row| row.get(..unit)).flatten());
        gathered.truncate(fault::at(self.element_size));
        Ok((offset, gathered))
    }

    /// Start and size in the body of the block that holds row `row`.
    fn block_of(&self, row: u64) -> Option<(u64, u64)> {
        let after = self.inverted_lists.partition_point(|list| u64::from(list.first_row) <= row);
        let list = self.inverted_lists.get(..after)?.last()?;
        let inside = row.checked_sub(list.first_row.into()).filter(|&inside| inside < list.rows.into())?;
        let block = inside / BLOCK_ROWS;
        let start = list.offset.checked_add(block.checked_mul(self.block_size.into())?)?;
        let rows = (u64::from(list.rows) - block * BLOCK_ROWS).min(BLOCK_ROWS);
        let size = rows.checked_mul(self.element_size)?;
        (start.checked_add(size)? <= self.body.size).then_some((start, size))
    }
}

/// Blocks that were read.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    cache: HashMap<u64, Vec<u8>>,
    total: usize,
    gathered: Vec<u8>,
}

fn list_table<S: Source + ?Sized>(source: &S, segment: &Segment) -> Result<Vec<InvertedList>> {
    let bytes = read_vec(source, segment.offset, segment.size, CUT)?;
    let entries = bytes.as_chunks::<40>().0.iter().enumerate();
    entries
        .map(|(number, bytes)| {
            let mut cursor = Cursor::new(bytes, segment.offset + LIST * number as u64, CUT);
            let (offset, blocks) = (cursor.u64()?, cursor.u32()?);
            Ok(InvertedList { offset, blocks, rows: cursor.u32()?, first_row: cursor.u32()? })
        })
        .collect()
}
