//! Every file under a collection.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::{
    report::Finding,
    vfs::{FileType, Vfs},
};

use super::error::{io_code, io_detail};

/// Directories deeper than this are named, not entered: zvec makes two levels, and a link may lead in a circle.
const MAX_DEPTH: usize = 6;

/// One entry under the collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// Path relative to the collection.
    pub path: PathBuf,
    /// What it is.
    pub file_type: FileType,
    /// Size in bytes.
    pub len: u64,
    /// Bytes on disk.
    pub allocated: Option<u64>,
    /// Time of the last change.
    pub modified: Option<SystemTime>,
}

/// Everything under a collection, directories included, sorted by path.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// The entries.
    pub entries: Vec<TreeEntry>,
    /// What could not be listed.
    pub findings: Vec<Finding>,
}

impl Tree {
    /// Lists `root`, breadth first.
    pub fn walk(vfs: &dyn Vfs, root: &Path) -> Self {
        let mut tree = Self::default();
        // Directory, its depth, and whether a link led there. A segment may stand behind a link; behind that no further link is
        // followed: links in a circle would lead on for ever, and in more ways with every level.
        let mut queue = VecDeque::from([(PathBuf::new(), 0, false)]);
        while let Some((dir, depth, linked)) = queue.pop_front() {
            if depth > MAX_DEPTH {
                let detail = format!("not entered: more than {MAX_DEPTH} directories deep");
                tree.findings.push(Finding::warning("file.too-deep", detail).at(&dir));
                continue;
            }
            let entries = match vfs.list(&root.join(&dir)) {
                Ok(entries) => entries,
                Err(error) => {
                    let finding = Finding::error(io_code(&error), format!("cannot be listed: {}", io_detail(&error)));
                    tree.findings.push(finding.at(&dir));
                    continue;
                }
            };
            for entry in entries {
                let path = dir.join(&entry.name);
                match entry.metadata {
                    Ok(found) => {
                        if found.file_type == FileType::Dir && !(linked && entry.is_link) {
                            queue.push_back((path.clone(), depth + 1, linked || entry.is_link));
                        }
                        tree.entries.push(TreeEntry {
                            path,
                            file_type: found.file_type,
                            len: found.len,
                            allocated: found.allocated,
                            modified: found.modified,
                        });
                    }
                    Err(detail) => tree.findings.push(Finding::error("io.read", detail).at(&path)),
                }
            }
        }
        tree.entries.sort_by(|a, b| a.path.cmp(&b.path));
        tree
    }

    /// The entry at `path`.
    pub fn get(&self, path: &Path) -> Option<&TreeEntry> {
        self.entries.binary_search_by(|entry| entry.path.as_path().cmp(path)).ok().and_then(|at| self.entries.get(at))
    }

    /// Entries below the directory `dir`, at any depth.
    pub fn below<'a>(&'a self, dir: &'a Path) -> impl Iterator<Item = &'a TreeEntry> {
        self.entries.iter().filter(move |entry| entry.path != dir && entry.path.starts_with(dir))
    }

    /// Number, size and disk use of the regular files at or below `path`.
    pub fn usage(&self, path: &Path) -> Usage {
        let mut usage = Usage { files: 0, size: 0, allocated: Some(0) };
        for entry in self.entries.iter().filter(|entry| entry.path.starts_with(path)) {
            if entry.file_type == FileType::File {
                usage.files += 1;
                usage.size += entry.len;
                usage.allocated = usage.allocated.zip(entry.allocated).map(|(sum, more)| sum + more);
            }
        }
        usage
    }
}

/// Number, size and disk use of some files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Regular files.
    pub files: u64,
    /// Their size in bytes.
    pub size: u64,
    /// Bytes that they take on disk.
    pub allocated: Option<u64>,
}
