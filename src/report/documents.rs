//! `docs get` and `export`.

use schemars::JsonSchema;
use serde::Serialize;

use super::Finding;

/// A document as JSON lines hold it, going in and coming out. This type states the shape; documents are written by a
/// streaming writer, so that numbers keep every bit.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Document {
    /// Primary key.
    pub id: String,
    /// Scalar fields by name; `null` for no value. Binary values are base64. Floating-point values that JSON has no number for
    /// are the strings `NaN`, `Infinity`, `-Infinity`.
    pub fields: serde_json::Map<String, serde_json::Value>,
    /// Vector fields by name: an array of numbers, or for a sparse vector an object of index and value; `null` for no value.
    pub vectors: serde_json::Map<String, serde_json::Value>,
    /// Fields of this document that could not be read; left out if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<Vec<String>>,
    /// `true` for a deleted or superseded version, shown with `--include-deleted`; left out otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted: Option<bool>,
}

/// Result of `docs get`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DocsReport {
    /// One entry for each id asked for, in that order.
    pub documents: Vec<DocLookup>,
    /// What is wrong or odd.
    pub findings: Vec<Finding>,
}

/// What was found under one id.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DocLookup {
    /// Primary key asked for.
    pub id: String,
    /// `found`, `absent`, or `unreadable`.
    pub state: String,
    /// Document id of the live version.
    pub doc_id: Option<u64>,
    /// Where it comes from: a forward block (`0/scalar.3.ipc row 17`) or the WAL (`0/4.wal offset 64`).
    pub origin: Option<String>,
    /// The document.
    #[schemars(with = "Option<Document>")]
    pub document: Option<Box<serde_json::value::RawValue>>,
}

/// Closing summary of `export`, in the envelope that follows the documents on stderr.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ExportSummary {
    /// Documents written.
    pub documents: u64,
    /// Of these, from the WAL.
    pub from_wal: u64,
    /// Of these, deleted or superseded versions (`--include-deleted`).
    pub deleted: u64,
    /// Documents written with at least one field that could not be read.
    pub incomplete: u64,
    /// Rows that could not be read at all, as far as that is known.
    pub unreadable: u64,
    /// What is wrong or odd.
    pub findings: Vec<Finding>,
}
