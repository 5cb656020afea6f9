//! A file system that cannot write.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{DirEntry, File, LockGuard, Metadata, RealFs, Vfs};

/// The operating system's file system with the changing half left out: it implements [`Vfs`] and not
/// [`super::VfsMut`], so code that holds one cannot change anything, whatever it tries.
///
/// ```compile_fail
/// use zvecctl::vfs::{ReadOnlyFs, VfsMut};
/// ReadOnlyFs.remove_file("collection/manifest.0".as_ref());
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct ReadOnlyFs;

impl Vfs for ReadOnlyFs {
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
