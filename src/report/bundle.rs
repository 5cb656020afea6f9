//! `report`: what a bug report needs, and no document.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Loss, Severity, files::Role, outlook::OpenOutlook, wal::WalEntry};

/// Result of `report`. It has no value, no vector and no primary key; with `--redact` no name either.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Bundle {
    /// Whether names are hashed: `~` and twelve hexadecimal digits, the same for the same name in one bundle.
    pub redacted: bool,
    /// Version of zvecctl.
    pub zvecctl: String,
    /// Operating system and processor that it ran on.
    pub platform: String,
    /// Every manifest, highest number first.
    pub manifests: Vec<BundleManifest>,
    /// The manifest in force, taken apart; `null` if there is none.
    pub collection: Option<BundleCollection>,
    /// Every file, sorted by path.
    pub files: Vec<BundleFile>,
    /// Every write-ahead log.
    pub logs: Vec<WalEntry>,
    /// Every RocksDB directory.
    pub databases: Vec<BundleDatabase>,
    /// Every forward block.
    pub forward: Vec<BundleForward>,
    /// Every vector file.
    pub vectors: Vec<BundleVectors>,
    /// How deep the checks went: 1, 2 or 3.
    pub level: u8,
    /// What is wrong or odd.
    pub findings: Vec<BundleFinding>,
    /// What zvec would do.
    pub outlook: Option<BundleOutlook>,
}

/// A manifest file.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct BundleManifest {
    /// Its name.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// `valid`, `newer` or the code of the fault.
    pub state: String,
    /// Whether it is in force.
    pub used: bool,
}

/// What the manifest in force says.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct BundleCollection {
    /// Name of the collection.
    pub name: String,
    /// Documents in a segment.
    pub max_doc_count_per_segment: u64,
    /// Whether forward blocks are Arrow IPC files.
    pub enable_mmap: bool,
    /// Suffix of the id map.
    pub id_map_path_suffix: u32,
    /// Suffix of the delete snapshot.
    pub delete_snapshot_path_suffix: u32,
    /// Next segment id.
    pub next_segment_id: u32,
    /// Fields in order.
    pub fields: Vec<BundleField>,
    /// Segments, the writing one last.
    pub segments: Vec<BundleSegment>,
}

/// A field of the schema.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct BundleField {
    /// Name.
    pub name: String,
    /// Type; its number if it is not known.
    pub data_type: String,
    /// Components of a dense vector.
    pub dimension: u32,
    /// Whether a document may lack it.
    pub nullable: bool,
    /// Parameters of its index as a schema file has them, texts of the user left out.
    pub index: serde_json::Value,
}

/// A segment.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct BundleSegment {
    /// Segment id.
    pub id: u32,
    /// Whether it is the writing one.
    pub writing: bool,
    /// Vector fields whose own index has been built.
    pub indexed_vector_fields: Vec<String>,
    /// Blocks in manifest order.
    pub blocks: Vec<BundleBlock>,
    /// The block that is being written.
    pub writing_block: Option<BundleBlock>,
}

/// A block as the manifest describes it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct BundleBlock {
    /// Block id.
    pub id: u32,
    /// Type, by its number in the manifest.
    pub block_type: i32,
    /// First document id.
    pub min_doc_id: u64,
    /// Last document id.
    pub max_doc_id: u64,
    /// Rows.
    pub doc_count: u32,
    /// Columns.
    pub columns: Vec<String>,
}

/// A file.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct BundleFile {
    /// Path relative to the collection.
    pub path: String,
    /// What it is there for.
    pub role: Role,
    /// What its name promises.
    pub kind: String,
    /// Size in bytes.
    pub size: Option<u64>,
    /// Bytes on disk.
    pub allocated: Option<u64>,
}

/// A RocksDB directory.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct BundleDatabase {
    /// Path relative to the collection.
    pub path: String,
    /// Release of RocksDB that wrote its options; `null` where no such file can be read.
    pub rocksdb: Option<String>,
    /// Column families with the number of their tables.
    pub families: Vec<BundleFamily>,
    /// Codes of what is wrong with it.
    pub faults: Vec<String>,
}

/// A column family.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct BundleFamily {
    /// Name.
    pub name: String,
    /// Tables.
    pub tables: u64,
}

/// A forward block.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct BundleForward {
    /// Path relative to the collection.
    pub path: String,
    /// Format; `null` if it cannot be opened.
    pub format: Option<String>,
    /// Columns with their Arrow types.
    pub columns: Vec<(String, String)>,
    /// Offset, length and rows of each batch.
    pub batches: Vec<(u64, u64, Option<u64>)>,
    /// Codes of what is wrong with it.
    pub faults: Vec<String>,
}

/// A vector file.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct BundleVectors {
    /// Path relative to the collection.
    pub path: String,
    /// Kind of index; `null` if it cannot be opened.
    pub kind: Option<String>,
    /// Rows.
    pub rows: u64,
    /// Dimension.
    pub dimension: u64,
    /// Type of the stored components.
    pub data_type: String,
    /// Bytes per element.
    pub element_size: u64,
    /// Whether vectors were rotated.
    pub rotated: bool,
    /// Segments of the container: offset and size.
    pub segments: Vec<(u64, u64)>,
    /// Codes of what is wrong with it.
    pub faults: Vec<String>,
}

/// A finding without its words, which may quote ids and values; `zvecctl explain CODE` has what its code means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct BundleFinding {
    /// Code.
    pub code: String,
    /// How grave it is.
    pub severity: Severity,
    /// File or directory.
    pub path: Option<String>,
    /// Byte offset.
    pub offset: Option<u64>,
    /// Segment.
    pub segment: Option<u32>,
    /// Documents that it puts at risk.
    pub documents_at_risk: Option<u64>,
    /// Whether something is lost.
    pub loss: Loss,
}

/// What zvec would do, in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct BundleOutlook {
    /// The release that this is about.
    pub release: String,
    /// What becomes of an open.
    pub open: OpenOutlook,
    /// Whether it would take inserts.
    pub accepts_inserts: bool,
    /// Directories that it removes.
    pub removes: u64,
    /// Records of the log that it replays.
    pub replayed: Option<u64>,
    /// Records of the log that it drops.
    pub dropped: Option<u64>,
    /// Live documents that it would not have.
    pub missing: Option<u64>,
    /// Deleted documents that it would have.
    pub resurrected: Option<u64>,
    /// Documents of which it would show an older version.
    pub outdated: Option<u64>,
    /// Documents that it would not find by their id.
    pub unreachable: Option<u64>,
}
