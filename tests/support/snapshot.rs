//! Everything about a directory tree that a program could change.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{ffi::OsStringExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

/// Every name with content, times, mode, owner and inode. Reading changes none of it (access times are left out).
#[derive(PartialEq, Eq)]
pub struct Snapshot(BTreeMap<PathBuf, Entry>);

#[derive(PartialEq, Eq)]
struct Entry {
    described: String,
    /// Kept whole: comparing bytes is faster than any checksum in a build without optimization.
    content: Vec<u8>,
}

impl Snapshot {
    /// Reads a tree. Symbolic links are not followed.
    pub fn of(root: &Path) -> Self {
        let mut entries = BTreeMap::new();
        add(root, &mut entries);
        Self(entries)
    }

    /// Asserts that nothing has changed since.
    pub fn assert_unchanged(&self, root: &Path, after: &str) {
        let now = Self::of(root);
        for (path, before) in &self.0 {
            let Some(now) = now.0.get(path) else { panic!("{} is gone after {after}", path.display()) };
            assert_eq!(before.described, now.described, "{} changed after {after}", path.display());
            assert!(before.content == now.content, "the bytes of {} changed after {after}", path.display());
        }
        for path in now.0.keys() {
            assert!(self.0.contains_key(path), "{} appeared after {after}", path.display());
        }
    }
}

impl Snapshot {
    /// Asserts that every name is there with its bytes, and no other; times and inodes may differ.
    #[allow(dead_code, reason = "not every test changes something back")]
    pub fn assert_contents(&self, root: &Path) {
        let now = Self::of(root);
        assert!(self.0.keys().eq(now.0.keys()), "other names");
        for (path, before) in &self.0 {
            assert!(now.0.get(path).is_some_and(|now| now.content == before.content), "{}", path.display());
        }
    }
}

fn add(path: &Path, entries: &mut BTreeMap<PathBuf, Entry>) {
    let found = fs::symlink_metadata(path).unwrap();
    let content = if found.is_file() {
        fs::read(path).unwrap()
    } else if found.is_symlink() {
        fs::read_link(path).unwrap().into_os_string().into_vec()
    } else {
        Vec::new()
    };
    let described = format!(
        "mode {:o} size {} owner {}:{} inode {} links {} modified {}.{:09} changed {}.{:09}",
        found.mode(),
        found.size(),
        found.uid(),
        found.gid(),
        found.ino(),
        found.nlink(),
        found.mtime(),
        found.mtime_nsec(),
        found.ctime(),
        found.ctime_nsec()
    );
    entries.insert(path.to_owned(), Entry { described, content });
    if found.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            add(&entry.unwrap().path(), entries);
        }
    }
}
