//! A file system in memory.

use std::{
    ffi::OsString,
    io,
    path::{Component, MAIN_SEPARATOR_STR, Path, PathBuf},
    sync::Arc,
};

use xxhash_rust::xxh3::Xxh3;

use super::{
    DirEntry, File, FileMut, LockGuard, LockMode, Metadata, RealFs, Vfs, VfsMut,
    copy::copy_tree,
    tree::{CellFile, DIRECTORY, Dir, Found, Node, Tree},
};

/// A file system in memory that behaves as one of Unix: open files outlive their names, a rename replaces a file or an empty directory. It begins
/// with the root directory alone. There are no symbolic links; a relative path begins at the root, and `..` is taken away by name. Pages of
/// zeros take no memory. Clones are the same file system; [`fork`](Self::fork) makes another one.
#[derive(Clone)]
pub struct MemoryFs {
    tree: Arc<Tree>,
}

impl Default for MemoryFs {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryFs {
    /// The root directory, empty.
    pub fn new() -> Self {
        Self::of(Tree::new(None))
    }

    pub(super) fn of(tree: Tree) -> Self {
        Self { tree: Arc::new(tree) }
    }

    pub(super) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// A copy of a directory of the real file system with all below it, at `at`, whose parents are created.
    pub fn from_dir(dir: &Path, at: &Path) -> io::Result<Self> {
        let fs = Self::new();
        if let Some(parent) = at.parent() {
            fs.create_dirs(parent)?;
        }
        copy_tree(&RealFs, dir, &fs, at)?;
        Ok(fs)
    }

    /// Copies the directory `from` with all below it to `dir` of the real file system, which is created if it is not there. A
    /// file that is there already is an error.
    pub fn to_dir(&self, from: &Path, dir: &Path) -> io::Result<()> {
        copy_tree(self, from, &RealFs, dir)
    }

    /// Creates a directory and those above it, where they are missing.
    pub fn create_dirs(&self, path: &Path) -> io::Result<()> {
        let names = names(path)?;
        for end in 1..=names.len() {
            match self.tree.create_dir(names.get(..end).unwrap_or_default()) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                done => drop(done?),
            }
        }
        Ok(())
    }

    /// Another file system with the same content. Both share the pages until one of them writes. Nobody holds a lock in the new one, and files that are
    /// open here do not lead there.
    pub fn fork(&self) -> Self {
        Self::of(self.tree.copy())
    }

    /// Digest of all names and contents: equal for equal trees, whatever led to them and however they lie in memory. Times and locks do not
    /// count. Pages that two file systems share are digested once.
    pub fn fingerprint(&self) -> u128 {
        fn add(dir: &Dir, hash: &mut Xxh3) {
            for (name, node) in dir.nodes() {
                let name = name.as_encoded_bytes();
                hash.update(&(name.len() as u64).to_le_bytes());
                hash.update(name);
                match node {
                    Node::File(cell) => {
                        hash.update(b"f");
                        hash.update(&cell.pages().digest().to_le_bytes());
                    }
                    Node::Dir(dir) => {
                        hash.update(b"d");
                        add(dir, hash);
                    }
                }
            }
            // No name has this length.
            hash.update(&u64::MAX.to_le_bytes());
        }
        let mut hash = Xxh3::new();
        self.tree.look(|root| add(root, &mut hash));
        hash.digest128()
    }
}

/// The names on the way from the root to `path`.
pub(super) fn names(path: &Path) -> io::Result<Vec<OsString>> {
    if path.as_os_str().is_empty() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            // With the separator, so that joining it to the root gives the drive's root.
            Component::Prefix(prefix) => {
                let mut name = prefix.as_os_str().to_owned();
                name.push(MAIN_SEPARATOR_STR);
                names.push(name);
            }
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir => drop(names.pop()),
            Component::Normal(name) => names.push(name.to_owned()),
        }
    }
    Ok(names)
}

/// The absolute path of names.
pub(super) fn path_of(names: &[OsString]) -> PathBuf {
    let mut path = PathBuf::from("/");
    path.extend(names);
    path
}

impl Vfs for MemoryFs {
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.tree.find(&names(path)?, |found| match found {
            Found::File(cell) => Ok(Box::new(CellFile(cell.clone())) as Box<dyn File>),
            Found::Dir(_) => Err(io::ErrorKind::IsADirectory.into()),
            Found::Below(_) => Err(io::ErrorKind::NotFound.into()),
        })
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.tree.find(&names(path)?, |found| match found {
            Found::File(cell) => Ok(cell.metadata()),
            Found::Dir(_) => Ok(DIRECTORY),
            Found::Below(_) => Err(io::ErrorKind::NotFound.into()),
        })
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.tree.list(&names(dir)?, dir)
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        let names = names(path)?;
        self.tree.find(&names, |_| Ok(path_of(&names)))
    }

    fn lock_shared(&self, path: &Path) -> io::Result<LockGuard> {
        self.tree.file(&names(path)?)?.lock(LockMode::Shared)
    }
}

impl VfsMut for MemoryFs {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileMut>> {
        Ok(Box::new(CellFile(self.tree.create_file(&names(path)?)?.0)))
    }

    fn open_write(&self, path: &Path) -> io::Result<Box<dyn FileMut>> {
        Ok(Box::new(CellFile(self.tree.file(&names(path)?)?)))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.tree.create_dir(&names(path)?).map(drop)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.tree.rename(&names(from)?, &names(to)?).map(drop)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.tree.remove_file(&names(path)?).map(drop)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.tree.remove_dir(&names(path)?).map(drop)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.tree.dir(&names(dir)?).map(drop)
    }

    fn lock_exclusive(&self, path: &Path) -> io::Result<LockGuard> {
        self.tree.file(&names(path)?)?.lock(LockMode::Exclusive)
    }
}
