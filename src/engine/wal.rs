//! Writes the write-ahead log of the open block; `format::wal` has the byte map.
//!
//! The file is made with the first records. A batch of records is one write, and one sync where the caller asks for it.

use std::path::{Path, PathBuf};

use crate::{
    format::wal::{HEADER_LEN, encode_header},
    vfs::FileMut,
};

use super::{EngineError, files::Files};

/// The log of one block.
pub struct WalWriter {
    files: Files,
    path: PathBuf,
    file: Option<Box<dyn FileMut>>,
    /// Offset behind the last record.
    end: u64,
    /// The name is not durable yet.
    new: bool,
    /// Records are not durable yet.
    dirty: bool,
}

/// Why records could not be written.
pub enum WalFailure {
    /// Nothing was written: the log ends where it ended before.
    Clean(EngineError),
    /// It is not known how the log ends.
    Unknown(EngineError),
}

impl WalWriter {
    /// A log that does not exist yet.
    pub fn new(files: Files, path: PathBuf) -> Self {
        Self { files, path, file: None, end: 0, new: true, dirty: false }
    }

    /// Goes on with an existing log whose records end at `end`: what follows is cut off, durably.
    pub fn resume(files: Files, path: PathBuf, end: u64) -> Result<Self, EngineError> {
        let failed = |error| EngineError::io(&path, error);
        let file = files.fs().open_write(&path).map_err(failed)?;
        if file.len().map_err(failed)? > end {
            file.truncate(end).map_err(failed)?;
            files.sync(&path, file.as_ref())?;
        }
        // What was read may be in the page cache alone: the next sync covers it.
        Ok(Self { files, path, file: Some(file), end, new: true, dirty: true })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file exists.
    pub fn exists(&self) -> bool {
        self.file.is_some()
    }

    /// Whether it holds records.
    pub fn has_records(&self) -> bool {
        self.end > HEADER_LEN
    }

    /// Offset at which the next record goes.
    pub fn end(&self) -> u64 {
        self.end.max(HEADER_LEN)
    }

    /// Appends encoded records: all of them or, if the failure is clean, none.
    pub fn append(&mut self, records: &[u8]) -> Result<(), WalFailure> {
        let failed = |error| EngineError::io(&self.path, error);
        let (file, begin) = match &self.file {
            Some(file) => (file, None),
            None => {
                let file = self.files.create(&self.path).map_err(WalFailure::Clean)?;
                (&*self.file.insert(file), Some(encode_header()))
            }
        };
        let written = match begin {
            // Header and records in one write: a log with a header alone never stands there for long.
            Some(header) => file.write_all_at(0, &[&header, records].concat()),
            None => file.write_all_at(self.end, records),
        };
        self.dirty = true;
        match written {
            Ok(()) => {
                self.end = self.end() + records.len() as u64;
                Ok(())
            }
            Err(error) => match file.truncate(self.end) {
                Ok(()) if self.end == 0 => {
                    // Not even the header stands: the file goes again, as if it had never been.
                    self.file = None;
                    match self.files.remove(&self.path) {
                        Ok(()) => Err(WalFailure::Clean(failed(error))),
                        Err(_) => Err(WalFailure::Unknown(failed(error))),
                    }
                }
                Ok(()) => Err(WalFailure::Clean(failed(error))),
                Err(_) => Err(WalFailure::Unknown(failed(error))),
            },
        }
    }

    /// Makes all records durable. After a failure nobody knows what the device has.
    pub fn sync(&mut self) -> Result<(), EngineError> {
        let Some(file) = self.file.as_ref().filter(|_| self.dirty) else { return Ok(()) };
        self.files.sync(&self.path, file.as_ref())?;
        if self.new {
            self.files.sync_dir(self.path.parent().unwrap_or(Path::new(".")))?;
            self.new = false;
        }
        self.dirty = false;
        Ok(())
    }
}
