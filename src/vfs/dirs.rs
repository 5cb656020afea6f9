//! Steps on names that several writers take.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{FileType, Vfs, VfsMut};

/// The directory above; that of a bare name is `.`.
pub fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a directory and those above it that are missing, their names durable.
pub fn create_dirs(fs: &dyn VfsMut, dir: &Path) -> io::Result<()> {
    if fs.metadata(dir).is_ok_and(|found| found.file_type == FileType::Dir) {
        return Ok(());
    }
    create_dirs(fs, parent(dir))?;
    fs.create_dir(dir)?;
    fs.sync_dir(parent(dir))
}

/// The path itself, or with a number behind it, the first at which nothing stands.
pub fn free_name(fs: &dyn Vfs, wanted: &Path) -> PathBuf {
    let mut free = wanted.to_owned();
    let mut number = 1u64;
    while fs.metadata(&free).is_ok() {
        let mut name = wanted.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{number}"));
        free.set_file_name(name);
        number += 1;
    }
    free
}
