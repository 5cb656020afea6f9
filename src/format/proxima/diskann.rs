//! DiskANN (packed).
//!
//! ```text
//! segments: IndexMeta, diskann.dummy (pads, so that the next starts on a sector), diskann.vector, diskann.meta,
//!           diskann.pq_meta, diskann.pq_data, diskann.key, diskann.key_mapping, diskann.entrypoint
//!
//! diskann.meta, 4096 bytes: u64 nodes | u64 dimension | u64 medoid | u64 node size | u64 max degree | u64 nodes per sector | …
//! diskann.vector, sectors of 4096: node = element | u32 degree | u32 neighbour × degree
//!     nodes per sector > 0: that many nodes at the front of each sector
//!     nodes per sector = 0: each node takes ⌈node size / 4096⌉ sectors
//! diskann.key: u64 per node | diskann.key_mapping: u32 node per key, by ascending key
//! diskann.entrypoint: u32 count | u32 node × count
//! ```
//!
//! Node size = element + 4 + 4 · the largest degree that occurs.

use super::container::{Container, Segment};
use super::fault::Faults;
use super::window::Window;
use crate::format::cursor::Cursor;
use crate::format::{FormatError, Result, Source, read_vec};

/// Unit of `diskann.vector`.
pub const SECTOR: u64 = 4096;
const CUT: &str = "diskann.truncated";

/// A DiskANN index.
#[derive(Debug, Clone)]
pub struct DiskAnn {
    /// Nodes.
    pub rows: u64,
    /// Dimension as stored.
    pub dimension: u64,
    /// Entry point of the search.
    pub medoid: u64,
    /// Bytes of a node.
    pub node_size: u64,
    /// Largest degree.
    pub max_degree: u64,
    /// Nodes per sector; 0 when a node takes several sectors.
    pub nodes_per_sector: u64,
    /// The sectors.
    pub vector: Segment,
    pub(super) keys: Segment,
    pub(super) mapping: Option<Segment>,
    element_size: u64,
}

/// The edges of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edges {
    /// Absolute offset of the degree.
    pub offset: u64,
    /// Degree as stored.
    pub degree: u32,
    /// The neighbours, at most as many as a node has room for.
    pub neighbours: Vec<u32>,
}

impl DiskAnn {
    pub(super) fn open<S: Source + ?Sized>(
        source: &S,
        container: &Container,
        element_size: u64,
        faults: &mut Faults,
    ) -> Result<Self> {
        let segment = |name| container.require(name, "diskann.missing-segment");
        let meta = segment("diskann.meta")?;
        let bytes = container.read(source, meta, 1 << 20, CUT)?;
        let mut cursor = Cursor::new(&bytes, meta.offset, CUT);
        let (nodes, dimension, medoid) = (cursor.u64()?, cursor.u64()?, cursor.u64()?);
        let (node_size, max_degree, nodes_per_sector) = (cursor.u64()?, cursor.u64()?, cursor.u64()?);
        let vector = segment("diskann.vector")?.clone();
        let keys = segment("diskann.key")?.clone();
        let expected = max_degree.saturating_mul(4).saturating_add(element_size).saturating_add(4);
        if node_size != expected {
            let detail = format!(
                "node size {node_size}, {expected} follows from {element_size} bytes and {max_degree} neighbours"
            );
            return Err(FormatError::malformed("diskann.bad-node-size", meta.offset + 24, detail));
        }
        if nodes_per_sector != SECTOR / node_size {
            let detail = format!("{nodes_per_sector} nodes of {node_size} bytes per sector");
            return Err(FormatError::malformed("diskann.bad-node-size", meta.offset + 40, detail));
        }
        let room = match nodes_per_sector {
            0 => vector.size / node_size.div_ceil(SECTOR).saturating_mul(SECTOR).max(1),
            per => (vector.size / SECTOR).saturating_mul(per),
        };
        let rows = nodes.min(keys.size / 8).min(room);
        if keys.size / 8 != nodes || room < nodes {
            let detail = format!("{nodes} nodes announced, {} keys and room for {room}", keys.size / 8);
            faults.push(FormatError::malformed("diskann.bad-node-count", meta.offset, detail));
        }
        if medoid >= rows && rows > 0 {
            let detail = format!("medoid {medoid} of {rows} nodes");
            faults.push(FormatError::malformed("diskann.bad-medoid", meta.offset + 16, detail));
        }
        if !vector.offset.is_multiple_of(SECTOR) {
            let detail = format!("the sectors start at {}, no multiple of {SECTOR}", vector.offset);
            faults.push(FormatError::malformed("diskann.unaligned", vector.offset, detail));
        }
        let mapping = container.segment("diskann.key_mapping").cloned();
        Ok(Self {
            rows,
            dimension,
            medoid,
            node_size,
            max_degree,
            nodes_per_sector,
            vector,
            keys,
            mapping,
            element_size,
        })
    }

    /// Absolute offset of node `node`.
    pub fn locate(&self, node: u64) -> Result<u64> {
        let inside = match self.nodes_per_sector {
            0 => node.checked_mul(self.node_size.div_ceil(SECTOR)).and_then(|sector| sector.checked_mul(SECTOR)),
            per => (node / per).checked_mul(SECTOR).and_then(|sector| sector.checked_add(node % per * self.node_size)),
        };
        let offset = inside.filter(|_| node < self.rows).and_then(|inside| self.vector.offset.checked_add(inside));
        offset.ok_or_else(|| {
            let detail = format!("node {node} of {}", self.rows);
            FormatError::malformed("diskann.bad-node", self.vector.offset, detail)
        })
    }

    pub(super) fn element<'w, S: Source + ?Sized>(
        &self,
        source: &S,
        node: u64,
        window: &'w mut Window,
    ) -> Result<(u64, &'w [u8])> {
        let offset = self.locate(node)?;
        Ok((offset, window.read(source, offset, self.element_size, self.vector.end(), CUT)?))
    }

    /// The edges of node `node`.
    pub fn edges<S: Source + ?Sized>(&self, source: &S, node: u64) -> Result<Edges> {
        let offset = self.locate(node)?.saturating_add(self.element_size);
        let bytes = read_vec(source, offset, self.node_size - self.element_size, CUT)?;
        let mut cursor = Cursor::new(&bytes, offset, CUT);
        let degree = cursor.u32()?;
        let count = u64::from(degree).min(self.max_degree);
        let ids = cursor.elements(usize::try_from(count).unwrap_or(usize::MAX), 4)?;
        let neighbours = ids.as_chunks().0.iter().map(|id| u32::from_le_bytes(*id)).collect();
        Ok(Edges { offset, degree, neighbours })
    }
}
