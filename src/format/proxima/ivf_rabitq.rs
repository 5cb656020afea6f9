//! Inverted lists of RaBitQ codes (packed). The vectors themselves are in the flat `index` file of the same block.
//!
//! ```text
//! segments: IndexMeta, rabitq.converter, ivf_rabitq.header, .batch_data, .ex_data, .cluster_meta, .keys, .mapping
//!
//! .header: u32 "QRVI" (0x49565251) | u32 version, 1 | u32 rows | u32 clusters | u32 dimension | u32 padded dimension
//!          | u8 extra bits | u8 rotator | u8 metric | u8 0 | …
//! .cluster_meta, 32 bytes: u64 offset in batch_data | u64 offset in ex_data | u32 rows | u32 batches | u32 first row | u32 0
//! .keys: u64 per row, in cluster order | .mapping: u32 row per key, by ascending key
//! .ex_data: per row, in cluster order: extra codes and two f32 factors, all rows alike
//! .batch_data: per 32 rows of a cluster: 1-bit codes, interleaved, and three f32 factors per row
//! ```

use super::container::{Container, Segment};
use super::fault::Faults;
use crate::format::cursor::Cursor;
use crate::format::{FormatError, Result, Source};

const MAGIC: u32 = 0x4956_5251;
const CUT: &str = "ivf-rabitq.truncated";

/// An IVF-RaBitQ index.
#[derive(Debug, Clone)]
pub struct IvfRabitq {
    /// Rows.
    pub rows: u64,
    /// Clusters.
    pub clusters: u32,
    /// Dimension.
    pub dimension: u32,
    /// Dimension of the codes.
    pub padded_dimension: u32,
    /// Bits per component beyond the first.
    pub extra_bits: u8,
    /// Kind of rotation.
    pub rotator: u8,
    /// 0 L2, 1 inner product.
    pub metric: u8,
    /// The cluster table.
    pub cluster_meta: Option<Segment>,
    pub(super) extra: Option<Segment>,
    pub(super) keys: Segment,
    pub(super) mapping: Option<Segment>,
}

/// One cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cluster {
    /// Offset of its batches.
    pub batch_offset: u64,
    /// Offset of its extra codes.
    pub extra_offset: u64,
    /// Rows.
    pub rows: u32,
    /// Batches of 32 rows.
    pub batches: u32,
    /// Its first row.
    pub first_row: u32,
}

impl IvfRabitq {
    pub(super) fn open<S: Source + ?Sized>(source: &S, container: &Container, faults: &mut Faults) -> Result<Self> {
        let segment = container.require("ivf_rabitq.header", "ivf-rabitq.missing-segment")?;
        let bytes = container.read(source, segment, 1 << 20, CUT)?;
        let mut cursor = Cursor::new(&bytes, segment.offset, CUT);
        let (magic, version) = (cursor.u32()?, cursor.u32()?);
        if magic != MAGIC {
            let detail = format!("magic number {magic:#010x}, {MAGIC:#010x} expected");
            return Err(FormatError::malformed("ivf-rabitq.bad-magic", segment.offset, detail));
        }
        if version > 1 {
            let detail = format!("version {version}, this build knows 1");
            return Err(FormatError::newer("ivf-rabitq.newer-version", segment.offset + 4, detail));
        }
        let (rows, clusters, dimension, padded_dimension) =
            (cursor.u32()?, cursor.u32()?, cursor.u32()?, cursor.u32()?);
        let (extra_bits, rotator, metric) = (cursor.u8()?, cursor.u8()?, cursor.u8()?);
        let keys = container.require("ivf_rabitq.keys", "ivf-rabitq.missing-segment")?.clone();
        if keys.size != 8 * u64::from(rows) {
            let detail = format!("{rows} rows announced, {} bytes of keys", keys.size);
            faults.push(FormatError::malformed("ivf-rabitq.bad-header", segment.offset + 8, detail));
        }
        let cluster_meta = container.segment("ivf_rabitq.cluster_meta").cloned();
        if let Some(table) = cluster_meta.as_ref().filter(|table| table.size != 32 * u64::from(clusters)) {
            let detail = format!("{clusters} clusters announced, a table of {} bytes", table.size);
            faults.push(FormatError::malformed("ivf-rabitq.bad-header", segment.offset + 12, detail));
        }
        Ok(Self {
            rows: u64::from(rows).min(keys.size / 8),
            clusters,
            dimension,
            padded_dimension,
            extra_bits,
            rotator,
            metric,
            cluster_meta,
            extra: container.segment("ivf_rabitq.ex_data").cloned(),
            keys,
            mapping: container.segment("ivf_rabitq.mapping").cloned(),
        })
    }

    /// Offset and size of the extra codes of row `row`; (0, 0) when there are none.
    pub(super) fn codes(&self, row: u64) -> (u64, u64) {
        let place = self.extra.as_ref().and_then(|extra| {
            let size = extra.size.checked_div(self.rows)?;
            Some((extra.offset.checked_add(row.checked_mul(size)?)?, size))
        });
        place.unwrap_or_default()
    }

    /// The table of clusters.
    pub fn cluster_table<S: Source + ?Sized>(&self, source: &S) -> Result<Vec<Cluster>> {
        let Some(segment) = &self.cluster_meta else { return Ok(Vec::new()) };
        let bytes = crate::format::read_vec(source, segment.offset, segment.size, CUT)?;
        let entries = bytes.as_chunks::<32>().0.iter().enumerate();
        entries
            .map(|(number, bytes)| {
                let mut cursor = Cursor::new(bytes, segment.offset + 32 * number as u64, CUT);
                let (batch_offset, extra_offset, rows) = (cursor.u64()?, cursor.u64()?, cursor.u32()?);
                Ok(Cluster { batch_offset, extra_offset, rows, batches: cursor.u32()?, first_row: cursor.u32()? })
            })
            .collect()
    }
}
