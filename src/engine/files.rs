//! Steps on files that every part of the engine takes.

use std::{io, path::Path, sync::Arc};

use crate::vfs::{FileMut, FileType, VfsMut};

use super::EngineError;

/// Bytes copied at a time.
const STEP: usize = 1 << 20;

/// A file system whose refusals name the path.
#[derive(Clone)]
pub struct Files {
    fs: Arc<dyn VfsMut>,
}

impl Files {
    /// Files of `fs`.
    pub fn new(fs: Arc<dyn VfsMut>) -> Self {
        Self { fs }
    }

    /// The file system.
    pub fn fs(&self) -> &Arc<dyn VfsMut> {
        &self.fs
    }

    /// Makes a new file. What a crash left under its name is removed: nothing that is in force has a name that is still to be given.
    pub fn create(&self, path: &Path) -> Result<Box<dyn FileMut>, EngineError> {
        match self.fs.create_new(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.fs.remove_file(path).and_then(|()| self.fs.create_new(path))
            }
            other => other,
        }
        .map_err(|error| EngineError::io(path, error))
    }

    /// Makes a new file with this content, durable but for its name.
    pub fn write(&self, path: &Path, content: &[u8]) -> Result<(), EngineError> {
        let file = self.create(path)?;
        file.write_all_at(0, content).map_err(|error| EngineError::io(path, error))?;
        self.sync(path, file.as_ref())
    }

    /// Copies a file's bytes from `start` on to a new file, durably.
    pub fn copy(&self, from: &Path, start: u64, to: &Path) -> Result<(), EngineError> {
        let failed = |error| EngineError::io(from, error);
        let source = self.fs.open(from).map_err(failed)?;
        let copy = self.create(to)?;
        let mut buffer = vec![0; STEP];
        let mut done = 0u64;
        loop {
            let read = source.read_at(start + done, &mut buffer).map_err(failed)?;
            let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
            copy.write_all_at(done, bytes).map_err(|error| EngineError::io(to, error))?;
            done += read as u64;
        }
        self.sync(to, copy.as_ref())
    }

    /// Makes a file's content durable.
    pub fn sync(&self, path: &Path, file: &dyn FileMut) -> Result<(), EngineError> {
        file.sync().map_err(|error| EngineError::io(path, error))
    }

    /// Makes the entries of a directory durable.
    pub fn sync_dir(&self, dir: &Path) -> Result<(), EngineError> {
        self.fs.sync_dir(dir).map_err(|error| EngineError::io(dir, error))
    }

    /// Makes a directory. What a crash left under its name is removed with everything in it.
    pub fn create_dir(&self, dir: &Path) -> Result<(), EngineError> {
        match self.fs.create_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                remove_tree(self.fs.as_ref(), dir)?;
                self.fs.create_dir(dir)
            }
            other => other,
        }
        .map_err(|error| EngineError::io(dir, error))
    }

    /// Removes a file that nothing names any more; one that is not there is as good as removed.
    pub fn remove(&self, path: &Path) -> Result<(), EngineError> {
        match self.fs.remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.map_err(|error| EngineError::io(path, error)),
        }
    }
}

/// Removes a directory with everything in it. Links are removed, not followed.
pub fn remove_tree(fs: &dyn VfsMut, dir: &Path) -> Result<(), EngineError> {
    let entries = fs.list(dir).map_err(|error| EngineError::io(dir, error))?;
    for entry in entries {
        let is_dir = !entry.is_link && entry.metadata.is_ok_and(|found| found.file_type == FileType::Dir);
        if is_dir {
            remove_tree(fs, &entry.path)?;
        } else {
            fs.remove_file(&entry.path).map_err(|error| EngineError::io(&entry.path, error))?;
        }
    }
    fs.remove_dir(dir).map_err(|error| EngineError::io(dir, error))
}
