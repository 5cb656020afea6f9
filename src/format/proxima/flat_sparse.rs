//! Sparse vectors in row order.
//!
//! ```text
//! bruteforce_sparse_meta:           u64 create time | u64 update time | u32 rows | u32 non-zeros | 8 bytes zero
//! bruteforce_sparse_streamer_meta:  u32 offset chunks | u32 their size, 1 MiB | u32 data chunks | u32 their size, 8 MiB
//! bruteforce_sparse_streamer_offset_<i>: rows of 24 bytes
//!     u32 offset in the data chunk | u32 data chunk | u32 length | u32 0 | u64 key
//! bruteforce_sparse_streamer_data_<i>:   records of `sparse`, padded to 32 bytes
//! ```
//!
//! Every offset chunk but the last is full (43 690 rows). Key = row number, or 2^64−1 for a row without vector, whose place
//! is meaningless. All counters are zero until the first flush.

use super::container::{Container, Segment};
use super::fault::Faults;
use super::window::{Runs, Window};
use crate::format::cursor::Cursor;
use crate::format::{FormatError, Result, Source};

const ROW: u64 = 24;
const CUT: &str = "flat-sparse.truncated";

/// A flat sparse index.
#[derive(Debug, Clone)]
pub struct FlatSparse {
    /// Creation time, unix seconds.
    pub created: u64,
    /// Update time, unix seconds.
    pub updated: u64,
    /// Rows as announced; 0 until the first flush.
    pub stored_rows: u32,
    /// Non-zeros of all rows as announced.
    pub stored_non_zeros: u32,
    /// Rows that are there.
    pub rows: u64,
    /// The offset chunks.
    pub offset_chunks: Vec<Segment>,
    /// The data chunks.
    pub data_chunks: Vec<Segment>,
    offsets: Runs,
}

/// Where a sparse record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SparsePlace {
    /// Offset in its chunk.
    pub offset: u32,
    /// Data chunk.
    pub chunk: u32,
    /// Length, padding included.
    pub length: u32,
}

impl SparsePlace {
    pub(super) fn parse(cursor: &mut Cursor) -> Result<Self> {
        let place = Self { offset: cursor.u32()?, chunk: cursor.u32()?, length: cursor.u32()? };
        cursor.skip(4)?;
        Ok(place)
    }

    /// Absolute offset of the record and end of the data it lies in; `at` is where the place itself was read.
    pub(super) fn locate(self, chunks: &[Segment], at: u64) -> Result<(u64, u64)> {
        let chunk = usize::try_from(self.chunk).ok().and_then(|chunk| chunks.get(chunk));
        chunk
            .filter(|chunk| u64::from(self.offset) + u64::from(self.length) <= chunk.size)
            .map(|chunk| (chunk.offset.saturating_add(self.offset.into()), chunk.end()))
            .ok_or_else(|| {
                let detail =
                    format!("{} bytes at {} of data chunk {} do not exist", self.length, self.offset, self.chunk);
                FormatError::malformed("sparse.bad-place", at, detail)
            })
    }
}

impl FlatSparse {
    pub(super) fn open<S: Source + ?Sized>(source: &S, container: &Container, faults: &mut Faults) -> Result<Self> {
        let segment = container.require("bruteforce_sparse_meta", "flat-sparse.missing-segment")?;
        let bytes = container.read(source, segment, 4096, CUT)?;
        let mut cursor = Cursor::new(&bytes, segment.offset, CUT);
        let (created, updated) = (cursor.u64()?, cursor.u64()?);
        let (stored_rows, stored_non_zeros) = (cursor.u32()?, cursor.u32()?);
        let segment = container.require("bruteforce_sparse_streamer_meta", "flat-sparse.missing-segment")?;
        let bytes = container.read(source, segment, 4096, CUT)?;
        let mut streamer = Cursor::new(&bytes, segment.offset, CUT);
        let (offset_chunks, offset_size, data_chunks) = (streamer.u32()?, streamer.u32()?, streamer.u32()?);
        let named = |kind: &str| -> Vec<Segment> {
            let prefix = format!("bruteforce_sparse_streamer_{kind}_");
            container.numbered(&prefix, 0).into_iter().cloned().collect()
        };
        let (offsets, data) = (named("offset"), named("data"));
        let runs = Runs::new(ROW, offsets.iter().map(|segment| (segment.offset, segment.size)));
        let rows = runs.len();
        let stale = stored_rows == 0 && offset_chunks == 0 && rows > 0;
        if stale {
            let detail = format!("the counters are zero, there are {rows} rows: written to since the last flush");
            faults.push(FormatError::malformed("flat-sparse.stale-counters", segment.offset, detail));
        } else {
            for (at, what, found, expected) in [
                (0, "offset chunks", offset_chunks, offsets.len() as u64),
                (8, "data chunks", data_chunks, data.len() as u64),
            ] {
                if u64::from(found) != expected {
                    let detail = format!("{found} {what} announced, {expected} there");
                    faults.push(FormatError::malformed("flat-sparse.bad-chunk-count", segment.offset + at, detail));
                }
            }
            if u64::from(stored_rows) != rows {
                let detail = format!("{stored_rows} rows announced, {rows} there");
                faults.push(FormatError::malformed("flat-sparse.bad-row-count", segment.offset, detail));
            }
        }
        let full = u64::from(offset_size) / ROW * ROW;
        for (number, chunk) in offsets.iter().enumerate() {
            if chunk.size % ROW != 0 || (number + 1 < offsets.len() && chunk.size != full) {
                let detail = format!("offset chunk {number} of {} bytes, {full} expected", chunk.size);
                faults.push(FormatError::malformed("flat-sparse.bad-chunk-size", chunk.offset, detail));
            }
        }
        Ok(Self {
            created,
            updated,
            stored_rows,
            stored_non_zeros,
            rows,
            offset_chunks: offsets,
            data_chunks: data,
            offsets: runs,
        })
    }

    /// Key of row `row`, where its record is, and the offset of that statement.
    pub(super) fn entry<S: Source + ?Sized>(
        &self,
        source: &S,
        row: u64,
        window: &mut Window,
    ) -> Result<(u64, SparsePlace, u64)> {
        let (offset, end) = self.offsets.locate(row).ok_or_else(|| {
            let detail = format!("row {row} of {}", self.rows);
            FormatError::malformed("flat-sparse.bad-row", 0, detail)
        })?;
        let bytes = window.read(source, offset, ROW, end, CUT)?;
        let mut cursor = Cursor::new(bytes, offset, CUT);
        let place = SparsePlace::parse(&mut cursor)?;
        Ok((cursor.u64()?, place, offset))
    }
}
