//! The collection's lock, as a writer takes it.

use std::{io, path::Path, time::Duration};

use crate::{
    inspect::{
        InspectError,
        lock::{LOCK, wait_for},
    },
    vfs::LockGuard,
};

use super::{EngineError, files::Files};

/// Takes the lock exclusively, trying for `timeout`; `None` if there is no file to lock.
///
/// # Errors
/// Somebody else holds it, or the system refuses.
pub fn exclusive(files: &Files, root: &Path, timeout: Duration) -> Result<Option<LockGuard>, EngineError> {
    let path = root.join(LOCK);
    match wait_for(&path, timeout, || files.fs().lock_exclusive(&path))? {
        Ok(guard) => Ok(Some(guard)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(EngineError::io(&path, error)),
    }
}

/// Makes the file that is missing, and takes it.
pub fn make(files: &Files, root: &Path, timeout: Duration) -> Result<LockGuard, EngineError> {
    let path = root.join(LOCK);
    files.write(&path, &[])?;
    files.sync_dir(root)?;
    // Whoever removes it now does not want it to be held.
    exclusive(files, root, timeout)?.ok_or_else(|| InspectError::Locked { path, holders: Vec::new() }.into())
}
