//! Dense vectors in blocks of 32, in row order.
//!
//! ```text
//! segments: flat.linear_meta, IndexMeta, flat.linear_list_head, flat.features1 … flat.featuresN   (0.1.0: linear.*)
//!
//! flat.linear_meta
//!   0 u64 create time | u64 update time | u64 revision | u32 feature segments | u32 feature segment size | 32 bytes zero
//!  64 u32 64 + len(IndexMeta) | u32 rows | u64 Σ capacity of the feature segments | u32 lists, 1 | u32 rows per block, 32
//!     u32 block size | u32 blocks | u32 len(IndexMeta) | 28 bytes zero
//! 128 a copy of IndexMeta
//!   revision: flushes and merges that found rows, so 1 in most files
//!
//! block                                                        0.1.0
//!   32 elements | 32 u64 keys | zeros                          the same
//!   end−16 u32 deletion bitmap                                 end−12
//!   end−12 u32 segment, u32 block: the block before            end−8 u16, u16
//!   end−4  u16 rows, u16 flags (bit 0 column-major)            end−4
//!   size align(16 + 32·(element + 8), 32)                      align(12 + 32·(element + 8), 32)
//!
//! flat.linear_list_head: u32 segment (from 1; 0 = empty), u32 block of the newest block          u16, u16
//! ```
//!
//! Every feature segment but the last and every block but the last is full, so rows are found by arithmetic; the list only serves queries.
//! Key = row number, or 2^64−1 for a row without vector; trailing rows without vector are not stored. Until a flush the
//! counters in `linear_meta` are zero while the blocks hold the rows.

use super::container::{Container, Segment};
use super::fault::{Faults, align};
use super::meta::IndexMeta;
use super::window::{Runs, Window};
use crate::format::cursor::Cursor;
use crate::format::{FormatError, Result, Source, read_vec};

/// Rows per block.
pub const BLOCK_ROWS: u64 = 32;
const META: u64 = 128;
const MAX_META: u64 = 64 << 20;
const CUT: &str = "flat.truncated";

/// `linear_meta` as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinearMeta {
    /// Creation time, unix seconds.
    pub created: u64,
    /// Update time, unix seconds.
    pub updated: u64,
    /// Revision.
    pub revision: u64,
    /// Feature segments.
    pub segments: u32,
    /// Capacity of a feature segment.
    pub segment_size: u32,
    /// Rows; 0 until the first flush.
    pub rows: u32,
    /// Sum of the capacities of the feature segments.
    pub body_size: u64,
    /// Lists, 1.
    pub lists: u32,
    /// Rows per block, 32.
    pub block_rows: u32,
    /// Block size.
    pub block_size: u32,
    /// Blocks; 0 until the first flush.
    pub blocks: u32,
    /// Length of the copy of `IndexMeta`.
    pub meta_size: u32,
}

/// Where a block is: feature segment counted from 1, block in it; (0, 0) is nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlockLocation {
    /// Feature segment, from 1.
    pub segment: u32,
    /// Block in the segment.
    pub block: u32,
}

/// The end of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockTrailer {
    /// Absolute offset of the deletion bitmap, where the trailer begins.
    pub offset: u64,
    /// Deletion bitmap; zvec never sets it.
    pub deleted: u32,
    /// The block before this one.
    pub next: BlockLocation,
    /// Rows in the block.
    pub rows: u16,
    /// Bit 0: column-major. zvec never sets it and rows do not depend on it.
    pub flags: u16,
}

/// A flat dense index.
#[derive(Debug, Clone)]
pub struct Flat {
    /// Counters as stored.
    pub meta: LinearMeta,
    /// Whether it has the 16-bit block locations of 0.1.0.
    pub legacy: bool,
    /// Rows in the blocks.
    pub rows: u64,
    /// The feature segments: absolute offset and data size.
    pub features: Vec<Segment>,
    element_size: u64,
    block_size: u64,
    head_offset: u64,
    blocks: Runs,
}

