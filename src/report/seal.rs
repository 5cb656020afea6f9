//! `seal`, and the file that it writes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Finding;

/// `<collection>.seal.json`: what the files of a collection were when it was sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SealFile {
    /// Name and version of this shape: `zvecctl/seal-file/v1`.
    pub schema: String,
    /// When it was made, RFC 3339, UTC.
    pub sealed: String,
    /// The manifest in force.
    pub manifest: String,
    /// Its number.
    pub manifest_number: u64,
    /// Every file that mattered, sorted by path.
    pub files: Vec<SealedFile>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SealedFile {
    /// Path relative to the collection.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// Time of the last change, RFC 3339, UTC.
    pub modified: Option<String>,
    /// Offset and length of bytes that engines rewrite in place (times, and the CRC over one): the hash takes them as zero.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zeroed: Vec<(u64, u64)>,
    /// BLAKE3 of the content, hexadecimal: without `zeroed` that of `b3sum`.
    pub blake3: String,
}

impl SealFile {
    /// What [`schema`](Self::schema) says.
    pub const SCHEMA: &'static str = "zvecctl/seal-file/v1";
}

/// Result of `seal`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SealReport {
    /// The seal that was written.
    pub file: String,
    /// The manifest in force.
    pub manifest: String,
    /// Files sealed.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// What is wrong already: a seal keeps damage as it is.
    pub findings: Vec<Finding>,
}
