//! What zvec would make of a collection that it opened now.

use schemars::JsonSchema;
use serde::Serialize;

/// What would happen if zvec opened the collection for writing now. Worked out from the files; nothing is changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Outlook {
    /// The release that this is about.
    pub release: String,
    /// What becomes of the open.
    pub open: OpenOutlook,
    /// What it says when it refuses, as far as that is known; paths are those that it was given.
    pub message: Option<String>,
    /// Why, and what follows.
    pub reasons: Vec<String>,
    /// The manifest that it obeys.
    pub manifest: Option<String>,
    /// Directories that it removes, relative to the collection.
    pub removes: Vec<String>,
    /// What it makes of the write-ahead log; `null` if there is none to replay.
    pub wal: Option<WalOutlook>,
    /// Whether it would take inserts.
    pub accepts_inserts: bool,
    /// How its view of the documents would differ from what the files hold; `null` where that cannot be known.
    pub documents: Option<DocumentsOutlook>,
}

/// What becomes of an open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OpenOutlook {
    /// It opens.
    Opens,
    /// It refuses, and changes nothing.
    Refuses,
    /// Its process dies.
    Crashes,
    /// It removes every segment, and then its process dies.
    Destroys,
}

/// What a replay makes of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WalOutlook {
    /// The log, relative to the collection.
    pub path: String,
    /// Records that it replays.
    pub replayed: u64,
    /// Intact records that it drops without a word, and deletes at the next flush.
    pub dropped: u64,
}

/// Documents that it would show otherwise than they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DocumentsOutlook {
    /// Live documents that it would not have.
    pub missing: Ids,
    /// Documents that it would have, and that are deleted or replaced.
    pub resurrected: Ids,
    /// Documents of which it would show an older version.
    pub outdated: Ids,
    /// Live documents that it has in its rows, and does not find by their id.
    pub unreachable: Ids,
}

/// Primary keys: how many, and the first of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Ids {
    /// How many.
    pub count: u64,
    /// The first of them, in key order.
    pub ids: Vec<String>,
}

impl Ids {
    /// How many are listed.
    pub const LISTED: usize = 20;

    /// The keys in an iterator that ascends.
    pub fn of<'a>(keys: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut found = Self::default();
        for key in keys {
            found.count += 1;
            if found.ids.len() < Self::LISTED {
                found.ids.push(String::from_utf8_lossy(key).into_owned());
            }
        }
        found
    }
}
