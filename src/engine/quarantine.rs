//! Where things go that are taken out of a collection: nothing is deleted that may hold what nothing else has.
//!
//! ```text
//! <collection>.quarantine/<unix seconds>/moves.jsonl    one line per move: {"path": …, "to": …, "reason": …}
//!                                       /<path>         the file, under its path in the collection
//! ```
//!
//! It lies beside the collection and not in it, because zvec removes what it does not know inside.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use crate::{
    report::{engine::SetAside, show_path},
    vfs::{Vfs, create_dirs, free_name, parent},
};

use super::{EngineError, files::Files};

/// The quarantine of one run.
pub struct Quarantine {
    files: Files,
    root: PathBuf,
    dir: PathBuf,
    made: bool,
    moves: Vec<SetAside>,
}

impl Quarantine {
    /// The quarantine of a collection for a run that began at `now`; nothing is made before it is needed.
    pub fn new(files: Files, root: &Path, now: u64) -> Self {
        let dir = folder_of(root).join(now.to_string());
        Self { files, root: root.to_owned(), dir, made: false, moves: Vec::new() }
    }

    /// Where all runs have theirs; it need not exist.
    pub fn folder(&self) -> &Path {
        parent(&self.dir)
    }

    /// What has been set aside so far.
    pub fn moves(&self) -> &[SetAside] {
        &self.moves
    }

    /// Moves a file out of the collection.
    pub fn take(&mut self, relative: &Path, reason: &str) -> Result<(), EngineError> {
        let target = self.prepare(relative)?;
        self.record(relative, &target, reason)?;
        let path = self.root.join(relative);
        self.files.fs().rename(&path, &target).map_err(|error| EngineError::io(&path, error))?;
        self.files.sync_dir(parent(&target))?;
        self.files.sync_dir(parent(&path))
    }

    /// Copies bytes of a file, from `from` on, before they are changed.
    pub fn copy(&mut self, relative: &Path, from: u64, reason: &str) -> Result<(), EngineError> {
        let target = self.prepare(relative)?;
        self.record(relative, &target, reason)?;
        self.files.copy(&self.root.join(relative), from, &target)?;
        self.files.sync_dir(parent(&target))
    }

    /// Makes the directories, and returns where a file goes.
    fn prepare(&mut self, relative: &Path) -> Result<PathBuf, EngineError> {
        if !self.made {
            self.dir = free_run(self.files.fs().as_ref(), &self.dir);
            self.made = true;
        }
        let target = self.dir.join(relative);
        let dir = parent(&target);
        create_dirs(self.files.fs().as_ref(), dir).map_err(|error| EngineError::io(dir, error))?;
        Ok(free_name(self.files.fs().as_ref(), &target))
    }

    /// Notes a move durably before it is made.
    fn record(&mut self, relative: &Path, target: &Path, reason: &str) -> Result<(), EngineError> {
        self.moves.push(SetAside { path: show_path(relative), to: show_path(target), reason: reason.to_owned() });
        let mut lines = Vec::new();
        for entry in &self.moves {
            // Strings alone: this cannot fail.
            lines.extend(serde_json::to_vec(entry).unwrap_or_default());
            lines.push(b'\n');
        }
        self.files.write(&self.dir.join("moves.jsonl"), &lines)?;
        self.files.sync_dir(&self.dir)
    }
}

/// Where everything lies that was taken out of a collection: a folder for each run.
pub fn folder_of(root: &Path) -> PathBuf {
    let mut name = root.file_name().map_or_else(|| OsString::from("collection"), OsString::from);
    name.push(".quarantine");
    root.with_file_name(name)
}

/// A folder that is not there yet: two runs in one second do not mix.
pub fn free_run(fs: &dyn Vfs, wanted: &Path) -> PathBuf {
    let mut folder = wanted.to_owned();
    while fs.metadata(&folder).is_ok() {
        let mut name = folder.file_name().unwrap_or_default().to_owned();
        name.push("+");
        folder.set_file_name(name);
    }
    folder
}
