//! Writes the write-ahead log of the open block; `format::wal` has the byte map.
//!
//! The file is made with the first records and appears whole, by a rename. A batch of records is one write, and one sync where the caller
//! asks for it.

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
        let Some(file) = &self.file else { return self.begin(records) };
        let written = file.write_all_at(self.end, records);
        self.dirty = true;
        match written {
            Ok(()) => {
                self.end += records.len() as u64;
                Ok(())
            }
            Err(error) => {
                let error = EngineError::io(&self.path, error);
                match file.truncate(self.end) {
                    Ok(()) => Err(WalFailure::Clean(error)),
                    Err(_) => Err(WalFailure::Unknown(error)),
                }
            }
        }
    }

    /// Makes the file with its first records under a temporary name: zvec refuses a collection whose log ends within its header, so none may ever
    /// stand there, not even after a power cut.
    fn begin(&mut self, records: &[u8]) -> Result<(), WalFailure> {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(".tmp");
        let temporary = self.path.with_file_name(name);
        let content = [&encode_header(), records].concat();
        let written = self.files.create(&temporary).and_then(|file| {
            file.write_all_at(0, &content).map_err(|error| EngineError::io(&temporary, error))?;
            self.files.sync(&temporary, file.as_ref())?;
            Ok(file)
        });
        let file = written.map_err(|error| {
            // If it cannot be removed, the next log of this name takes its place.
            let _ = self.files.remove(&temporary);
            WalFailure::Clean(error)
        })?;
        let renamed = self.files.fs().rename(&temporary, &self.path);
        renamed.map_err(|error| WalFailure::Unknown(EngineError::io(&self.path, error)))?;
        self.file = Some(file);
        self.end = content.len() as u64;
        Ok(())
    }

    /// Makes all records durable. After a failure nobody knows what the device has.
    pub fn sync(&mut self) -> Result<(), EngineError> {
        let Some(file) = &self.file else { return Ok(()) };
        if self.dirty {
            self.files.sync(&self.path, file.as_ref())?;
            self.dirty = false;
        }
        if self.new {
            self.files.sync_dir(self.path.parent().unwrap_or(Path::new(".")))?;
            self.new = false;
        }
        Ok(())
    }
}
