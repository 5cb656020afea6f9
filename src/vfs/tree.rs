//! Directories and files in memory, alone or over another file system.
//!
//! A directory that was laid over one below holds only what was changed: an entry with a node, or a name that was taken away. All other names
//! are looked up below, each time, so that changes there are seen until they are covered.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use super::{DirEntry, File, FileType, LockGuard, LockMode, Metadata, Vfs, pages::Pages};

/// Names from the root down to something.
pub(super) type Names = [OsString];

/// A file, which lives as long as a name or a handle leads to it.
pub(super) struct Cell {
    /// Number that no other file or directory of the tree has or had.
    pub(super) inode: u64,
    /// Where below it came from.
    pub(super) below: Option<PathBuf>,
    content: RwLock<(Pages, Option<SystemTime>)>,
    /// Readers that hold the lock; -1 for a writer.
    lock: Mutex<i64>,
}

impl Cell {
    fn new(inode: u64, pages: Pages, modified: Option<SystemTime>) -> Self {
        Self { inode, below: None, content: RwLock::new((pages, modified)), lock: Mutex::new(0) }
    }

    /// The content as it is now.
    pub(super) fn pages(&self) -> Pages {
        self.read().0.clone()
    }

    pub(super) fn len(&self) -> u64 {
        self.read().0.len()
    }

    pub(super) fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.read().0.read_at(offset, buf)
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Pages) -> io::Result<()>) -> io::Result<()> {
        let mut content = self.content.write().unwrap_or_else(PoisonError::into_inner);
        content.1 = Some(SystemTime::now());
        change(&mut content.0)
    }

    pub(super) fn metadata(&self) -> Metadata {
        let content = self.read();
        let (len, allocated) = (content.0.len(), content.0.allocated());
        Metadata { file_type: FileType::File, len, allocated, modified: content.1 }
    }

    /// Takes the lock in this tree.
    pub(super) fn lock(self: &Arc<Self>, mode: LockMode) -> io::Result<LockGuard> {
        let mut held = self.held();
        let step = match (mode, *held) {
            (LockMode::Shared, 0..) => 1,
            (LockMode::Exclusive, 0) => -1,
            _ => return Err(io::ErrorKind::WouldBlock.into()),
        };
        *held += step;
        Ok(LockGuard::new(mode, Held { cell: self.clone(), step }))
    }

    fn read(&self) -> RwLockReadGuard<'_, (Pages, Option<SystemTime>)> {
        self.content.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self) -> MutexGuard<'_, i64> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Held {
    cell: Arc<Cell>,
    step: i64,
}

impl Drop for Held {
    fn drop(&mut self) {
        *self.cell.held() -= self.step;
    }
}

/// What a name leads to.
pub(super) enum Node {
    File(Arc<Cell>),
    Dir(Dir),
}

/// A directory.
pub(super) struct Dir {
    inode: u64,
    below: Option<PathBuf>,
    /// `None`: taken away from what is below.
    entries: BTreeMap<OsString, Option<Node>>,
}

impl Dir {
    pub(super) fn new(inode: u64) -> Self {
        Self { inode, below: None, entries: BTreeMap::new() }
    }

    pub(super) fn insert(&mut self, name: OsString, node: Node) {
        self.entries.insert(name, Some(node));
    }

    /// Its own names with their nodes, without what is below.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (&OsString, &Node)> {
        self.entries.iter().filter_map(|(name, node)| Some((name, node.as_ref()?)))
    }

    pub(super) fn inode(&self) -> u64 {
        self.inode
    }

    fn remove(&mut self, name: &OsStr) {
        if self.below.is_some() {
            self.entries.insert(name.to_owned(), None);
        } else {
            self.entries.remove(name);
        }
    }
}

/// What was found at a path.
pub(super) enum Found<'a> {
    File(&'a Arc<Cell>),
    Dir(&'a Dir),
    /// Nothing was changed there: what the file system below has at this path.
    Below(PathBuf),
}

/// An entry of a directory: the directory's inode number, and the name in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Inode number of the directory.
    pub dir: u64,
    /// Name in it.
    pub name: OsString,
}

