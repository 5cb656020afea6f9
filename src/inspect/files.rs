//! The role of every file.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::{
    format::manifest::Manifest,
    report::{
        Finding, Firsts, Loss,
        files::{FileEntry, Role},
        show_path,
    },
    vfs::FileType,
};

use super::{
    Tree, TreeEntry, View,
    findings::MISSING,
    lock::LOCK,
    names::{self, NameKind},
    time::rfc3339,
    view::segments_of,
    wal,
};

/// Documents of a forgotten log that are named.
const NAMED: usize = 5;

/// A file or directory that a manifest names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Path relative to the collection.
    pub path: PathBuf,
    /// Segment that it belongs to.
    pub segment: Option<u32>,
    /// Documents that are listed in it.
    pub documents: u64,
}

/// Everything that a manifest names, id map and delete snapshot included; the WAL is not named but implied.
pub fn named_by(manifest: &Manifest) -> Vec<Named> {
    let mut named = vec![
        Named { path: names::id_map_path(manifest.id_map_path_suffix), segment: None, documents: 0 },
        Named { path: names::delete_snapshot_path(manifest.delete_snapshot_path_suffix), segment: None, documents: 0 },
    ];
    for segment in segments_of(manifest) {
        for block in &segment.meta.persisted_blocks {
            if let Some(path) = segment.block_path(block) {
                named.push(Named { path, segment: Some(segment.id()), documents: u64::from(block.doc_count) });
            }
        }
    }
    named
}

/// Every file of a collection with its role, sorted by path; those that are named and missing at their place.
pub fn list(view: &View, tree: &Tree) -> Vec<FileEntry> {
    let roles = Roles::of(view);
    let mut files: BTreeMap<PathBuf, FileEntry> = tree
        .entries
        .iter()
        .filter(|entry| entry.file_type != FileType::Dir || is_out_of_place(&roles, entry))
        .map(|entry| (entry.path.clone(), describe(&roles, entry)))
        .collect();
    for path in roles.named.keys().filter(|path| tree.get(path).is_none()) {
        let (kind, segment) = names::classify(path);
        let kind = kind_of_directory(path).unwrap_or(kind).describe().to_owned();
        let path = path.clone();
        let shown = show_path(&path);
        let missing = FileEntry {
            path: shown,
            role: Role::Missing,
            kind,
            file_type: "nothing".to_owned(),
            segment,
            size: None,
            allocated: None,
            modified: None,
        };
        files.insert(path, missing);
    }
    files.into_values().collect()
}

/// Findings about the file set: what is missing, orphaned, left over, strange.
pub fn findings(files: &[FileEntry], view: &View) -> Vec<Finding> {
    let roles = Roles::of(view);
    let mut findings = Vec::new();
    if !view.exists(Path::new(LOCK)) {
        let detail = "the lock file is missing; zvec 0.8.0 refuses to open the collection without it";
        findings.push(Finding::error("lock.missing", detail).at(Path::new(LOCK)));
    }
    let mut orphans = BTreeSet::new();
    for file in files {
        let path = Path::new(&file.path);
        let finding = match file.role {
            Role::Missing => {
                let (named, documents) = roles.named.get(path).copied().unwrap_or((None, 0));
                let loss = if documents > 0 { Loss::Possible } else { Loss::None };
                let mut finding = Finding::error("file.missing", MISSING);
                finding.segment = named;
                finding.at(path).loses(loss, (documents > 0).then_some(documents))
            }
            Role::Orphan => {
                let Some(first) = path.iter().next() else { continue };
                if names::classify(Path::new(first)).0 == NameKind::Unfinished {
                    if orphans.insert(first.to_owned()) {
                        let detail = "an unfinished compaction; zvec 0.8.0 removes it at the next writable open";
                        findings.push(Finding::warning("segment.unfinished", detail).at(Path::new(first)));
                    }
                    continue;
                }
                if file.segment.is_some_and(|id| roles.segments.contains(&id)) {
                    // A whole RocksDB directory is one finding.
                    let place: PathBuf = path.iter().take(2).collect();
                    if !orphans.insert(place.clone().into_os_string()) {
                        continue;
                    }
                    Finding::warning("file.orphan", "not named by the manifest").at(&place)
                } else if orphans.insert(first.to_owned()) {
                    let detail = "a directory of a segment that the manifest does not list; zvec 0.8.0 deletes it at the next writable open";
                    Finding::warning("segment.orphan", detail).at(Path::new(first))
                } else {
                    continue;
                }
            }
            Role::Leftover => {
                if let Some(finding) = unpublished_log(view, path) {
                    findings.push(finding);
                    continue;
                }
                Finding::warning("file.leftover", format!("{}: nothing needs it any more", file.kind)).at(path)
            }
            Role::Stranger => Finding::info("file.stranger", "not written by zvec").at(path),
            Role::Manifest | Role::Named | Role::Wal | Role::Lock if file.file_type != "file" => {
                let code =
                    if file.file_type == "directory" { "file.is-a-directory" } else { "file.not-a-regular-file" };
                let found = match file.file_type.as_str() {
                    "directory" => "a directory",
                    "symlink" => "a symbolic link that leads nowhere",
                    _ => "a pipe or device",
                };
                let detail = format!("{found} stands in the place of: {}", file.kind);
                Finding::error(code, detail).at(path).loses(Loss::Possible, None)
            }
            Role::Manifest
            | Role::Named
            | Role::Wal
            | Role::Lock
            | Role::Writing
            | Role::Undecided
            | Role::Quarantine => continue,
        };
        findings.push(finding);
    }
    findings
}

