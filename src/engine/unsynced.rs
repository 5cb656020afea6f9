//! A file system that leaves every sync out: `--sync none`.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::vfs::{DirEntry, File, FileMut, LockGuard, Metadata, Vfs, VfsMut};

/// Passes everything on but syncs.
pub struct UnsyncedFs(Arc<dyn VfsMut>);

struct UnsyncedFile(Box<dyn FileMut>);

impl UnsyncedFs {
    /// Leaves the syncs of `fs` out.
    pub fn new(fs: Arc<dyn VfsMut>) -> Self {
        Self(fs)
    }
}

impl Vfs for UnsyncedFs {
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.0.open(path)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.0.metadata(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.0.list(dir)
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        self.0.canonical(path)
    }

    fn lock_shared(&self, path: &Path) -> io::Result<LockGuard> {
        self.0.lock_shared(path)
    }
}

impl VfsMut for UnsyncedFs {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileMut>> {
        Ok(Box::new(UnsyncedFile(self.0.create_new(path)?)))
    }

    fn open_write(&self, path: &Path) -> io::Result<Box<dyn FileMut>> {
        Ok(Box::new(UnsyncedFile(self.0.open_write(path)?)))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.0.create_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.0.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.0.remove_dir(path)
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock_exclusive(&self, path: &Path) -> io::Result<LockGuard> {
        self.0.lock_exclusive(path)
    }
}

impl File for UnsyncedFile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(offset, buf)
    }
}

impl FileMut for UnsyncedFile {
    fn write_all_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(offset, data)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.truncate(len)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
