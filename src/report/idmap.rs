//! `idmap get`, `idmap dump` and `deleted ls`.

use schemars::JsonSchema;
use serde::Serialize;

use super::Finding;

/// Result of `idmap get` and `idmap dump`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct IdMapReport {
    /// The directory, relative to the collection.
    pub path: String,
    /// Primary keys and their document ids, in key order.
    pub entries: Vec<IdMapEntry>,
    /// What is wrong or odd.
    pub findings: Vec<Finding>,
}

/// One primary key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct IdMapEntry {
    /// Primary key.
    pub id: String,
    /// `mapped`, `absent`, or `unknown` (the block that would hold it is damaged).
    pub state: String,
    /// Document id; `null` if there is none.
    pub doc_id: Option<u64>,
    /// Whether the delete snapshot marks that document id: a stale key; `null` where the snapshot cannot be read.
    pub deleted: Option<bool>,
}

/// Result of `deleted ls`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DeletedReport {
    /// The delete snapshot, relative to the collection.
    pub path: String,
    /// Time in its header, RFC 3339, UTC.
    pub written: Option<String>,
    /// How many document ids it marks.
    pub count: u64,
    /// Marked document ids, as closed ranges in ascending order.
    pub ranges: Vec<DocIdRange>,
    /// What is wrong or odd.
    pub findings: Vec<Finding>,
}

/// Document ids from `first` to `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DocIdRange {
    /// First id.
    pub first: u64,
    /// Last id.
    pub last: u64,
}
