//! A file system on which nothing that was there is lost: every change of a collection is noted before it is made, and what a change would destroy is
//! kept in the quarantine.
//!
//! ```text
//! <collection>.quarantine/<unix seconds>/journal.jsonl   a line per change, durable before the change is made
//!                                       /<path>          what stood at that path of the collection
//! ```
//!
//! Whatever code does the work, its changes can be undone ([`super::undo`]), also after a kill. The order of changes stays as it was, so code that
//! survives a crash at any place does so here.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::{
    engine::Elsewhere,
    vfs::{
        DirEntry, File, FileMut, FileType, LockGuard, LockMode, Metadata, Vfs, VfsMut, copy_file, create_dirs,
        free_name, parent,
    },
};

/// Name of the journal in the folder of its run.
pub const JOURNAL: &str = "journal.jsonl";

/// One line of the journal. Paths of the collection are relative to it, `saved` is relative to the folder of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "change")]
pub enum Entry {
    /// The first line: what is changed.
    Begin {
        /// The collection, as an absolute path.
        collection: String,
        /// Its fingerprint before the first change.
        fingerprint: String,
    },
    /// A file or directory that was not there is made.
    Create {
        /// Where.
        path: String,
    },
    /// What stood there goes to the quarantine.
    Remove {
        /// Where it stood.
        path: String,
        /// Where it is.
        saved: String,
    },
    /// An empty directory is removed.
    RemoveDir {
        /// Where it stood.
        path: String,
    },
    /// A file is changed in place, or another takes its place; a copy of it is kept.
    Change {
        /// Which.
        path: String,
        /// The copy.
        saved: String,
    },
    /// A file or directory is moved.
    Move {
        /// Where it stood, in the collection.
        path: String,
        /// Where it is, an absolute path if it has left the collection.
        to: String,
    },
    /// The last line: all was done.
    End {
        /// Fingerprint of what came of it.
        fingerprint: String,
    },
}

/// A file system that keeps a journal of what is changed below one directory. What is changed elsewhere is not noted.
pub struct JournalFs {
    base: Arc<dyn VfsMut>,
    root: PathBuf,
    state: Mutex<State>,
}

struct State {
    folder: PathBuf,
    file: Option<(Box<dyn FileMut>, u64)>,
    begin: Entry,
    /// What this run made itself: it may be changed and removed without a copy.
    created: BTreeSet<PathBuf>,
    /// The same in the order in which it was made.
    order: Vec<PathBuf>,
    /// Files of which a copy is kept.
    copied: BTreeSet<PathBuf>,
    /// Directories whose entries have changed since they were last made durable.
    unsynced: BTreeSet<PathBuf>,
    changes: u64,
    locked: bool,
}

impl State {
    /// An entry of the directory of `path` changes.
    fn touch(&mut self, path: &Path) {
        self.unsynced.insert(parent(path).to_owned());
    }
}

impl JournalFs {
    /// A file system in front of `base` for the collection `root`, an absolute path, whose run has its journal in `folder`. Nothing is made before
    /// the first change.
    pub fn new(base: Arc<dyn VfsMut>, root: &Path, folder: PathBuf, fingerprint: String) -> Self {
        let begin = Entry::Begin { collection: root.display().to_string(), fingerprint };
        let state = State {
            folder,
            file: None,
            begin,
            created: BTreeSet::new(),
            order: Vec::new(),
            copied: BTreeSet::new(),
            unsynced: BTreeSet::new(),
            changes: 0,
            locked: false,
        };
        Self { base, root: root.to_owned(), state: Mutex::new(state) }
    }

    /// The folder of the run.
    pub fn folder(&self) -> PathBuf {
        self.state().folder.clone()
    }

    /// Changes so far.
    pub fn changes(&self) -> u64 {
        self.state().changes
    }

    /// Says that whoever uses this file system holds the collection's lock: it is not taken a second time.
    pub fn hold_lock(&self) {
        self.state().locked = true;
    }

    /// How much has been made so far: for [`discard`](Self::discard).
    pub fn mark(&self) -> usize {
        self.state().order.len()
    }

