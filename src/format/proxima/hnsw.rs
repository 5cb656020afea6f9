//! The HNSW family: dense, sparse, RaBitQ, and Vamana, which shares its storage.
//!
//! ```text
//! segments HnswT<type>S<number>: type 1 header, 2 chunk meta, 3 nodes, 4 upper neighbours, 5 hash, 6 sparse data, 7 distances
//!
//! HnswT2S0, 128 bytes: u64 chunks of type 0 … 7 | u64 chunk size, 2 MiB | u64 Σ capacity of all HnswT* | u64 revision
//!                      | u64 create time | u64 update time | 24 bytes zero
//!
//! HnswT1S0: u32 graph header size | 0 | 0 | u32 nodes | u32 vector size | u32 node size | u32 max degree on level 0 | …
//!   HNSW    graph header 4128 (sparse 928; sparse of 0.1.0 64): [8] prune count | [9] ef_construction
//!           sparse:  [12] size of the place of a record, 16 | [13] unit size | [14] non-zeros (0.1.0: [15])
//!           RaBitQ:  [12] padded dimension | [13] binary code bytes | [14] extra code bytes | u8 at 60 extra bits
//!           then 64 bytes: u32 64 | 0 | max upper degree | 0 | scaling factor | max level | entry point | 0
//!   Vamana  graph header 4128, nothing behind: [7] search list | [8] max occlusion | [9] entry point | [10] options
//!           (bit 0 saturate) | [11] 0 | f32 [12] alpha
//!
//! node      vector (sparse: u32 offset | u32 data chunk | u32 length | u32 0) | u64 key | u32 degree | u32 neighbour × max degree
//!           HNSW pads to 32, Vamana does not. Slots beyond the degree may hold stale ids.
//! upper     u32 degree | u32 neighbour × max upper degree
//! hash      u32 node | u32 level | index << 4; value 0 = empty
//! ```
//!
//! Node id = position = key; a node without vector has key 2^64−1. Node chunks but the last are full. A node of level l owns l
//! consecutive upper entries, from entry `index & (2^u − 1)` of upper chunk `index >> u`, one for level 1, 2, …. Its hash
//! entry is in table `id >> h`, found from slot `id & (items − 1)` on by linear probing. What `u`, `h` and `items` are is derived, see
//! [`Derived`]. The first neighbour lists of sparse graphs may leave nodes unreachable: that is legal.

use super::container::{Container, Segment};
use super::fault::{Faults, align};
use super::flat_sparse::SparsePlace;
pub use super::graph_header::{ChunkMeta, Derived, GraphHeader, NO_ENTRY};
use super::graph_header::{chunk_meta, derive, graph_header};
use super::window::{Runs, Window};
use crate::format::cursor::Cursor;
use crate::format::{FormatError, Result, Source};

const MAX_HEADER: u64 = 1 << 20;
const CUT: &str = "hnsw.truncated";

/// Members of the family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GraphKind {
    /// Dense vectors in the nodes.
    Hnsw,
    /// Places of sparse records in the nodes.
    HnswSparse,
    /// RaBitQ codes in the nodes.
    HnswRabitq,
    /// One level, distances beside the neighbours.
    Vamana,
}

/// Segment types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chunk {
    Nodes = 3,
    Upper = 4,
    Hash = 5,
    Sparse = 6,
    Distances = 7,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Absolute offset.
    pub offset: u64,
    /// Key.
    pub key: u64,
    /// Degree as stored; may exceed the maximum when damaged.
    pub degree: u32,
    /// The neighbours, at most the maximum degree.
    pub neighbours: Vec<u32>,
}

/// One used slot of a hash table: where the upper neighbours of a node are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashEntry {
    /// Absolute offset.
    pub offset: u64,
    /// Hash table.
    pub table: u64,
    /// Slot in the table.
    pub slot: u64,
    /// Node id.
    pub node: u32,
    /// Level of the node.
    pub level: u32,
    /// Packed number of its first upper entry.
    pub index: u32,
}

/// Neighbours of a node on an upper level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpperNeighbours {
    /// Absolute offset.
    pub offset: u64,
    /// Degree as stored.
    pub degree: u32,
    /// The neighbours, at most the maximum upper degree.
    pub neighbours: Vec<u32>,
}

