//! `segments ls` and `segments show`.

use schemars::JsonSchema;
use serde::Serialize;

use super::Finding;

/// Result of `segments ls`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SegmentList {
    /// The manifest that was used.
    pub manifest: String,
    /// Segments that the manifest lists, then directories that look like segments and are not listed.
    pub segments: Vec<SegmentEntry>,
    /// What is wrong or odd.
    pub findings: Vec<Finding>,
}

/// One segment.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SegmentEntry {
    /// Segment id.
    pub id: u32,
    /// `persisted`, `writing`, or `orphan` (a directory that the manifest does not list).
    pub state: String,
    /// Rows in its forward blocks, deleted and superseded ones included; `null` for an orphan.
    pub documents: Option<u64>,
    /// Rows of it that the delete snapshot marks; `null` where rows or snapshot cannot be read.
    pub deleted: Option<u64>,
    /// Blocks that the manifest lists.
    pub blocks: u64,
    /// First document id in the forward blocks.
    pub min_doc_id: Option<u64>,
    /// Last document id in the forward blocks.
    pub max_doc_id: Option<u64>,
    /// Records in its WAL that can be replayed; `null` if it has no WAL.
    pub wal_records: Option<u64>,
    /// Vector fields whose own index has been built.
    pub indexed_vector_fields: Vec<String>,
    /// Files in its directory.
    pub files: u64,
    /// Their size in bytes.
    pub size: u64,
    /// Bytes that they take on disk.
    pub allocated: Option<u64>,
}

/// Result of `segments show`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SegmentDetail {
    /// The manifest that was used.
    pub manifest: String,
    /// The segment.
    pub segment: SegmentEntry,
    /// Its blocks in manifest order; the writing forward block last.
    pub blocks: Vec<BlockEntry>,
    /// What is wrong or odd.
    pub findings: Vec<Finding>,
}

/// One block of a segment.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct BlockEntry {
    /// Block id.
    pub id: u32,
    /// `SCALAR`, `SCALAR_INDEX`, `VECTOR_INDEX`, `VECTOR_INDEX_QUANTIZE`, `FTS_INDEX`, or `WRITING` for the block that is being filled.
    #[serde(rename = "type")]
    pub block_type: String,
    /// Columns that the manifest lists for it.
    pub columns: Vec<String>,
    /// First document id, as the manifest says. After a recovery by zvec it may be wrong.
    pub min_doc_id: u64,
    /// Last document id, as the manifest says. After a recovery by zvec it may be too large.
    pub max_doc_id: u64,
    /// Documents, as the manifest says.
    pub documents: u32,
    /// Rows that the file holds; `null` if it cannot be read or has no rows.
    pub rows: Option<u64>,
    /// File or directory, relative to the collection.
    pub path: String,
    /// Whether it exists.
    pub exists: bool,
    /// Size in bytes, of a directory: of all files in it.
    pub size: u64,
    /// What the file says of itself: format, batches, index kind, metric, keys…
    pub content: serde_json::Value,
}
