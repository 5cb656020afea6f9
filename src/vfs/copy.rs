//! A directory with all below it, from one file system to another.

use std::{io, path::Path};

use super::{FileMut, FileType, Vfs, VfsMut};

/// Bytes that are copied at once.
const CHUNK: usize = 64 << 10;
/// Directories below one another; a circle of links would have no end.
const DEEPEST: usize = 64;

/// Copies the directory `from` with all below it to `to`, which is created if it is not there; a file that is there already is an error.
/// Links are copied as what they lead to, chunks of zeros as holes. What is neither a file nor a directory is an error.
pub fn copy_tree(source: &dyn Vfs, from: &Path, target: &dyn VfsMut, to: &Path) -> io::Result<()> {
    copy_dir(source, from, target, to, DEEPEST)
}

fn copy_dir(source: &dyn Vfs, from: &Path, target: &dyn VfsMut, to: &Path, depth: usize) -> io::Result<()> {
    if depth == 0 {
        return Err(io::Error::other(format!("{}: directories lie too deep", from.display())));
    }
    let entries = source.list(from)?;
    match target.create_dir(to) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        done => done?,
    }
    for entry in entries {
        let (from, to) = (&entry.path, to.join(&entry.name));
        match entry.metadata.map_err(io::Error::other)?.file_type {
            FileType::Dir => copy_dir(source, from, target, &to, depth - 1)?,
            FileType::File => drop(copy_file(source, from, target, &to)?),
            FileType::Symlink | FileType::Other => {
                let message = format!("{}: neither a file nor a directory", from.display());
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
        }
    }
    Ok(())
}

/// Copies a file to `to`, where nothing may stand yet; chunks of zeros as holes. What is returned is not synced.
pub fn copy_file(source: &dyn Vfs, from: &Path, target: &dyn VfsMut, to: &Path) -> io::Result<Box<dyn FileMut>> {
    let source = source.open(from)?;
    let target = target.create_new(to)?;
    let zeros = vec![0; CHUNK];
    let mut buffer = zeros.clone();
    let mut offset = 0;
    loop {
        let read = match source.read_at(offset, &mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        let data = buffer.get(..read).unwrap_or_default();
        if data.is_empty() {
            target.truncate(offset)?;
            return Ok(target);
        }
        if !zeros.starts_with(data) {
            target.write_all_at(offset, data)?;
        }
        offset += data.len() as u64;
    }
}
