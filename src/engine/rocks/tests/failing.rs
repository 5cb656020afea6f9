//! Every write that the system may refuse, refused once or from then on.

use std::{
    io,
    sync::atomic::{AtomicU32, AtomicUsize, Ordering},
};

use super::*;
use crate::vfs::{DirEntry, File, FileMut, LockGuard, Metadata, Vfs, VfsMut};

/// The real file system, on which some changes fail, none by default. Nothing is really synced: that is slow and shows nothing here.
#[derive(Default)]
pub(super) struct Failing {
    budget: Arc<Budget>,
}

#[derive(Default)]
pub(super) struct Budget {
    /// Changes that succeed before the first that fails.
    left: AtomicUsize,
    /// Failures after which changes succeed again.
    failures: AtomicU32,
}

impl Budget {
    fn spend(&self) -> io::Result<()> {
        if self.left.load(Ordering::SeqCst) > 0 {
            self.left.fetch_sub(1, Ordering::SeqCst);
            return Ok(());
        }
        if self.failures.load(Ordering::SeqCst) == 0 {
            return Ok(());
        }
        self.failures.fetch_sub(1, Ordering::SeqCst);
        Err(io::Error::other("refused"))
    }
}

struct FailingFile {
    file: Box<dyn FileMut>,
    budget: Arc<Budget>,
}

impl File for FailingFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buf)
    }
}

impl FileMut for FailingFile {
    fn write_all_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if let Err(error) = self.budget.spend() {
            // Half of it got there.
            self.file.write_all_at(offset, &data[..data.len() / 2])?;
            return Err(error);
        }
        self.file.write_all_at(offset, data)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.budget.spend()?;
        self.file.truncate(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.budget.spend()
    }
}

impl Vfs for Failing {
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        RealFs.open(path)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        RealFs.metadata(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        RealFs.list(dir)
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        RealFs.canonical(path)
    }

    fn lock_shared(&self, path: &Path) -> io::Result<LockGuard> {
        RealFs.lock_shared(path)
    }
}

impl Failing {
    fn file(&self, file: Box<dyn FileMut>) -> Box<dyn FileMut> {
        Box::new(FailingFile { file, budget: Arc::clone(&self.budget) })
    }
}

impl VfsMut for Failing {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileMut>> {
        self.budget.spend()?;
        Ok(self.file(RealFs.create_new(path)?))
    }

    fn open_write(&self, path: &Path) -> io::Result<Box<dyn FileMut>> {
        Ok(self.file(RealFs.open_write(path)?))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.budget.spend()?;
        RealFs.create_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.budget.spend()?;
        RealFs.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.budget.spend()?;
        RealFs.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.budget.spend()?;
        RealFs.remove_dir(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.budget.spend()?;
        RealFs.metadata(dir).map(drop)
    }

    fn lock_exclusive(&self, path: &Path) -> io::Result<LockGuard> {
        RealFs.lock_exclusive(path)
    }
}

/// A database with three tables per family and one write behind each, so that the next flush merges and begins a new MANIFEST.
fn prepared(parent: &Path) -> (RocksStore, Arc<Budget>, PathBuf) {
    let (mut store, dir) = new_store(parent);
    for round in ["1", "2", "3"] {
        for family in [b"a", b"b"] {
            store.put(family, b"same", round.as_bytes()).unwrap();
            store.merge(family, b"more", round.as_bytes()).unwrap();
        }
        store.flush().unwrap();
    }
    let budget = Arc::new(Budget::default());
    let fs = Failing { budget: Arc::clone(&budget) };
    let mut store = RocksStore::open(Arc::new(fs), &dir, options).unwrap();
    store.manifest_file.set_limit(500);
    for family in [b"a", b"b"] {
        store.put(family, b"same", b"4").unwrap();
        store.merge(family, b"more", b"4").unwrap();
    }
    (store, budget, dir)
}

fn both(store: &RocksStore) -> [Rows; 2] {
    [rows(store, b"a"), rows(store, b"b")]
}

fn state(last: &str) -> [Rows; 2] {
    let more = if last == "4" { "1234" } else { "123" };
    let one = Rows::from([row("same", last), row("more", more)]);
    [one.clone(), one]
}

#[test]
fn a_flush_that_failed_can_be_tried_again() {
    let mut failures = 0;
    for allowed in 0.. {
        let parent = tempfile::tempdir().unwrap();
        let (mut store, budget, dir) = prepared(parent.path());
        budget.left.store(allowed, Ordering::SeqCst);
        budget.failures.store(1, Ordering::SeqCst);
        let flushed = store.flush();
        assert_eq!(both(&store), state("4"), "after {allowed} changes");
        if budget.failures.load(Ordering::SeqCst) == 1 {
            assert!(flushed.is_ok() && failures > 10, "{failures} of {allowed}");
            break;
        }
        failures += u32::from(flushed.is_err());
        store.flush().unwrap();
        assert!(!store.is_dirty());
        store.put(b"a", b"z", b"5").unwrap();
        store.flush().unwrap();
        let expected = both(&store);
        drop(store);
        assert_eq!(both(&open(&dir)), expected, "after {allowed} changes");
        assert_eq!(expected[1], state("4")[1]);
    }
}

#[test]
fn a_crash_leaves_all_of_a_flush_or_nothing() {
    let mut seen = std::collections::BTreeSet::new();
    for allowed in 0.. {
        let parent = tempfile::tempdir().unwrap();
        let (mut store, budget, dir) = prepared(parent.path());
        budget.left.store(allowed, Ordering::SeqCst);
        budget.failures.store(u32::MAX, Ordering::SeqCst);
        let flushed = store.flush();
        let durable = !store.is_dirty();
        drop(store);
        let mut store = open(&dir);
        let found = both(&store);
        assert!(found == state("4") || (!durable && found == state("3")), "after {allowed} changes: {found:?}");
        seen.insert(found == state("4"));
        store.put(b"b", b"z", b"5").unwrap();
        store.flush().unwrap();
        assert_eq!(rows(&open(&dir), b"a"), found[0]);
        if flushed.is_ok() && budget.failures.load(Ordering::SeqCst) == u32::MAX {
            break;
        }
    }
    assert_eq!(seen.len(), 2);
}