impl Flat {
    /// Reads the structure. The second value is the `IndexMeta` that describes the elements.
    pub(super) fn open<S: Source + ?Sized>(
        source: &S,
        container: &Container,
        faults: &mut Faults,
    ) -> Result<(Self, IndexMeta)> {
        let legacy = container.segment("flat.linear_meta").is_none();
        let prefix = if legacy { "linear" } else { "flat" };
        let segment = container.require(&format!("{prefix}.linear_meta"), "flat.missing-segment")?;
        let bytes = container.read(source, segment, MAX_META, CUT)?;
        let meta = linear_meta(&bytes, segment.offset)?;
        let index_meta = index_meta(source, container, &meta, &bytes, segment.offset, faults)?;
        let head = container.require(&format!("{prefix}.linear_list_head"), "flat.missing-segment")?;
        let features: Vec<_> = container.numbered(&format!("{prefix}.features"), 1).into_iter().cloned().collect();
        let element_size = index_meta.element_size();
        let trailer = if legacy { 12 } else { 16 };
        let block_size = element_size
            .checked_add(8)
            .and_then(|row| row.checked_mul(BLOCK_ROWS)?.checked_add(trailer))
            .filter(|_| element_size > 0)
            .map(|size| align(size, 32))
            .ok_or_else(|| {
                let detail = format!("elements of {element_size} bytes");
                FormatError::malformed("flat.bad-element-size", segment.offset, detail)
            })?;
        let blocks = Runs::new(block_size, features.iter().map(|segment| (segment.offset, segment.size)));
        let mut flat =
            Self { meta, legacy, rows: 0, features, element_size, block_size, head_offset: head.offset, blocks };
        flat.check_sizes(segment.offset, faults);
        flat.rows = flat.count_rows(source, segment.offset, faults);
        Ok((flat, index_meta))
    }

    fn check_sizes(&self, offset: u64, faults: &mut Faults) {
        let meta = &self.meta;
        let mut expect = |at: u64, what: &str, found: u64, expected: u64| {
            if found != expected {
                let detail = format!("{what}: {found}, {expected} expected");
                faults.push(FormatError::malformed("flat.bad-meta", offset + at, detail));
            }
        };
        expect(64 + 16, "lists", meta.lists.into(), 1);
        expect(64 + 20, "rows per block", meta.block_rows.into(), BLOCK_ROWS);
        expect(64 + 24, "block size", meta.block_size.into(), self.block_size);
        // Both are zero until the first flush, like rows and blocks.
        if meta.rows != 0 || meta.blocks != 0 {
            expect(24, "feature segments", meta.segments.into(), self.features.len() as u64);
            let capacity = self.features.iter().map(Segment::capacity).fold(0, u64::saturating_add);
            expect(64 + 8, "capacity of the feature segments", meta.body_size, capacity);
        }
        for (number, segment) in self.features.iter().enumerate() {
            if segment.size % self.block_size != 0 {
                let detail = format!("{} bytes are no whole number of blocks of {}", segment.size, self.block_size);
                faults.push(FormatError::malformed("flat.bad-segment-size", segment.offset, detail));
            }
            if number + 1 < self.features.len() && segment.padding >= self.block_size {
                let detail = format!("feature segment {} is not full but not the last", number + 1);
                faults.push(FormatError::malformed("flat.bad-segment-size", segment.offset, detail));
            }
        }
    }