/// An index of the family.
#[derive(Debug, Clone)]
pub struct Graph {
    /// Which member.
    pub kind: GraphKind,
    /// Parameters and counters.
    pub header: GraphHeader,
    /// Chunk meta.
    pub meta: ChunkMeta,
    /// Nodes that are there.
    pub rows: u64,
    /// Node chunks.
    pub node_chunks: Vec<Segment>,
    /// Upper chunks.
    pub upper_chunks: Vec<Segment>,
    /// Hash tables.
    pub hash_tables: Vec<Segment>,
    /// Sparse data chunks.
    pub sparse_chunks: Vec<Segment>,
    /// Distance chunks (Vamana).
    pub distance_chunks: Vec<Segment>,
    /// Derived sizes, `None` when the header is too far off to derive them.
    pub derived: Option<Derived>,
    nodes: Runs,
}

impl Graph {
    /// Reads the structure; `streamer` is the name of the streamer in `IndexMeta`.
    pub(super) fn open<S: Source + ?Sized>(
        source: &S,
        container: &Container,
        streamer: &str,
        sparse: bool,
        faults: &mut Faults,
    ) -> Result<Self> {
        let segment = container.require("HnswT2S0", "hnsw.missing-segment")?;
        let meta = chunk_meta(&container.read(source, segment, MAX_HEADER, CUT)?, segment.offset)?;
        let meta_offset = segment.offset;
        let segment = container.require("HnswT1S0", "hnsw.missing-segment")?;
        let bytes = container.read(source, segment, MAX_HEADER, CUT)?;
        let kind = match streamer {
            "VamanaStreamer" => GraphKind::Vamana,
            "HnswRabitqStreamer" => GraphKind::HnswRabitq,
            "HnswSparseStreamer" => GraphKind::HnswSparse,
            _ if sparse => GraphKind::HnswSparse,
            _ => GraphKind::Hnsw,
        };
        let header = graph_header(&bytes, segment.offset, kind)?;
        let chunks = |chunk: Chunk| -> Vec<Segment> {
            container.numbered(&format!("HnswT{}S", chunk as u8), 0).into_iter().cloned().collect()
        };
        let mut graph = Self {
            kind,
            header,
            meta,
            rows: 0,
            node_chunks: chunks(Chunk::Nodes),
            upper_chunks: chunks(Chunk::Upper),
            hash_tables: chunks(Chunk::Hash),
            sparse_chunks: chunks(Chunk::Sparse),
            distance_chunks: chunks(Chunk::Distances),
            derived: derive(&header, meta.chunk_size),
            nodes: Runs::default(),
        };
        graph.check_node_size()?;
        let ranges = graph.node_chunks.iter().map(|segment| (segment.offset, segment.size));
        graph.nodes = Runs::new(header.node_size.into(), ranges);
        graph.rows = graph.nodes.len();
        graph.check_sizes(container, meta_offset, faults);
        Ok(graph)
    }

    /// Bytes before the key of a node.
    pub fn vector_size(&self) -> u64 {
        match self.kind {
            GraphKind::HnswSparse => 16,
            _ => self.header.vector_size.into(),
        }
    }

    fn check_node_size(&self) -> Result<()> {
        let raw = (self.vector_size() + 8 + 4).saturating_add(4 * u64::from(self.header.max_degree));
        let expected = if self.kind == GraphKind::Vamana { raw } else { align(raw, 32) };
        let found = u64::from(self.header.node_size);
        if found != expected {
            let header = &self.header;
            let detail = format!(
                "node size {found}, {expected} follows from {} vector bytes and {} neighbours",
                self.vector_size(),
                header.max_degree
            );
            return Err(FormatError::malformed("hnsw.bad-node-size", header.offset + 20, detail));
        }
        Ok(())
    }

