//! `repair`.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Finding, Loss};

/// What a repair can be told to mend (`--fix`), in the order in which it is done.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Fix {
    /// The lock file.
    Lock,
    /// The manifest: an older one, a rebuilt one, or one whose rules are put right.
    Manifest,
    /// Segments: missing ones are given up, orphans adopted.
    Segments,
    /// Forward blocks: ids, keys and values from id map and indexes; rows that cannot be read.
    Forward,
    /// The delete snapshot.
    Deletes,
    /// Vector files.
    Vectors,
    /// Scalar inverted indexes.
    ScalarIndex,
    /// Full-text indexes.
    FtsIndex,
    /// The id map.
    IdMap,
    /// The write-ahead log.
    Wal,
    /// Leftovers, orphans and unfinished files go to the quarantine.
    Gc,
    /// Files of old releases that zvec 0.8.0 does not open or reads wrongly. Only if asked for.
    Upgrade,
}

impl Fix {
    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Manifest => "manifest",
            Self::Segments => "segments",
            Self::Forward => "forward",
            Self::Deletes => "deletes",
            Self::Vectors => "vectors",
            Self::ScalarIndex => "scalar-index",
            Self::FtsIndex => "fts-index",
            Self::IdMap => "id-map",
            Self::Wal => "wal",
            Self::Gc => "gc",
            Self::Upgrade => "upgrade",
        }
    }
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Action {
    /// What is mended.
    pub fix: Fix,
    /// The file or directory, relative to the collection.
    pub path: String,
    /// The segment, if it belongs to one.
    pub segment: Option<u32>,
    /// Codes of the findings that call for it.
    pub findings: Vec<String>,
    /// What is done, and from what.
    pub does: String,
    /// Whether something is lost by the damage that no redundancy brings back, as far as is known before.
    pub loss: Loss,
    /// Documents concerned, if known.
    pub documents: Option<u64>,
}

/// What a repair would do, kept in a file with `--plan` and carried out with `--apply`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// Version of zvecctl that made it.
    pub version: String,
    /// State of the collection when it was made: it is carried out on no other.
    pub fingerprint: String,
    /// The manifest that it begins with; `null` if none can be used.
    pub manifest: Option<String>,
    /// The steps in order.
    pub actions: Vec<Action>,
    /// Errors that no step mends.
    pub unmended: Vec<Finding>,
    /// What it was restricted to (`--fix`); `null` if to nothing.
    pub only: Option<Vec<Fix>>,
    /// Steps that are asked for and not taken, because another has to come first.
    #[serde(default)]
    pub held: Vec<HeldAction>,
}

/// A step that would make something from what is damaged itself, and so destroy the better copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeldAction {
    /// What was to be mended.
    pub fix: Fix,
    /// The file or directory, relative to the collection.
    pub path: String,
    /// What has to come first.
    pub first: Fix,
    /// Why, in words.
    pub because: String,
}

/// What one step did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DoneAction {
    /// What was mended.
    pub fix: Fix,
    /// The file or directory that was damaged, relative to the collection.
    pub path: String,
    /// Whether it succeeded. A step that does not leaves everything as it was; those after it are taken all the same.
    pub ok: bool,
    /// What was done, or why not.
    pub detail: String,
    /// Documents that came out of it whole.
    pub documents: Option<u64>,
    /// Documents that are lost, as a whole.
    pub lost: Vec<LostDocument>,
    /// Documents lost that the list leaves out: at most 1,000 are listed, the file in `named` has all.
    pub lost_unlisted: u64,
    /// Values that are lost, or not certain, of documents that are kept; at most 20 are named, the file in `named` has all.
    pub doubtful: Vec<String>,
}

/// A document that no redundancy brings back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LostDocument {
    /// Its primary key, if anything tells it.
    pub id: Option<String>,
    /// Its document id, if anything tells it.
    pub doc_id: Option<u64>,
    /// Why.
    pub reason: String,
}

/// What became of a document that is not as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It is gone.
    Lost,
    /// It is kept, and something of it is lost or not certain.
    Doubtful,
}

/// A line of `documents.jsonl` in the folder of a repair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NamedDocument<'a> {
    /// What became of it.
    pub what: Fate,
    /// Its primary key, if anything tells it.
    pub id: Option<Cow<'a, str>>,
    /// Its document id, if anything tells it.
    pub doc_id: Option<u64>,
    /// The fields that are concerned; none if it is the document as a whole.
    pub fields: Vec<Cow<'a, str>>,
    /// Why.
    pub why: Cow<'a, str>,
    /// The step that found it out.
    pub fix: Fix,
    /// The file or directory that was damaged, relative to the collection.
    pub path: Cow<'a, str>,
}

/// The file with a line for each document that is lost or doubtful.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NamedDocuments {
    /// Where it is.
    pub path: String,
    /// Lines of lost documents.
    pub lost: u64,
    /// Lines of doubtful documents: one for each field and reason.
    pub doubtful: u64,
}

/// Result of `repair`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct RepairReport {
    /// Whether anything was changed.
    pub applied: bool,
    /// What was found before.
    pub findings: Vec<Finding>,
    /// What is, or was, to be done.
    pub plan: Plan,
    /// What was done, in order.
    pub done: Vec<DoneAction>,
    /// The manifest that was published, if one was.
    pub published: Option<String>,
    /// Where everything is that was replaced, and the journal that `--undo` takes back.
    pub quarantine: Option<String>,
    /// Live documents before, as far as they could be read; `null` if not counted.
    pub documents_before: Option<u64>,
    /// Live documents after.
    pub documents_after: Option<u64>,
    /// What a check of level 3 found afterwards; `null` if nothing was applied.
    pub after: Option<Vec<Finding>>,
    /// Whether the last check, `after` or else that of `findings`, is free of errors.
    pub clean: bool,
    /// The file that names every document that is lost or doubtful; `null` if none is.
    pub named: Option<NamedDocuments>,
    /// What `--undo` did.
    pub undone: Option<UndoReport>,
}

/// Result of `repair --undo`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UndoReport {
    /// The run that was taken back.
    pub folder: String,
    /// Files and directories that are back in their place.
    pub restored: u64,
    /// Whether it had been taken back before: then nothing was done.
    pub already: bool,
    /// Files of the repair that were taken out of the collection, into `undone/` of the folder.
    pub taken_out: u64,
}