    /// Rows from the blocks themselves: after a crash the counters are still zero.
    fn count_rows<S: Source + ?Sized>(&self, source: &S, offset: u64, faults: &mut Faults) -> u64 {
        let blocks = self.blocks.len();
        let stored = u64::from(self.meta.rows);
        let stale = self.meta.rows == 0 && self.meta.blocks == 0 && blocks > 0;
        if stale {
            let detail = format!("the counters are zero, there are {blocks} blocks: written to since the last flush");
            faults.push(FormatError::malformed("flat.stale-counters", offset + 68, detail));
        } else if u64::from(self.meta.blocks) != blocks {
            let detail = format!("{} blocks announced, {blocks} there", self.meta.blocks);
            faults.push(FormatError::malformed("flat.bad-block-count", offset + 92, detail));
        }
        let Some(last) = blocks.checked_sub(1) else {
            if stored != 0 {
                let detail = format!("{stored} rows announced, no block there");
                faults.push(FormatError::malformed("flat.bad-row-count", offset + 68, detail));
            }
            return 0;
        };
        let full = last.saturating_mul(BLOCK_ROWS);
        let plausible = (full + 1..=full.saturating_add(BLOCK_ROWS)).contains(&stored);
        let counted = match self.trailer(source, last, &mut Window::default()) {
            Ok(trailer) if (1..=BLOCK_ROWS).contains(&trailer.rows.into()) => Some(full + u64::from(trailer.rows)),
            Ok(trailer) => {
                let detail = format!("the last block has {} rows", trailer.rows);
                faults.push(FormatError::malformed("flat.bad-block", trailer.offset, detail));
                None
            }
            Err(error) => {
                faults.push(error);
                None
            }
        };
        match counted {
            Some(rows) => {
                if rows != stored && !stale {
                    let detail = format!("{stored} rows announced, {rows} in the blocks");
                    faults.push(FormatError::malformed("flat.bad-row-count", offset + 68, detail));
                }
                rows
            }
            None if plausible => stored,
            None => full.saturating_add(BLOCK_ROWS),
        }
    }

    /// Blocks that are there.
    pub fn blocks(&self) -> u64 {
        self.blocks.len()
    }

    /// Size of a block.
    pub fn block_size(&self) -> u64 {
        self.block_size
    }

    /// Bytes of an element.
    pub fn element_size(&self) -> u64 {
        self.element_size
    }

    /// Offset of block `block`, counted over all feature segments; [`Flat::block_size`] bytes are there.
    pub fn block_offset(&self, block: u64) -> Result<u64> {
        self.locate(block).map(|(start, _)| start)
    }

    /// Key of row `row`.
    pub(super) fn key<S: Source + ?Sized>(&self, source: &S, row: u64, window: &mut Window) -> Result<u64> {
        let (block, end) = self.locate(row / BLOCK_ROWS)?;
        // Within the sizes that locate() has checked against the segment.
        let offset = block + BLOCK_ROWS * self.element_size + row % BLOCK_ROWS * 8;
        let block_end = (block + self.block_size).min(end);
        window.array(source, offset, block_end, CUT).map(u64::from_le_bytes)
    }

    /// Offset and bytes of the element of row `row`.
    pub(super) fn element<'w, S: Source + ?Sized>(
        &self,
        source: &S,
        row: u64,
        window: &'w mut Window,
    ) -> Result<(u64, &'w [u8])> {
        let (block, end) = self.locate(row / BLOCK_ROWS)?;
        let offset = block + row % BLOCK_ROWS * self.element_size;
        Ok((offset, window.read(source, offset, self.element_size, end, CUT)?))
    }

    /// The end of block `block`, counted over all feature segments.
    pub fn block_trailer<S: Source + ?Sized>(&self, source: &S, block: u64) -> Result<BlockTrailer> {
        self.trailer(source, block, &mut Window::default())
    }

    fn trailer<S: Source + ?Sized>(&self, source: &S, block: u64, window: &mut Window) -> Result<BlockTrailer> {
        let (start, _) = self.locate(block)?;
        let length = if self.legacy { 12 } else { 16 };
        let offset = start + self.block_size - length;
        let bytes = window.read(source, offset, length, offset + length, CUT)?;
        let mut cursor = Cursor::new(bytes, offset, CUT);
        let deleted = cursor.u32()?;
        let next = location(&mut cursor, self.legacy)?;
        Ok(BlockTrailer { offset, deleted, next, rows: cursor.u16()?, flags: cursor.u16()? })
    }

    fn locate(&self, block: u64) -> Result<(u64, u64)> {
        self.blocks.locate(block).ok_or_else(|| {
            let detail = format!("block {block} of {}", self.blocks.len());
            FormatError::malformed("flat.bad-block", self.head_offset, detail)
        })
    }

    /// Follows the list of blocks as a query does, newest first, and returns the number of blocks visited before it ended or went
    /// wrong, with what is wrong. A whole list is the exact reverse of the physical order; a cycle makes zvec hang.
    pub fn chain<S: Source + ?Sized>(&self, source: &S) -> Result<(u64, Vec<FormatError>)> {
        let mut faults = Vec::new();
        let bytes = read_vec(source, self.head_offset, 8, CUT)?;
        let mut at = self.head_offset;
        let mut next = location(&mut Cursor::new(&bytes, at, CUT), self.legacy)?;
        let mut visited = 0;
        let mut window = Window::default();
        while next.segment != 0 {
            let expected = self.blocks.len().checked_sub(visited + 1);
            let found = self.number(next);
            let detail = match (found, expected) {
                (Some(found), Some(expected)) if found == expected => {
                    let trailer = self.trailer(source, found, &mut window)?;
                    visited += 1;
                    at = trailer.offset + 4;
                    next = trailer.next;
                    continue;
                }
                (None, _) => format!("segment {} block {} does not exist", next.segment, next.block),
                (Some(found), Some(expected)) => format!("block {found} follows, {expected} expected"),
                (Some(found), None) => format!("block {found} follows the first block: a cycle"),
            };
            let detail = format!("list of blocks, after {visited}: {detail}");
            faults.push(FormatError::malformed("flat.bad-chain", at, detail));
            return Ok((visited, faults));
        }
        if visited != self.blocks.len() {
            let detail = format!("the list of blocks ends after {visited} of {}", self.blocks.len());
            faults.push(FormatError::malformed("flat.short-chain", at, detail));
        }
        Ok((visited, faults))
    }

    fn number(&self, location: BlockLocation) -> Option<u64> {
        self.blocks.number(u64::from(location.segment).checked_sub(1)?, location.block.into())
    }
}

