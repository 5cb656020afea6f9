//! Headers of the HNSW family and the sizes that follow from them; `hnsw` has the byte map.

use super::hnsw::GraphKind;
use crate::format::cursor::Cursor;
use crate::format::{FormatError, Result};

/// Entry point of an empty graph.
pub const NO_ENTRY: u32 = u32::MAX;
const PAGE: u64 = 4096;
const CUT: &str = "hnsw.truncated";
/// No chunk is larger; keeps what is derived from it from overflowing.
const MAX_CAPACITY: u64 = 1 << 44;

/// Graph parameters and counters as stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GraphHeader {
    /// Absolute offset of the header.
    pub offset: u64,
    /// Size of the graph header.
    pub size: u32,
    /// Nodes as announced.
    pub nodes: u32,
    /// Bytes of the vector in a node; 0 for sparse.
    pub vector_size: u32,
    /// Bytes of a node.
    pub node_size: u32,
    /// Largest degree on level 0.
    pub max_degree: u32,
    /// ef_construction; Vamana: search list size.
    pub ef_construction: u32,
    /// Largest degree on upper levels; 0 for Vamana.
    pub max_upper_degree: u32,
    /// Scaling factor; 0 for Vamana.
    pub scaling: u32,
    /// Highest level.
    pub max_level: u32,
    /// Entry point, [`NO_ENTRY`] when empty.
    pub entry_point: u32,
    /// Non-zeros of all rows as announced (sparse).
    pub non_zeros: u32,
    /// Alpha (Vamana).
    pub alpha: f32,
    /// RaBitQ: padded dimension, binary code bytes, extra code bytes.
    pub rabitq: Option<[u32; 3]>,
}

/// Chunk meta as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkMeta {
    /// Chunks of each type.
    pub counts: [u64; 8],
    /// Size chunks aim at.
    pub chunk_size: u64,
    /// Sum of the capacities of all chunks.
    pub total_size: u64,
    /// Revision.
    pub revision: u64,
    /// Creation time, unix seconds.
    pub created: u64,
    /// Update time, unix seconds.
    pub updated: u64,
}

/// Sizes that zvec computes from the header and stores nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Derived {
    /// Nodes in a full chunk.
    pub nodes_per_chunk: u64,
    /// Capacity of a node chunk.
    pub node_capacity: u64,
    /// Bytes of an upper entry.
    pub upper_entry: u64,
    /// Capacity of an upper chunk.
    pub upper_capacity: u64,
    /// u: bits of an index that name the entry in its chunk.
    pub upper_bits: u32,
    /// Slots of a hash table.
    pub hash_items: u64,
    /// h: a node's hash table is its id >> h.
    pub hash_bits: u32,
}

pub(super) fn chunk_meta(bytes: &[u8], offset: u64) -> Result<ChunkMeta> {
    let mut cursor = Cursor::new(bytes, offset, CUT);
    let mut counts = [0; 8];
    for count in &mut counts {
        *count = cursor.u64()?;
    }
    Ok(ChunkMeta {
        counts,
        chunk_size: cursor.u64()?,
        total_size: cursor.u64()?,
        revision: cursor.u64()?,
        created: cursor.u64()?,
        updated: cursor.u64()?,
    })
}

pub(super) fn graph_header(bytes: &[u8], offset: u64, kind: GraphKind) -> Result<GraphHeader> {
    let mut cursor = Cursor::new(bytes, offset, CUT);
    let mut word = [0u32; 16];
    for word in &mut word {
        *word = cursor.u32()?;
    }
    let [
        size,
        _,
        _,
        nodes,
        vector_size,
        node_size,
        max_degree,
        seven,
        _,
        nine,
        _,
        _,
        twelve,
        thirteen,
        fourteen,
        fifteen,
    ] = word;
    let mut header = GraphHeader {
        offset,
        size,
        nodes,
        vector_size,
        node_size,
        max_degree,
        ef_construction: nine,
        max_upper_degree: 0,
        scaling: 0,
        max_level: 0,
        entry_point: NO_ENTRY,
        non_zeros: 0,
        alpha: 0.0,
        rabitq: None,
    };
    let known: &[u32] = if kind == GraphKind::HnswSparse { &[928, 64] } else { &[4128] };
    if !known.contains(&size) {
        let detail = format!("graph header of {size} bytes, {known:?} expected");
        return Err(FormatError::malformed("hnsw.bad-header", offset, detail));
    }
    match kind {
        GraphKind::Vamana => {
            header.ef_construction = seven;
            header.entry_point = nine;
            header.alpha = f32::from_bits(twelve);
            return Ok(header);
        }
        GraphKind::HnswSparse => header.non_zeros = if size == 64 { fifteen } else { fourteen },
        GraphKind::HnswRabitq => header.rabitq = Some([twelve, thirteen, fourteen]),
        GraphKind::Hnsw => {}
    }
    let rest = bytes.get(usize::try_from(size).unwrap_or(usize::MAX)..).unwrap_or_default();
    let mut cursor = Cursor::new(rest, offset + u64::from(size), CUT);
    cursor.skip(8)?;
    header.max_upper_degree = cursor.u32()?;
    header.ef_construction = nine;
    cursor.skip(4)?;
    header.scaling = cursor.u32()?;
    header.max_level = cursor.u32()?;
    header.entry_point = cursor.u32()?;
    Ok(header)
}

/// What zvec computes with floats is exact here for every size that fits a file.
pub(super) fn derive(header: &GraphHeader, chunk_size: u64) -> Option<Derived> {
    let node_size = u64::from(header.node_size);
    let nodes_per_chunk = chunk_size.checked_div(node_size)?.max(1).checked_next_power_of_two()?;
    let node_capacity = nodes_per_chunk.checked_mul(node_size)?.checked_next_multiple_of(PAGE)?;
    if node_capacity > MAX_CAPACITY {
        return None;
    }
    let upper_entry = 4 + 4 * u64::from(header.max_upper_degree);
    let scaling = u64::from(header.scaling);
    let ratio = ((node_size.checked_mul(scaling)? as f32) / upper_entry as f32).sqrt();
    // Vamana has no upper levels, and no scaling factor to divide by.
    let share = if ratio > 0.0 { (node_capacity as f32 / ratio) as u64 } else { 0 };
    let upper_capacity = share.max(15 * upper_entry).checked_next_multiple_of(PAGE)?;
    let upper_bits = upper_capacity.checked_div(upper_entry)?.checked_next_power_of_two()?.ilog2();
    let hash_items = upper_capacity.div_ceil(8).checked_next_power_of_two()?;
    let hash_bits = (hash_items.checked_mul(scaling)? / 2).max(1).ilog2();
    Some(Derived { nodes_per_chunk, node_capacity, upper_entry, upper_capacity, upper_bits, hash_items, hash_bits })
}
