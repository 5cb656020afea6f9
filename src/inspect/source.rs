//! Files of the VFS as sources of `format`.

use std::{path::Path, sync::Arc};

use crate::{
    format::{Source, SourceError},
    report::{Finding, Loss},
    vfs::{File, Vfs},
};

use super::{
    error::{io_code, io_detail},
    findings::MISSING,
};

/// An open file whose size was read once.
pub struct FileSource {
    file: Box<dyn File>,
    size: u64,
}

impl Source for FileSource {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        self.file.read_exact_at(offset, buf).map_err(|error| SourceError(error.to_string()))
    }
}

impl FileSource {
    /// Opens a regular file.
    pub fn open(vfs: &dyn Vfs, path: &Path) -> std::io::Result<Self> {
        let file = vfs.open(path)?;
        let size = file.len()?;
        Ok(Self { file, size })
    }
}

/// Opens `root`/`relative`; what goes wrong is a finding about that file.
pub fn open(vfs: &dyn Vfs, root: &Path, relative: &Path) -> Result<Arc<FileSource>, Finding> {
    let opened = FileSource::open(vfs, &root.join(relative)).map(Arc::new);
    opened.map_err(|error| io_finding(relative, &error))
}

/// A refusal of the system as a finding. Whether anything is lost depends on the file: the caller says.
pub fn io_finding(relative: &Path, error: &std::io::Error) -> Finding {
    let detail = match error.kind() {
        std::io::ErrorKind::NotFound => MISSING.to_owned(),
        _ => io_detail(error),
    };
    Finding::error(io_code(error), detail).at(relative).loses(Loss::Possible, None)
}

/// A source read from front to back.
pub struct SourceReader {
    source: FileSource,
    at: u64,
}

impl SourceReader {
    /// Begins at the front.
    pub fn new(source: FileSource) -> Self {
        Self { source, at: 0 }
    }
}

impl std::io::Read for SourceReader {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let read = self.source.file.read_at(self.at, buf)?;
        self.at += read as u64;
        Ok(read)
    }
}
