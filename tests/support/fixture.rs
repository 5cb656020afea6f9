//! The archives in `fixtures/`, unpacked.
//!
//! Archives are mostly zeros (vector files keep capacity) and unpacking them takes longer than any command that reads them. Each is
//! unpacked once into the target directory, under a name that holds its checksum; tests that change something get a copy.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, UNIX_EPOCH},
};

use flate2::read::GzDecoder;
use serde_json::Value;
use tempfile::TempDir;

/// A collection of its own, to be changed at will.
pub struct Fixture {
    root: TempDir,
    source: PathBuf,
}

/// Documents by id.
pub type Truth = BTreeMap<String, Value>;

impl Fixture {
    /// A fresh copy of `fixtures/good/<name>.tar.gz`.
    pub fn good(name: &str) -> Self {
        Self::copy_of(shared("good", name))
    }

    /// A fresh copy of `fixtures/damaged/<name>.tar.gz`.
    pub fn damaged(name: &str) -> Self {
        Self::copy_of(shared("damaged", name))
    }

    fn copy_of(source: PathBuf) -> Self {
        let root = tempfile::tempdir().unwrap();
        copy_tree(&source.join("collection"), &root.path().join("collection"));
        Self { root, source }
    }

    /// The collection.
    pub fn path(&self) -> PathBuf {
        self.root.path().join("collection")
    }

    /// A path in the collection.
    pub fn join(&self, relative: &str) -> PathBuf {
        self.path().join(relative)
    }

    /// The directory around the collection, for output files.
    pub fn outside(&self) -> &Path {
        self.root.path()
    }

    /// The documents that zvec returned.
    pub fn truth(&self) -> Truth {
        truth(&self.source)
    }
}

/// Names of the archives in a folder of `fixtures/`.
pub fn names(folder: &str) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(super::repository("fixtures").join(folder))
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_suffix(".tar.gz").map(str::to_owned))
        .collect();
    names.sort();
    assert!(!names.is_empty(), "no archives in fixtures/{folder}");
    names
}

/// The documents of an unpacked archive: as they were written where zvec is known to return something else, as zvec
/// returned them otherwise.
pub fn truth(unpacked: &Path) -> Truth {
    let written = unpacked.join("written.jsonl");
    let file = if written.exists() { written } else { unpacked.join("truth.jsonl") };
    let text = fs::read_to_string(file).unwrap();
    let documents = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    documents.map(|document| (document["id"].as_str().unwrap().to_owned(), document)).collect()
}

/// The unpacked archive, shared by all tests: `collection/`, `truth.jsonl`. Not to be changed.
pub fn shared(folder: &str, name: &str) -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let archive = super::repository("fixtures").join(folder).join(format!("{name}.tar.gz"));
    let bytes = fs::read(&archive).unwrap_or_else(|error| panic!("{}: {error}", archive.display()));
    let checksum = crc32c::crc32c(&bytes);
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fixtures");
    let target = cache.join(format!("{name}-{checksum:08x}"));
    if target.exists() {
        return target;
    }
    // Other tests, in other processes too, may do the same at this moment: whoever is first publishes.
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let building = cache.join(format!("{name}.{}.{number}.building", process::id()));
    fs::create_dir_all(&building).unwrap();
    unpack(&bytes, &building).unwrap();
    if fs::rename(&building, &target).is_err() {
        fs::remove_dir_all(&building).unwrap();
    }
    assert!(target.exists(), "{}", target.display());
    target
}

fn unpack(archive: &[u8], target: &Path) -> io::Result<()> {
    let mut archive = tar::Archive::new(GzDecoder::new(archive));
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = target.join(entry.path()?);
        if entry.header().entry_type().is_dir() {
            fs::create_dir_all(&path)?;
            continue;
        }
        assert!(entry.header().entry_type().is_file(), "{}", path.display());
        fs::create_dir_all(path.parent().unwrap())?;
        let modified = UNIX_EPOCH + Duration::from_secs(entry.header().mtime()?);
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        write_sparse(&path, &content)?.set_modified(modified)?;
    }
    Ok(())
}

/// Writes a file without its pages of zeros.
fn write_sparse(path: &Path, content: &[u8]) -> io::Result<fs::File> {
    use io::Seek;
    let mut file = fs::File::create(path)?;
    let mut at = 0u64;
    for page in content.chunks(1 << 16) {
        if page.iter().any(|byte| *byte != 0) {
            file.seek(io::SeekFrom::Start(at))?;
            file.write_all(page)?;
        }
        at += page.len() as u64;
    }
    file.set_len(at)?;
    Ok(file)
}

/// Copies a directory with its modification times.
pub fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            let modified = entry.metadata().unwrap().modified().unwrap();
            write_sparse(&target, &fs::read(entry.path()).unwrap()).unwrap().set_modified(modified).unwrap();
        }
    }
}
