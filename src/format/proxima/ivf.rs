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
//! ivf.offsets: u64 per row: bytes 0–5 offset in the body, bit 48 column-major (never seen)
//! ivf.inverted_body: blocks of 32 elements, align(32·element, 32) bytes; the last of a list align(rows·element, 32)
//! ```
//!
//! The inner IndexMeta names a quantizer since 0.8.0. Where it does not, the reformer of the outer one applies to the elements.

use super::container::{Container, Segment};
use super::fault::{Faults, align};
use super::meta::IndexMeta;
use super::window::{Runs, Window};
use crate::format::cursor::Cursor;
use crate::format::{FormatError, Result, Source};

const HEADER: u64 = 64;
const LIST: u64 = 40;
const MAX_HEADER: u64 = 64 << 20;
const CUT: &str = "ivf.truncated";

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
    list_meta: Option<Segment>,
    element_size: u64,
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
        expect(header.offset + 24, "block size", block_size.into(), block);
        expect(keys.offset, "keys", keys.size, 8 * u64::from(rows));
        expect(offsets.offset, "offsets", offsets.size, 8 * u64::from(rows));
        let list_meta = container.segment("ivf.inverted_meta").cloned();
        if let Some(list_meta) = &list_meta {
            expect(list_meta.offset, "size of the list table", list_meta.size, LIST * u64::from(lists));
        }
        // Rows beyond the offsets that are there cannot be found.
        let offsets = Runs::new(8, std::iter::once((offsets.offset, offsets.size)));
        let rows = u64::from(rows).min(offsets.len());
        let mapping = container.segment("ivf.mapping").cloned();
        let ivf =
            Self { rows, lists, block_rows, block_size, blocks, body, keys, mapping, list_meta, element_size, offsets };
        Ok((ivf, meta))
    }

    /// The table of lists.
    pub fn inverted_lists<S: Source + ?Sized>(&self, source: &S) -> Result<Vec<InvertedList>> {
        let Some(segment) = &self.list_meta else { return Ok(Vec::new()) };
        let bytes = crate::format::read_vec(source, segment.offset, segment.size, CUT)?;
        let entries = bytes.as_chunks::<40>().0.iter().enumerate();
        entries
            .map(|(number, bytes)| {
                let mut cursor = Cursor::new(bytes, segment.offset + LIST * number as u64, CUT);
                let (offset, blocks) = (cursor.u64()?, cursor.u32()?);
                Ok(InvertedList { offset, blocks, rows: cursor.u32()?, first_row: cursor.u32()? })
            })
            .collect()
    }

    /// Offset of the element of row `row` in the file.
    pub(super) fn locate<S: Source + ?Sized>(&self, source: &S, row: u64, window: &mut Window) -> Result<u64> {
        let (at, end) = self.offsets.locate(row).ok_or_else(|| {
            FormatError::malformed("ivf.bad-row", self.body.offset, format!("row {row} of {}", self.rows))
        })?;
        let packed = u64::from_le_bytes(window.array(source, at, end, CUT)?);
        let (offset, flags) = (packed & ((1 << 48) - 1), packed >> 48);
        if flags & 1 != 0 {
            let detail = format!("row {row} lies in a column-major block");
            return Err(FormatError::unsupported("ivf.column-major", at, detail));
        }
        if offset.checked_add(self.element_size).is_none_or(|end| end > self.body.size) {
            let detail = format!("row {row} at {offset} of a body of {} bytes", self.body.size);
            return Err(FormatError::malformed("ivf.bad-offset", at, detail));
        }
        Ok(self.body.offset + offset)
    }

    /// The element of a row that [`Ivf::locate`] has found.
    pub(super) fn element<'w, S: Source + ?Sized>(
        &self,
        source: &S,
        offset: u64,
        window: &'w mut Window,
    ) -> Result<&'w [u8]> {
        window.read(source, offset, self.element_size, self.body.end(), CUT)
    }
}