    /// Removes what has been made since a mark: a step came to nothing, and nothing names it.
    pub fn discard(&self, mark: usize) -> io::Result<()> {
        let mut state = self.state();
        let keep = mark.min(state.order.len());
        let made = state.order.split_off(keep);
        for relative in made.into_iter().rev() {
            if !state.created.remove(&relative) {
                continue;
            }
            let path = self.root.join(&relative);
            state.touch(&path);
            match self.base.metadata(&path).map(|found| found.file_type) {
                Err(_) => {}
                Ok(FileType::Dir) => self.base.remove_dir(&path)?,
                Ok(_) => self.base.remove_file(&path)?,
            }
        }
        Ok(())
    }

    /// Notes that all was done, if anything was. First every directory is made durable, those too whose changes nobody needs to last: what a power
    /// cut leaves must be what the fingerprint tells.
    pub fn finish(&self, fingerprint: String) -> io::Result<()> {
        let mut state = self.state();
        if state.changes == 0 {
            return Ok(());
        }
        for dir in std::mem::take(&mut state.unsynced) {
            match self.base.sync_dir(&dir) {
                // Removed since, and its own directory is among them.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                done => done?,
            }
        }
        self.note(&mut state, &Entry::End { fingerprint })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The path within the collection, if it lies there.
    fn inside(&self, path: &Path) -> Option<PathBuf> {
        path.strip_prefix(&self.root).ok().filter(|rest| !rest.as_os_str().is_empty()).map(Path::to_owned)
    }

    /// Writes a line and makes it durable.
    fn note(&self, state: &mut State, entry: &Entry) -> io::Result<()> {
        if state.file.is_none() {
            let refused = |error| Elsewhere::at(&state.folder, error);
            create_dirs(self.base.as_ref(), &state.folder).map_err(refused)?;
            let file = self.base.create_new(&state.folder.join(JOURNAL)).map_err(refused)?;
            let begin = state.begin.clone();
            state.file = Some((file, 0));
            self.note(state, &begin)?;
            self.base.sync_dir(&state.folder)?;
            state.changes = 0;
        }
        let mut line = serde_json::to_vec(entry).map_err(io::Error::other)?;
        line.push(b'\n');
        let Some((file, end)) = &mut state.file else { return Err(io::ErrorKind::NotFound.into()) };
        file.write_all_at(*end, &line)?;
        file.sync()?;
        *end += line.len() as u64;
        state.changes += 1;
        Ok(())
    }

    /// Where what stands at `relative` is kept, within the folder: its own path, or one with a number behind it.
    fn place(&self, state: &State, relative: &Path) -> io::Result<PathBuf> {
        let target = free_name(self.base.as_ref(), &state.folder.join(relative));
        create_dirs(self.base.as_ref(), parent(&target))?;
        target.strip_prefix(&state.folder).map(Path::to_owned).map_err(io::Error::other)
    }

    /// Notes that something new appears.
    fn creates(&self, state: &mut State, relative: PathBuf) -> io::Result<()> {
        self.note(state, &Entry::Create { path: text(&relative)? })?;
        state.order.push(relative.clone());
        state.created.insert(relative);
        Ok(())
    }

    /// Keeps a copy of a file that is about to be changed, once.
    fn keep_copy(&self, state: &mut State, relative: &Path) -> io::Result<()> {
        if is_ours(&state.created, relative) || state.copied.contains(relative) {
            return Ok(());
        }
        let saved = self.place(state, relative)?;
        copy_durably(self.base.as_ref(), &self.root.join(relative), &state.folder.join(&saved))?;
        self.note(state, &Entry::Change { path: text(relative)?, saved: text(&saved)? })?;
        state.copied.insert(relative.to_owned());
        Ok(())
    }

    fn stands(&self, path: &Path) -> bool {
        self.base.metadata(path).is_ok()
    }
}

/// Whether a path, or a directory above it, was made by this run.
fn is_ours(created: &BTreeSet<PathBuf>, relative: &Path) -> bool {
    relative.ancestors().any(|part| created.contains(part))
}

impl Vfs for JournalFs {
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.base.open(path)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.base.metadata(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.base.list(dir)
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        self.base.canonical(path)
    }

