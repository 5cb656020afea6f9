//! Every change, in order, and what a crash would have left of it.
//!
//! [`RecordingFs`] is a [`MemoryFs`] that logs each changing operation. From the [`Log`] an image of the disk can be made for every
//! *position* `p`: the crash comes after the first `p` operations returned, and before any later one began.
//!
//! # Models of a crash
//!
//! **[`Model::Applied`]**: a killed process. All `p` operations are there; the system's caches survive.
//!
//! **[`Model::Synced`]**: a power cut that leaves only what had to be durable. Each operation is a *unit*:
//!
//! - Write and Truncate are durable after a later Sync of the same file, by its inode and not its name. A file that was never synced is
//!   empty. Sync makes content and size durable and no name.
//! - CreateFile, CreateDir, RemoveFile, RemoveDir are durable after a later SyncDir of the directory that has the name. So a new
//!   file without it does not exist, however often it was synced, and a removed one still does.
//! - Rename is one unit. It is durable after a later SyncDir of its directory, of *both* if there are two. Until then all that it touched
//!   is as before: the old name, and under the new name what stood there.
//! - A directory that cannot be reached from the root is lost with all in it: SyncDir of a new directory does not make its own name durable.
//!
//! **[`Log::image_with`]**: a power cut after which, of the units that are not durable yet ([`Log::pending`]), any chosen subset is
//! there as well. The disk may have written them by itself. The exhaustive model is all subsets.
//!
//! # Assumed of a file system
//!
//! - Sync and SyncDir do what they say when they return; the disk does not lie. What was durable stays.
//! - A unit of names is there wholly or not at all: a rename never loses the file nor shows it twice, not even between two directories.
//! - Units of names that touch the same name become durable in their order: a later one is never there without the earlier one, and makes it durable. Renames of directories
//!   keep their order among one another, so that no circle can arise. A directory is gone, removed or replaced, only with all that was done to the names in
//!   it before. Nothing else is ordered: not two names of one directory, not two directories,
//!   not names against content.
//! - Nothing is ordered within a file, either. A write may be there in part, in units of [`SECTOR`] aligned bytes, which are never mixed; or
//!   its size alone, with zeros for bytes ([`Part::Size`]).
//! - Where a write extends a file and an earlier one is not there, zeros are between; never another file's bytes.

mod crash;
mod log;
#[cfg(test)]
mod tests;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

pub use crash::{Model, Part, SECTOR, Unit};
pub use log::{FileId, Log, Operation};

use super::{
    DirEntry, File, FileMut, LockGuard, MemoryFs, Metadata, Vfs, VfsMut,
    memory::names,
    tree::{Cell, CellFile},
};

/// A call of sync, for one who decides whether it is left out.
#[derive(Debug, Clone, Copy)]
pub struct SyncCall<'a> {
    /// Calls of sync before it, of files and directories.
    pub number: u64,
    /// Path of the directory, or the one that the file was created or opened with.
    pub path: &'a Path,
    /// Whether a directory is synced.
    pub is_dir: bool,
}

type Ignores = dyn Fn(SyncCall<'_>) -> bool + Send + Sync;

/// A file system in memory that logs every change. Clones are the same file system with the same log.
#[derive(Clone)]
pub struct RecordingFs {
    live: MemoryFs,
    recorder: Arc<Recorder>,
}

struct Recorder {
    base: MemoryFs,
    /// Held while an operation is done, so that the log has the order in which they happened.
    operations: Mutex<Vec<Operation>>,
    syncs: AtomicU64,
    ignores: Option<Box<Ignores>>,
}

impl Recorder {
    fn operations(&self) -> MutexGuard<'_, Vec<Operation>> {
        self.operations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ignores(&self, path: &Path, is_dir: bool) -> bool {
        let number = self.syncs.fetch_add(1, Ordering::Relaxed);
        self.ignores.as_ref().is_some_and(|ignores| ignores(SyncCall { number, path, is_dir }))
    }
}

impl RecordingFs {
    /// Begins with what `base` holds, all of it durable. `base` itself is not changed.
    pub fn new(base: &MemoryFs) -> Self {
        Self::build(base, None)
    }

    /// One that leaves out the syncs that `ignores` chooses: they do nothing and are not logged. A test that must notice a missing
    /// sync is tested with it. See also [`Log::without`] and [`Log::rename_before_sync`].
    pub fn ignoring_sync(base: &MemoryFs, ignores: impl Fn(SyncCall<'_>) -> bool + Send + Sync + 'static) -> Self {
        Self::build(base, Some(Box::new(ignores)))
    }

    fn build(base: &MemoryFs, ignores: Option<Box<Ignores>>) -> Self {
        let (operations, syncs) = (Mutex::new(Vec::new()), AtomicU64::new(0));
        Self { live: base.fork(), recorder: Arc::new(Recorder { base: base.fork(), operations, syncs, ignores }) }
    }

    /// The file system as it is, without the log.
    pub fn live(&self) -> &MemoryFs {
        &self.live
    }

    /// Operations logged so far.
    pub fn position(&self) -> usize {
        self.recorder.operations().len()
    }

    /// Logs that the workload now promises something: `number` as it counts.
    pub fn mark(&self, number: u64) {
        self.recorder.operations().push(Operation::Mark(number));
    }

    /// The log so far.
    pub fn log(&self) -> Log {
        let operations = self.recorder.operations().clone();
        Log::new(&self.recorder.base, operations, self.live.tree().next())
    }

    fn wrap(&self, path: &Path, cell: Arc<Cell>) -> Box<dyn FileMut> {
        let id = FileId { inode: cell.inode, path: Arc::from(path) };
        Box::new(RecordedFile { file: CellFile(cell), id, recorder: self.recorder.clone() })
    }
}

struct RecordedFile {
    file: CellFile,
    id: FileId,
    recorder: Arc<Recorder>,
}

impl File for RecordedFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buf)
    }
}