fn location(cursor: &mut Cursor, legacy: bool) -> Result<BlockLocation> {
    Ok(match legacy {
        true => BlockLocation { segment: cursor.u16()?.into(), block: cursor.u16()?.into() },
        false => BlockLocation { segment: cursor.u32()?, block: cursor.u32()? },
    })
}

fn linear_meta(bytes: &[u8], offset: u64) -> Result<LinearMeta> {
    let mut cursor = Cursor::new(bytes, offset, CUT);
    let (created, updated, revision) = (cursor.u64()?, cursor.u64()?, cursor.u64()?);
    let (segments, segment_size) = (cursor.u32()?, cursor.u32()?);
    cursor.skip(32 + 4)?;
    let (rows, body_size, lists) = (cursor.u32()?, cursor.u64()?, cursor.u32()?);
    let (block_rows, block_size, blocks) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
    let meta_size = cursor.u32()?;
    cursor.skip(28)?;
    Ok(LinearMeta {
        created,
        updated,
        revision,
        segments,
        segment_size,
        rows,
        body_size,
        lists,
        block_rows,
        block_size,
        blocks,
        meta_size,
    })
}

/// Both copies should agree; one good copy is enough to read the rows. zvec takes the one inside `linear_meta`.
fn index_meta<S: Source + ?Sized>(
    source: &S,
    container: &Container,
    meta: &LinearMeta,
    bytes: &[u8],
    offset: u64,
    faults: &mut Faults,
) -> Result<IndexMeta> {
    let inner_bytes = bytes.get(128..).unwrap_or_default();
    let size = usize::try_from(meta.meta_size).unwrap_or(usize::MAX);
    let inner_bytes = inner_bytes.get(..size).unwrap_or(inner_bytes);
    let inner = IndexMeta::parse(inner_bytes, offset.saturating_add(META));
    let outer = container.require("IndexMeta", "flat.missing-segment").and_then(|segment| {
        let bytes = container.read(source, segment, MAX_META, "index-meta.truncated")?;
        if bytes != inner_bytes {
            let first = bytes.iter().zip(inner_bytes).take_while(|(a, b)| a == b).count() as u64;
            let detail = format!("the segment IndexMeta differs from the copy in linear_meta, from byte {first} on");
            faults.push(FormatError::malformed("flat.meta-differs", segment.offset.saturating_add(first), detail));
        }
        IndexMeta::parse(&bytes, segment.offset)
    });
    match (inner, outer) {
        (Ok(inner), Ok(_)) => Ok(inner),
        (Ok(good), Err(bad)) | (Err(bad), Ok(good)) => {
            faults.push(bad);
            Ok(good)
        }
        (Err(bad), Err(_)) => Err(bad),
    }
}
