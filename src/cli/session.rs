//! What every command needs: where it prints, how it reads, the lock.

use std::{path::Path, sync::Arc, time::Duration};

use crate::{
    inspect::{InspectError, View, lock},
    vfs::{LockGuard, ReadOnlyFs, RealFs, Vfs, VfsMut},
};

use super::{args::Global, output::Output};

/// One run of the program.
pub struct Session {
    /// Where it prints.
    pub out: Output,
    vfs: Arc<dyn Vfs>,
    lock_timeout: Duration,
    no_lock: bool,
    threads: usize,
}

/// A collection that is held for reading until this is dropped.
pub struct Held {
    /// The collection.
    pub view: View,
    _lock: Option<LockGuard>,
}

impl Held {
    /// The collection and its lock apart.
    pub fn apart(self) -> (View, Option<LockGuard>) {
        (self.view, self._lock)
    }
}

impl Session {
    /// A session with the options of the command line. Its file system cannot write.
    pub fn new(global: &Global) -> Self {
        Self {
            out: Output::new(global.format, global.color, global.quiet),
            vfs: Arc::new(ReadOnlyFs),
            lock_timeout: global.lock_timeout,
            no_lock: global.no_lock,
            threads: global.threads.map_or(0, usize::from),
        }
    }

    /// The file system: one that cannot write.
    pub fn vfs(&self) -> &Arc<dyn Vfs> {
        &self.vfs
    }

    /// The file system for commands that write.
    pub fn vfs_mut(&self) -> Arc<dyn VfsMut> {
        Arc::new(RealFs)
    }

    /// How many threads to use; 0 = one for each core.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Whether readers go on without the lock.
    pub fn no_lock(&self) -> bool {
        self.no_lock
    }

    /// How long to wait for the lock.
    pub fn lock_timeout(&self) -> Duration {
        self.lock_timeout
    }

    /// Opens a collection for reading, its lock held shared unless `--no-lock`.
    pub fn open(&self, path: &Path) -> Result<Held, InspectError> {
        // Whether it is a collection at all is the better answer than what became of its lock.
        let lock = match View::open(self.vfs.clone(), path) {
            Err(error) => return Err(error),
            Ok(_) if self.no_lock => None,
            Ok(_) => lock::acquire_shared(self.vfs.as_ref(), path, self.lock_timeout)?,
        };
        Ok(Held { view: View::open(self.vfs.clone(), path)?, _lock: lock })
    }
}
