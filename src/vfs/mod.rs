//! The only door to the file system.
//!
//! [`Vfs`] is the half that looks, [`VfsMut`] the half that changes. A command that only looks is handed a
//! [`ReadOnlyFs`], which implements the first half alone: that it cannot write is a fact of its type. [`RealFs`]
//! implements both.
//!
//! For tests and dry runs there are [`MemoryFs`], in memory; [`RecordingFs`], which logs every change and shows what a crash would have left;
//! [`FaultyFs`], which fails where it is told to; [`OverlayFs`], which reads a real file system and keeps all changes in memory.

mod copy;
mod dirs;
mod faulty;
mod lock;
mod memory;
#[cfg(test)]
mod memory_tests;
mod overlay;
#[cfg(test)]
mod overlay_tests;
mod pages;
#[cfg(test)]
mod random_tests;
mod read_only;
mod real;
mod record;
mod replace;
mod tree;

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

pub use copy::{copy_file, copy_tree};
pub use dirs::{create_dirs, free_name, parent};
pub use faulty::{Failure, FaultyFs, Landed, Trigger};
pub use lock::{Holder, LockGuard, LockMode, holders};
pub use memory::MemoryFs;
pub use overlay::OverlayFs;
pub use read_only::ReadOnlyFs;
pub use real::RealFs;
pub use record::{FileId, Log, Model, Operation, Part, RecordingFs, SECTOR, SyncCall, Unit};
pub use replace::ReplacedFile;
pub use tree::Place;

/// Reading half of a file system. Paths are those of the operating system; symbolic links are followed except
/// where a method says otherwise.
pub trait Vfs: Send + Sync {
    /// Opens a regular file for reading. Anything else (directory, pipe, device) is an error, without blocking.
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>>;

    /// What stands at `path`.
    fn metadata(&self, path: &Path) -> io::Result<Metadata>;

    /// The entries of a directory, sorted by name; symbolic links are shown as what they point to, or as
    /// [`FileType::Symlink`] where that cannot be had.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;

    /// The absolute path without symbolic links of something that exists.
    fn canonical(&self, path: &Path) -> io::Result<PathBuf>;

    /// Takes the advisory lock of the existing file `path` shared, without waiting and without writing.
    /// `ErrorKind::WouldBlock` if somebody holds it exclusively.
    fn lock_shared(&self, path: &Path) -> io::Result<LockGuard>;
}

/// Changing half of a file system.
pub trait VfsMut: Vfs {
    /// Creates a new file for writing; an existing one is an error.
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileMut>>;

    /// Opens an existing file for reading and writing, its content kept.
    fn open_write(&self, path: &Path) -> io::Result<Box<dyn FileMut>>;

    /// Creates one directory.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Renames a file or directory over `to`, atomically.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes one file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes one empty directory.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes the entries of a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Takes the advisory lock of the existing file `path` exclusively, without waiting.
    fn lock_exclusive(&self, path: &Path) -> io::Result<LockGuard>;
}

/// An open file, read at positions; threads share it.
pub trait File: Send + Sync {
    /// Current size in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file is empty.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Reads at most `buf.len()` bytes at `offset`; 0 at the end of the file.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;

    /// Fills `buf` from `offset`; `ErrorKind::UnexpectedEof` if the file ends before.
    fn read_exact_at(&self, mut offset: u64, mut buf: &mut [u8]) -> io::Result<()> {
        while !buf.is_empty() {
            match self.read_at(offset, buf) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    offset += read as u64;
                    buf = buf.split_at_mut(read).1;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// An open file that can be changed.
pub trait FileMut: File {
    /// Writes all of `data` at `offset`, extending the file as needed.
    fn write_all_at(&self, offset: u64, data: &[u8]) -> io::Result<()>;

    /// Sets the size.
    fn truncate(&self, len: u64) -> io::Result<()>;

    /// Makes content and size durable.
    fn sync(&self) -> io::Result<()>;
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link that leads nowhere, or in a circle.
    Symlink,
    /// A pipe, socket or device.
    Other,
}

/// Size, type and time of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata {
    /// Type after following symbolic links.
    pub file_type: FileType,
    /// Size in bytes; 0 for anything but a regular file.
    pub len: u64,
    /// Bytes that the file takes on disk (files of zvec are sparse), where the system tells.
    pub allocated: Option<u64>,
    /// Time of the last change of the content.
    pub modified: Option<SystemTime>,
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// File name, which need not be UTF-8.
    pub name: OsString,
    /// Directory joined with the name.
    pub path: PathBuf,
    /// Whether the entry itself is a symbolic link.
    pub is_link: bool,
    /// What the name leads to; an error's text where that could not be found out.
    pub metadata: Result<Metadata, String>,
}
