//! `wal ls` and `wal dump`.

use schemars::JsonSchema;
use serde::Serialize;

use super::Finding;

/// Result of `wal ls`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WalList {
    /// Every WAL file of the collection.
    pub wals: Vec<WalEntry>,
    /// What is wrong or odd.
    pub findings: Vec<Finding>,
}

/// One WAL file.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WalEntry {
    /// File, relative to the collection.
    pub path: String,
    /// Segment id of its directory.
    pub segment: Option<u32>,
    /// Whether an open replays it: it belongs to the writing block.
    pub active: bool,
    /// Size in bytes.
    pub size: u64,
    /// Intact records.
    pub records: u64,
    /// Intact records by operation.
    pub operations: Operations,
    /// `clean`, `torn` (the last record is incomplete: what a crash leaves) or `damaged`.
    pub state: String,
    /// Where the torn tail or the first damage begins.
    pub fault_offset: Option<u64>,
    /// Intact records that follow the first damage.
    pub intact_after_fault: u64,
    /// Records that zvec 0.8.0 would replay: those before the first fault.
    pub replayed_by_zvec: u64,
    /// Intact records that zvec 0.8.0 would drop.
    pub dropped_by_zvec: u64,
}

/// Records by operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Operations {
    /// Inserts.
    pub insert: u64,
    /// Upserts.
    pub upsert: u64,
    /// Updates.
    pub update: u64,
    /// Deletes.
    pub delete: u64,
    /// Operations that this build does not know.
    pub unknown: u64,
}

/// One line of `wal dump`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WalRecordLine {
    /// File, relative to the collection.
    pub path: String,
    /// Byte offset of the record.
    pub offset: u64,
    /// Number of the record in the file, intact ones counted from 0; `null` for damaged bytes.
    pub index: Option<u64>,
    /// Bytes that the record takes, its 8-byte header included; for damaged bytes: how many are skipped.
    pub length: u64,
    /// `ok`, `crc-mismatch`, `bad-length`, `torn`, `undecodable`, `garbage`.
    pub state: String,
    /// CRC as stored, hexadecimal.
    pub crc_stored: Option<String>,
    /// CRC as computed, hexadecimal.
    pub crc_computed: Option<String>,
    /// `INSERT`, `UPSERT`, `UPDATE`, `DELETE`, or the number of an unknown operation.
    pub operation: Option<String>,
    /// Primary key; empty for a delete by filter.
    pub id: Option<String>,
    /// Document id in the record: 0 for inserts and upserts, the old document's for updates and deletes.
    pub doc_id: Option<u64>,
    /// Whether an open by zvec 0.8.0 replays it.
    pub replayed_by_zvec: bool,
    /// The document's fields, with `--documents`.
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    pub document: Option<Box<serde_json::value::RawValue>>,
    /// What is wrong with it.
    pub detail: Option<String>,
}
