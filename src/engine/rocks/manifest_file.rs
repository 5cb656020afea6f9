//! The MANIFEST in force, as a writer has it.
//!
//! Appending to it is the commit of every change. It is begun anew when it has grown, and when an append failed: then nobody knows
//! how much of it is on disk, so nothing can be put behind it.

use std::path::{Path, PathBuf};

use super::{
    directory::{StoreDir, discard, make_room},
    failed,
};
use crate::{
    engine::{EngineError, FileSink},
    format::{
        Sink,
        rocks::{
            Directory,
            edit::VersionEdit,
            version::Manifest,
            write::{log_writer::LogEnd, plan},
        },
    },
    vfs::VfsMut,
};

/// Bytes at which it is begun anew.
const LIMIT: u64 = 4 << 20;

/// The MANIFEST in force.
#[derive(Debug)]
pub(super) struct ManifestFile {
    /// Its name; none before the first one.
    name: Option<String>,
    state: State,
    limit: u64,
}

#[derive(Debug)]
enum State {
    /// It ends there; what follows, left by a crash, has to be cut off first.
    Found(LogEnd),
    /// Edits go to its end.
    Open(FileSink),
    /// Nothing can be put behind it, or there is none.
    Closed,
}

impl ManifestFile {
    /// That of a new database: there is none yet.
    pub(super) fn none() -> Self {
        Self { name: None, state: State::Closed, limit: LIMIT }
    }

    /// The one named `name`; nothing is changed before [`prepare`](Self::prepare).
    pub(super) fn found(dir: &StoreDir<'_>, name: &str) -> Result<Self, EngineError> {
        let end = dir.open(name).and_then(LogEnd::find_manifest);
        let end = end.map_err(|error| failed(&dir.path.join(name), error))?;
        Ok(Self { name: Some(name.to_owned()), state: State::Found(end), limit: LIMIT })
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Begins anew at this size.
    #[cfg(test)]
    pub(super) fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    /// Makes it ready for [`append`](Self::append). If it is begun anew it takes a file number of `manifest`, whose state it tells.
    pub(super) fn prepare(&mut self, dir: &StoreDir<'_>, manifest: &mut Manifest) -> Result<(), EngineError> {
        if let (State::Found(end), Some(name)) = (&self.state, &self.name)
            && end.offset < self.limit
        {
            let path = dir.path.join(name);
            let refused = |error| EngineError::io(&path, error);
            let file = dir.fs.open_write(&path).map_err(refused)?;
            if end.trailing > 0 {
                // Durable before anything is put there: else old bytes could come back behind new ones.
                file.truncate(end.offset).and_then(|()| file.sync()).map_err(refused)?;
            }
            self.state = State::Open(FileSink::new(file, end.offset));
        }
        match &self.state {
            State::Open(sink) if sink.position() < self.limit => Ok(()),
            _ => {
                self.state = State::Closed;
                self.begin(dir, manifest)
            }
        }
    }

    /// Writes a new one and puts it in force.
    fn begin(&mut self, dir: &StoreDir<'_>, manifest: &mut Manifest) -> Result<(), EngineError> {
        let fs = dir.fs;
        let number = manifest.next_file_number.unwrap_or(2);
        // Taken, whatever comes of it.
        manifest.next_file_number = Some(number.saturating_add(1));
        let name = plan::manifest_name(number);
        let path = dir.path.join(&name);
        let edits = plan::snapshot(manifest).map_err(|error| failed(&path, error))?;
        let refused = |error| EngineError::io(&path, error);
        make_room(fs, &path).map_err(refused)?;
        let mut sink = FileSink::new(fs.create_new(&path).map_err(refused)?, 0);
        plan::append_edits(&mut sink, &edits).map_err(|error| failed(&path, error))?;
        sink.sync().map_err(refused)?;
        let in_dir = |error| EngineError::io(dir.path, error);
        // Its name is durable before CURRENT holds it.
        fs.sync_dir(dir.path).map_err(in_dir)?;
        put_in_force(dir, number)?;
        fs.sync_dir(dir.path).map_err(in_dir)?;
        let old = self.name.replace(name);
        self.state = State::Open(sink);
        discard(fs, old.map(|old| dir.path.join(old)));
        Ok(())
    }

    /// Appends edits and makes them durable. After an error it is not known whether they will be found again; `manifest` then leaves
    /// out the file numbers that they use.
    pub(super) fn append(
        &mut self,
        dir: &StoreDir<'_>,
        manifest: &mut Manifest,
        edits: &[VersionEdit],
    ) -> Result<(), EngineError> {
        let path = dir.path.join(self.name().unwrap_or_default());
        let State::Open(sink) = &mut self.state else {
            return Err(EngineError::io(&path, std::io::Error::other("the MANIFEST was not prepared")));
        };
        let appended = plan::append_edits(&mut *sink, edits).map_err(|error| failed(&path, error));
        let appended = appended.and_then(|()| sink.sync().map_err(|error| EngineError::io(&path, error)));
        if appended.is_err() {
            self.state = State::Closed;
            let next = edits.iter().filter_map(|edit| edit.next_file_number).max();
            manifest.next_file_number = manifest.next_file_number.max(next);
        }
        appended
    }
}

/// Lets CURRENT name a MANIFEST.
fn put_in_force(dir: &StoreDir<'_>, number: u64) -> Result<(), EngineError> {
    let temporary: PathBuf = dir.path.join(format!("{number:06}.dbtmp"));
    write_new(dir.fs, &temporary, &plan::current(number))?;
    let current = dir.path.join("CURRENT");
    dir.fs.rename(&temporary, &current).map_err(|error| EngineError::io(&current, error))
}

fn write_new(fs: &dyn VfsMut, path: &Path, bytes: &[u8]) -> Result<(), EngineError> {
    let refused = |error| EngineError::io(path, error);
    make_room(fs, path).map_err(refused)?;
    let file = fs.create_new(path).map_err(refused)?;
    file.write_all_at(0, bytes).and_then(|()| file.sync()).map_err(refused)
}