/// Tells of a log that was forgotten before its documents became rows.
pub fn unpublished_log(view: &View, path: &Path) -> Option<Finding> {
    let keys = wal::unpublished_keys(view, view.used()?.manifest.as_ref()?, path)?;
    let named: Firsts<NAMED> = keys.iter().map(|key| String::from_utf8_lossy(key).into_owned()).collect();
    let count = keys.len() as u64;
    let detail = format!(
        "no open replays this log and its block was never published: {count} document(s) may have their last version here alone: {named}; \
         zvecctl salvage reads them"
    );
    Some(Finding::warning("wal.unpublished", detail).at(path).loses(Loss::Possible, Some(count)))
}

/// What the manifest in force says about paths.
struct Roles {
    known: bool,
    manifest: Option<PathBuf>,
    named: BTreeMap<PathBuf, (Option<u32>, u64)>,
    segments: BTreeSet<u32>,
    wal: Option<PathBuf>,
    /// Segment and lowest block id of the block that is being written.
    writing: Option<(u32, u32)>,
}

impl Roles {
    fn of(view: &View) -> Self {
        let Some((file, manifest)) = view.used().and_then(|file| Some((file, file.manifest.as_ref()?))) else {
            return Self {
                known: false,
                manifest: None,
                named: BTreeMap::new(),
                segments: BTreeSet::new(),
                wal: None,
                writing: None,
            };
        };
        let segments = segments_of(manifest);
        let writing = segments.iter().find(|segment| segment.writing);
        Self {
            known: true,
            manifest: Some(file.path.clone()),
            named: named_by(manifest).into_iter().map(|n| (n.path, (n.segment, n.documents))).collect(),
            segments: segments.iter().map(|segment| segment.id()).collect(),
            wal: writing.and_then(|segment| segment.wal_path()),
            writing: writing
                .and_then(|segment| Some((segment.id(), segment.meta.writing_forward_block.as_ref()?.block_id))),
        }
    }

    fn role(&self, path: &Path, kind: &NameKind, segment: Option<u32>) -> Role {
        if Some(path) == self.manifest.as_deref() {
            return Role::Manifest;
        }
        if Some(path) == self.wal.as_deref() {
            return Role::Wal;
        }
        if path.ancestors().any(|part| self.named.contains_key(part)) {
            return Role::Named;
        }
        match kind {
            NameKind::Lock => Role::Lock,
            NameKind::Other => Role::Stranger,
            NameKind::Unfinished => Role::Orphan,
            NameKind::ManifestTmp => Role::Leftover,
            // Without a manifest nobody knows what is needed: nothing may look as if it could be thrown away.
            _ if !self.known => Role::Undecided,
            NameKind::Manifest => Role::Leftover,
            NameKind::DeleteSnapshot | NameKind::IdMap if segment.is_none() => Role::Leftover,
            _ if segment.is_some_and(|id| !self.segments.contains(&id)) => Role::Orphan,
            NameKind::Wal => Role::Leftover,
            _ if self.is_writing(path, segment) => Role::Writing,
            _ => Role::Orphan,
        }
    }

    /// Whether a file belongs to the block that is being written: made before its flush, rebuilt from the WAL if that never comes.
    fn is_writing(&self, path: &Path, segment: Option<u32>) -> bool {
        let Some((id, first_block)) = self.writing else { return false };
        let block = path.iter().nth(1).and_then(|name| block_id(name.to_str()?));
        segment == Some(id) && block.is_some_and(|block| block >= first_block)
    }
}

/// The block id in a file name: the last number between dots.
fn block_id(name: &str) -> Option<u32> {
    name.rsplit('.').find_map(|part| part.parse().ok())
}

/// A directory is listed only where a file should be, or where it belongs to nothing.
fn is_out_of_place(roles: &Roles, entry: &TreeEntry) -> bool {
    let is_file_name = matches!(
        names::classify(&entry.path).0,
        NameKind::Forward | NameKind::Vector | NameKind::QuantizedVector | NameKind::Wal | NameKind::Manifest
    );
    is_file_name && !roles.named.is_empty() && entry.path.iter().count() <= 2
}

fn kind_of_directory(path: &Path) -> Option<NameKind> {
    let (kind, _) = names::classify(&path.join("CURRENT"));
    matches!(kind, NameKind::IdMap | NameKind::ScalarIndex | NameKind::FtsIndex).then_some(kind)
}

fn describe(roles: &Roles, entry: &TreeEntry) -> FileEntry {
    let (kind, segment) = names::classify(&entry.path);
    FileEntry {
        path: show_path(&entry.path),
        role: roles.role(&entry.path, &kind, segment),
        kind: kind.describe().to_owned(),
        file_type: match entry.file_type {
            FileType::File => "file",
            FileType::Dir => "directory",
            FileType::Symlink => "symlink",
            FileType::Other => "other",
        }
        .to_owned(),
        segment,
        size: Some(entry.len),
        allocated: entry.allocated,
        modified: entry.modified.map(rfc3339),
    }
}