/// What a change was about: where, which inode, and whether that is a directory.
pub(super) struct Changed {
    pub(super) place: Place,
    pub(super) inode: u64,
    pub(super) is_dir: bool,
}

/// Where something was renamed to, and what stood there.
pub(super) struct Renamed {
    pub(super) place: Place,
    pub(super) replaced: Option<u64>,
}

/// The tree.
pub(super) struct Tree {
    root: RwLock<Dir>,
    base: Option<Arc<dyn Vfs>>,
    next: AtomicU64,
}

impl Tree {
    /// An empty root directory, or one that shows all of `base`.
    pub(super) fn new(base: Option<Arc<dyn Vfs>>) -> Self {
        let mut root = Dir::new(0);
        root.below = base.is_some().then(|| PathBuf::from("/"));
        Self { root: RwLock::new(root), base, next: AtomicU64::new(1) }
    }

    /// A tree with nodes that were made elsewhere, with inode numbers below `next`.
    pub(super) fn with_root(root: Dir, next: u64) -> Self {
        Self { root: RwLock::new(root), base: None, next: AtomicU64::new(next) }
    }

    /// A file with a content, for [`Tree::with_root`].
    pub(super) fn cell(inode: u64, pages: Pages) -> Arc<Cell> {
        Arc::new(Cell::new(inode, pages, None))
    }

    /// An inode number above all that are in use.
    pub(super) fn next(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// Looks at the whole tree, which does not change meanwhile.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Dir) -> T) -> T {
        look(&self.root())
    }

    /// A tree of its own with the same content; nobody holds a lock in it.
    pub(super) fn copy(&self) -> Self {
        fn copy(dir: &Dir) -> Dir {
            let node = |node: &Node| match node {
                Node::Dir(dir) => Node::Dir(copy(dir)),
                Node::File(cell) => {
                    let content = cell.read();
                    let below = cell.below.clone();
                    Node::File(Arc::new(Cell { below, ..Cell::new(cell.inode, content.0.clone(), content.1) }))
                }
            };
            let entries = dir.entries.iter().map(|(name, found)| (name.clone(), found.as_ref().map(node))).collect();
            Dir { inode: dir.inode, below: dir.below.clone(), entries }
        }
        let root = self.root();
        Self { root: RwLock::new(copy(&root)), base: self.base.clone(), next: AtomicU64::new(self.next()) }
    }

