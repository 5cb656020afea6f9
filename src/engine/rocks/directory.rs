//! A directory of the VFS, as the formats of RocksDB want it.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{
    format::{FormatError, Kind, Result, Source, rocks::Directory},
    inspect::{FileSource, io_code},
    vfs::VfsMut,
};

/// The files of one database.
pub(super) struct StoreDir<'a> {
    pub fs: &'a dyn VfsMut,
    pub path: &'a Path,
}

impl Directory for StoreDir<'_> {
    fn names(&self) -> Result<Vec<String>> {
        let entries = self.fs.list(self.path).map_err(|error| read_error(&error))?;
        // A name that is not UTF-8 is none of RocksDB's.
        Ok(entries.into_iter().filter_map(|entry| entry.name.into_string().ok()).collect())
    }

    fn open(&self, name: &str) -> Result<Box<dyn Source>> {
        match FileSource::open(self.fs, &self.path.join(name)) {
            Ok(source) => Ok(Box::new(source)),
            Err(error) => Err(read_error(&error)),
        }
    }
}

fn read_error(error: &io::Error) -> FormatError {
    FormatError { code: io_code(error), kind: Kind::Io, offset: 0, detail: error.to_string() }
}

/// Removes what a crash or a failure may have left at a place that is about to be written.
pub(super) fn make_room(fs: &dyn VfsMut, path: &Path) -> io::Result<()> {
    match fs.remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes files that nothing names any more. One that cannot be removed is litter, no fault.
pub(super) fn discard(fs: &dyn VfsMut, paths: impl IntoIterator<Item = PathBuf>) {
    for path in paths {
        let _ = fs.remove_file(&path);
    }
}