impl FileMut for RecordedFile {
    fn write_all_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut operations = self.recorder.operations();
        self.file.write_all_at(offset, data)?;
        if !data.is_empty() {
            operations.push(Operation::Write { file: self.id.clone(), offset, data: Arc::from(data) });
        }
        Ok(())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut operations = self.recorder.operations();
        self.file.truncate(len)?;
        operations.push(Operation::Truncate { file: self.id.clone(), len });
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut operations = self.recorder.operations();
        if !self.recorder.ignores(&self.id.path, false) {
            operations.push(Operation::Sync { file: self.id.clone() });
        }
        Ok(())
    }
}

impl Vfs for RecordingFs {
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.live.open(path)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.live.metadata(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.live.list(dir)
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        self.live.canonical(path)
    }

    fn lock_shared(&self, path: &Path) -> io::Result<LockGuard> {
        self.live.lock_shared(path)
    }
}

impl VfsMut for RecordingFs {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileMut>> {
        let mut operations = self.recorder.operations();
        let (cell, changed) = self.live.tree().create_file(&names(path)?)?;
        let file = FileId { inode: changed.inode, path: Arc::from(path) };
        operations.push(Operation::CreateFile { file, place: changed.place });
        Ok(self.wrap(path, cell))
    }

    fn open_write(&self, path: &Path) -> io::Result<Box<dyn FileMut>> {
        Ok(self.wrap(path, self.live.tree().file(&names(path)?)?))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut operations = self.recorder.operations();
        let changed = self.live.tree().create_dir(&names(path)?)?;
        let dir = FileId { inode: changed.inode, path: Arc::from(path) };
        operations.push(Operation::CreateDir { dir, place: changed.place });
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut operations = self.recorder.operations();
        if let Some((changed, renamed)) = self.live.tree().rename(&names(from)?, &names(to)?)? {
            operations.push(Operation::Rename {
                what: FileId { inode: changed.inode, path: Arc::from(from) },
                is_dir: changed.is_dir,
                from: changed.place,
                to: renamed.place,
                to_path: Arc::from(to),
                replaced: renamed.replaced,
            });
        }
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut operations = self.recorder.operations();
        let changed = self.live.tree().remove_file(&names(path)?)?;
        let file = FileId { inode: changed.inode, path: Arc::from(path) };
        operations.push(Operation::RemoveFile { file, place: changed.place });
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut operations = self.recorder.operations();
        let changed = self.live.tree().remove_dir(&names(path)?)?;
        let dir = FileId { inode: changed.inode, path: Arc::from(path) };
        operations.push(Operation::RemoveDir { dir, place: changed.place });
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut operations = self.recorder.operations();
        let inode = self.live.tree().dir(&names(dir)?)?;
        if !self.recorder.ignores(dir, true) {
            operations.push(Operation::SyncDir { dir: FileId { inode, path: Arc::from(dir) } });
        }
        Ok(())
    }

    fn lock_exclusive(&self, path: &Path) -> io::Result<LockGuard> {
        self.live.lock_exclusive(path)
    }
}
