//! The operating system's file system.

use std::{
    fs::{self, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use super::{DirEntry, File, FileMut, FileType, LockGuard, LockMode, Metadata, Vfs, VfsMut};

/// The file system of the operating system, for reading and writing.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealFs;

struct RealFile(fs::File);

impl Vfs for RealFs {
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(Box::new(open_regular(OpenOptions::new().read(true), path)?))
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        fs::metadata(path).map(|found| describe(&found))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let path = entry.path();
            let metadata = match fs::metadata(&path) {
                Ok(found) => Ok(describe(&found)),
                // A link that leads nowhere or in a circle is still an entry.
                Err(error) => fs::symlink_metadata(&path).map(|found| describe(&found)).map_err(|_| error.to_string()),
            };
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            entries.push(DirEntry { name: entry.file_name(), path, is_link, metadata });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        fs::canonicalize(path)
    }

    fn lock_shared(&self, path: &Path) -> io::Result<LockGuard> {
        // A shared lock needs no write access: it works on read-only mounts and leaves the file untouched.
        LockGuard::take(open_regular(OpenOptions::new().read(true), path)?.0, LockMode::Shared)
    }
}

impl VfsMut for RealFs {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileMut>> {
        Ok(Box::new(RealFile(OpenOptions::new().read(true).write(true).create_new(true).open(path)?)))
    }

    fn open_write(&self, path: &Path) -> io::Result<Box<dyn FileMut>> {
        Ok(Box::new(open_regular(OpenOptions::new().read(true).write(true), path)?))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }

    fn lock_exclusive(&self, path: &Path) -> io::Result<LockGuard> {
        LockGuard::take(open_regular(OpenOptions::new().read(true).write(true), path)?.0, LockMode::Exclusive)
    }
}

impl File for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    #[cfg(unix)]
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(&self.0, buf, offset)
    }

    #[cfg(windows)]
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(&self.0, buf, offset)
    }
}

impl FileMut for RealFile {
    #[cfg(unix)]
    fn write_all_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.0, data, offset)
    }

    #[cfg(windows)]
    fn write_all_at(&self, mut offset: u64, mut data: &[u8]) -> io::Result<()> {
        while !data.is_empty() {
            let written = std::os::windows::fs::FileExt::seek_write(&self.0, data, offset)?;
            offset += written as u64;
            data = data.split_at(written).1;
        }
        Ok(())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_all()
    }
}

/// Opens without blocking (a pipe without a writer would hang an ordinary open) and refuses what is no regular file.
fn open_regular(options: &mut OpenOptions, path: &Path) -> io::Result<RealFile> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        options.custom_flags(flags.bits().cast_signed());
    }
    let file = options.open(path)?;
    let found = file.metadata()?;
    if found.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !found.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok(RealFile(file))
}

fn describe(found: &fs::Metadata) -> Metadata {
    let kind = found.file_type();
    let file_type = if kind.is_file() {
        FileType::File
    } else if kind.is_dir() {
        FileType::Dir
    } else if kind.is_symlink() {
        FileType::Symlink
    } else {
        FileType::Other
    };
    #[cfg(unix)]
    let allocated = Some(std::os::unix::fs::MetadataExt::blocks(found) * 512);
    #[cfg(not(unix))]
    let allocated = None;
    let is_file = kind.is_file();
    Metadata {
        file_type,
        len: if is_file { found.len() } else { 0 },
        allocated: allocated.filter(|_| is_file),
        modified: found.modified().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_read_back_and_survive_rename() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.tmp");
        let file = RealFs.create_new(&path).unwrap();
        file.write_all_at(4, b"data").unwrap();
        file.sync().unwrap();
        assert!(RealFs.create_new(&path).is_err(), "an existing file is never overwritten");
        let target = dir.path().join("a");
        RealFs.rename(&path, &target).unwrap();
        RealFs.sync_dir(dir.path()).unwrap();

        let file = RealFs.open(&target).unwrap();
        assert_eq!(file.len().unwrap(), 8);
        let mut buf = [9; 8];
        file.read_exact_at(0, &mut buf).unwrap();
        assert_eq!(&buf, b"\0\0\0\0data");
        assert_eq!(file.read_exact_at(4, &mut buf).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);

        RealFs.open_write(&target).unwrap().truncate(5).unwrap();
        assert_eq!(RealFs.metadata(&target).unwrap().len, 5);
        RealFs.remove_file(&target).unwrap();
        assert!(RealFs.list(dir.path()).unwrap().is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn only_regular_files_open_and_nothing_blocks() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
        assert!(RealFs.open(&pipe).is_err());
        assert_eq!(RealFs.open(dir.path()).err().unwrap().kind(), io::ErrorKind::IsADirectory);

        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        std::os::unix::fs::symlink(&a, &b).unwrap();
        std::os::unix::fs::symlink(&b, &a).unwrap();
        assert!(RealFs.open(&a).is_err());
        let types: Vec<_> =
            RealFs.list(dir.path()).unwrap().into_iter().map(|entry| entry.metadata.unwrap().file_type).collect();
        assert_eq!(types, [FileType::Symlink, FileType::Symlink, FileType::Other]);
    }
}
