//! A file system that fails where it is told to.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{DirEntry, File, FileMut, LockGuard, Metadata, Vfs, VfsMut};

/// Which changing operations fail. They are numbered from 0 in the order in which they were called.
pub enum Trigger {
    /// None: a run that counts.
    Never,
    /// The one with this number.
    At(u64),
    /// All from this number on: a disk that stays full.
    From(u64),
    /// Those whose path matches: the path given, that a file was opened with, or either one of a rename.
    Path(Box<dyn Fn(&Path) -> bool + Send + Sync>),
}

/// With which error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No space left on the device (`ENOSPC`).
    DiskFull,
    /// The device failed (`EIO`).
    Device,
    /// Any other.
    Kind(io::ErrorKind),
}

impl Failure {
    #[cfg(unix)]
    fn error(self) -> io::Error {
        match self {
            Self::DiskFull => rustix::io::Errno::NOSPC.into(),
            Self::Device => rustix::io::Errno::IO.into(),
            Self::Kind(kind) => kind.into(),
        }
    }

    #[cfg(not(unix))]
    fn error(self) -> io::Error {
        match self {
            Self::DiskFull => io::ErrorKind::StorageFull.into(),
            Self::Device => io::Error::other("device failed"),
            Self::Kind(kind) => kind.into(),
        }
    }
}

/// What a failing operation did all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Landed {
    /// Nothing.
    Nothing,
    /// Of a write, at most this many of its first bytes; of anything else nothing.
    Bytes(usize),
    /// Everything: only the answer is an error.
    Everything,
}

/// Hands every call to another file system, and lets chosen changing operations fail. Changing are creating, writing, setting the size,
/// syncing (a file or a directory), renaming and removing; opening and locking are not. A creation that lands and fails leaves the file.
pub struct FaultyFs {
    inner: Arc<dyn VfsMut>,
    faults: Arc<Faults>,
}

struct Faults {
    trigger: Trigger,
    failure: Failure,
    landed: Landed,
    called: AtomicU64,
    failed: AtomicU64,
}

impl Faults {
    /// Counts one operation; whether it must fail.
    fn hits(&self, paths: &[&Path]) -> bool {
        let number = self.called.fetch_add(1, Ordering::Relaxed);
        let hits = match &self.trigger {
            Trigger::Never => false,
            Trigger::At(wanted) => number == *wanted,
            Trigger::From(first) => number >= *first,
            Trigger::Path(matches) => paths.iter().any(|path| matches(path)),
        };
        self.failed.fetch_add(u64::from(hits), Ordering::Relaxed);
        hits
    }

    fn run<T>(&self, paths: &[&Path], run: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        if !self.hits(paths) {
            return run();
        }
        if self.landed == Landed::Everything {
            run()?;
        }
        Err(self.failure.error())
    }
}

impl FaultyFs {
    /// `inner`, with operations failing by `trigger`.
    pub fn new(inner: Arc<dyn VfsMut>, trigger: Trigger, failure: Failure, landed: Landed) -> Self {
        let (called, failed) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { inner, faults: Arc::new(Faults { trigger, failure, landed, called, failed }) }
    }

    /// `inner`, with nothing failing: counts the operations.
    pub fn counting(inner: Arc<dyn VfsMut>) -> Self {
        Self::new(inner, Trigger::Never, Failure::Device, Landed::Nothing)
    }

    /// Changing operations called so far, failed ones included.
    pub fn operations(&self) -> u64 {
        self.faults.called.load(Ordering::Relaxed)
    }

    /// Those that were made to fail.
    pub fn failed(&self) -> u64 {
        self.faults.failed.load(Ordering::Relaxed)
    }

    fn wrap(&self, path: &Path, inner: Box<dyn FileMut>) -> Box<dyn FileMut> {
        Box::new(FaultyFile { inner, path: path.to_owned(), faults: self.faults.clone() })
    }
}

struct FaultyFile {
    inner: Box<dyn FileMut>,
    path: PathBuf,
    faults: Arc<Faults>,
}

impl File for FaultyFile {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.read_at(offset, buf)
    }
}

impl FileMut for FaultyFile {
    fn write_all_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if !self.faults.hits(&[&self.path]) {
            return self.inner.write_all_at(offset, data);
        }
        let lands = match self.faults.landed {
            Landed::Nothing => 0,
            Landed::Bytes(most) => most.min(data.len()),
            Landed::Everything => data.len(),
        };
        self.inner.write_all_at(offset, data.split_at(lands).0)?;
        Err(self.faults.failure.error())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.faults.run(&[&self.path], || self.inner.truncate(len))
    }

    fn sync(&self) -> io::Result<()> {
        self.faults.run(&[&self.path], || self.inner.sync())
    }
}

