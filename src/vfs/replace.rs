//! A file that appears whole or not at all.

use std::{
    ffi::OsString,
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::{FileMut, VfsMut, parent};

/// Writes beside the target under a name of its own, `<target>.<process id>.tmp`, and renames over it when all is written and
/// synced. Dropped before that, it leaves the target as it was.
pub struct ReplacedFile<'a> {
    fs: &'a dyn VfsMut,
    target: PathBuf,
    temporary: PathBuf,
    file: Option<Box<dyn FileMut>>,
    written: u64,
}

impl<'a> ReplacedFile<'a> {
    /// Begins a new content for `target`.
    pub fn create(fs: &'a dyn VfsMut, target: &Path) -> io::Result<Self> {
        let mut name = target.file_name().map(OsString::from).ok_or(io::ErrorKind::InvalidInput)?;
        name.push(format!(".{}.tmp", std::process::id()));
        let temporary = target.with_file_name(name);
        let file = fs.create_new(&temporary)?;
        Ok(Self { fs, target: target.to_owned(), temporary, file: Some(file), written: 0 })
    }

    /// Makes the new content durable and puts it in the target's place.
    pub fn commit(mut self) -> io::Result<()> {
        if let Some(file) = &self.file {
            file.sync()?;
        }
        self.fs.rename(&self.temporary, &self.target)?;
        self.file = None;
        self.fs.sync_dir(parent(&self.target))
    }
}

impl Write for ReplacedFile<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let file = self.file.as_ref().ok_or(io::ErrorKind::BrokenPipe)?;
        file.write_all_at(self.written, data)?;
        self.written += data.len() as u64;
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for ReplacedFile<'_> {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // The target is untouched either way; a temporary file that cannot be removed is only litter.
            let _ = self.fs.remove_file(&self.temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::RealFs;

    #[test]
    fn the_target_changes_at_commit_and_not_before() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out");
        std::fs::write(&target, "old").unwrap();

        let mut abandoned = ReplacedFile::create(&RealFs, &target).unwrap();
        abandoned.write_all(b"half").unwrap();
        assert!(ReplacedFile::create(&RealFs, &target).is_err(), "two writers do not mix");
        drop(abandoned);
        assert_eq!(std::fs::read(&target).unwrap(), b"old");

        let mut file = ReplacedFile::create(&RealFs, &target).unwrap();
        file.write_all(b"new ").unwrap();
        file.write_all(b"content").unwrap();
        file.commit().unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"new content");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