    fn check_sizes(&self, container: &Container, meta_offset: u64, faults: &mut Faults) {
        let header = &self.header;
        let mut fault = |code, offset: u64, detail: String| faults.push(FormatError::malformed(code, offset, detail));
        let counts = [
            (Chunk::Nodes, &self.node_chunks),
            (Chunk::Upper, &self.upper_chunks),
            (Chunk::Hash, &self.hash_tables),
            (Chunk::Sparse, &self.sparse_chunks),
            (Chunk::Distances, &self.distance_chunks),
        ];
        for (chunk, segments) in counts {
            let stored = self.meta.counts.get(chunk as usize).copied().unwrap_or(0);
            if stored != segments.len() as u64 {
                let detail = format!("{stored} chunks of type {} announced, {} there", chunk as u8, segments.len());
                fault("hnsw.bad-chunk-count", meta_offset + 8 * chunk as u64, detail);
            }
        }
        let graph_segments = container.segments.iter().filter(|segment| segment.name.starts_with("HnswT"));
        let total = graph_segments.map(Segment::capacity).fold(0, u64::saturating_add);
        if total != self.meta.total_size {
            let detail = format!("{} bytes of chunks announced, {total} there", self.meta.total_size);
            fault("hnsw.bad-total-size", meta_offset + 72, detail);
        }
        if u64::from(header.nodes) != self.rows {
            let detail = format!("{} nodes announced, {} there", header.nodes, self.rows);
            fault("hnsw.bad-node-count", header.offset + 12, detail);
        }
        let entry = u64::from(header.entry_point);
        let empty = header.entry_point == NO_ENTRY && self.rows == 0;
        if entry >= self.rows && !empty {
            let detail = format!("entry point {entry} of {} nodes", self.rows);
            fault("hnsw.bad-entry-point", header.offset, detail);
        }
        let Some(derived) = self.derived else {
            fault("hnsw.bad-header", header.offset, "chunk sizes cannot be derived from the header".into());
            return;
        };
        let node_size = u64::from(header.node_size);
        for (number, chunk) in self.node_chunks.iter().enumerate() {
            let full = number + 1 == self.node_chunks.len() || chunk.size == derived.nodes_per_chunk * node_size;
            if chunk.size % node_size != 0 || !full {
                let detail = format!("node chunk {number} of {} bytes, nodes of {node_size}", chunk.size);
                fault("hnsw.bad-chunk-size", chunk.offset, detail);
            }
            if chunk.capacity() != derived.node_capacity {
                let detail = format!(
                    "node chunk {number} has room for {}, {} expected",
                    chunk.capacity(),
                    derived.node_capacity
                );
                fault("hnsw.bad-capacity", chunk.entry_offset, detail);
            }
        }
        for (number, chunk) in self.upper_chunks.iter().enumerate() {
            if chunk.size % derived.upper_entry != 0 || chunk.capacity() != derived.upper_capacity {
                let detail = format!("upper chunk {number}: {} of {} bytes used", chunk.size, chunk.capacity());
                fault("hnsw.bad-chunk-size", chunk.offset, detail);
            }
        }
        for (number, table) in self.hash_tables.iter().enumerate() {
            if table.size != derived.hash_items * 8 {
                let detail =
                    format!("hash table {number} of {} bytes, {} expected", table.size, derived.hash_items * 8);
                fault("hnsw.bad-hash-size", table.offset, detail);
            }
        }
    }

    fn locate(&self, node: u64) -> Result<(u64, u64)> {
        self.nodes.locate(node).ok_or_else(|| {
            let detail = format!("node {node} of {}", self.rows);
            FormatError::malformed("hnsw.bad-node", self.header.offset, detail)
        })
    }

