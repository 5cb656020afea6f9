//! A file system in memory that can be read: thousands of wounded collections without writing one.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use zvecctl::vfs::{DirEntry, File, FileType, LockGuard, Metadata, Vfs};

/// Files by path relative to the collection.
pub type Files = BTreeMap<PathBuf, Arc<Vec<u8>>>;

/// Where the collection stands.
pub const ROOT: &str = "/collection";

/// Reads a collection.
pub fn read(root: &Path) -> Files {
    fn walk(dir: &Path, root: &Path, files: &mut Files) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, files);
            } else {
                let content = Arc::new(fs::read(&path).unwrap());
                files.insert(path.strip_prefix(root).unwrap().to_owned(), content);
            }
        }
    }
    let mut files = Files::new();
    walk(root, root, &mut files);
    files
}

/// The file system.
pub struct MemoryFs {
    files: Files,
    dirs: BTreeSet<PathBuf>,
}

impl MemoryFs {
    /// A collection at [`ROOT`].
    pub fn new(files: Files) -> Self {
        let dirs = files.keys().flat_map(|path| path.ancestors().skip(1)).map(Path::to_owned).collect();
        Self { files, dirs }
    }

    fn relative<'a>(&self, path: &'a Path) -> io::Result<&'a Path> {
        path.strip_prefix(ROOT).map_err(|_| io::ErrorKind::NotFound.into())
    }
}

struct Content(Arc<Vec<u8>>);

impl File for Content {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.0.get(offset..)).unwrap_or_default();
        let count = rest.len().min(buf.len());
        buf[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

impl Vfs for MemoryFs {
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let path = self.relative(path)?;
        match self.files.get(path) {
            Some(content) => Ok(Box::new(Content(content.clone()))),
            None if self.dirs.contains(path) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let path = self.relative(path)?;
        let (file_type, len) = match self.files.get(path) {
            Some(content) => (FileType::File, content.len() as u64),
            None if self.dirs.contains(path) => (FileType::Dir, 0),
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(Metadata { file_type, len, allocated: Some(len), modified: None })
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let relative = self.relative(dir)?;
        if !self.dirs.contains(relative) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let below = self.files.keys().chain(&self.dirs).filter(|path| path.parent() == Some(relative));
        let names: BTreeSet<OsString> = below.filter_map(|path| path.file_name().map(OsString::from)).collect();
        let entry = |name: OsString| {
            let path = dir.join(&name);
            let metadata = self.metadata(&path).map_err(|error| error.to_string());
            DirEntry { name, path, is_link: false, metadata }
        };
        Ok(names.into_iter().map(entry).collect())
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_owned())
    }

    fn lock_shared(&self, _path: &Path) -> io::Result<LockGuard> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
