//! `create`, `ingest`, `delete`, `flush`, `recover`.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Finding, manifest::ManifestDump, outlook::Outlook, wal::WalEntry};

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

/// Result of `create`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Created {
    /// The first manifest.
    pub manifest: String,
    /// Whether forward blocks are Arrow IPC files.
    pub enable_mmap: bool,
    /// The schema, with what was left out filled in.
    pub schema: AnySchema,
}

/// A schema file (`docs/schemas/schema-file.json`).
pub type AnySchema = serde_json::Value;

/// What a flush published.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Published {
    /// The new manifest; `null` if there was nothing to flush.
    pub manifest: Option<String>,
    /// Documents in the block that was written.
    pub rows: u64,
    /// Files that are superfluous now and could not be removed.
    pub leftovers: Vec<String>,
}

/// Result of `flush`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FlushReport {
    /// What the flush published.
    pub published: Published,
    /// Live documents.
    pub documents: u64,
    /// What opening found and did.
    pub recovery: Recovery,
}

/// Result of `recover`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RecoverReport {
    /// Nothing was changed: this is what would be done.
    pub dry_run: bool,
    /// The steps, and what they found and did.
    pub recovery: Recovery,
    /// What the flush at the end published; `null` with `--no-flush`, `--dry-run`, or if the collection could not be opened.
    pub published: Option<Published>,
    /// With `--dry-run`: what zvec would do with the collection as it is; `null` where that cannot be worked out.
    pub outlook: Option<Outlook>,
}

/// Result of `delete`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DeleteReport {
    /// Documents deleted.
    pub deleted: u64,
    /// Ids that no live document has; at most 100 of them.
    pub not_found: Vec<String>,
    /// How many those are.
    pub not_found_count: u64,
    /// What the flush at the end published; `null` with `--no-flush`.
    pub published: Option<Published>,
    /// Live documents.
    pub documents: u64,
    /// What opening found and did.
    pub recovery: Recovery,
}

/// A document that was not written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Rejection {
    /// Input file; `-` for standard input.
    pub file: String,
    /// Line or row of the file, from 1.
    pub position: u64,
    /// Stable code.
    pub code: String,
    /// What is wrong.
    pub message: String,
}

/// Result of `ingest`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct IngestReport {
    /// Documents read from the inputs.
    pub read: u64,
    /// Documents written and acknowledged.
    pub written: u64,
    /// Documents rejected.
    pub rejected: u64,
    /// The first 100 rejected documents.
    pub rejections: Vec<Rejection>,
    /// Ended before the end of the input: at a rejected document (`--on-error stop`), or by Ctrl-C.
    pub stopped: bool,
    /// What survives a power cut now: `everything` that was written, or `what was flushed` before (`--sync flush` without the
    /// flush at the end), or `nothing for certain` (`--sync none`).
    pub durable: String,
    /// What the flush at the end published; `null` with `--no-flush`.
    pub published: Option<Published>,
    /// Live documents in the collection.
    pub documents: u64,
    /// Seconds from the first document to the end of the flush.
    pub seconds: f64,
    /// Documents per second.
    pub rate: f64,
    /// What opening found and did.
    pub recovery: Recovery,
}

/// Result of `demo`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DemoReport {
    /// The collection.
    pub collection: String,
    /// Its first manifest.
    pub created: String,
    /// Documents in the log when the ingesting process was killed.
    pub killed_at: u64,
    /// The log that it left.
    pub log: Option<WalEntry>,
    /// The manifest that it left.
    pub before: ManifestDump,
    /// What recovery found and did.
    pub recovery: Recovery,
    /// What the flush at its end published.
    pub published: Published,
    /// The manifest after that.
    pub after: ManifestDump,
    /// Live documents.
    pub documents: u64,
    /// Whether the collection is still there.
    pub kept: bool,
}