    /// Offset of node `node`, the bytes before its key, and the key.
    pub(super) fn vector<'w, S: Source + ?Sized>(
        &self,
        source: &S,
        node: u64,
        window: &'w mut Window,
    ) -> Result<(u64, &'w [u8], u64)> {
        let (offset, end) = self.locate(node)?;
        let vector_size = self.vector_size();
        let bytes = window.read(source, offset, vector_size + 8, end, CUT)?;
        let (vector, key) = bytes
            .split_last_chunk()
            .ok_or_else(|| FormatError::truncated(CUT, offset, format!("{} bytes of a node", bytes.len())))?;
        Ok((offset, vector, u64::from_le_bytes(*key)))
    }

    /// The place of the sparse record of node `node`, its key, and the offset of the node.
    pub(super) fn sparse_entry<S: Source + ?Sized>(
        &self,
        source: &S,
        node: u64,
        window: &mut Window,
    ) -> Result<(u64, SparsePlace, u64)> {
        let (offset, vector, key) = self.vector(source, node, window)?;
        let place = SparsePlace::parse(&mut Cursor::new(vector, offset, CUT))?;
        Ok((key, place, offset))
    }

    /// Offset and all bytes of node `node`; the caller has not changed [`GraphHeader::node_size`].
    pub fn node_bytes<'r, S: Source + ?Sized>(
        &self,
        source: &S,
        node: u64,
        reader: &'r mut GraphReader,
    ) -> Result<(u64, &'r [u8])> {
        let (start, end) = self.locate(node)?;
        Ok((start, reader.0.read(source, start, self.header.node_size.into(), end, CUT)?))
    }

    /// Node `node` without its vector. `reader` keeps what was read ahead, for walks in order.
    pub fn node<S: Source + ?Sized>(&self, source: &S, node: u64, reader: &mut GraphReader) -> Result<Node> {
        let (start, end) = self.locate(node)?;
        let vector_size = self.vector_size();
        let length = u64::from(self.header.node_size) - vector_size;
        let offset = start + vector_size;
        // Read from the start of the node, so that a walk in order continues where the last read ended.
        let bytes = reader.0.read(source, start, vector_size + length, end, CUT)?;
        let bytes = usize::try_from(vector_size).ok().and_then(|from| bytes.get(from..)).unwrap_or_default();
        let mut cursor = Cursor::new(bytes, offset, CUT);
        let (key, degree) = (cursor.u64()?, cursor.u32()?);
        let neighbours = ids(&mut cursor, degree.min(self.header.max_degree))?;
        Ok(Node { offset: start, key, degree, neighbours })
    }

    /// The distances of the neighbours of node `node`, in their order (Vamana); as many as a node can have neighbours.
    pub fn distances<S: Source + ?Sized>(&self, source: &S, node: u64, reader: &mut GraphReader) -> Result<Vec<f32>> {
        let stride = 4 * u64::from(self.header.max_degree);
        let runs = Runs::new(stride, self.distance_chunks.iter().map(|segment| (segment.offset, segment.size)));
        let (offset, end) = runs.locate(node).ok_or_else(|| {
            let detail = format!("no distances of node {node}");
            FormatError::malformed("hnsw.bad-node", self.header.offset, detail)
        })?;
        let bytes = reader.0.read(source, offset, stride, end, CUT)?;
        Ok(bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    /// The used slots of hash table `table`.
    pub fn hash_entries<S: Source + ?Sized>(&self, source: &S, table: usize) -> Result<Vec<HashEntry>> {
        let Some(segment) = self.hash_tables.get(table) else { return Ok(Vec::new()) };
        let bytes = crate::format::read_vec(source, segment.offset, segment.size, CUT)?;
        let slots = bytes.as_chunks::<8>().0.iter().enumerate();
        let entries = slots.filter_map(|(slot, bytes)| {
            let packed = u64::from_le_bytes(*bytes);
            // The node id is the low half, the value the high half.
            let (node, value) = (packed as u32, (packed >> 32) as u32);
            let slot = slot as u64;
            let offset = segment.offset + 8 * slot;
            (value != 0).then_some(HashEntry {
                offset,
                table: table as u64,
                slot,
                node,
                level: value & 15,
                index: value >> 4,
            })
        });
        Ok(entries.collect())
    }

    /// Upper chunk and number of the first entry in it that `entry` names.
    pub fn upper_place(&self, entry: &HashEntry) -> Option<(u64, u64)> {
        let bits = self.derived?.upper_bits;
        let index = u64::from(entry.index);
        Some((index.checked_shr(bits).unwrap_or(0), index & (1u64.checked_shl(bits)?.wrapping_sub(1))))
    }

    /// The neighbours on `level` (from 1) of the node that `entry` describes.
    pub fn upper_neighbours<S: Source + ?Sized>(
        &self,
        source: &S,
        entry: &HashEntry,
        level: u32,
    ) -> Result<UpperNeighbours> {
        let missing = || {
            let detail = format!("node {} has no neighbours on level {level}", entry.node);
            FormatError::malformed("hnsw.bad-upper", entry.offset, detail)
        };
        let derived = self.derived.ok_or_else(missing)?;
        let (chunk, first) = self.upper_place(entry).ok_or_else(missing)?;
        if level == 0 || level > entry.level {
            return Err(missing());
        }
        let runs =
            Runs::new(derived.upper_entry, self.upper_chunks.iter().map(|segment| (segment.offset, segment.size)));
        let (offset, _) = runs
            .number(chunk, first + u64::from(level) - 1)
            .and_then(|entry| runs.locate(entry))
            .ok_or_else(missing)?;
        let bytes = crate::format::read_vec(source, offset, derived.upper_entry, CUT)?;
        let mut cursor = Cursor::new(&bytes, offset, CUT);
        let degree = cursor.u32()?;
        let neighbours = ids(&mut cursor, degree.min(self.header.max_upper_degree))?;
        Ok(UpperNeighbours { offset, degree, neighbours })
    }
}

/// Bytes read ahead by [`Graph::node`].
#[derive(Debug, Default)]
pub struct GraphReader(Window);

fn ids(cursor: &mut Cursor, count: u32) -> Result<Vec<u32>> {
    let bytes = cursor.elements(usize::try_from(count).unwrap_or(usize::MAX), 4)?;
    Ok(bytes.as_chunks().0.iter().map(|id| u32::from_le_bytes(*id)).collect())
}
