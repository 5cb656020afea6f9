//! `salvage`.

use schemars::JsonSchema;
use serde::Serialize;

use super::Finding;

/// Where the schema came from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SchemaOrigin {
    /// A manifest's name, `schema file`, or `segment directories`.
    pub from: String,
    /// What no file tells and was assumed.
    pub assumed: Vec<String>,
    /// What the new collection has otherwise, because it cannot be written as it was.
    pub changed: Vec<String>,
}

/// Where it was learnt what is deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Deletions {
    /// The delete snapshots that were used.
    pub snapshots: Vec<String>,
    /// Whether every deletion is known. If not, documents may be back that were deleted.
    pub known: bool,
    /// What that rests on, in words.
    pub detail: String,
}

/// A file that documents were looked for in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SalvageSource {
    /// The file, relative to the source.
    pub path: String,
    /// `published` (a manifest names it), `unpublished` (in a segment that the manifest names), `orphan` (in one that it does not), `log` (the log that an
    /// open replays), `unpublished log`, `old log` (its documents are in a block).
    pub standing: String,
    /// Rows or records that it has; `null` where that is not known.
    pub rows: Option<u64>,
    /// Rows or records that could be read.
    pub read: u64,
    /// Documents that were taken from it.
    pub written: u64,
    /// Rows or records of it that cannot be read; what they held may be elsewhere.
    pub unreadable: u64,
    /// Codes of what is wrong with it.
    pub why: Vec<String>,
}

/// What could not be brought back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LostDocuments {
    /// Documents that the id map names and nothing holds.
    pub documents: u64,
    /// The first 100 of their ids; all of them are in the file of rejects.
    pub ids: Vec<String>,
    /// Rows that cannot be read, where the id map does not tell what they were: at most so many documents.
    pub rows: u64,
    /// Records of the write-ahead logs that cannot be decoded or are damaged, where their number can be told.
    pub records: u64,
    /// Places in the write-ahead logs behind which an unknown number of records is lost.
    pub gaps: u64,
    /// Documents that could be read in part and not be written: they are in the file of rejects.
    pub rejected: u64,
}

/// Values of a field that were not written as they were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Degraded {
    /// The field.
    pub field: String,
    /// Documents with the vector of the quantised file: an approximation.
    pub quantized: u64,
    /// Documents with null in its place.
    pub nulled: u64,
}

/// A version that was not written because another one of the same id was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OtherVersion {
    /// The id.
    pub id: String,
    /// Where the written version comes from.
    pub written: String,
    /// Where the other one is.
    pub other: String,
}

/// What was written and may be wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Doubtful {
    /// Versions that lost against a newer one of the same id, though nothing says that they were replaced.
    pub versions: u64,
    /// The first 100 of them.
    pub version_list: Vec<OtherVersion>,
    /// Documents that may have been deleted.
    pub resurrected: u64,
    /// The first 100 of their ids.
    pub resurrected_ids: Vec<String>,
    /// Documents of which a newer version is lost.
    pub outdated: u64,
    /// The first 100 of their ids.
    pub outdated_ids: Vec<String>,
    /// Ids and document ids of rows that were put right by the id map.
    pub corrected: u64,
    /// The first 100 of their ids.
    pub corrected_ids: Vec<String>,
}

/// Result of `salvage`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct SalvageReport {
    /// What was made: the new collection, or the file.
    pub out: String,
    /// `collection`, `jsonl` or `parquet`.
    pub to: String,
    /// Documents written.
    pub documents: u64,
    /// Those that are deleted in the source (`--include-deleted`).
    pub deleted: u64,
    /// The file of what could not be written, one JSON object a line; `null` if there is none.
    pub rejects: Option<String>,
    /// The schema.
    pub schema: SchemaOrigin,
    /// The deletions.
    pub deletions: Deletions,
    /// Every file that was read, in order of preference.
    pub sources: Vec<SalvageSource>,
    /// What was lost.
    pub lost: LostDocuments,
    /// Values that were lost in documents that were written.
    pub degraded: Vec<Degraded>,
    /// What may be wrong.
    pub doubtful: Doubtful,
    /// What is wrong or odd with the source.
    pub findings: Vec<Finding>,
}
