//! Changes that stay in memory, over a file system that is only read.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    DirEntry, File, FileMut, LockGuard, LockMode, Metadata, Vfs, VfsMut,
    memory::{names, path_of},
    tree::{CellFile, DIRECTORY, Found, Tree},
};

/// Shows all of a base file system and keeps every change in memory: what changes files can be run for its report alone. Of a file
/// that is changed only the written pages are held, the rest is read from the base. What was not changed is looked up in the base
/// each time.
///
/// [`lock_exclusive`](VfsMut::lock_exclusive) takes the base's lock *shared*, since nothing is written there, and the guard says so;
/// within the overlay the lock is exclusive. A file that the overlay created is locked in the overlay alone.
///
/// Of a symbolic link in the base, removing or renaming takes what it leads to out of view, not the link.
#[derive(Clone)]
pub struct OverlayFs {
    base: Arc<dyn Vfs>,
    tree: Arc<Tree>,
    /// Whether the base's locks are taken.
    locks: bool,
}

impl OverlayFs {
    /// A file system that shows `base`, nothing changed yet.
    pub fn new(base: Arc<dyn Vfs>) -> Self {
        Self { tree: Arc::new(Tree::new(Some(base.clone()))), base, locks: true }
    }

    /// The same with locks of its own alone: whoever writes to the base meanwhile may be seen half done.
    #[must_use]
    pub fn without_lock(self) -> Self {
        Self { locks: false, ..self }
    }

    /// Two paths to one file must meet in one node: the directories on the way, as far as the base has them, without links.
    fn names(&self, path: &Path) -> io::Result<Vec<OsString>> {
        let (Some(name), Some(parent)) = (path.file_name(), path.parent()) else {
            let whole = if path.as_os_str().is_empty() { path.to_owned() } else { self.base.canonical(path)? };
            return names(&whole);
        };
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        let mut rest = Vec::new();
        let mut known = parent;
        let found = loop {
            match (self.base.canonical(known), known.parent(), known.file_name()) {
                (Ok(found), ..) => break found,
                (Err(_), Some(above), Some(name)) => {
                    rest.push(name.to_owned());
                    known = if above.as_os_str().is_empty() { Path::new(".") } else { above };
                }
                (Err(error), ..) => return Err(error),
            }
        };
        let mut names = names(&found)?;
        names.extend(rest.into_iter().rev());
        names.push(name.to_owned());
        Ok(names)
    }

    /// As [`names`](Self::names), and a link that stands at the end, untouched, is followed.
    fn follow(&self, path: &Path) -> io::Result<Vec<OsString>> {
        let own = self.names(path)?;
        let untouched = self.tree.find(&own, |found| match found {
            Found::Below(path) => Ok(Some(path)),
            _ => Ok(None),
        });
        // An error is found again by whoever asked.
        let Ok(Some(below)) = untouched else { return Ok(own) };
        match self.base.canonical(&below) {
            Ok(found) if found != below => names(&found),
            _ => Ok(own),
        }
    }

    /// The lock in the overlay, with that of the base if the file is the base's.
    fn lock(&self, path: &Path, mode: LockMode) -> io::Result<LockGuard> {
        let cell = self.tree.file(&self.follow(path)?)?;
        let own = cell.lock(mode)?;
        match cell.below.as_ref().filter(|_| self.locks) {
            Some(below) => Ok(LockGuard::new(LockMode::Shared, (self.base.lock_shared(below)?, own))),
            None => Ok(own),
        }
    }
}

impl Vfs for OverlayFs {
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.tree.find(&self.follow(path)?, |found| match found {
            Found::File(cell) => Ok(Box::new(CellFile(cell.clone())) as Box<dyn File>),
            Found::Dir(_) => Err(io::ErrorKind::IsADirectory.into()),
            Found::Below(path) => self.base.open(&path),
        })
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.tree.find(&self.follow(path)?, |found| match found {
            Found::File(cell) => Ok(cell.metadata()),
            Found::Dir(_) => Ok(DIRECTORY),
            Found::Below(path) => self.base.metadata(&path),
        })
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.tree.list(&self.follow(dir)?, dir)
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        let names = self.follow(path)?;
        self.tree.find(&names, |found| match found {
            Found::Below(path) => self.base.metadata(&path).map(|_| path_of(&names)),
            _ => Ok(path_of(&names)),
        })
    }

    fn lock_shared(&self, path: &Path) -> io::Result<LockGuard> {
        self.lock(path, LockMode::Shared)
    }
}

impl VfsMut for OverlayFs {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileMut>> {
        Ok(Box::new(CellFile(self.tree.create_file(&self.names(path)?)?.0)))
    }

    fn open_write(&self, path: &Path) -> io::Result<Box<dyn FileMut>> {
        Ok(Box::new(CellFile(self.tree.file(&self.follow(path)?)?)))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.tree.create_dir(&self.names(path)?).map(drop)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.tree.rename(&self.names(from)?, &self.names(to)?).map(drop)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.tree.remove_file(&self.names(path)?).map(drop)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.tree.remove_dir(&self.names(path)?).map(drop)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.tree.dir(&self.follow(dir)?).map(drop)
    }

    fn lock_exclusive(&self, path: &Path) -> io::Result<LockGuard> {
        self.lock(path, LockMode::Exclusive)
    }
}