    /// Finds what `names` lead to. [`Found::Below`] may not exist.
    pub(super) fn find<T>(&self, names: &Names, then: impl FnOnce(Found<'_>) -> io::Result<T>) -> io::Result<T> {
        let root = self.root();
        let mut dir = &*root;
        let mut rest = names.iter();
        while let Some(name) = rest.next() {
            dir = match (dir.entries.get(name), &dir.below) {
                (Some(Some(Node::Dir(next))), _) => next,
                (Some(Some(Node::File(cell))), _) if rest.len() == 0 => return then(Found::File(cell)),
                (Some(Some(Node::File(_))), _) => return Err(io::ErrorKind::NotADirectory.into()),
                (None, Some(below)) => {
                    let mut path = below.join(name);
                    path.extend(rest);
                    return then(Found::Below(path));
                }
                _ => return Err(io::ErrorKind::NotFound.into()),
            };
        }
        then(Found::Dir(dir))
    }

    /// The entries of a directory, with paths below `shown`.
    pub(super) fn list(&self, names: &Names, shown: &Path) -> io::Result<Vec<DirEntry>> {
        let entry = |name: &OsStr, metadata, is_link| DirEntry {
            name: name.to_owned(),
            path: shown.join(name),
            is_link,
            metadata,
        };
        self.find(names, |found| {
            let dir = match found {
                Found::File(_) => return Err(io::ErrorKind::NotADirectory.into()),
                Found::Dir(dir) => dir,
                Found::Below(path) => {
                    let below = self.below()?.list(&path)?;
                    return Ok(below.into_iter().map(|e| entry(&e.name, e.metadata, e.is_link)).collect());
                }
            };
            let own = dir.nodes().map(|(name, node)| {
                let metadata = match node {
                    Node::File(cell) => cell.metadata(),
                    Node::Dir(_) => DIRECTORY,
                };
                entry(name, Ok(metadata), false)
            });
            let mut entries: Vec<_> = own.collect();
            if let Some(path) = &dir.below {
                let below = self.below()?.list(path)?;
                let seen = below.into_iter().filter(|e| !dir.entries.contains_key(&e.name));
                entries.extend(seen.map(|e| entry(&e.name, e.metadata, e.is_link)));
                entries.sort_by(|a, b| a.name.cmp(&b.name));
            }
            Ok(entries)
        })
    }

    /// The file at `names`, made one of this tree if it was below.
    pub(super) fn file(&self, names: &Names) -> io::Result<Arc<Cell>> {
        let mut root = self.root_mut();
        let Some((name, parent)) = names.split_last() else { return Err(io::ErrorKind::IsADirectory.into()) };
        let dir = self.dir_mut(&mut root, parent)?;
        match self.own(dir, name)? {
            Node::File(cell) => Ok(cell.clone()),
            Node::Dir(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    /// Creates an empty file.
    pub(super) fn create_file(&self, names: &Names) -> io::Result<(Arc<Cell>, Changed)> {
        let cell = Arc::new(Cell::new(self.number(), Pages::default(), Some(SystemTime::now())));
        let changed = self.create(names, Node::File(cell.clone()), cell.inode, false)?;
        Ok((cell, changed))
    }

    /// Creates an empty directory.
    pub(super) fn create_dir(&self, names: &Names) -> io::Result<Changed> {
        let inode = self.number();
        self.create(names, Node::Dir(Dir::new(inode)), inode, true)
    }

    /// Removes a file.
    pub(super) fn remove_file(&self, names: &Names) -> io::Result<Changed> {
        self.remove(names, |node| match node {
            Node::File(_) => Ok(()),
            Node::Dir(_) => Err(io::ErrorKind::IsADirectory.into()),
        })
    }

    /// Removes an empty directory.
    pub(super) fn remove_dir(&self, names: &Names) -> io::Result<Changed> {
        self.remove(names, |node| match node {
            Node::Dir(dir) => self.must_be_empty(dir),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        })
    }

    /// Renames; `None` if both names are the same.
    pub(super) fn rename(&self, from: &Names, to: &Names) -> io::Result<Option<(Changed, Renamed)>> {
        let mut root = self.root_mut();
        let (Some((from_name, from_parent)), Some((to_name, to_parent))) = (from.split_last(), to.split_last()) else {
            return Err(io::ErrorKind::ResourceBusy.into());
        };
        // The parents of both before the names in them, as systems do.
        let from_place = Place { dir: self.dir_mut(&mut root, from_parent)?.inode, name: from_name.clone() };
        let place = Place { dir: self.dir_mut(&mut root, to_parent)?.inode, name: to_name.clone() };
        let source_dir = self.dir_mut(&mut root, from_parent)?;
        let (inode, is_dir) = match self.own(source_dir, from_name)? {
            Node::File(cell) => (cell.inode, false),
            Node::Dir(dir) => (dir.inode, true),
        };
        if from == to {
            return Ok(None);
        }
        if to.starts_with(from) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if from.starts_with(to) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        let target_dir = self.dir_mut(&mut root, to_parent)?;
        let replaced = match self.own(target_dir, to_name) {
            Ok(Node::Dir(_)) if !is_dir => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(Node::File(_)) if is_dir => return Err(io::ErrorKind::NotADirectory.into()),
            Ok(Node::Dir(dir)) => {
                self.must_be_empty(dir)?;
                Some(dir.inode)
            }
            Ok(Node::File(cell)) => Some(cell.inode),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let source_dir = self.dir_mut(&mut root, from_parent)?;
        let node = source_dir.entries.get_mut(from_name).and_then(Option::take).ok_or(io::ErrorKind::NotFound)?;
        source_dir.remove(from_name);
        self.dir_mut(&mut root, to_parent)?.insert(to_name.clone(), node);
        Ok(Some((Changed { place: from_place, inode, is_dir }, Renamed { place, replaced })))
    }

    /// Inode number of a directory.
    pub(super) fn dir(&self, names: &Names) -> io::Result<u64> {
        Ok(self.dir_mut(&mut self.root_mut(), names)?.inode)
    }

    fn create(&self, names: &Names, node: Node, inode: u64, is_dir: bool) -> io::Result<Changed> {
        let mut root = self.root_mut();
        let (name, parent) = names.split_last().ok_or(io::ErrorKind::AlreadyExists)?;
        let dir = self.dir_mut(&mut root, parent)?;
        match self.own(dir, name) {
            Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        dir.insert(name.clone(), node);
        Ok(Changed { place: Place { dir: dir.inode, name: name.clone() }, inode, is_dir })
    }

    fn remove(&self, names: &Names, may: impl FnOnce(&Node) -> io::Result<()>) -> io::Result<Changed> {
        let mut root = self.root_mut();
        let (name, parent) = names.split_last().ok_or(io::ErrorKind::ResourceBusy)?;
        let dir = self.dir_mut(&mut root, parent)?;
        let node = self.own(dir, name)?;
        may(node)?;
        let (inode, is_dir) = match node {
            Node::File(cell) => (cell.inode, false),
            Node::Dir(dir) => (dir.inode, true),
        };
        dir.remove(name);
        Ok(Changed { place: Place { dir: dir.inode, name: name.clone() }, inode, is_dir })
    }

    fn must_be_empty(&self, dir: &Dir) -> io::Result<()> {
        let below: BTreeSet<_> = match &dir.below {
            Some(path) => self.below()?.list(path)?.into_iter().map(|entry| entry.name).collect(),
            None => BTreeSet::new(),
        };
        let is_empty = dir.nodes().next().is_none() && below.iter().all(|name| dir.entries.contains_key(name));
        if is_empty { Ok(()) } else { Err(io::ErrorKind::DirectoryNotEmpty.into()) }
    }

    /// The directory at `names`, with all on the way to it made directories of this tree.
    fn dir_mut<'a>(&self, root: &'a mut Dir, names: &Names) -> io::Result<&'a mut Dir> {
        let mut dir = root;
        for name in names {
            dir = match self.own(dir, name)? {
                Node::Dir(next) => next,
                Node::File(_) => return Err(io::ErrorKind::NotADirectory.into()),
            };
        }
        Ok(dir)
    }

    /// The node of a name, made from what is below if that was not touched yet. Nothing is read of a file's content.
    fn own<'a>(&self, dir: &'a mut Dir, name: &OsStr) -> io::Result<&'a mut Node> {
        if let (false, Some(below)) = (dir.entries.contains_key(name), &dir.below) {
            let path = below.join(name);
            let base = self.below()?;
            let found = base.metadata(&path)?;
            let inode = self.number();
            let node = match found.file_type {
                FileType::Dir => Node::Dir(Dir { inode, below: Some(path), entries: BTreeMap::new() }),
                _ => {
                    let pages = Pages::over(Arc::from(base.open(&path)?))?;
                    Node::File(Arc::new(Cell { below: Some(path), ..Cell::new(inode, pages, found.modified) }))
                }
            };
            dir.insert(name.to_owned(), node);
        }
        dir.entries.get_mut(name).and_then(Option::as_mut).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn below(&self) -> io::Result<&Arc<dyn Vfs>> {
        self.base.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn root(&self) -> RwLockReadGuard<'_, Dir> {
        self.root.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn root_mut(&self) -> RwLockWriteGuard<'_, Dir> {
        self.root.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is told of every directory.
pub(super) const DIRECTORY: Metadata = Metadata { file_type: FileType::Dir, len: 0, allocated: None, modified: None };

/// An open file of a tree.
pub(super) struct CellFile(pub(super) Arc<Cell>);

impl File for CellFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.len())
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(offset, buf)
    }
}

impl super::FileMut for CellFile {
    fn write_all_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.change(|pages| pages.write(offset, data))
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.change(|pages| pages.truncate(len))
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
