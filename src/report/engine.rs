//! `create`, `ingest`, `delete`, `flush`, `recover`.

use schemars::JsonSchema;
use serde::Serialize;

use super::Finding;

/// One step of the recovery protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RecoveryStep {
    /// `lock`, `manifest`, `schema`, `id-map`, `delete-snapshot`, `segments`, `writing-segment`, `wal`, `segment-ids`, `flush`.
    pub step: String,
    /// `ok`, `changed` (something was set aside, cut or made anew), `failed`, or `skipped` (an earlier step failed, or it was not asked for).
    pub state: String,
    /// What was found and done.
    pub detail: String,
}

/// What the replay of the write-ahead log did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Replay {
    /// The log, relative to the collection; `null` if there was none.
    pub path: Option<String>,
    /// Records replayed.
    pub records: u64,
    /// Documents that they added.
    pub documents: u64,
    /// Documents that they deleted or replaced.
    pub deleted: u64,
    /// Bytes of a torn tail that were cut off.
    pub torn_bytes: u64,
    /// Damaged bytes that were passed over (`--accept-loss`).
    pub damaged_bytes: u64,
    /// Records in them that could not be replayed, where their number can be told.
    pub lost_records: u64,
}

/// Something that was moved out of the collection, or copied, before it was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SetAside {
    /// Where it was, relative to the collection.
    pub path: String,
    /// Where it is now.
    pub to: String,
    /// Why.
    pub reason: String,
}

/// Result of `recover`, and what every command that writes does first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Recovery {
    /// The manifest in force when the collection was opened.
    pub manifest: Option<String>,
    /// The steps in order.
    pub steps: Vec<RecoveryStep>,
    /// What the log brought back.
    pub replay: Replay,
    /// What was set aside.
    pub set_aside: Vec<SetAside>,
    /// Live documents afterwards.
    pub documents: u64,
    /// What is wrong or odd.
    pub findings: Vec<Finding>,
}
