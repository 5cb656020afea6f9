//! `manifest dump`, `manifest ls`, `manifest diff`.

use schemars::JsonSchema;
use serde::Serialize;

use super::Finding;

/// Result of `manifest dump`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ManifestDump {
    /// The manifest file, as found.
    pub file: String,
    /// Its number; `null` for a file whose name has none.
    pub number: Option<u64>,
    /// Size in bytes.
    pub size: u64,
    /// Whether it decodes completely and breaks no rule.
    pub valid: bool,
    /// The fields, by their names in the wire schema (`proto/manifest.proto`); enum values by name where known. For a damaged
    /// file: as far as it decodes.
    pub manifest: serde_json::Value,
    /// Fields that this build does not know, kept as they are.
    pub unknown_fields: Vec<UnknownField>,
    /// What is wrong with the file.
    pub findings: Vec<Finding>,
}

/// A field of a message that has no name in this build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UnknownField {
    /// Path of the message that holds it: `schema.fields[2]`; empty for the manifest itself.
    pub path: String,
    /// Field number.
    pub number: u32,
    /// Wire type: `varint`, `fixed64`, `bytes`, `fixed32`, `group`.
    pub wire_type: String,
    /// Byte offset of its key in the file.
    pub offset: u64,
    /// The value: a decimal number, or hexadecimal for `bytes`.
    pub value: String,
}

/// Result of `manifest ls`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ManifestList {
    /// Every manifest on disk, highest number first.
    pub manifests: Vec<ManifestEntry>,
    /// What is wrong or odd.
    pub findings: Vec<Finding>,
}

/// One manifest on disk.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ManifestEntry {
    /// File name.
    pub file: String,
    /// Its number.
    pub number: u64,
    /// `release` for `manifest.<N>`, `article` for `MANIFEST_<N>`.
    pub style: String,
    /// Size in bytes.
    pub size: u64,
    /// Time of the last change, RFC 3339, UTC.
    pub modified: Option<String>,
    /// `valid`, `newer` (written by a newer release), or the code of what is wrong with it.
    pub state: String,
    /// Whether it is the one that zvecctl uses: the highest valid one.
    pub used: bool,
    /// Whether zvec 0.8.0 would use it: the highest number, valid or not. It reads the release style only.
    pub used_by_zvec: bool,
    /// Segments that it lists, the writing one included.
    pub segments: Option<u64>,
    /// Documents that it lists as persisted, deleted ones included.
    pub documents: Option<u64>,
    /// Files and directories that it names.
    pub named: Option<u64>,
    /// Those of them that do not exist.
    pub missing: Vec<String>,
}

/// Result of `manifest diff`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ManifestDiff {
    /// The first manifest.
    pub from: String,
    /// The second manifest.
    pub to: String,
    /// Whether they say the same.
    pub equal: bool,
    /// What differs, in the order of the schema.
    pub changes: Vec<Change>,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Change {
    /// What differs: `segments[3].blocks[7].doc_count`.
    pub path: String,
    /// Its value in the first manifest; `null` if it is not there.
    pub before: Option<String>,
    /// Its value in the second manifest; `null` if it is not there.
    pub after: Option<String>,
}
