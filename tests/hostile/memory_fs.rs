//! Collections in memory: thousands of wounded ones without writing one.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use zvecctl::vfs::{MemoryFs, VfsMut};

/// Files by path relative to the collection.
pub type Files = BTreeMap<PathBuf, Arc<Vec<u8>>>;

/// Where the collection stands.
pub const ROOT: &str = "/collection";

/// Reads a collection.
pub fn read(root: &Path) -> Files {
    fn walk(dir: &Path, root: &Path, files: &mut Files) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, files);
            } else {
                let content = Arc::new(sparse(&fs::read(&path).unwrap()));
                files.insert(path.strip_prefix(root).unwrap().to_owned(), content);
            }
        }
    }
    let mut files = Files::new();
    walk(root, root, &mut files);
    files
}

/// A copy whose pages of zeros take no memory until they are written.
fn sparse(content: &[u8]) -> Vec<u8> {
    let mut copy = vec![0; content.len()];
    for (to, from) in copy.chunks_mut(4096).zip(content.chunks(4096)) {
        if from.iter().any(|byte| *byte != 0) {
            to.copy_from_slice(from);
        }
    }
    copy
}

/// A file system with a collection at [`ROOT`].
pub fn with(files: &Files) -> MemoryFs {
    let fs = MemoryFs::new();
    for (path, content) in files {
        let path = Path::new(ROOT).join(path);
        fs.create_dirs(path.parent().unwrap()).unwrap();
        fs.create_new(&path).unwrap().write_all_at(0, content).unwrap();
    }
    fs
}
