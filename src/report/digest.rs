//! `digest`.

use schemars::JsonSchema;
use serde::Serialize;

use super::Finding;

/// Result of `digest`: a value that is the same for the same live documents, however they are stored.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DigestReport {
    /// How it is computed; digests of different algorithms cannot be compared.
    pub algorithm: String,
    /// The digest of everything: 64 hexadecimal digits.
    pub digest: String,
    /// Live documents.
    pub documents: u64,
    /// The digest of their keys alone.
    pub keys: String,
    /// The digest of each field, in schema order.
    pub fields: Vec<FieldDigest>,
    /// Whether every value could be read. If not, the digest is that of what is left.
    pub complete: bool,
    /// What came up while documents were read.
    pub findings: Vec<Finding>,
}

/// The digest of one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FieldDigest {
    /// Its name.
    pub name: String,
    /// Documents that have a value.
    pub values: u64,
    /// Documents whose value cannot be read.
    pub unreadable: u64,
    /// The digest of its values, each with its document's key.
    pub digest: String,
}
