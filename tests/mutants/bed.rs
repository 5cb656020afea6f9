//! A directory that is made equal to a set of files again and again, touching only what differs.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::memory_fs::Files;

/// The collection's directory in its bed; what commands put beside it is found there, too.
const NAME: &str = "collection";

/// A folder with one collection in it.
pub struct Bed {
    root: PathBuf,
    /// Directories without files, which a set of files does not tell of.
    empty: Vec<PathBuf>,
    held: Files,
}

/// The time that every file is given: whoever writes into it gives it another.
fn stamp() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_600_000_000)
}

impl Bed {
    /// One at `root`, which is made, without files; the directories `empty` are always there.
    pub fn new(root: PathBuf, empty: Vec<PathBuf>) -> Self {
        fs::create_dir_all(root.join(NAME)).unwrap();
        Self { root, empty, held: Files::new() }
    }

    /// The collection.
    pub fn path(&self) -> PathBuf {
        self.root.join(NAME)
    }

    /// A file beside the collection.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Whether a command has put something aside.
    pub fn has_quarantine(&self) -> bool {
        self.root.join(format!("{NAME}.quarantine")).is_dir()
    }

    /// Makes the directory hold these files and nothing else.
    pub fn set(&mut self, files: &Files) {
        let (changed, found) = self.compare();
        let path = self.path();
        for name in &found {
            // A file may stand where a directory is to be, and the other way round.
            if !files.contains_key(name) || changed.contains(name) {
                fs::remove_file(path.join(name)).unwrap();
            }
        }
        let parents = files.keys().filter_map(|file| file.parent());
        let wanted: BTreeSet<&Path> =
            parents.chain(self.empty.iter().map(PathBuf::as_path)).flat_map(Path::ancestors).collect();
        remove_directories(&path, Path::new(""), &wanted);
        for dir in &self.empty {
            fs::create_dir_all(path.join(dir)).unwrap();
        }
        for (name, content) in files {
            let same = self.held.get(name).is_some_and(|held| Arc::ptr_eq(held, content)) && !changed.contains(name);
            if !same {
                write(&path.join(name), content).unwrap();
            }
        }
        self.held = files.clone();
    }

    /// Removes what stands beside the collection.
    pub fn clear(&self) {
        for entry in fs::read_dir(&self.root).unwrap().map(Result::unwrap).filter(|entry| entry.file_name() != NAME) {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
        }
    }

    /// Files that are not as they were set, byte by byte, missing ones and new ones included.
    pub fn differ(&self) -> BTreeSet<PathBuf> {
        let (changed, found) = self.compare();
        let path = self.path();
        let same = |name: &PathBuf| {
            let held = self.held.get(name);
            held.is_some_and(|held| fs::read(path.join(name)).is_ok_and(|content| content == **held))
        };
        let missing = self.held.keys().filter(|name| !found.contains(*name)).cloned();
        found.iter().filter(|name| changed.contains(*name) && !same(name)).cloned().chain(missing).collect()
    }

    /// Files and directories that are not as they were set: changed, removed, new.
    pub fn changed(&self) -> BTreeSet<PathBuf> {
        self.compare().0
    }

    /// The same, and all files that are there.
    fn compare(&self) -> (BTreeSet<PathBuf>, BTreeSet<PathBuf>) {
        let mut found = BTreeMap::new();
        walk(&self.path(), Path::new(""), &mut found);
        let mut changed = BTreeSet::new();
        for (name, content) in &self.held {
            match found.get(name) {
                Some(Some((len, modified))) if *len == content.len() as u64 && *modified == stamp() => {}
                _ => {
                    changed.insert(name.clone());
                }
            }
        }
        let dirs: BTreeSet<_> = self.held.keys().chain(&self.empty).flat_map(|file| file.ancestors()).collect();
        changed.extend(self.empty.iter().filter(|dir| !found.contains_key(*dir)).cloned());
        for (name, file) in &found {
            let known = if file.is_some() { self.held.contains_key(name) } else { dirs.contains(name.as_path()) };
            if !known {
                changed.insert(name.clone());
            }
        }
        (changed, found.into_iter().filter_map(|(name, file)| file.map(|_| name)).collect())
    }
}

type Found = BTreeMap<PathBuf, Option<(u64, SystemTime)>>;

fn walk(root: &Path, below: &Path, found: &mut Found) {
    for entry in fs::read_dir(root.join(below)).unwrap().map(Result::unwrap) {
        let name = below.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            walk(root, &name, found);
            found.insert(name, None);
        } else {
            let metadata = entry.metadata().unwrap();
            found.insert(name, Some((metadata.len(), metadata.modified().unwrap())));
        }
    }
}

fn remove_directories(root: &Path, below: &Path, wanted: &BTreeSet<&Path>) {
    for entry in fs::read_dir(root.join(below)).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            let name = below.join(entry.file_name());
            remove_directories(root, &name, wanted);
            if !wanted.contains(name.as_path()) {
                fs::remove_dir(root.join(name)).unwrap();
            }
        }
    }
}

/// Writes a file without its pages of zeros: vector files are hardly anything else.
fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    fs::create_dir_all(path.parent().unwrap())?;
    let mut file = fs::File::create(path)?;
    for (index, page) in content.chunks(4096).enumerate() {
        if page.iter().any(|byte| *byte != 0) {
            file.seek(SeekFrom::Start(index as u64 * 4096))?;
            file.write_all(page)?;
        }
    }
    file.set_len(content.len() as u64)?;
    file.set_modified(stamp())
}