    fn lock_shared(&self, path: &Path) -> io::Result<LockGuard> {
        self.base.lock_shared(path)
    }
}

impl VfsMut for JournalFs {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileMut>> {
        if let Some(relative) = self.inside(path) {
            if self.stands(path) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            let mut state = self.state();
            self.creates(&mut state, relative)?;
            state.touch(path);
        }
        self.base.create_new(path)
    }

    fn open_write(&self, path: &Path) -> io::Result<Box<dyn FileMut>> {
        if let Some(relative) = self.inside(path)
            && self.stands(path)
        {
            self.keep_copy(&mut self.state(), &relative)?;
        }
        self.base.open_write(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        if let Some(relative) = self.inside(path) {
            if self.stands(path) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            let mut state = self.state();
            self.creates(&mut state, relative)?;
            state.touch(path);
        }
        self.base.create_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (source, target) = (self.inside(from), self.inside(to));
        let mut state = self.state();
        for path in [source.as_ref().map(|_| from), target.as_ref().map(|_| to)].into_iter().flatten() {
            state.touch(path);
        }
        if let Some(target) = &target
            && self.stands(to)
        {
            self.keep_copy(&mut state, target)?;
        }
        match (source, target) {
            (Some(source), target) if !is_ours(&state.created, &source) => {
                let to = match &target {
                    Some(target) => text(target)?,
                    None => text(to)?,
                };
                self.note(&mut state, &Entry::Move { path: text(&source)?, to })?;
            }
            (source, Some(target)) => {
                if !state.copied.contains(&target) {
                    self.creates(&mut state, target)?;
                }
                if let Some(source) = source {
                    state.created.remove(&source);
                }
            }
            (Some(source), None) => {
                state.created.remove(&source);
            }
            (None, None) => {}
        }
        drop(state);
        self.base.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let Some(relative) = self.inside(path) else { return self.base.remove_file(path) };
        let mut state = self.state();
        state.touch(path);
        if is_ours(&state.created, &relative) || state.copied.contains(&relative) {
            state.created.remove(&relative);
            return self.base.remove_file(path);
        }
        self.base.metadata(path)?;
        let saved = self.place(&state, &relative)?;
        let target = state.folder.join(&saved);
        self.note(&mut state, &Entry::Remove { path: text(&relative)?, saved: text(&saved)? })?;
        relocate(self.base.as_ref(), path, &target)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        if let Some(relative) = self.inside(path) {
            let mut state = self.state();
            state.touch(path);
            if !state.created.remove(&relative) && !is_ours(&state.created, &relative) {
                if !self.base.list(path)?.is_empty() {
                    return Err(io::ErrorKind::DirectoryNotEmpty.into());
                }
                self.note(&mut state, &Entry::RemoveDir { path: text(&relative)? })?;
            }
        }
        self.base.remove_dir(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.base.sync_dir(dir)?;
        self.state().unsynced.remove(dir);
        Ok(())
    }

    fn lock_exclusive(&self, path: &Path) -> io::Result<LockGuard> {
        if self.state().locked && self.inside(path).is_some() {
            return Ok(LockGuard::new(LockMode::Exclusive, ()));
        }
        self.base.lock_exclusive(path)
    }
}

/// Moves a file, across file systems too: then it is copied, made durable, and removed.
pub fn relocate(fs: &dyn VfsMut, from: &Path, to: &Path) -> io::Result<()> {
    match fs.rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            copy_durably(fs, from, to)?;
            fs.remove_file(from)?;
        }
        done => done?,
    }
    fs.sync_dir(parent(to))?;
    fs.sync_dir(parent(from))
}

/// Copies a file and makes the copy durable.
pub fn copy_durably(fs: &dyn VfsMut, from: &Path, to: &Path) -> io::Result<()> {
    copy_file(fs, from, fs, to)?.sync()?;
    fs.sync_dir(parent(to))
}

/// A path as the journal has it: it must come back as it was.
fn text(path: &Path) -> io::Result<String> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{}: a name that is not UTF-8", path.display()))
    })
}
