//! `files ls`.

use schemars::JsonSchema;
use serde::Serialize;

use super::Finding;

/// Result of `files ls`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct FileList {
    /// The manifest that decided the roles; `null` if there is no usable one.
    pub manifest: Option<String>,
    /// The state of the collection's lock.
    pub lock: LockReport,
    /// Every file, sorted by path; a RocksDB directory counts file by file.
    pub files: Vec<FileEntry>,
    /// Size of all files in bytes.
    pub size: u64,
    /// Bytes that they take on disk.
    pub allocated: Option<u64>,
    /// What is wrong or odd.
    pub findings: Vec<Finding>,
}

/// Who may hold the collection's lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LockReport {
    /// `free`, `held` (by a writer), `shared` (by readers), `missing` (no file LOCK), or `unknown`.
    pub state: String,
    /// The holders that this system shows.
    pub holders: Vec<LockHolder>,
}

/// A process that holds the lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LockHolder {
    /// Process id.
    pub pid: u32,
    /// `exclusive` or `shared`.
    pub mode: String,
    /// Name of the program.
    pub program: Option<String>,
}

/// What a file is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The manifest in use.
    Manifest,
    /// Named by the manifest in use: block, id map, delete snapshot.
    Named,
    /// The write-ahead log of the writing segment.
    Wal,
    /// The lock file.
    Lock,
    /// Rebuilt from the WAL at the next open: files of the block that is being written.
    Writing,
    /// An older or set-aside version that nothing needs: manifest, delete snapshot, WAL.
    Leftover,
    /// In a segment's place or a segment's directory, but not named by the manifest: a block of no version, a segment directory that is
    /// not listed, an unfinished `.tmp`. Where no manifest can be used, everything that one could name. A writable open by zvec 0.8.0 deletes unlisted segment directories.
    Orphan,
    /// There is no manifest that could say what it is there for.
    Undecided,
    /// Set aside by a repair.
    Quarantine,
    /// Nothing that zvec writes.
    Stranger,
    /// Named by the manifest, and not there.
    Missing,
}

/// One file.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct FileEntry {
    /// Path relative to the collection; bytes that are not UTF-8 are replaced.
    pub path: String,
    /// What it is there for.
    pub role: Role,
    /// What kind of file its name promises, in words.
    pub kind: String,
    /// What stands there: `file`, `directory`, `symlink` (one that leads nowhere), `other` (pipe, device), `nothing`.
    #[serde(rename = "type")]
    pub file_type: String,
    /// Segment it belongs to.
    pub segment: Option<u32>,
    /// Size in bytes; `null` if it does not exist.
    pub size: Option<u64>,
    /// Bytes that it takes on disk.
    pub allocated: Option<u64>,
    /// Time of the last change, RFC 3339, UTC.
    pub modified: Option<String>,
}