impl Vfs for FaultyFs {
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.inner.open(path)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.inner.metadata(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.inner.list(dir)
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        self.inner.canonical(path)
    }

    fn lock_shared(&self, path: &Path) -> io::Result<LockGuard> {
        self.inner.lock_shared(path)
    }
}

impl VfsMut for FaultyFs {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileMut>> {
        let file = self.faults.run(&[path], || self.inner.create_new(path))?;
        Ok(self.wrap(path, file))
    }

    fn open_write(&self, path: &Path) -> io::Result<Box<dyn FileMut>> {
        Ok(self.wrap(path, self.inner.open_write(path)?))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.faults.run(&[path], || self.inner.create_dir(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.faults.run(&[from, to], || self.inner.rename(from, to))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.faults.run(&[path], || self.inner.remove_file(path))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.faults.run(&[path], || self.inner.remove_dir(path))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.faults.run(&[dir], || self.inner.sync_dir(dir))
    }

    fn lock_exclusive(&self, path: &Path) -> io::Result<LockGuard> {
        self.inner.lock_exclusive(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::MemoryFs;

    /// Nine changing operations.
    fn work(fs: &dyn VfsMut) -> io::Result<()> {
        fs.create_dir("/d".as_ref())?;
        let file = fs.create_new("/d/a".as_ref())?;
        file.write_all_at(0, b"0123456789")?;
        file.truncate(8)?;
        file.sync()?;
        fs.rename("/d/a".as_ref(), "/d/b".as_ref())?;
        fs.sync_dir("/d".as_ref())?;
        fs.remove_file("/d/b".as_ref())?;
        fs.remove_dir("/d".as_ref())
    }

    fn memory() -> (MemoryFs, Arc<MemoryFs>) {
        let fs = MemoryFs::new();
        (fs.clone(), Arc::new(fs))
    }

    #[test]
    fn every_changing_operation_can_be_the_one_that_fails() {
        let counting = FaultyFs::counting(memory().1);
        work(&counting).unwrap();
        assert_eq!((counting.operations(), counting.failed()), (9, 0));

        let mut left = Vec::new();
        for number in 0..9 {
            let (memory, inner) = memory();
            let fs = FaultyFs::new(inner, Trigger::At(number), Failure::DiskFull, Landed::Nothing);
            assert_eq!(work(&fs).unwrap_err().kind(), io::ErrorKind::StorageFull);
            assert_eq!((fs.operations(), fs.failed()), (number + 1, 1));
            left.push(memory.fingerprint());
        }
        // A failing sync leaves the same as a failing rename, and a failing sync of the directory the same as a failing removal.
        left.dedup();
        assert_eq!(left.len(), 7, "each stopped the work at another place");
    }

    #[test]
    fn a_full_disk_stays_full_and_a_path_can_be_singled_out() {
        let fs = FaultyFs::new(memory().1, Trigger::From(1), Failure::Device, Landed::Nothing);
        fs.create_dir("/d".as_ref()).unwrap();
        assert!(fs.create_dir("/e".as_ref()).is_err() && fs.create_dir("/f".as_ref()).is_err());
        assert_eq!(fs.failed(), 2);

        let is_b = |path: &Path| path.ends_with("b");
        let fs = FaultyFs::new(memory().1, Trigger::Path(Box::new(is_b)), Failure::Device, Landed::Nothing);
        assert!(work(&fs).is_err());
        assert_eq!(fs.operations(), 6, "the rename to b");
    }

    #[test]
    fn part_of_a_failing_write_lands_or_all_of_an_operation() {
        let (memory, inner) = memory();
        let fs = FaultyFs::new(inner, Trigger::At(2), Failure::DiskFull, Landed::Bytes(4));
        work(&fs).unwrap_err();
        let mut buf = [0; 10];
        assert_eq!(memory.open("/d/a".as_ref()).unwrap().read_at(0, &mut buf).unwrap(), 4);
        assert_eq!(&buf[..4], b"0123");

        let (memory, inner) = self::memory();
        let fs = FaultyFs::new(inner, Trigger::At(5), Failure::Device, Landed::Everything);
        work(&fs).unwrap_err();
        assert_eq!(memory.metadata("/d/b".as_ref()).unwrap().len, 8, "renamed, though the answer was an error");
    }
}
