//! The collection's lock, as a reader sees it.

use std::{
    io,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use crate::{
    report::files::{LockHolder, LockReport},
    vfs::{self, LockGuard, LockMode, Vfs},
};

use super::InspectError;

/// Name of the lock file: empty, held exclusively by a writer and shared by readers.
pub const LOCK: &str = "LOCK";

/// How often a held lock is tried again.
const RETRY: Duration = Duration::from_millis(50);

/// Takes the lock of the collection shared, trying for `timeout`. A collection without a lock file, or on a file system
/// without locks, is read without: there is nothing to wait for, and a damaged collection must stay readable.
pub fn acquire_shared(vfs: &dyn Vfs, root: &Path, timeout: Duration) -> Result<Option<LockGuard>, InspectError> {
    let path = root.join(LOCK);
    Ok(wait_for(&path, timeout, || vfs.lock_shared(&path))?.ok())
}

/// Tries to take the lock `path` by `take` until somebody else gives it back. The answer is that of `take`.
///
/// # Errors
/// Somebody else holds it still after `timeout`.
pub fn wait_for(
    path: &Path,
    timeout: Duration,
    take: impl Fn() -> io::Result<LockGuard>,
) -> Result<io::Result<LockGuard>, InspectError> {
    let start = Instant::now();
    loop {
        match take() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let left = timeout.saturating_sub(start.elapsed());
                if left.is_zero() {
                    return Err(InspectError::Locked { holders: vfs::holders(path), path: path.to_owned() });
                }
                thread::sleep(RETRY.min(left));
            }
            answer => return Ok(answer),
        }
    }
}

/// What the lock's state is, found without taking it where the system shows its lock table.
pub fn state(vfs: &dyn Vfs, root: &Path) -> LockReport {
    let path = root.join(LOCK);
    match vfs.metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return report("missing", Vec::new()),
        Err(_) => return report("unknown", Vec::new()),
        Ok(_) => {}
    }
    // This process may hold it itself, for this very look.
    let own = std::process::id();
    let holders: Vec<_> = vfs::holders(&path).into_iter().filter(|holder| holder.pid != own).collect();
    let shown = holders
        .iter()
        .map(|holder| LockHolder {
            pid: holder.pid,
            mode: match holder.mode {
                LockMode::Shared => "shared".to_owned(),
                LockMode::Exclusive => "exclusive".to_owned(),
            },
            program: holder.program.clone(),
        })
        .collect();
    if holders.iter().any(|holder| holder.mode == LockMode::Exclusive) {
        return report("held", shown);
    }
    if !holders.is_empty() {
        return report("shared", shown);
    }
    // The table shows nobody; a holder in another container or on another machine shows only by trying.
    match vfs.lock_shared(&path) {
        Ok(_) => report("free", shown),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => report("held", shown),
        Err(_) => report("unknown", shown),
    }
}

fn report(state: &str, holders: Vec<LockHolder>) -> LockReport {
    LockReport { state: state.to_owned(), holders }
}
