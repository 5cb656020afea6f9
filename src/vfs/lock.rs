//! Advisory locks, of the same family as zvec's: `flock` on the file `LOCK`.

use std::{
    fmt,
    fs::{File, TryLockError},
    io,
    path::Path,
};

/// How a lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockMode {
    /// By any number of readers.
    Shared,
    /// By one writer.
    Exclusive,
}

/// A lock that is held until this is dropped.
pub struct LockGuard {
    mode: LockMode,
    _held: Box<dyn Send + Sync>,
}

impl LockGuard {
    /// A lock that ends when `held` is dropped.
    pub fn new(mode: LockMode, held: impl Send + Sync + 'static) -> Self {
        Self { mode, _held: Box::new(held) }
    }

    pub(super) fn take(file: File, mode: LockMode) -> io::Result<Self> {
        let taken = match mode {
            LockMode::Shared => file.try_lock_shared(),
            LockMode::Exclusive => file.try_lock(),
        };
        match taken {
            Ok(()) => Ok(Self::new(mode, Flock(file))),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// How it is held.
    pub fn mode(&self) -> LockMode {
        self.mode
    }
}

impl fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockGuard").field("mode", &self.mode).finish_non_exhaustive()
    }
}

struct Flock(File);

impl Drop for Flock {
    fn drop(&mut self) {
        // Closing the file would do; a failure here has no remedy.
        let _ = self.0.unlock();
    }
}

/// A process that holds a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Process id, as this process's namespace shows it.
    pub pid: u32,
    /// How it holds the lock.
    pub mode: LockMode,
    /// Name of the program, where it can be seen.
    pub program: Option<String>,
}

/// Who holds a `flock` on `path`, found without touching the file: by its inode in the kernel's lock table. Empty where
/// the system has no such table (anything but Linux) or shows no holder (another container, a network file system).
#[cfg(target_os = "linux")]
pub fn holders(path: &Path) -> Vec<Holder> {
    use std::os::unix::fs::MetadataExt;

    let (Ok(found), Ok(table)) = (std::fs::metadata(path), std::fs::read_to_string("/proc/locks")) else {
        return Vec::new();
    };
    let device = format!("{:02x}:{:02x}", rustix::fs::major(found.dev()), rustix::fs::minor(found.dev()));
    let inode = format!("{device}:{}", found.ino());
    let mut holders: Vec<_> = parse_lock_table(&table, &inode);
    for holder in &mut holders {
        let name = std::fs::read_to_string(format!("/proc/{}/comm", holder.pid));
        holder.program = name.ok().map(|name| name.trim_end().to_owned());
    }
    holders
}

/// Who holds a `flock` on `path`: not known on this system.
#[cfg(not(target_os = "linux"))]
pub fn holders(_path: &Path) -> Vec<Holder> {
    Vec::new()
}

/// Lines are `1: FLOCK  ADVISORY  WRITE 4711 fe:00:1234 0 EOF`; those with `->` wait for the lock and do not hold it.
#[cfg(any(target_os = "linux", test))]
fn parse_lock_table(table: &str, inode: &str) -> Vec<Holder> {
    table
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace().skip(1);
            (words.next()? == "FLOCK").then_some(())?;
            let mode = match words.nth(1)? {
                "WRITE" => LockMode::Exclusive,
                _ => LockMode::Shared,
            };
            let pid = words.next()?.parse().ok()?;
            (words.next()? == inode).then_some(Holder { pid, mode, program: None })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::{RealFs, Vfs, VfsMut};

    #[test]
    fn a_writer_excludes_readers_and_readers_exclude_a_writer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("LOCK");
        drop(RealFs.create_new(&path).unwrap());

        let writer = RealFs.lock_exclusive(&path).unwrap();
        assert_eq!(RealFs.lock_shared(&path).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(writer);
        let readers = [RealFs.lock_shared(&path).unwrap(), RealFs.lock_shared(&path).unwrap()];
        assert_eq!(RealFs.lock_exclusive(&path).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(readers);
        RealFs.lock_exclusive(&path).unwrap();
    }

    #[test]
    fn lock_table_names_the_holder_and_not_who_waits() {
        let table = "1: FLOCK  ADVISORY  WRITE 4711 fe:00:1234 0 EOF\n\
                     1: -> FLOCK  ADVISORY  READ 4712 fe:00:1234 0 EOF\n\
                     2: POSIX  ADVISORY  WRITE 9 fe:00:1234 0 EOF\n\
                     3: FLOCK  ADVISORY  READ 8 fe:00:12345 0 EOF\n";
        let holders = parse_lock_table(table, "fe:00:1234");
        assert_eq!(holders, [Holder { pid: 4711, mode: LockMode::Exclusive, program: None }]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn own_lock_is_seen_in_the_table() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("LOCK");
        drop(RealFs.create_new(&path).unwrap());
        assert_eq!(holders(&path), []);
        let guard = RealFs.lock_exclusive(&path).unwrap();
        // Some sandboxes hide the table; where it shows anything, it must show us.
        for holder in holders(&path) {
            assert_eq!((holder.pid, holder.mode), (std::process::id(), guard.mode()));
        }
    }
}
